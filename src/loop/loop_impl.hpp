// The inside of Loop, shared by loop.cpp, timer.cpp, fd_watch.cpp and signals.cpp: one epoll set, level-triggered, a
// heap of timers that costs the kernel nothing (the nearest one is how long epoll waits), and what was posted. One turn
// runs what was posted before it, then what is ready, then what is due, so that an answer that came in time is seen
// before its deadline. Private to loop/. [loop], but for post() and stop().
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/unique_fd.hpp"
#include "loop/loop.hpp"

namespace vital {

struct Timer::State : std::enable_shared_from_this<Timer::State> {
  State(std::shared_ptr<Loop::Impl> l, std::function<void()> f) : loop(std::move(l)), fired(std::move(f)) {}
  std::shared_ptr<Loop::Impl> loop;
  std::function<void()> fired;
  Instant when{};
  std::size_t place = none;  // in the loop's heap
  static constexpr std::size_t none = static_cast<std::size_t>(-1);
};

struct FdWatch::State : std::enable_shared_from_this<FdWatch::State> {
  std::shared_ptr<Loop::Impl> loop;
  int fd = -1;
  std::function<void(Ready)> ready;
  std::uint32_t wanted = 0;      // epoll's bits
  std::uint32_t registered = 0;  // as the kernel has it; 0 = not in the set
  bool is_changed = false;       // on the loop's list of those whose two words may differ
  bool is_live = true;
};

struct Loop::Impl {
  Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void run(std::optional<Instant> until);
  void restart() { is_stopped_.store(false); }
  void post(std::function<void()> work);  // [any]
  void stop();                            // [any]
  void forget_posted();

  // timer.cpp
  void arm(Timer::State& timer, Instant when);
  void disarm(Timer::State& timer);
  void fire_due();

  // fd_watch.cpp
  void register_now(FdWatch::State& watch);  // throws std::system_error
  void change_later(FdWatch::State& watch);  // before the loop waits again: of many changes in a turn the last counts
  void close(FdWatch::State& watch);
  void apply_changes();

 private:
  void run_posted();
  void wait(std::optional<Instant> until);
  void wake();  // [any]
  void place(Timer::State& timer, std::size_t at);
  void sift_up(Timer::State& timer);
  void sift_down(Timer::State& timer);

  UniqueFd epoll_;
  UniqueFd wake_;  // an eventfd in the set, edge-triggered: it is never read

  std::deque<std::function<void()>> posted_;  // by the loop's own thread
  std::vector<Timer::State*> timers_;         // a heap, the nearest first
  std::vector<std::shared_ptr<FdWatch::State>> changed_;
  // Destroyed while what epoll said may still name them: kept until all of that is told.
  std::vector<std::shared_ptr<FdWatch::State>> closed_;
  bool is_telling_ = false;

  std::atomic<bool> is_stopped_{false};
  std::atomic<bool> has_mail_{false};
  std::mutex m_;
  std::deque<std::function<void()>> mail_;  // guarded by m_: posted by other threads, or while the loop did not run
};

}  // namespace vital
