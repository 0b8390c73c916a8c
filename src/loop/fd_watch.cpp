// Watches: level-triggered entries of the loop's epoll set. A change of interest reaches the kernel before the loop
// waits again, so that of many changes in one turn only the last costs a system call. See loop_impl.hpp.
#include <sys/epoll.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "loop/loop_impl.hpp"

namespace vital {
namespace {

std::uint32_t bits(FdWatch::Interest wanted) {
  return (wanted.read ? std::uint32_t{EPOLLIN} : 0U) | (wanted.write ? std::uint32_t{EPOLLOUT} : 0U);
}

bool tell_kernel(int epoll, int operation, FdWatch::State& watch) {
  epoll_event event{};
  event.events = watch.wanted;
  event.data.ptr = &watch;
  return epoll_ctl(epoll, operation, watch.fd, &event) == 0;
}

}  // namespace

void Loop::Impl::register_now(FdWatch::State& watch) {
  if (!tell_kernel(epoll_.get(), EPOLL_CTL_ADD, watch)) {
    throw std::system_error(errno, std::generic_category(), "watching descriptor " + std::to_string(watch.fd));
  }
  watch.registered = watch.wanted;
}

void Loop::Impl::change_later(FdWatch::State& watch) {
  if (watch.is_changed || watch.wanted == watch.registered) return;
  watch.is_changed = true;
  changed_.push_back(watch.shared_from_this());
}

void Loop::Impl::apply_changes() {
  while (!changed_.empty()) {
    const auto watch = std::move(changed_.back());
    changed_.pop_back();
    watch->is_changed = false;
    if (!watch->is_live || watch->wanted == watch->registered) continue;
    if (watch->registered == 0) {
      register_now(*watch);
      continue;
    }
    // Wanting nothing is not being in the set: hang-ups would be told all the same.
    tell_kernel(epoll_.get(), watch->wanted == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD, *watch);
    watch->registered = watch->wanted;
  }
}

void Loop::Impl::close(FdWatch::State& watch) {
  if (!watch.is_live) return;
  watch.is_live = false;
  if (watch.registered != 0) tell_kernel(epoll_.get(), EPOLL_CTL_DEL, watch);
  watch.registered = 0;
  if (is_telling_) closed_.push_back(watch.shared_from_this());
}

FdWatch::FdWatch(Loop& loop, int fd, Interest wanted, std::function<void(Ready)> ready)
    : state_(std::make_shared<State>()) {
  state_->loop = loop.shared_impl();
  state_->fd = fd;
  state_->wanted = bits(wanted);
  state_->ready = std::move(ready);
  if (state_->wanted != 0) state_->loop->register_now(*state_);
}

FdWatch::FdWatch(Loop& loop, int fd, std::function<void()> readable, std::function<void()> writable)
    : FdWatch(loop, fd, Interest{true, false}, {}) {
  // The state holds its own callbacks: it is not held by them.
  state_->ready = [state = state_.get(), readable = std::move(readable), writable = std::move(writable)](Ready ready) {
    if (ready.readable) readable();
    if (ready.writable && state->is_live && (state->wanted & EPOLLOUT) != 0) writable();
  };
}

FdWatch::~FdWatch() {
  if (state_) state_->loop->close(*state_);
}
FdWatch::FdWatch(FdWatch&&) noexcept = default;
FdWatch& FdWatch::operator=(FdWatch&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

void FdWatch::want(Interest wanted) {
  state_->wanted = bits(wanted);
  state_->loop->change_later(*state_);
}
void FdWatch::want_read(bool wanted) { want({wanted, (state_->wanted & EPOLLOUT) != 0}); }
void FdWatch::want_write(bool wanted) { want({(state_->wanted & EPOLLIN) != 0, wanted}); }

}  // namespace vital
