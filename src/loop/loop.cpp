// The event loop over standalone asio; see loop.hpp. The only file that includes asio. Each object keeps its state in a
// shared block that outlives it while asio still holds a handler, and `is_live` says whether anybody still cares.
#include "loop/loop.hpp"

#define ASIO_STANDALONE 1
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <utility>

namespace vital {

struct Loop::Impl {
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> keep{io.get_executor()};
};

Loop::Loop() : impl_(std::make_unique<Impl>()) {}
Loop::~Loop() = default;

Instant Loop::now() { return Instant(std::chrono::steady_clock::now().time_since_epoch()); }
Now Loop::both() {
  return {now(), std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now())};
}

void Loop::run() { impl_->io.run(); }
void Loop::run_for(Duration limit) {
  impl_->io.restart();
  impl_->io.run_for(limit);
}
void Loop::stop() { impl_->io.stop(); }
void Loop::post(std::function<void()> work) { asio::post(impl_->io, std::move(work)); }

struct Timer::State : std::enable_shared_from_this<Timer::State> {
  State(Loop& loop, std::function<void()> f) : timer(loop.impl().io), fired(std::move(f)) {}
  void arm(Instant when) {
    timer.expires_at(std::chrono::steady_clock::time_point(when.time_since_epoch()));
    timer.async_wait([self = shared_from_this(), round = ++armed](const asio::error_code& error) {
      // A cancelled wait may already be queued as a success: the round tells.
      if (!error && self->is_live && round == self->armed) self->fired();
    });
  }
  void disarm() {
    ++armed;
    timer.cancel();
  }
  asio::steady_timer timer;
  std::function<void()> fired;
  std::uint64_t armed = 0;
  bool is_live = true;
};

Timer::Timer(Loop& loop, std::function<void()> fired) : state_(std::make_shared<State>(loop, std::move(fired))) {}
Timer::~Timer() {
  if (!state_) return;
  state_->is_live = false;
  state_->disarm();
}
Timer::Timer(Timer&&) noexcept = default;
Timer& Timer::operator=(Timer&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}
void Timer::arm_at(Instant when) { state_->arm(when); }
void Timer::arm_in(Duration delay) { state_->arm(Loop::now() + delay); }
void Timer::disarm() { state_->disarm(); }

struct FdWatch::State : std::enable_shared_from_this<FdWatch::State> {
  State(Loop& loop, int fd, std::function<void()> r, std::function<void()> w)
      : descriptor(loop.impl().io, fd), readable(std::move(r)), writable(std::move(w)) {}
  void wait_read() {
    if (!is_live || !wants_read || is_waiting_read) return;
    is_waiting_read = true;
    descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                          [self = shared_from_this()](const asio::error_code& error) {
                            self->is_waiting_read = false;
                            if (!self->is_live) return;
                            if (!error && self->wants_read) self->readable();
                            self->wait_read();
                          });
  }
  void wait_write() {
    if (!is_live || !wants_write || is_waiting_write) return;
    is_waiting_write = true;
    descriptor.async_wait(asio::posix::stream_descriptor::wait_write,
                          [self = shared_from_this()](const asio::error_code& error) {
                            self->is_waiting_write = false;
                            if (!self->is_live) return;
                            if (!error && self->wants_write) self->writable();
                            self->wait_write();
                          });
  }
  void close() {
    is_live = false;
    descriptor.release();
  }
  asio::posix::stream_descriptor descriptor;
  std::function<void()> readable;
  std::function<void()> writable;
  bool wants_read = false;
  bool wants_write = false;
  bool is_waiting_read = false;
  bool is_waiting_write = false;
  bool is_live = true;
};

FdWatch::FdWatch(Loop& loop, int fd, std::function<void()> readable, std::function<void()> writable)
    : state_(std::make_shared<State>(loop, fd, std::move(readable), std::move(writable))) {
  want_read(true);
}
FdWatch::~FdWatch() {
  if (state_) state_->close();
}
FdWatch::FdWatch(FdWatch&&) noexcept = default;
FdWatch& FdWatch::operator=(FdWatch&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}
void FdWatch::want_read(bool wanted) {
  state_->wants_read = wanted;
  state_->wait_read();
}
void FdWatch::want_write(bool wanted) {
  state_->wants_write = wanted;
  state_->wait_write();
}

struct Signals::State : std::enable_shared_from_this<Signals::State> {
  State(Loop& loop, std::function<void(int)> c) : set(loop.impl().io), caught(std::move(c)) {}
  void wait() {
    set.async_wait([self = shared_from_this()](const asio::error_code& error, int number) {
      if (error || !self->is_live) return;
      self->caught(number);
      if (self->is_live) self->wait();
    });
  }
  asio::signal_set set;
  std::function<void(int)> caught;
  bool is_live = true;
};

Signals::Signals(Loop& loop, std::initializer_list<int> numbers, std::function<void(int)> caught)
    : state_(std::make_shared<State>(loop, std::move(caught))) {
  for (const int number : numbers) state_->set.add(number);
  state_->wait();
}
Signals::~Signals() {
  state_->is_live = false;
  state_->set.cancel();
}

}  // namespace vital
