// Timers: a binary heap in which each knows its place, so that arming again and disarming are cheap and leave nothing
// behind. See loop_impl.hpp.
#include <algorithm>
#include <utility>

#include "loop/loop_impl.hpp"

namespace vital {

void Loop::Impl::place(Timer::State& timer, std::size_t at) {
  timers_[at] = &timer;
  timer.place = at;
}

void Loop::Impl::sift_up(Timer::State& timer) {
  std::size_t at = timer.place;
  while (at > 0 && timer.when < timers_[(at - 1) / 2]->when) {
    place(*timers_[(at - 1) / 2], at);
    at = (at - 1) / 2;
  }
  place(timer, at);
}

void Loop::Impl::sift_down(Timer::State& timer) {
  std::size_t at = timer.place;
  while (true) {
    std::size_t child = 2 * at + 1;
    if (child >= timers_.size()) break;
    if (child + 1 < timers_.size() && timers_[child + 1]->when < timers_[child]->when) ++child;
    if (!(timers_[child]->when < timer.when)) break;
    place(*timers_[child], at);
    at = child;
  }
  place(timer, at);
}

void Loop::Impl::arm(Timer::State& timer, Instant when) {
  timer.when = when;
  if (timer.place == Timer::State::none) {
    timers_.push_back(&timer);
    timer.place = timers_.size() - 1;
  }
  sift_up(timer);
  sift_down(timer);
}

void Loop::Impl::disarm(Timer::State& timer) {
  const std::size_t at = std::exchange(timer.place, Timer::State::none);
  if (at == Timer::State::none) return;
  Timer::State& last = *timers_.back();
  timers_.pop_back();
  if (&last == &timer) return;
  place(last, at);
  sift_up(last);
  sift_down(last);
}

// What is due now. What its callbacks arm for at once has to wait for the next turn, or it could hold up everything.
void Loop::Impl::fire_due() {
  if (timers_.empty()) return;
  const Instant now = Loop::now();
  for (std::size_t left = timers_.size(); left > 0 && !timers_.empty() && timers_.front()->when <= now; --left) {
    if (is_stopped_.load(std::memory_order_relaxed)) return;
    const auto timer = timers_.front()->shared_from_this();
    disarm(*timer);
    timer->fired();
  }
}

Timer::Timer(Loop& loop, std::function<void()> fired)
    : state_(std::make_shared<State>(loop.shared_impl(), std::move(fired))) {}
Timer::~Timer() {
  if (state_) disarm();
}
Timer::Timer(Timer&&) noexcept = default;
Timer& Timer::operator=(Timer&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}
void Timer::arm_at(Instant when) { state_->loop->arm(*state_, when); }
void Timer::arm_in(Duration delay) { arm_at(Loop::now() + delay); }
void Timer::disarm() { state_->loop->disarm(*state_); }

}  // namespace vital
