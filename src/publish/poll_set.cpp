// An epoll set within the loop's; see poll_set.hpp.
#include "publish/poll_set.hpp"

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <system_error>
#include <utility>

namespace vital {
namespace {

// A turn's share: what else hangs on the loop (timers, new connections) comes between two such batches.
constexpr std::size_t events_a_turn = 64;

UniqueFd make_epoll() {
  UniqueFd out(::epoll_create1(EPOLL_CLOEXEC));
  if (!out) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  return out;
}

}  // namespace

PollSet::PollSet(Loop& loop, std::function<void(std::uint64_t, Readiness)> ready)
    : epoll_(make_epoll()), ready_(std::move(ready)), watch_(loop, epoll_.get(), [this] { poll(); }) {}

PollSet::~PollSet() = default;

void PollSet::add(int fd, std::uint64_t id, bool wants_read, bool wants_write) {
  control(EPOLL_CTL_ADD, fd, id, wants_read, wants_write);
}
void PollSet::change(int fd, std::uint64_t id, bool wants_read, bool wants_write) {
  control(EPOLL_CTL_MOD, fd, id, wants_read, wants_write);
}

void PollSet::control(int operation, int fd, std::uint64_t id, bool wants_read, bool wants_write) {
  epoll_event event{};
  event.events = (wants_read ? EPOLLIN : 0U) | (wants_write ? EPOLLOUT : 0U);
  event.data.u64 = id;
  ::epoll_ctl(epoll_.get(), operation, fd, &event);
}

void PollSet::poll() {
  std::array<epoll_event, events_a_turn> events{};
  const int n = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < n; ++i) {
    const epoll_event& e = events.at(static_cast<std::size_t>(i));
    ready_(e.data.u64,
           {(e.events & EPOLLIN) != 0, (e.events & EPOLLOUT) != 0, (e.events & (EPOLLERR | EPOLLHUP)) != 0});
  }
}

}  // namespace vital
