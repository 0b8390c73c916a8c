// Turning: what was posted, what is ready, what is due; see loop.hpp and loop_impl.hpp.
#include "loop/loop.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

#include "loop/loop_impl.hpp"

namespace vital {
namespace {

using namespace std::chrono_literals;

constexpr int most_events = 256;  // taken from the kernel in one turn

// Whose run() is on this thread: what it posts to itself needs neither a lock nor a system call.
thread_local const Loop::Impl* running_here = nullptr;

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

// Waits to the nanosecond, or, where the kernel (or what stands in for it) does not know how, to the next millisecond.
int wait_for_events(int epoll, epoll_event* events, int count, std::optional<Duration> at_most) {
  static std::atomic<bool> is_exact{true};
  if (is_exact.load(std::memory_order_relaxed)) {
    timespec limit{};
    if (at_most) {
      const auto whole = std::chrono::duration_cast<std::chrono::seconds>(*at_most);
      limit.tv_sec = whole.count();
      limit.tv_nsec = static_cast<long>((*at_most - whole).count());
    }
    const int n = epoll_pwait2(epoll, events, count, at_most ? &limit : nullptr, nullptr);
    if (n >= 0 || (errno != ENOSYS && errno != EPERM)) return n;
    is_exact.store(false, std::memory_order_relaxed);
  }
  int milliseconds = -1;
  if (at_most) milliseconds = static_cast<int>(std::min<Duration>(*at_most + 999us, 1h) / 1ms);
  return epoll_wait(epoll, events, count, milliseconds);
}

}  // namespace

Loop::Impl::Impl() : epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!epoll_ || !wake_) fail("making an event loop");
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0) fail("making an event loop");
}

void Loop::Impl::run(std::optional<Instant> until) {
  const auto* const outer = std::exchange(running_here, this);
  struct Leave {
    const Loop::Impl* outer;
    ~Leave() { running_here = outer; }
  } const leave{outer};
  while (!is_stopped_.load(std::memory_order_acquire)) {
    run_posted();
    if (is_stopped_.load(std::memory_order_acquire)) return;
    wait(until);
    fire_due();
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

void Loop::Impl::wait(std::optional<Instant> until) {
  apply_changes();
  std::optional<Duration> at_most;
  if (!posted_.empty()) {
    at_most = Duration::zero();
  } else {
    if (!timers_.empty()) until = until ? std::min(*until, timers_.front()->when) : timers_.front()->when;
    if (until) at_most = std::max(*until - Loop::now(), Duration::zero());
  }
  std::array<epoll_event, most_events> events;
  const int count = wait_for_events(epoll_.get(), events.data(), most_events, at_most);
  if (count < 0 && errno != EINTR) fail("waiting for events");
  // Once they are all told, nobody can name those that were closed meanwhile.
  is_telling_ = true;
  struct Bury {
    Loop::Impl& loop;
    ~Bury() {
      loop.is_telling_ = false;
      std::exchange(loop.closed_, {}).clear();
    }
  } const bury{*this};
  for (int i = 0; i < count && !is_stopped_.load(std::memory_order_relaxed); ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.ptr == nullptr) continue;  // the wake-up
    FdWatch::State& watch = *static_cast<FdWatch::State*>(event.data.ptr);
    if (!watch.is_live) continue;
    const bool is_broken = (event.events & (EPOLLERR | EPOLLHUP)) != 0;
    FdWatch::Ready ready;
    ready.readable = (watch.wanted & EPOLLIN) != 0 && (is_broken || (event.events & EPOLLIN) != 0);
    ready.writable = (watch.wanted & EPOLLOUT) != 0 && (is_broken || (event.events & EPOLLOUT) != 0);
    ready.hung_up = is_broken;
    if (!ready.readable && !ready.writable) continue;
    const auto keep = watch.shared_from_this();
    watch.ready(ready);
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
  if (!has_mail_.exchange(true, std::memory_order_acq_rel)) wake();
}

void Loop::Impl::stop() {
  is_stopped_.store(true, std::memory_order_release);
  if (running_here != this) wake();
}

void Loop::Impl::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(wake_.get(), &one, sizeof one);
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
