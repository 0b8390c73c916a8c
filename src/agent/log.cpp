// Writing lines without waiting; see log.hpp.
#include "agent/log.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <system_error>

namespace vital {
namespace {

// journald names the stream it gave us as "device:inode"; only then is our stderr its.
bool is_journal_stream(const struct stat& s) {
  const char* named = std::getenv("JOURNAL_STREAM");
  return named != nullptr && named == std::to_string(s.st_dev) + ":" + std::to_string(s.st_ino);
}

std::string_view priority(Note::Level level) {
  switch (level) {
    case Note::Level::info:
      return "<6>";
    case Note::Level::warning:
      return "<4>";
    case Note::Level::error:
      return "<3>";
  }
  return "<3>";
}

}  // namespace

bool RateBound::take(Instant now) {
  if (now > as_of_) {
    tokens_ = std::min(burst_, tokens_ + seconds(now - as_of_) * per_second_);
    as_of_ = now;
  }
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

Log::Log(int stderr_fd) : stderr_fd_(stderr_fd), bound_(200, 1000) {
  struct stat s {};
  if (fstat(stderr_fd_, &s) == 0) {
    is_socket_ = S_ISSOCK(s.st_mode);
    is_file_ = S_ISREG(s.st_mode);
    is_journal_ = is_journal_stream(s);
  }
}

void Log::configure(const LogConfig& config, const std::string& node) {
  UniqueFd file;
  if (!config.file.empty()) {
    file.reset(open(config.file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640));
    if (!file) throw std::system_error(errno, std::generic_category(), "cannot open the log file " + config.file);
  }
  const std::lock_guard lock(m_);
  file_ = std::move(file);
  format_ = config.format;
  node_ = node;
}

void Log::write(const Event& event, Instant now) {
  const std::lock_guard lock(m_);
  const auto line = [&](const Event& e) {
    std::string text = format_ == LogConfig::Format::json ? json_line(e, node_) : logfmt_line(e);
    if (is_journal_ && !file_) text.insert(0, priority(e.level));
    return text;
  };
  if (!bound_.take(now)) {
    ++dropped_;
    return;
  }
  if (dropped_ > dropped_said_) {
    const Event gap{
        event.at,
        Note::Level::warning,
        "log_lines_dropped",
        {{"count", std::to_string(dropped_ - dropped_said_)}, {"why", "too many at once, or nobody took them"}}};
    if (put(line(gap))) dropped_said_ = dropped_;
  }
  if (!put(line(event))) ++dropped_;
}

// What cannot be taken at once is given up: the loop must not wait for a log's reader. A line is at most as long as a
// pipe takes in one piece once it is ready at all.
bool Log::put(const std::string& line) {
  if (file_) return ::write(file_.get(), line.data(), line.size()) == static_cast<ssize_t>(line.size());
  if (is_socket_) {
    return send(stderr_fd_, line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL) == static_cast<ssize_t>(line.size());
  }
  if (!is_file_) {
    pollfd ready{stderr_fd_, POLLOUT, 0};
    if (poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) return false;
  }
  return ::write(stderr_fd_, line.data(), line.size()) == static_cast<ssize_t>(line.size());
}

std::uint64_t Log::dropped() const {
  const std::lock_guard lock(m_);
  return dropped_;
}

}  // namespace vital
