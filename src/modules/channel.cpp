// Frames over a socket; see channel.hpp.
#include "modules/channel.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace vital::wire {
namespace {

// What may wait for a reader that does not read. Its end: whoever reads so little is stuck.
constexpr std::size_t max_waiting = 16 * 1024 * 1024;
constexpr std::size_t chunk = 64 * 1024;

}  // namespace

Channel::Channel(Loop& loop, UniqueFd socket, Handlers handlers)
    : loop_(loop), socket_(std::move(socket)), handlers_(std::move(handlers)), self_(std::make_shared<Channel*>(this)) {
  watch_.emplace(
      loop_, socket_.get(), [this] { read_some(); }, [this] { flush(); });
}

Channel::~Channel() { *self_ = nullptr; }

void Channel::flush_soon() {
  if (is_flush_planned_) return;
  is_flush_planned_ = true;
  loop_.post([self = self_] {
    if (*self != nullptr) (*self)->flush();
  });
}

void Channel::flush() {
  is_flush_planned_ = false;
  if (is_closed_) return;
  std::size_t sent = 0;
  while (sent < out_.size()) {
    const ssize_t n = ::send(socket_.get(), out_.data() + sent, out_.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) return close(std::string("writing failed: ") + std::strerror(errno));
    if (n < 0) break;
    sent += static_cast<std::size_t>(n);
  }
  out_.erase(0, sent);
  watch_->want_write(!out_.empty());
  if (out_.size() > max_waiting) close("the other side does not read");
}

bool Channel::read_some() {
  // One buffer for all channels of the thread: it is empty between calls.
  thread_local std::array<char, chunk> buffer;
  if (is_closed_) return false;
  const ssize_t n = recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (n < 0) {
    if (errno != EAGAIN && errno != EINTR) close(std::string("reading failed: ") + std::strerror(errno));
    return false;
  }
  if (n == 0) {
    close("the other side is gone");
    return false;
  }
  in_.add({buffer.data(), static_cast<std::size_t>(n)});
  const auto self = self_;  // a handler may destroy us
  while (const auto payload = in_.next()) {
    handlers_.frame(*payload);
    if (*self == nullptr || is_closed_) return false;
  }
  if (in_.is_broken()) {
    close("a frame of a wrong length came");
    return false;
  }
  return true;
}

void Channel::read_all() {
  const auto self = self_;
  while (*self != nullptr && read_some()) {
  }
}

void Channel::close(const std::string& why) {
  if (is_closed_) return;
  is_closed_ = true;
  out_.clear();
  watch_.reset();
  const auto closed = handlers_.closed;  // may destroy us
  if (closed) closed(why);
}

}  // namespace vital::wire
