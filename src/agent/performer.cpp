// Performing effects; see performer.hpp.
#include "agent/performer.hpp"

#include <algorithm>
#include <utility>

namespace vital {

namespace {

// A clock that went backwards says nothing about how long we were away: then all evidence is old.
constexpr Duration long_ago = std::chrono::hours(24);

std::unique_ptr<Engine> make_engine(const std::shared_ptr<const Plan>& plan, Now now,
                                    const std::optional<SavedState>& saved) {
  if (!saved) return std::make_unique<Engine>(plan, now);
  const Duration elapsed = now.wall >= saved->saved_at ? Duration(now.wall - saved->saved_at) : long_ago;
  return std::make_unique<Engine>(plan, now, *saved, elapsed);
}

}  // namespace

Performer::Performer(std::shared_ptr<const Plan> plan, Specs specs, Ports ports, Now now,
                     const std::optional<SavedState>& saved)
    : plan_(std::move(plan)),
      specs_(std::move(specs)),
      ports_(std::move(ports)),
      engine_(make_engine(plan_, now, saved)) {}

void Performer::apply(Now now, const Input& input) {
  const Step step = engine_->apply(now, input);
  for (const Effect& effect : step.effects) perform(now, effect);
  ports_.timed(step);
  answer_waiting(now);
}

void Performer::perform(Now now, const Effect& effect) {
  if (const auto* start = std::get_if<StartProbe>(&effect)) {
    ports_.start_probe(start->id, specs_.at(start->check.value), start->attempt, start->deadline);
  } else if (const auto* abandon = std::get_if<AbandonProbe>(&effect)) {
    ports_.abandon_probe(abandon->id);
  } else if (const auto* publish = std::get_if<Publish>(&effect)) {
    ports_.publish(publish->snapshot);
  } else if (const auto* note = std::get_if<Note>(&effect)) {
    ports_.note(now, *note);
  } else if (const auto* ended = std::get_if<ProbeEnded>(&effect)) {
    ports_.ended(now, plan_->at(ended->check).name, *ended);
  }
}

void Performer::adopt(Now now, std::shared_ptr<const Plan> plan, Specs specs) {
  // The effects of the change speak of the new plan's checks.
  plan_ = std::move(plan);
  const Specs old = std::exchange(specs_, std::move(specs));
  apply(now, PlanChanged{plan_});
  for (const auto& spec : old) {
    if (spec && std::find(specs_.begin(), specs_.end(), spec) == specs_.end()) ports_.retire(spec);
  }
}

void Performer::run(Now now, CheckId check, Instant patience,
                    std::function<void(std::shared_ptr<const Snapshot>)> ended) {
  waiting_.push_back({plan_->at(check).name, snapshot()->at(check).last_at, patience, std::move(ended)});
  apply(now, RunNow{check});
}

void Performer::answer_waiting(Now now) {
  if (waiting_.empty()) return;
  const auto seen = snapshot();
  std::vector<std::pair<std::function<void(std::shared_ptr<const Snapshot>)>, bool>> over;
  std::erase_if(waiting_, [&](Waiting& w) {
    const auto check = seen->plan->find_check(w.check);
    const bool has_result = check && seen->at(*check).last_at != w.last_before;
    if (!has_result && check && now.mono < w.patience) return false;
    over.emplace_back(std::move(w.ended), has_result);
    return true;
  });
  for (const auto& [tell, has_result] : over) tell(has_result ? seen : nullptr);
}

}  // namespace vital
