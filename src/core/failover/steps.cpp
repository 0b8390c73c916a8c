// See steps.hpp.
#include "core/failover/steps.hpp"

#include <algorithm>
#include <utility>

namespace vital::failover {

StepRun::StepRun(std::vector<Item> items, bool undoes)
    : items_(std::move(items)), undoes_(undoes), verb_(undoes ? Verb::compensate : Verb::perform) {}

Steps StepRun::status(Instant now) const {
  if (end_) return *end_;
  if (at_ >= items_.size()) return Steps::finished;
  return is_running_ || now < not_before_ ? Steps::running : Steps::idle;
}

RunStep StepRun::begin(Instant now, Instant not_after) {
  const Item& item = items_.at(at_);
  RunStep out;
  out.step = item.number;
  out.attempt = attempt_;
  out.verb = verb_;
  out.action = item.plan.action;
  out.parameters = item.plan.parameters;
  out.not_after = not_after;
  out.deadline = now + item.plan.deadline;
  is_running_ = true;
  deadline_ = out.deadline;
  has_begun_ = true;
  if (verb_ == Verb::perform) {
    might_before_ = might_this_;
    might_this_ = true;
  }
  return out;
}

bool StepRun::done(Instant now, const StepDone& answer) {
  if (!is_running_ || answer.step != items_[at_].number || answer.attempt != attempt_ || answer.verb != verb_)
    return false;
  text_ = answer.text;
  conclude(now, answer.verb, answer.outcome);
  return true;
}

void StepRun::tick(Instant now) {
  if (!is_running_ || now < deadline_ + patience) return;
  text_ = "it did not answer by its deadline";
  conclude(now, verb_, Outcome::timeout);
}

void StepRun::conclude(Instant now, Verb verb, Outcome outcome) {
  is_running_ = false;
  const bool is_for_certain = outcome == Outcome::failed || outcome == Outcome::vetoed || outcome == Outcome::too_late;
  if (verb == Verb::perform && is_for_certain) might_this_ = might_before_;
  if (outcome == Outcome::vetoed) {
    if (might_this_) acted_.insert(acted_.begin(), items_[at_]);
    end_ = Steps::vetoed;
  } else if (verb == Verb::perform && !is_for_certain) {
    verb_ = Verb::verify;  // whatever was answered, reading back decides
  } else if (outcome == Outcome::done) {
    if (verb == Verb::verify) acted_.insert(acted_.begin(), items_[at_]);
    ++at_;
    attempt_ = failures_ = 0;
    might_this_ = false;
    verb_ = undoes_ ? Verb::compensate : Verb::perform;
  } else {
    retry(now, outcome);
  }
}

void StepRun::retry(Instant now, Outcome outcome) {
  ++attempt_;
  // Too late is nobody's failure: the lease is longer now. The deadline of the recovery bounds it.
  if (outcome != Outcome::too_late) ++failures_;
  if (failures_ >= items_[at_].plan.attempts) {
    if (might_this_) acted_.insert(acted_.begin(), items_[at_]);
    end_ = Steps::failed;
    return;
  }
  verb_ = undoes_ ? Verb::compensate : Verb::perform;
  not_before_ = now + pause;
}

std::optional<StopStep> StepRun::stop() {
  if (!is_running_) return {};
  StopStep out;
  out.step = items_[at_].number;
  out.attempt = attempt_;
  if (might_this_) acted_.insert(acted_.begin(), items_[at_]);
  is_running_ = false;
  end_ = Steps::failed;
  return out;
}

std::optional<Instant> StepRun::wake_at() const {
  if (is_running_) return deadline_ + patience;
  return not_before_;
}

}  // namespace vital::failover
