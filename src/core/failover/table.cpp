// The rows; see table.hpp. Read a state from top to bottom: the first condition that holds decides.
#include "core/failover/table.hpp"

#include <array>

#include "core/failover/guards.hpp"

namespace vital::failover {
namespace {

using S = State;
using W = When;

constexpr std::array rows{
    // -- observing
    Row{S::observing, W::steady_again, S::observing, Do::write_closed,
        "a parked recovery is over: a primary is well again"},
    Row{S::observing, W::planned, S::leasing, Do::want_lease, "an operator asked for it, and nothing forbids it"},
    Row{S::observing, W::primary_bad, S::suspect, Do::nothing, "the primary was lost"},
    Row{S::observing, W::may_reassert, S::claiming, Do::claim, "clients are not led to the primary"},
    Row{S::observing, W::astray, S::observing, Do::alarm, "clients are not led to the primary; that is told"},
    Row{S::observing, W::always, S::observing, Do::nothing, "nothing to do"},

    // -- suspect: is it true, do others see it, may it be done
    Row{S::suspect, W::primary_not_bad, S::observing, Do::nothing,
        "a primary is there again, or nobody knows any more"},
    Row{S::suspect, W::only_demoted, S::suspect, Do::nothing, "a server that lives is not replaced"},
    Row{S::suspect, W::mode_observes, S::suspect, Do::nothing, "mode observe writes the timeline only"},
    Row{S::suspect, W::too_fresh, S::suspect, Do::nothing, "what lasts a moment is no failure"},
    Row{S::suspect, W::overloaded, S::suspect, Do::nothing, "slow is not dead"},
    Row{S::suspect, W::contradicted, S::suspect, Do::nothing, "whoever sees it well may be right"},
    Row{S::suspect, W::uncorroborated, S::suspect, Do::nothing, "one observer can be wrong"},
    Row{S::suspect, W::mode_advises, S::advised, Do::advise, "mode advise only tells"},
    Row{S::suspect, W::brake_due, S::held, Do::brake, "so many failures at once have another cause"},
    Row{S::suspect, W::something_holds, S::held, Do::nothing, "it may not be done now"},
    Row{S::suspect, W::needs_approval, S::awaiting, Do::ask, "a human decides"},
    Row{S::suspect, W::always, S::leasing, Do::want_lease, "seen down by enough, and nothing forbids it"},

    // -- held
    Row{S::held, W::primary_not_bad, S::observing, Do::nothing, "a primary is there again, or nobody knows any more"},
    Row{S::held, W::contradicted, S::suspect, Do::nothing, "whoever sees it well may be right"},
    Row{S::held, W::uncorroborated, S::suspect, Do::nothing, "one observer can be wrong"},
    Row{S::held, W::something_holds, S::held, Do::nothing, "it may not be done now"},
    Row{S::held, W::brake_due, S::held, Do::brake, "so many failures at once have another cause"},
    Row{S::held, W::always, S::suspect, Do::nothing, "nothing forbids it any more"},

    // -- advised
    Row{S::advised, W::primary_not_bad, S::observing, Do::nothing,
        "a primary is there again, or nobody knows any more"},
    Row{S::advised, W::mode_acts, S::suspect, Do::nothing, "the mode is another now"},
    Row{S::advised, W::contradicted, S::suspect, Do::nothing, "whoever sees it well may be right"},
    Row{S::advised, W::always, S::advised, Do::nothing, "it was told"},

    // -- awaiting
    Row{S::awaiting, W::primary_not_bad, S::observing, Do::nothing, "there is nothing to approve any more"},
    Row{S::awaiting, W::declined, S::parked, Do::write_parked, "an operator said no"},
    Row{S::awaiting, W::contradicted, S::suspect, Do::nothing, "whoever sees it well may be right"},
    Row{S::awaiting, W::uncorroborated, S::suspect, Do::nothing, "one observer can be wrong"},
    Row{S::awaiting, W::something_holds, S::held, Do::nothing, "it may not be done now"},
    Row{S::awaiting, W::target_changed, S::suspect, Do::nothing, "another candidate is asked for anew"},
    Row{S::awaiting, W::needs_approval, S::awaiting, Do::nothing, "a human decides"},
    Row{S::awaiting, W::always, S::leasing, Do::want_lease, "it was approved"},

    // -- leasing: all is asked again, since time has passed
    Row{S::leasing, W::primary_not_bad, S::observing, Do::give_up_lease, "a primary is there again"},
    Row{S::leasing, W::contradicted, S::suspect, Do::give_up_lease, "whoever sees it well may be right"},
    Row{S::leasing, W::uncorroborated, S::suspect, Do::give_up_lease, "one observer can be wrong"},
    Row{S::leasing, W::brake_due, S::held, Do::brake, "so many failures at once have another cause"},
    Row{S::leasing, W::something_holds, S::held, Do::give_up_lease, "it may not be done now"},
    Row{S::leasing, W::target_changed, S::suspect, Do::give_up_lease, "the candidate is another now"},
    Row{S::leasing, W::needs_approval, S::suspect, Do::give_up_lease, "the approval has run out"},
    Row{S::leasing, W::lease_ours, S::registering, Do::write_fencing, "nobody else may act now"},
    Row{S::leasing, W::waited_too_long, S::suspect, Do::give_up_lease, "the lease did not come"},
    Row{S::leasing, W::always, S::leasing, Do::nothing, "the lease is asked for"},

    // -- registering: and once more, this is the last moment to turn back for nothing
    Row{S::registering, W::lease_lost, S::suspect, Do::stop, "without the lease nothing is done"},
    Row{S::registering, W::primary_not_bad, S::observing, Do::give_up_lease, "a primary is there again"},
    Row{S::registering, W::contradicted, S::suspect, Do::give_up_lease, "whoever sees it well may be right"},
    Row{S::registering, W::uncorroborated, S::suspect, Do::give_up_lease, "one observer can be wrong"},
    Row{S::registering, W::something_holds, S::held, Do::give_up_lease, "it may not be done now"},
    Row{S::registering, W::target_changed, S::suspect, Do::give_up_lease, "the candidate is another now"},
    Row{S::registering, W::shown_fencing, S::fencing, Do::nothing, "all agents can read that it begins"},
    Row{S::registering, W::brake_due, S::held, Do::brake, "another recovery was written down first"},
    Row{S::registering, W::waited_too_long, S::suspect, Do::give_up_lease, "it could not be written down"},
    Row{S::registering, W::always, S::registering, Do::nothing, "it is being written down"},

    // -- fencing
    Row{S::fencing, W::lease_lost, S::suspect, Do::stop, "without the lease nothing is done"},
    Row{S::fencing, W::untouched_and_back, S::observing, Do::give_up_lease,
        "the primary is back, and nothing was done yet"},
    Row{S::fencing, W::deadline_passed, S::undoing, Do::stop, "the recovery took too long"},
    Row{S::fencing, W::step_vetoed, S::undoing, Do::nothing, "a step said no"},
    Row{S::fencing, W::step_failed, S::undoing, Do::nothing, "without a fence that is confirmed nothing is promoted"},
    Row{S::fencing, W::steps_finished, S::confirming, Do::write_promoting,
        "the old primary is fenced, as was read back"},
    Row{S::fencing, W::stopped_by_human, S::undoing, Do::stop, "an operator stopped it"},
    Row{S::fencing, W::doubting, S::fencing, Do::nothing, "no step begins in doubt"},
    Row{S::fencing, W::step_idle, S::fencing, Do::run_next, "the next step"},
    Row{S::fencing, W::always, S::fencing, Do::nothing, "a step is under way"},

    // -- confirming
    Row{S::confirming, W::lease_lost, S::suspect, Do::stop, "without the lease nothing is done"},
    Row{S::confirming, W::deadline_passed, S::undoing, Do::stop, "the recovery took too long"},
    Row{S::confirming, W::old_is_back, S::parked, Do::write_parked, "the fence was confirmed and did not hold"},
    Row{S::confirming, W::stopped_by_human, S::undoing, Do::nothing, "an operator stopped it"},
    Row{S::confirming, W::doubting, S::confirming, Do::nothing, "no step begins in doubt"},
    Row{S::confirming, W::target_unfit, S::undoing, Do::nothing, "the candidate is not fit any more"},
    Row{S::confirming, W::shown_promoting, S::promoting, Do::nothing, "all agents can read who is promoted"},
    Row{S::confirming, W::always, S::confirming, Do::nothing, "it is being written down"},

    // -- promoting
    Row{S::promoting, W::lease_lost, S::suspect, Do::stop, "without the lease nothing is done"},
    Row{S::promoting, W::deadline_passed, S::parked, Do::write_parked, "the recovery took too long"},
    Row{S::promoting, W::step_failed_early, S::undoing, Do::nothing, "nothing was promoted"},
    Row{S::promoting, W::step_vetoed, S::parked, Do::write_parked, "it may be promoted, or not"},
    Row{S::promoting, W::step_failed, S::parked, Do::write_parked, "it may be promoted, or not"},
    Row{S::promoting, W::steps_finished, S::moving, Do::write_moving, "the new primary takes writes, as was read back"},
    Row{S::promoting, W::old_is_back, S::parked, Do::write_parked, "the fence was confirmed and did not hold"},
    Row{S::promoting, W::doubting, S::promoting, Do::nothing, "no step begins in doubt"},
    Row{S::promoting, W::step_idle, S::promoting, Do::run_next, "the next step"},
    Row{S::promoting, W::always, S::promoting, Do::nothing, "a step is under way"},

    // -- moving
    Row{S::moving, W::lease_lost, S::suspect, Do::stop, "without the lease nothing is done"},
    Row{S::moving, W::deadline_passed, S::parked, Do::write_parked, "the recovery took too long"},
    Row{S::moving, W::step_vetoed, S::parked, Do::write_parked, "promoted, and clients did not follow"},
    Row{S::moving, W::step_failed, S::parked, Do::write_parked, "promoted, and clients did not follow"},
    Row{S::moving, W::steps_finished, S::verifying, Do::nothing, "clients are sent there, as was read back"},
    Row{S::moving, W::old_is_back, S::parked, Do::write_parked, "the fence was confirmed and did not hold"},
    Row{S::moving, W::doubting, S::moving, Do::nothing, "no step begins in doubt"},
    Row{S::moving, W::step_idle, S::moving, Do::run_next, "the next step"},
    Row{S::moving, W::always, S::moving, Do::nothing, "a step is under way"},

    // -- verifying: our own checks have the last word, and they act on nothing
    Row{S::verifying, W::old_is_back, S::parked, Do::write_parked, "the fence was confirmed and did not hold"},
    Row{S::verifying, W::moved, S::closing, Do::write_done, "the checks show the new primary"},
    Row{S::verifying, W::verify_too_late, S::parked, Do::write_parked, "the checks do not show the new primary"},
    Row{S::verifying, W::always, S::verifying, Do::nothing, "the checks must show it"},

    // -- closing
    Row{S::closing, W::shown_done, S::observing, Do::give_up_lease, "done, and all agents can read it"},
    Row{S::closing, W::lease_lost, S::observing, Do::give_up_lease,
        "done; the lease is gone, others see it by the checks"},
    Row{S::closing, W::waited_too_long, S::observing, Do::give_up_lease, "done; others see it by the checks"},
    Row{S::closing, W::always, S::closing, Do::nothing, "it is being written down"},

    // -- undoing
    Row{S::undoing, W::lease_lost, S::suspect, Do::stop, "without the lease nothing is done"},
    Row{S::undoing, W::steps_finished, S::parked, Do::write_parked, "what was done is taken back"},
    Row{S::undoing, W::step_vetoed, S::parked, Do::write_parked, "what was done could not be taken back"},
    Row{S::undoing, W::step_failed, S::parked, Do::write_parked, "what was done could not be taken back"},
    Row{S::undoing, W::doubting, S::undoing, Do::nothing, "no step begins in doubt"},
    Row{S::undoing, W::step_idle, S::undoing, Do::run_next, "the next step back"},
    Row{S::undoing, W::always, S::undoing, Do::nothing, "a step is under way"},

    // -- claiming: nothing failed over, so nothing is hurried
    Row{S::claiming, W::primary_bad, S::suspect, Do::give_up_lease, "the primary was lost"},
    Row{S::claiming, W::not_astray, S::observing, Do::give_up_lease, "clients are led there again"},
    Row{S::claiming, W::may_not_reassert, S::observing, Do::give_up_lease, "it may not be done now"},
    Row{S::claiming, W::lease_ours, S::reasserting, Do::reassert, "nobody else may act now"},
    Row{S::claiming, W::waited_too_long, S::observing, Do::give_up_lease, "the lease did not come"},
    Row{S::claiming, W::always, S::claiming, Do::nothing, "the lease is asked for"},

    // -- reasserting
    Row{S::reasserting, W::lease_lost, S::observing, Do::stop, "without the lease nothing is done"},
    Row{S::reasserting, W::primary_bad, S::suspect, Do::stop, "the primary was lost"},
    Row{S::reasserting, W::deadline_passed, S::observing, Do::stop, "it took too long"},
    Row{S::reasserting, W::stopped_by_human, S::observing, Do::stop, "an operator stopped it"},
    Row{S::reasserting, W::step_vetoed, S::observing, Do::give_up_lease, "a step said no"},
    Row{S::reasserting, W::step_failed, S::observing, Do::give_up_lease, "clients could not be led there"},
    Row{S::reasserting, W::steps_finished, S::observing, Do::give_up_lease,
        "clients are sent there again, as was read back"},
    Row{S::reasserting, W::doubting, S::reasserting, Do::nothing, "no step begins in doubt"},
    Row{S::reasserting, W::step_idle, S::reasserting, Do::run_next, "the next step"},
    Row{S::reasserting, W::always, S::reasserting, Do::nothing, "a step is under way"},

    // -- parked
    Row{S::parked, W::no_longer_parked, S::observing, Do::write_closed, "an operator has looked at it"},
    Row{S::parked, W::steady_again, S::observing, Do::write_closed, "a primary is well again"},
    Row{S::parked, W::always, S::parked, Do::nothing, "a human must look"},
};

std::string first_hold(const Facts& f, const FailoverPolicyPlan& p) {
  for (const auto guard : {guards::stopped_by_human, guards::doubting, guards::starting, guards::storeless,
                           guards::brake_on, guards::parked_before, guards::tried_too_often, guards::others_at_work,
                           guards::cooling_down, guards::nobody_fit}) {
    if (std::string held = guard(f, p); !held.empty()) return held;
  }
  return {};
}

std::string when(bool holds, std::string text) { return holds ? std::move(text) : std::string(); }

}  // namespace

std::string why(When condition, const Facts& f, const FailoverPolicyPlan& p) {
  switch (condition) {
    case W::primary_not_bad:
      return when(guards::primary_is_bad(f, p).empty(), f.status == TopologyStatus::steady
                                                            ? f.primary + " is the primary"
                                                            : "nobody knows who is the primary");
    case W::primary_bad:
      return guards::primary_is_bad(f, p);
    case W::only_demoted:
      return guards::only_demoted(f, p);
    case W::mode_observes:
      return when(p.mode == Mode::observe, "mode observe");
    case W::mode_advises:
      return when(p.mode == Mode::advise, "mode advise");
    case W::mode_acts:
      return when(p.mode != Mode::advise, "mode " + std::string(name(p.mode)));
    case W::too_fresh:
      return guards::too_fresh(f, p);
    case W::overloaded:
      return guards::overloaded(f, p);
    case W::contradicted:
      return guards::contradicted(f, p);
    case W::uncorroborated:
      return guards::uncorroborated(f, p);
    case W::stopped_by_human:
      return guards::stopped_by_human(f, p);
    case W::doubting:
      return guards::doubting(f, p);
    case W::starting:
      return guards::starting(f, p);
    case W::storeless:
      return guards::storeless(f, p);
    case W::brake_on:
      return guards::brake_on(f, p);
    case W::brake_due:
      return guards::brake_due(f, p);
    case W::cooling_down:
      return guards::cooling_down(f, p);
    case W::others_at_work:
      return guards::others_at_work(f, p);
    case W::parked_before:
      return guards::parked_before(f, p);
    case W::tried_too_often:
      return guards::tried_too_often(f, p);
    case W::nobody_fit:
      return guards::nobody_fit(f, p);
    case W::needs_approval:
      return guards::needs_approval(f, p);
    case W::something_holds:
      return first_hold(f, p);
    case W::declined:
      return when(f.is_declined, "declined");
    case W::target_changed: {
      const Candidate c = choose(f, p);
      return when(c.name != f.to, (c.name.empty() ? "nobody" : c.name) + " is the candidate now, not " + f.to);
    }
    case W::lease_ours:
      return when(f.is_lease_ours && f.lease_left > 0, "the lease is ours");
    case W::lease_lost:
      return when(f.has_lost_lease, f.lease_holder.empty() || f.is_lease_ours ? "the lease has run out"
                                                                              : f.lease_holder + " holds the lease");
    case W::waited_too_long:
      return when(f.in_state > milliseconds(p.lease_wait), "waited too long for the store of leases");
    case W::shown_fencing:
      return when(f.shown == Phase::fencing, "the record shows it");
    case W::shown_promoting:
      return when(f.shown == Phase::promoting, "the record shows it");
    case W::shown_done:
      return when(f.shown == Phase::done, "the record shows it");
    case W::untouched_and_back:
      return when(f.planned_to.empty() && !f.is_touched && f.status == TopologyStatus::steady,
                  f.primary + " is the primary");
    case W::deadline_passed:
      return when(f.left <= 0, "its deadline has passed");
    case W::old_is_back:
      return when(f.is_old_back, f.from + " says it is primary");
    case W::target_unfit: {
      const MemberFact* m = f.find(f.to);
      const std::string reason = m == nullptr ? "it is no member any more" : unfit(*m, f, p);
      return when(!reason.empty(), f.to + ": " + reason);
    }
    case W::step_vetoed:
      return when(f.steps == Steps::vetoed, "vetoed");
    case W::step_failed:
      return when(f.steps == Steps::failed, "failed");
    case W::step_failed_early:
      return when((f.steps == Steps::failed || f.steps == Steps::vetoed) && !f.may_be_promoted,
                  "the promotion did not begin");
    case W::steps_finished:
      return when(f.steps == Steps::finished, "all are done and verified");
    case W::step_idle:
      return when(f.steps == Steps::idle, "nothing is under way");
    case W::moved:
      return when(f.status == TopologyStatus::steady && f.primary == f.to && f.is_endpoint_good,
                  f.to + " is the primary");
    case W::verify_too_late:
      return when(f.in_state > milliseconds(p.verify_within), "not seen within verify_within");
    case W::no_longer_parked:
      return when(f.is_acknowledged || f.shown == Phase::closed, "acknowledged");
    case W::steady_again:
      return when((!f.parked_recovery.empty() || f.shown == Phase::parked) && f.steady_for != never &&
                      f.steady_for >= milliseconds(p.hold_down),
                  f.primary + " is the primary and well");
    case W::planned:
      return guards::planned(f, p);
    case W::may_reassert:
      return guards::not_reasserted(f, p).empty() ? guards::astray(f, p) : std::string();
    case W::may_not_reassert:
      return guards::not_reasserted(f, p);
    case W::astray:
      return guards::astray(f, p);
    case W::not_astray:
      return when(f.astray_for == never, "clients are led to " + f.primary);
    case W::always:
      return "otherwise";
  }
  return {};
}

std::span<const Row> table() { return rows; }

const Row& decide(State state, const Facts& facts, const FailoverPolicyPlan& plan) {
  const Row* last = nullptr;
  for (const Row& row : rows) {
    if (row.from != state) continue;
    last = &row;
    if (!why(row.when, facts, plan).empty()) return row;
  }
  return *last;
}

}  // namespace vital::failover
