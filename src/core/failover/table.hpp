// The decision table: from a state, the first row whose condition holds says where to go, what to do, and why. Every
// state ends in a row that always holds, so there is an answer to every state of the world (tests/core/failover proves
// it, and that no row is dead). docs/failover.md shows the table as it stands here; a test keeps them in step. Pure.
//
//   const Row& row = decide(State::suspect, facts, plan);      // the same facts give the same row, always
//   log(row.reason, why(row, facts, plan));
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/failover/facts.hpp"

namespace vital::failover {

enum class State : std::uint8_t {
  observing,    // all is well, or somebody else's business
  suspect,      // the primary is bad; evidence is gathered
  held,         // it would be failed over, and something forbids it
  advised,      // mode advise: told, and that is all
  awaiting,     // an operator is asked
  leasing,      // the lease is asked for
  registering,  // the recovery is written down for all agents
  fencing,      // the old primary is stopped for certain
  confirming,   // the fence held; the promotion is written down
  promoting,    // the new primary is made
  moving,       // addresses and endpoints follow
  verifying,    // the checks must show it
  closing,      // it is written down as done, the lease is given up
  undoing,      // nothing was promoted: what was done is taken back
  claiming,     // clients are led elsewhere: the lease is asked for, to put that right
  reasserting,  // addresses and endpoints are moved again to the primary that is
  parked,       // a human must look
};
inline constexpr std::size_t state_count = 17;
std::string_view name(State state);
std::optional<State> state_of(std::string_view name);
bool is_acting(State state);  // steps may run: fencing to moving, undoing, reasserting

enum class When : std::uint8_t {
  primary_not_bad,
  primary_bad,
  only_demoted,
  mode_observes,
  mode_advises,
  mode_acts,
  too_fresh,
  overloaded,
  contradicted,
  uncorroborated,
  stopped_by_human,
  doubting,
  starting,
  storeless,
  brake_on,
  brake_due,
  cooling_down,
  others_at_work,
  parked_before,
  tried_too_often,
  nobody_fit,
  needs_approval,
  something_holds,
  declined,
  target_changed,
  lease_ours,
  lease_lost,
  waited_too_long,
  shown_fencing,
  shown_promoting,
  shown_done,
  untouched_and_back,
  deadline_passed,
  old_is_back,
  target_unfit,
  step_vetoed,
  step_failed,
  step_failed_early,
  steps_finished,
  step_idle,
  moved,
  verify_too_late,
  no_longer_parked,
  steady_again,
  planned,
  may_reassert,
  may_not_reassert,
  astray,
  not_astray,
  always,
};
std::string_view name(When when);

// What is done on the way.
enum class Do : std::uint8_t {
  nothing,
  advise,      // a line: what would be done
  ask,         // a line: what is to be approved
  want_lease,  // and choose the candidate, and begin the clock of the deadline
  give_up_lease,
  brake,          // write the brake down
  write_fencing,  // write down what is begun, before
  write_promoting,
  write_moving,
  write_done,
  write_parked,
  write_closed,
  alarm,     // a line: clients are not led to the primary
  claim,     // that line, and the lease is asked for
  reassert,  // the steps of `move` begin, under the lease
  run_next,  // the next step, or the next attempt, or its verification
  stop,      // what runs; and leave the rest to whoever holds the lease next
};
std::string_view name(Do effect);

struct Row {
  State from;
  When when;
  State to;
  Do effect;
  std::string_view reason;
};

std::span<const Row> table();
const Row& decide(State state, const Facts& facts, const FailoverPolicyPlan& plan);
// Why the condition holds, with names and numbers; empty = it does not hold.
std::string why(When when, const Facts& facts, const FailoverPolicyPlan& plan);

// The table for people, and as a diagram (Mermaid).
std::string table_text();
std::string table_diagram();

}  // namespace vital::failover
