// The table for people: the words for its conditions and effects, and as a diagram; see table.hpp.
#include <map>
#include <utility>

#include "core/failover/table.hpp"

namespace vital::failover {

std::string_view name(State state) {
  switch (state) {
    case State::observing:
      return "observing";
    case State::suspect:
      return "suspect";
    case State::held:
      return "held";
    case State::advised:
      return "advised";
    case State::awaiting:
      return "awaiting";
    case State::leasing:
      return "leasing";
    case State::registering:
      return "registering";
    case State::fencing:
      return "fencing";
    case State::confirming:
      return "confirming";
    case State::promoting:
      return "promoting";
    case State::moving:
      return "moving";
    case State::verifying:
      return "verifying";
    case State::closing:
      return "closing";
    case State::undoing:
      return "undoing";
    case State::claiming:
      return "claiming";
    case State::reasserting:
      return "reasserting";
    case State::parked:
      return "parked";
  }
  return "observing";
}

std::string_view name(When when) {
  switch (when) {
    case When::primary_not_bad:
      return "primary_not_bad";
    case When::primary_bad:
      return "primary_bad";
    case When::only_demoted:
      return "only_demoted";
    case When::mode_observes:
      return "mode_observes";
    case When::mode_advises:
      return "mode_advises";
    case When::mode_acts:
      return "mode_acts";
    case When::too_fresh:
      return "too_fresh";
    case When::overloaded:
      return "overloaded";
    case When::contradicted:
      return "contradicted";
    case When::uncorroborated:
      return "uncorroborated";
    case When::stopped_by_human:
      return "stopped_by_human";
    case When::doubting:
      return "doubting";
    case When::starting:
      return "starting";
    case When::storeless:
      return "storeless";
    case When::brake_on:
      return "brake_on";
    case When::brake_due:
      return "brake_due";
    case When::cooling_down:
      return "cooling_down";
    case When::others_at_work:
      return "others_at_work";
    case When::parked_before:
      return "parked_before";
    case When::tried_too_often:
      return "tried_too_often";
    case When::nobody_fit:
      return "nobody_fit";
    case When::needs_approval:
      return "needs_approval";
    case When::something_holds:
      return "something_holds";
    case When::declined:
      return "declined";
    case When::target_changed:
      return "target_changed";
    case When::lease_ours:
      return "lease_ours";
    case When::lease_lost:
      return "lease_lost";
    case When::waited_too_long:
      return "waited_too_long";
    case When::shown_fencing:
      return "shown_fencing";
    case When::shown_promoting:
      return "shown_promoting";
    case When::shown_done:
      return "shown_done";
    case When::untouched_and_back:
      return "untouched_and_back";
    case When::deadline_passed:
      return "deadline_passed";
    case When::old_is_back:
      return "old_is_back";
    case When::target_unfit:
      return "target_unfit";
    case When::step_vetoed:
      return "step_vetoed";
    case When::step_failed:
      return "step_failed";
    case When::step_failed_early:
      return "step_failed_early";
    case When::steps_finished:
      return "steps_finished";
    case When::step_idle:
      return "step_idle";
    case When::moved:
      return "moved";
    case When::verify_too_late:
      return "verify_too_late";
    case When::no_longer_parked:
      return "no_longer_parked";
    case When::steady_again:
      return "steady_again";
    case When::planned:
      return "planned";
    case When::may_reassert:
      return "may_reassert";
    case When::may_not_reassert:
      return "may_not_reassert";
    case When::astray:
      return "astray";
    case When::not_astray:
      return "not_astray";
    case When::always:
      return "always";
  }
  return "always";
}

std::string_view name(Do effect) {
  switch (effect) {
    case Do::nothing:
      return "nothing";
    case Do::advise:
      return "advise";
    case Do::ask:
      return "ask";
    case Do::want_lease:
      return "want_lease";
    case Do::give_up_lease:
      return "give_up_lease";
    case Do::brake:
      return "brake";
    case Do::write_fencing:
      return "write_fencing";
    case Do::write_promoting:
      return "write_promoting";
    case Do::write_moving:
      return "write_moving";
    case Do::write_done:
      return "write_done";
    case Do::write_parked:
      return "write_parked";
    case Do::write_closed:
      return "write_closed";
    case Do::alarm:
      return "alarm";
    case Do::claim:
      return "claim";
    case Do::reassert:
      return "reassert";
    case Do::run_next:
      return "run_next";
    case Do::stop:
      return "stop";
  }
  return "nothing";
}

std::optional<State> state_of(std::string_view text) {
  for (std::size_t i = 0; i < state_count; ++i) {
    if (name(static_cast<State>(i)) == text) return static_cast<State>(i);
  }
  return {};
}

bool is_acting(State state) {
  return state == State::fencing || state == State::promoting || state == State::moving || state == State::undoing;
}

std::string table_text() {
  std::string out = "| in state | when | then | and | because |\n|---|---|---|---|---|\n";
  for (const Row& row : table()) {
    out += "| " + std::string(name(row.from)) + " | " + std::string(name(row.when)) + " | ";
    out += (row.to == row.from ? "stay" : std::string(name(row.to))) + " | ";
    out += (row.effect == Do::nothing ? "" : std::string(name(row.effect))) + " | " + std::string(row.reason) + " |\n";
  }
  return out;
}

std::string table_diagram() {
  std::string out = "stateDiagram-v2\n    [*] --> observing\n";
  std::map<std::pair<State, State>, std::string> edges;
  for (const Row& row : table()) {
    if (row.to == row.from) continue;
    std::string& label = edges[{row.from, row.to}];
    label += (label.empty() ? "" : ", ") + std::string(row.when == When::always ? "otherwise" : name(row.when));
  }
  for (const auto& [edge, label] : edges) {
    out += "    " + std::string(name(edge.first)) + " --> " + std::string(name(edge.second)) + ": " + label + "\n";
  }
  return out;
}

}  // namespace vital::failover
