// Timers of libev, by the moment and not by the delay; see loop_impl.hpp.
#include <utility>

#include "loop/loop_impl.hpp"

namespace vital {
namespace {

void fire(struct ev_loop*, ev_timer* timer, int) {
  const auto state = static_cast<Timer::State*>(timer->data)->shared_from_this();
  state->loop->guarded(state->fired);
}

}  // namespace

Timer::Timer(Loop& loop, std::function<void()> fired) : state_(std::make_shared<State>()) {
  state_->loop = loop.shared_impl();
  state_->fired = std::move(fired);
  state_->timer.data = state_.get();
  state_->timer.cb = fire;
}
Timer::~Timer() {
  if (state_) disarm();
}
Timer::Timer(Timer&&) noexcept = default;
Timer& Timer::operator=(Timer&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}
void Timer::arm_at(Instant when) {
  disarm();
  state_->timer.at = state_->loop->after(when);
  ev_timer_start(state_->loop->ev, &state_->timer);
}
void Timer::arm_in(Duration delay) { arm_at(Loop::now() + delay); }
void Timer::disarm() { ev_timer_stop(state_->loop->ev, &state_->timer); }

}  // namespace vital
