// See service_state.hpp.
#include "core/service_state.hpp"

#include <algorithm>
#include <tuple>

#include "core/rules.hpp"

namespace vital {

namespace {
constexpr std::size_t most_ejections_kept = 64;
}

ServiceState::ServiceState(const ServicePlan& plan, Now added)
    : plan_(plan), added_at_(added.mono), since_(added.wall) {}

bool ServiceState::may_eject(Instant now) const {
  const EjectionBudget& b = plan_.budget;
  if (recovered_at_ && now < *recovered_at_ + b.min_uptime) return false;
  return b.ejections == 0 || b.window <= Duration::zero() || ejections_.size() < b.ejections;
}

// The second fall within the window is held at least hold_down, each further one twice as long, at most the window.
Duration ServiceState::hold_down() const {
  Duration hold{};
  if (plan_.budget.hold_down <= Duration::zero() || ejections_.size() < 2) return hold;
  hold = plan_.budget.hold_down;
  for (std::size_t i = 2; i < ejections_.size() && hold < plan_.budget.window; ++i) hold *= 2;
  return std::min(hold, plan_.budget.window);
}

Verdict ServiceState::told(Instant now, State by_rule) {
  while (!ejections_.empty() && ejections_.front() + plan_.budget.window <= now) ejections_.pop_front();
  if (!ejections_.empty() && plan_.budget.window > Duration::zero()) wake_by(ejections_.front() + plan_.budget.window);

  const Verdict plain = rules::answer_for(by_rule);
  if (by_rule == State::fail) {
    if (is_ejected_) return Verdict::fail;
    // Only what is up can be taken out; what never was up simply is not there yet.
    if (has_started_ && before_overlay_ != Verdict::fail) {
      if (!may_eject(now)) {
        if (!is_withheld_) ++withheld_;
        is_withheld_ = true;
        if (recovered_at_ && now < *recovered_at_ + plan_.budget.min_uptime) {
          wake_by(*recovered_at_ + plan_.budget.min_uptime);
        }
        return Verdict::warn;
      }
      ejections_.push_back(now);
      if (ejections_.size() > most_ejections_kept) ejections_.pop_front();
    }
    is_ejected_ = true;
    is_withheld_ = false;
    const Duration hold = hold_down();
    held_until_.reset();
    if (hold > Duration::zero()) held_until_ = now + hold;
    return Verdict::fail;
  }
  is_withheld_ = false;
  if (is_ejected_ && held_until_ && now < *held_until_) {
    wake_by(*held_until_);
    return Verdict::fail;
  }
  held_until_.reset();
  is_ejected_ = false;
  return plain;
}

unsigned ServiceState::weight_at(Instant now) const {
  if (answer_ == Verdict::fail) return 0;
  const unsigned full = std::min(answer_ == Verdict::warn ? plan_.warn_weight : 100U, 100U);
  if (plan_.slow_start <= Duration::zero() || !recovered_at_ || now >= *recovered_at_ + plan_.slow_start) return full;
  const double share = seconds(now - *recovered_at_) / seconds(plan_.slow_start);
  return std::max(1U, static_cast<unsigned>(full * share));
}

bool ServiceState::judge(Now now, State by_rule, OverlayKind overlay) {
  const auto before = std::tuple(state_, answer_, overlay_, weight_, is_withheld_, held_until_);
  wake_.reset();
  const bool was_out = answer_ == Verdict::fail;
  const State old_state = state_;
  const Verdict old_answer = answer_;

  state_ = by_rule;
  overlay_ = overlay;
  before_overlay_ = told(now.mono, by_rule);
  answer_ = overlay == OverlayKind::none ? before_overlay_ : Verdict::fail;

  if (before_overlay_ != Verdict::fail) {
    // A first start is no recovery: a restarted agent must not lower the weight of a healthy node.
    if (was_out && has_started_ && answer_ != Verdict::fail) recovered_at_ = now.mono;
    has_started_ = true;
  }
  weight_ = weight_at(now.mono);
  if (answer_ != Verdict::fail && recovered_at_ && now.mono < *recovered_at_ + plan_.slow_start) {
    wake_by(now.mono + std::max<Duration>(plan_.slow_start / 20, std::chrono::milliseconds(50)));
  }
  if (state_ != old_state || answer_ != old_answer) since_ = now.wall;
  return before != std::tuple(state_, answer_, overlay_, weight_, is_withheld_, held_until_);
}

void ServiceState::fill(ServiceView& view) const {
  view.state = state_;
  view.answer = answer_;
  view.overlay = overlay_;
  view.since = since_;
  view.weight = weight_;
  view.is_withheld = is_withheld_;
  view.is_held_down = held_until_.has_value() && state_ != State::fail;
  view.withheld = withheld_;
}

SavedService ServiceState::save(Instant now) const {
  SavedService s;
  s.name = plan_.name;
  s.state = state_;
  s.answer = before_overlay_;
  s.since = since_;
  s.has_started = has_started_;
  s.is_ejected = is_ejected_;
  if (recovered_at_) s.recovered_age = now - *recovered_at_;
  if (held_until_ && *held_until_ > now) s.held_for = *held_until_ - now;
  for (const Instant e : ejections_) s.ejection_ages.push_back(now - e);
  return s;
}

void ServiceState::restore(Now now, const SavedService& s, Duration elapsed) {
  state_ = s.state;
  answer_ = before_overlay_ = s.answer;
  since_ = s.since;
  has_started_ = s.has_started;
  is_ejected_ = s.is_ejected;
  const Instant saved_at = now.mono - elapsed;
  if (s.recovered_age) recovered_at_ = saved_at - *s.recovered_age;
  if (s.held_for) held_until_ = saved_at + *s.held_for;
  for (const Duration age : s.ejection_ages) {
    if (ejections_.size() < most_ejections_kept) ejections_.push_back(saved_at - age);
  }
}

}  // namespace vital
