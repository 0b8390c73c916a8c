// The inside of Loop, shared by loop.cpp, timer.cpp, fd_watch.cpp and signals.cpp: a loop of libev, and what was
// posted. One turn runs what was posted before it, then what is ready, then what is due, so that an answer that came in
// time is seen before its deadline: descriptors have a higher priority than timers. Private to loop/, and the only
// header that includes ev.h. [loop], but for post() and stop().
//
// libev is C: what a callback throws must not pass through it, so guarded() keeps it until the turn is over.
#pragma once

#include <ev.h>

#include <atomic>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "loop/loop.hpp"

namespace vital {

struct Timer::State : std::enable_shared_from_this<Timer::State> {
  std::shared_ptr<Loop::Impl> loop;
  std::function<void()> fired;
  ev_timer timer{};
};

struct FdWatch::State : std::enable_shared_from_this<FdWatch::State> {
  std::shared_ptr<Loop::Impl> loop;
  std::function<void(Ready)> ready;
  ev_io io{};
  bool is_live = true;
};

struct Loop::Impl {
  Impl();
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void run(std::optional<Instant> until);
  void restart() { is_stopped_.store(false); }
  void post(std::function<void()> work);  // [any]
  void stop();                            // [any]
  void forget_posted();

  // When a timer of libev has to be `at` for this moment. Libev takes times relative to when its turn began.
  double after(Instant when) const;
  template <class Work>
  void guarded(const Work& work) noexcept {
    try {
      work();
    } catch (...) {
      if (!thrown_) thrown_ = std::current_exception();
    }
  }

  struct ev_loop* const ev;

 private:
  void run_posted();

  ev_async wake_{};
  ev_timer anchor_{};  // never fires: it tells when libev's turn began
  ev_timer until_{};   // the end of run_for()

  std::deque<std::function<void()>> posted_;  // by the loop's own thread
  std::exception_ptr thrown_;

  std::atomic<bool> is_stopped_{false};
  std::atomic<bool> has_mail_{false};
  std::mutex m_;
  std::deque<std::function<void()>> mail_;  // guarded by m_: posted by other threads, or while the loop did not run
};

}  // namespace vital
