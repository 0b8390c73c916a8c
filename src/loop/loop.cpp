// Turning: what was posted, what is ready, what is due; see loop.hpp and loop_impl.hpp.
#include "loop/loop.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>

#include "loop/loop_impl.hpp"

namespace vital {
namespace {

// Whose run() is on this thread: what it posts to itself needs neither a lock nor a system call.
thread_local const Loop::Impl* running_here = nullptr;

constexpr double far_away = 1e9;  // seconds: thirty years

double as_seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

struct ev_loop* made() {
  // Not what LIBEV_FLAGS says; and a signal mask is its owner's business.
  struct ev_loop* const loop =
      ev_loop_new(unsigned{EVBACKEND_EPOLL} | unsigned{EVFLAG_NOENV} | unsigned{EVFLAG_NOSIGMASK});
  if (loop == nullptr) throw std::runtime_error("making an event loop: the kernel has no descriptor or memory for it");
  return loop;
}

}  // namespace

Loop::Impl::Impl() : ev(made()) {
  wake_.cb = [](struct ev_loop*, ev_async*, int) {};
  ev_async_start(ev, &wake_);
  until_.cb = [](struct ev_loop*, ev_timer*, int) {};
  anchor_.cb = until_.cb;
  anchor_.at = far_away;
  ev_timer_start(ev, &anchor_);
}

Loop::Impl::~Impl() { ev_loop_destroy(ev); }

double Loop::Impl::after(Instant when) const {
  // libev's clock is CLOCK_MONOTONIC, as ours, and `anchor_.at` is on it, in seconds.
  const double turn_began = anchor_.at - ev_timer_remaining(ev, const_cast<ev_timer*>(&anchor_));
  return as_seconds(when.time_since_epoch()) - turn_began;
}

void Loop::Impl::run(std::optional<Instant> until) {
  const auto* const outer = std::exchange(running_here, this);
  if (until) {
    until_.at = after(*until);
    ev_timer_start(ev, &until_);
  }
  struct Leave {
    Loop::Impl& self;
    const Loop::Impl* outer;
    ~Leave() {
      running_here = outer;
      ev_timer_stop(self.ev, &self.until_);
    }
  } const leave{*this, outer};
  while (!is_stopped_.load(std::memory_order_acquire)) {
    run_posted();
    if (is_stopped_.load(std::memory_order_acquire)) return;
    ev_run(ev, posted_.empty() ? EVRUN_ONCE : EVRUN_NOWAIT);
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
    if (until && Loop::now() >= *until) return;
  }
}

// Those that were posted before this turn; what they post comes after a look at everything else.
void Loop::Impl::run_posted() {
  if (has_mail_.exchange(false, std::memory_order_acq_rel)) {
    const std::lock_guard lock(m_);
    std::move(mail_.begin(), mail_.end(), std::back_inserter(posted_));
    mail_.clear();
  }
  for (std::size_t left = posted_.size(); left > 0 && !is_stopped_.load(std::memory_order_relaxed); --left) {
    const auto work = std::move(posted_.front());
    posted_.pop_front();
    work();
  }
}

void Loop::Impl::post(std::function<void()> work) {
  if (running_here == this) {
    posted_.push_back(std::move(work));
    return;
  }
  {
    const std::lock_guard lock(m_);
    mail_.push_back(std::move(work));
  }
  if (!has_mail_.exchange(true, std::memory_order_acq_rel)) ev_async_send(ev, &wake_);
}

void Loop::Impl::stop() {
  is_stopped_.store(true, std::memory_order_release);
  if (running_here != this) ev_async_send(ev, &wake_);
}

void Loop::Impl::forget_posted() {
  std::exchange(posted_, {}).clear();
  std::deque<std::function<void()>> mail;
  {
    const std::lock_guard lock(m_);
    mail.swap(mail_);
  }
}

// ---- the face ------------------------------------------------------------------------------------------------------

Loop::Loop() : impl_(std::make_shared<Impl>()) {}
Loop::~Loop() { impl_->forget_posted(); }

Instant Loop::now() { return Instant(std::chrono::steady_clock::now().time_since_epoch()); }
Now Loop::both() {
  return {now(), std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now())};
}

void Loop::run() { impl_->run({}); }
void Loop::run_for(Duration limit) {
  impl_->restart();
  impl_->run(now() + limit);
}
void Loop::stop() { impl_->stop(); }
void Loop::post(std::function<void()> work) { impl_->post(std::move(work)); }

}  // namespace vital
