// The lasting child; see plugin.hpp.
#include "plugin.hpp"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "../leftovers.hpp"
#include "answer.hpp"

namespace vital::lines {
namespace {

using namespace std::chrono_literals;
using check::Cause;
using check::Duration;

constexpr size_t longest_line = 65536;
constexpr size_t most_unsent = 262144;
constexpr size_t most_in_flight = 1024;
constexpr size_t longest_complaint = 512;
constexpr size_t most_dying = 16;
constexpr Duration calm = 60s;  // a child that lived this long begins anew with short pauses
constexpr Duration longest_pause = 60s;
constexpr Duration patience_to_die = 1s;
constexpr Duration time_to_end = 20ms;
constexpr Duration tidy_every = 10s;

std::map<std::string, std::weak_ptr<Plugin>>& plugins() {
  static std::map<std::string, std::weak_ptr<Plugin>> all;
  return all;
}

bool make_pipe(check::Fd& read_end, check::Fd& write_end) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  read_end.reset(ends[0]);
  write_end.reset(ends[1]);
  return true;
}

void make_nonblocking(const check::Fd& fd) { fcntl(fd.get(), F_SETFL, O_NONBLOCK); }

// The first failure costs nothing, further ones 1 s, 2 s, 4 s, ...
Duration pause_after(unsigned failures) {
  if (failures <= 1) return {};
  return std::min<Duration>(longest_pause, 1s * (1LL << std::min(failures - 2, 10U)));
}

std::string seconds_of(Duration d) { return std::to_string(std::max<long long>(1, (d + 999ms) / 1s)) + " s"; }

}  // namespace

std::shared_ptr<Plugin> Plugin::shared(const check::Host& host, const check::Command& command, const std::string& key) {
  std::erase_if(plugins(), [](const auto& entry) { return entry.second.expired(); });
  auto& known = plugins()[key];
  auto plugin = known.lock();
  if (plugin == nullptr) {
    plugin = std::shared_ptr<Plugin>(new Plugin(command, key));
    known = plugin;
  }
  plugin->join(host);
  return plugin;
}

Plugin::Plugin(check::Command command, std::string key) : command_(std::move(command)), key_(std::move(key)) {
  check::become_subreaper();
}

Plugin::~Plugin() {
  asked_.clear();
  end("nobody uses it any more", false);
}

void Plugin::join(const check::Host& host) { hosts_.push_back(host); }

void Plugin::leave(const check::Host& host) {
  const auto mine = std::find_if(hosts_.begin(), hosts_.end(), [&](const check::Host& h) { return h.raw == host.raw; });
  if (mine != hosts_.end()) hosts_.erase(mine);
  if (!wiring_ || wiring_->host.raw != host.raw) return;
  wiring_.reset();
  if (!hosts_.empty() && pid_ > 0) wire();
}

void Plugin::wire() {
  wiring_.emplace(hosts_.front());
  wiring_->out.start<&Plugin::read_output>(this, out_.get(), VITAL_READABLE);
  wiring_->error.start<&Plugin::read_errors>(this, error_.get(), VITAL_READABLE);
  if (!to_send_.empty()) wiring_->in.start<&Plugin::write_more>(this, in_.get(), VITAL_WRITABLE);
}

bool Plugin::start(std::string& why) {
  reap();
  check::Fd their_in, their_out, their_error;
  if (!make_pipe(their_in, in_) || !make_pipe(out_, their_out) || !make_pipe(error_, their_error)) {
    why = std::string("no pipe: ") + strerror(errno);
    return false;
  }
  pid_ = check::spawn(command_, {their_in.get(), their_out.get(), their_error.get()}, why);
  if (pid_ < 0) return false;
  for (const check::Fd* fd : {&in_, &out_, &error_}) make_nonblocking(*fd);
  started_at_ = heard_at_ = check::monotonic_now();
  wire();
  return true;
}

std::optional<check::Result> Plugin::ask(uint64_t id, Asker& asker, const std::string& line) {
  const Duration now = check::monotonic_now();
  if (now - tidied_at_ > tidy_every) tidy(now);
  if (pid_ < 0) {
    reap();
    // One that does not end is not followed by a second.
    if (!dying_.empty()) {
      return check::unknown(Cause::agent, std::string(now - killed_at_ > patience_to_die ? "unkillable: " : "") +
                                              name() + " (process " + std::to_string(dying_.front()) +
                                              ") has not ended yet; no second one is started beside it");
    }
    if (now < may_start_at_) {
      return check::unknown(
          Cause::agent, name() + " " + last_failure_ + "; it is started again in " + seconds_of(may_start_at_ - now));
    }
    if (std::string why; !start(why)) {
      ++failures_;
      may_start_at_ = now + pause_after(failures_);
      last_failure_ = "could not be started: " + why;
      return check::unknown(Cause::config, name() + " " + last_failure_);
    }
    if (started_at_ > Duration::zero() && failures_ > 0) ++counters_.restarts;
  }
  if (asked_.size() >= most_in_flight || to_send_.size() + line.size() > most_unsent) {
    return check::unknown(Cause::agent,
                          name() + " does not keep up: " + std::to_string(asked_.size()) + " requests wait for it");
  }
  asked_.emplace(id, Asked{&asker, now});
  to_send_ += line;
  write_more(in_.get(), VITAL_WRITABLE);
  return {};
}

void Plugin::withdraw(uint64_t id, bool is_overdue) {
  const auto found = asked_.find(id);
  if (found == asked_.end()) return;
  const bool is_silent = is_overdue && heard_at_ <= found->second.at;
  asked_.erase(found);
  if (is_silent && pid_ > 0) end("hung: it said nothing from a request to its deadline", true);
}

