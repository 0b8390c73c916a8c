// Watches: libev's, level-triggered. A change of interest reaches the kernel before the loop waits again, so that of
// many changes in one turn only the last costs a system call. See loop_impl.hpp.
#include <sys/stat.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "loop/loop_impl.hpp"

namespace vital {
namespace {

int bits(FdWatch::Interest wanted) { return (wanted.read ? EV_READ : 0) | (wanted.write ? EV_WRITE : 0); }

int wanted_of(const ev_io& io) { return io.events & (EV_READ | EV_WRITE); }

void tell(struct ev_loop*, ev_io* io, int events) {
  const auto state = static_cast<FdWatch::State*>(io->data)->shared_from_this();
  const int ready = events & wanted_of(*io);
  if (ready == 0) return;
  state->loop->guarded([&] { state->ready({(ready & EV_READ) != 0, (ready & EV_WRITE) != 0}); });
}

// libev would call plain files ready for ever.
void refuse_files(int fd) {
  struct stat seen {};
  const bool is_known = fstat(fd, &seen) == 0;
  if (is_known && !S_ISREG(seen.st_mode) && !S_ISDIR(seen.st_mode)) return;
  throw std::system_error(is_known ? EPERM : errno, std::generic_category(),
                          "watching descriptor " + std::to_string(fd));
}

}  // namespace

FdWatch::FdWatch(Loop& loop, int fd, Interest wanted, std::function<void(Ready)> ready)
    : state_(std::make_shared<State>()) {
  refuse_files(fd);
  state_->loop = loop.shared_impl();
  state_->ready = std::move(ready);
  ev_io& io = state_->io;
  io.data = state_.get();
  io.cb = tell;
  io.priority = 1;  // before timers
  ev_io_set(&io, fd, bits(wanted));
  if (wanted_of(io) != 0) ev_io_start(state_->loop->ev, &io);
}

FdWatch::FdWatch(Loop& loop, int fd, std::function<void()> readable, std::function<void()> writable)
    : FdWatch(loop, fd, Interest{true, false}, {}) {
  // The state holds its own callbacks: it is not held by them.
  state_->ready = [state = state_.get(), readable = std::move(readable), writable = std::move(writable)](Ready ready) {
    if (ready.readable) readable();
    if (ready.writable && state->is_live && (wanted_of(state->io) & EV_WRITE) != 0) writable();
  };
}

FdWatch::~FdWatch() {
  if (!state_) return;
  state_->is_live = false;
  ev_io_stop(state_->loop->ev, &state_->io);
}
FdWatch::FdWatch(FdWatch&&) noexcept = default;
FdWatch& FdWatch::operator=(FdWatch&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

void FdWatch::want(Interest wanted) {
  ev_io& io = state_->io;
  if (bits(wanted) == wanted_of(io)) return;
  ev_io_stop(state_->loop->ev, &io);
  ev_io_modify(&io, bits(wanted));
  if (wanted_of(io) != 0) ev_io_start(state_->loop->ev, &io);
}
void FdWatch::want_read(bool wanted) { want({wanted, (wanted_of(state_->io) & EV_WRITE) != 0}); }
void FdWatch::want_write(bool wanted) { want({(wanted_of(state_->io) & EV_READ) != 0, wanted}); }

}  // namespace vital
