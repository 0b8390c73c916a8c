// Loop: one thread's event loop, and the only door to libev. Timers, descriptor watches, posted work and signals hang
// on it as objects that unregister in their destructors. Everything but post() and stop() belongs to the loop's own
// thread.
//
//   Loop loop;
//   Timer timer(loop, [] { ... });
//   timer.arm_in(5s);
//   loop.run();                          // until stop()
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>

#include "base/time.hpp"

namespace vital {

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  static Instant now();  // CLOCK_MONOTONIC [any]
  static Now both();     // both clocks [any]

  void run();                             // returns after stop()
  void run_for(Duration limit);           // for tests: run what is ready, at most this long
  void stop();                            // [any]
  void post(std::function<void()> work);  // run it on the loop's thread, soon [any]

  struct Impl;
  const std::shared_ptr<Impl>& shared_impl() { return impl_; }

 private:
  std::shared_ptr<Impl> impl_;  // what hangs on the loop may be destroyed after it
};

// Fires once each time it is armed, never early and up to a millisecond late; arming again replaces. A callback may
// arm, disarm or destroy its own timer.
class Timer {
 public:
  Timer(Loop& loop, std::function<void()> fired);
  ~Timer();
  Timer(Timer&&) noexcept;
  Timer& operator=(Timer&&) noexcept;

  void arm_at(Instant when);
  void arm_in(Duration delay);
  void disarm();

  struct State;

 private:
  std::shared_ptr<State> state_;
};

// Watches a descriptor it does not own: destroy the watch before closing it. Callbacks come as long as the descriptor
// is ready (level-triggered), and may change or destroy their own watch. Errors and hang-ups are reported as readable.
class FdWatch {
 public:
  struct Interest {
    bool read = false, write = false;
  };
  struct Ready {
    bool readable = false, writable = false;  // only what is wanted; an error or a hang-up is all that is wanted
  };
  // Both throw std::system_error for what the kernel cannot watch (a plain file). The first wants to read.
  FdWatch(Loop& loop, int fd, std::function<void()> readable, std::function<void()> writable = {});
  FdWatch(Loop& loop, int fd, Interest wanted, std::function<void(Ready)> ready);
  ~FdWatch();
  FdWatch(FdWatch&&) noexcept;
  FdWatch& operator=(FdWatch&&) noexcept;

  void want(Interest wanted);
  void want_read(bool wanted);
  void want_write(bool wanted);

  struct State;

 private:
  std::shared_ptr<State> state_;
};

// Delivers signals on the loop, for as long as it lives; after the last one a signal does again what it does by itself.
// A signal belongs to one loop at a time.
class Signals {
 public:
  Signals(Loop& loop, std::initializer_list<int> numbers, std::function<void(int)> caught);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace vital