void Plugin::write_more(int, uint32_t) {
  while (!to_send_.empty()) {
    const ssize_t n = write(in_.get(), to_send_.data(), to_send_.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) {
      to_send_.clear();  // its end will be read in a moment
      break;
    }
    if (n < 0) break;
    to_send_.erase(0, static_cast<size_t>(n));
  }
  if (!wiring_) return;
  if (to_send_.empty()) {
    wiring_->in.stop();
  } else {
    wiring_->in.start<&Plugin::write_more>(this, in_.get(), VITAL_WRITABLE);
  }
}

void Plugin::read_output(int, uint32_t) {
  char buffer[16384];
  // One buffer a turn, so that a flood leaves the loop to the others.
  const ssize_t n = read(out_.get(), buffer, sizeof buffer);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    // Most often it is about to end, and then can say how.
    if (!wiring_) return closed();
    wiring_->out.stop();
    wiring_->closed.arm<&Plugin::closed>(this, time_to_end);
    return;
  }
  heard_at_ = check::monotonic_now();
  received_.append(buffer, static_cast<size_t>(n));
  take_lines();
}

void Plugin::closed() {
  int status = 0;
  const bool is_dead = waitpid(pid_, &status, WNOHANG) == pid_;
  if (is_dead) pid_ = -1;
  std::string how = "closed its output";
  if (is_dead && WIFEXITED(status)) how = "ended with exit code " + std::to_string(WEXITSTATUS(status));
  if (is_dead && WIFSIGNALED(status)) how = "was ended by signal " + std::to_string(WTERMSIG(status));
  end(how + (complaint_.empty() ? "" : ": " + complaint_), true);
}

void Plugin::take_lines() {
  size_t from = 0;
  std::vector<std::pair<Asker*, check::Result>> found;
  std::string garbage;
  for (size_t end_of_line = 0; (end_of_line = received_.find('\n', from)) != std::string::npos;
       from = end_of_line + 1) {
    const std::string_view line(received_.data() + from, end_of_line - from);
    if (line.empty()) continue;
    std::optional<Answer> answer;
    if (line.size() <= longest_line) answer = parse_answer(line, garbage);
    if (!answer || answer->id >= next_id_) {
      if (garbage.empty()) garbage = answer ? "an answer to a request nobody made" : "a line of more than 64 KiB";
      break;
    }
    const auto asked = asked_.find(answer->id);
    if (asked == asked_.end()) {
      ++counters_.late;
      continue;
    }
    found.emplace_back(asked->second.asker, std::move(answer->result));
    asked_.erase(asked);
  }
  received_.erase(0, from);
  if (garbage.empty() && received_.size() > longest_line) garbage = "a line of more than 64 KiB";
  if (garbage.empty() && !found.empty() && failures_ > 0 && check::monotonic_now() - started_at_ > calm) failures_ = 0;
  // The books are right: now tell. An asker may be gone after its answer, and take the last reference to us with it.
  const auto keep = plugins()[key_].lock();
  for (auto& [asker, result] : found) asker->answered(std::move(result));
  if (!garbage.empty()) end("spoke garbage: " + garbage, true);
}

void Plugin::read_errors(int, uint32_t) {
  char buffer[4096];
  const ssize_t n = read(error_.get(), buffer, sizeof buffer);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    if (wiring_) wiring_->error.stop();
    return;
  }
  std::string_view said(buffer, static_cast<size_t>(n));
  while (!said.empty() && said.back() == '\n') said.remove_suffix(1);
  const size_t last = said.rfind('\n');
  complaint_ = said.substr(last == std::string_view::npos ? 0 : last + 1).substr(0, longest_complaint);
  log(name() + ": " + complaint_);  // the host bounds how many lines there are
}

void Plugin::end(const std::string& why, bool is_crash) {
  const Duration now = check::monotonic_now();
  wiring_.reset();
  if (pid_ > 0) {
    kill(-pid_, SIGKILL);
    kill(pid_, SIGKILL);
    if (dying_.size() < most_dying) dying_.push_back(pid_);
    pid_ = -1;
  }
  killed_at_ = now;
  tidy(now);
  in_.reset();
  out_.reset();
  error_.reset();
  to_send_.clear();
  received_.clear();
  complaint_.clear();
  if (is_crash) {
    failures_ = now - started_at_ > calm ? 1 : failures_ + 1;
    may_start_at_ = now + pause_after(failures_);
    last_failure_ = why;
    if (!hosts_.empty()) log(name() + " " + why);
  }
  const auto asked = std::exchange(asked_, {});
  const auto keep = plugins()[key_].lock();
  const check::Result lost = check::unknown(Cause::agent, name() + " " + why);
  for (const auto& [id, waiting] : asked) waiting.asker->lost(lost);
}

void Plugin::reap() {
  std::erase_if(dying_, [](pid_t pid) { return waitpid(pid, nullptr, WNOHANG) != 0; });
}

// What a child left behind became ours when its parent died: what still runs is killed once its plugin is gone.
void Plugin::tidy(Duration now) {
  tidied_at_ = now;
  reap();
  std::vector<pid_t> kept;
  for (const auto& [key, known] : plugins()) {
    const auto plugin = known.lock();
    if (plugin != nullptr && plugin->pid_ > 0) kept.push_back(plugin->pid_);
  }
  if (pid_ > 0) kept.push_back(pid_);
  kept.insert(kept.end(), dying_.begin(), dying_.end());
  check::clear_strangers(kept);
}

void Plugin::log(const std::string& text) {
  if (hosts_.empty() || hosts_.front().log == nullptr) return;
  hosts_.front().log->write(hosts_.front().raw, VITAL_LOG_WARNING, text.c_str());
}

void Plugin::trouble(const char* what) noexcept { end(std::string("could not be served: ") + what, true); }

}  // namespace vital::lines
