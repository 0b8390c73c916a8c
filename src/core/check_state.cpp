// See check_state.hpp.
#include "core/check_state.hpp"

#include <algorithm>

#include "base/duration.hpp"

namespace vital {

CheckState::CheckState(const CheckPlan& plan, Now added, Instant first_due)
    : plan_(plan),
      hysteresis_(plan.rise, plan.fall, plan.fall_window),
      flap_(plan.flap),
      since_(added.wall),
      added_at_(added.mono),
      age_from_(first_due) {}

bool CheckState::is_unproven(Instant now) const {
  return !plan_.is_passive && evidence_at_ && plan_.max_age > Duration::zero() && now >= *evidence_at_ + plan_.max_age;
}

std::optional<Instant> CheckState::proven_until() const {
  if (plan_.is_passive || !evidence_at_ || plan_.max_age <= Duration::zero()) return {};
  return *evidence_at_ + plan_.max_age;
}

bool CheckState::take(Now now, const ProbeResult& result, Instant found_at) {
  streak_ = last_ && last_->verdict == result.verdict ? streak_ + 1 : 1;
  history_.add(result.verdict);
  last_ = result;
  last_at_ = now.mono;
  last_wall_ = now.wall;
  if (result.verdict == Verdict::unknown) return advance(now);

  const bool good = result.verdict != Verdict::fail;
  const bool is_first = !has_evidence() || is_provisional_ || is_stale_ || is_unproven(now.mono);
  const bool was_up = has_evidence() && hysteresis_.is_up();
  if (is_first) {
    hysteresis_.decide(good);
  } else {
    hysteresis_.add(good);
  }
  if (was_up && !hysteresis_.is_up()) flap_.fell(now.mono);
  if (good) last_good_ = result.verdict;
  is_provisional_ = is_stale_ = false;
  evidence_at_ = std::clamp(found_at, std::min(evidence_at_.value_or(found_at), now.mono), now.mono);
  age_from_ = *evidence_at_;
  flap_.advance(now.mono);
  return show(now, judged());
}

bool CheckState::advance(Now now) {
  flap_.advance(now.mono);
  const bool has_tried = plan_.is_passive || last_.has_value();
  if (!is_stale_ && has_tried && plan_.max_age > Duration::zero() && now.mono >= age_from_ + plan_.max_age) {
    is_stale_ = true;
    if (plan_.is_passive) {
      // Silence is what a passive check listens for: it is a failure, not ignorance.
      if (has_evidence() && hysteresis_.is_up()) flap_.fell(now.mono);
      hysteresis_.decide(false);
      ProbeResult missed;
      missed.verdict = Verdict::fail;
      missed.cause = Cause::timeout;
      missed.text = "no report for " + friendly_duration(now.mono - age_from_);
      if (last_ && !last_->text.empty())
        missed.text += "; the last one said " + std::string(name(last_->verdict)) + ": " + last_->text;
      streak_ = last_ && last_->verdict == Verdict::fail ? streak_ + 1 : 1;
      last_ = missed;
      last_at_ = now.mono;
      last_wall_ = now.wall;
      history_.add(Verdict::fail);
    }
  }
  return show(now, judged());
}

State CheckState::judged() const {
  if (is_stale_) return plan_.is_passive ? State::fail : State::stale;
  if (!has_evidence()) return State::pending;
  if (!hysteresis_.is_up()) return State::fail;
  // Held down: it looks good, but it could not stay so.
  if (flap_.is_flapping() && state_ == State::fail) return State::fail;
  return last_good_ == Verdict::warn ? State::warn : State::pass;
}

bool CheckState::show(Now now, State next) {
  // A provisional state is another plan's; it stays until its own evidence or its age says otherwise.
  if (next == state_ || (is_provisional_ && !is_stale_)) return false;
  state_ = next;
  since_ = now.wall;
  return true;
}

std::optional<Instant> CheckState::wake() const {
  std::optional<Instant> at;
  if (!is_stale_ && plan_.max_age > Duration::zero() && (plan_.is_passive || last_)) at = age_from_ + plan_.max_age;
  if (flap_.is_flapping()) at = at ? std::min(*at, flap_.over_at()) : flap_.over_at();
  return at;
}

void CheckState::hold_from(Instant now, Duration lost) {
  if (plan_.is_passive) {
    age_from_ = std::min(age_from_ + lost, std::max(age_from_, now));
  } else {
    age_from_ = std::max(age_from_, now);
  }
}

void CheckState::aged_by(Duration how_long) {
  if (evidence_at_) evidence_at_ = *evidence_at_ - how_long;
}

void CheckState::replan(const CheckPlan& plan, bool is_same_target) {
  plan_ = plan;
  if (is_same_target) return;
  hysteresis_ = Hysteresis(plan.rise, plan.fall, plan.fall_window);
  hysteresis_.decide(state_ != State::fail);
  flap_ = FlapPenalty(plan.flap);
  is_provisional_ = has_evidence();
}

void CheckState::fill(CheckView& view) const {
  view.state = state_;
  view.is_flapping = flap_.is_flapping();
  view.since = since_;
  view.streak = streak_;
  view.last = last_;
  view.last_at = last_at_;
  view.last_wall = last_wall_;
  view.evidence_at = evidence_at_;
  view.history = history_.print();
  view.pending_change.reset();
  if (!has_evidence() || is_stale_ || is_provisional_) return;
  if (const auto p = hysteresis_.progress()) {
    view.pending_change = PendingChange{p->toward_up ? State::pass : State::fail, p->seen, p->needed};
  }
}

SavedCheck CheckState::save(Instant now) const {
  SavedCheck s;
  s.name = plan_.name;
  s.fingerprint = plan_.fingerprint;
  s.state = state_;
  s.since = since_;
  s.hysteresis = hysteresis_.value();
  s.window = hysteresis_.word();
  s.streak = streak_;
  s.history = history_.print();
  s.last_good = last_good_;
  s.flap_penalty = flap_.at(now);
  s.is_flapping = flap_.is_flapping();
  if (evidence_at_) s.evidence_age = now - (plan_.is_passive ? age_from_ : *evidence_at_);
  if (last_ && last_at_) {
    s.last_age = now - *last_at_;
    s.last_wall = last_wall_;
    s.last_verdict = last_->verdict;
    s.last_cause = last_->cause;
    s.last_text = last_->text;
    s.last_duration = last_->duration;
  }
  return s;
}

void CheckState::restore(Now now, const SavedCheck& s, Duration elapsed) {
  if (!s.evidence_age) return;  // it knew nothing: start as new
  state_ = s.state;
  since_ = s.since;
  hysteresis_.restore(s.hysteresis, s.window);
  streak_ = s.streak;
  history_ = History::parse(s.history);
  last_good_ = s.last_good;
  flap_.restore(s.flap_penalty, s.is_flapping, now.mono - elapsed);
  evidence_at_ = now.mono - elapsed - *s.evidence_age;
  is_stale_ =
      s.state == State::stale || (plan_.is_passive && s.state == State::fail && *s.evidence_age >= plan_.max_age);
  is_provisional_ = s.fingerprint != plan_.fingerprint;
  if (is_provisional_) hysteresis_.decide(s.state != State::fail);
  if (s.last_age) {
    ProbeResult r;
    r.verdict = s.last_verdict;
    r.cause = s.last_cause;
    r.text = s.last_text;
    r.duration = s.last_duration;
    last_ = std::move(r);
    last_at_ = now.mono - elapsed - *s.last_age;
    last_wall_ = s.last_wall;
  }
  age_from_ = now.mono - elapsed - *s.evidence_age;
}

}  // namespace vital
