// CheckState: what one check's outcomes add up to. Fed one outcome a cycle (retries already spent) and the passing of
// time; knows nothing of probes, deadlines or workers.
//
//   pending --first evidence decides at once--> pass/warn/fail --hysteresis--> ...
//   unknown is no evidence: the state holds, until max_age makes it stale (a passive check: fail, silence is its alarm)
//
// Pure; the engine owns one a check.
#pragma once

#include <optional>
#include <string>

#include "base/time.hpp"
#include "core/flapping.hpp"
#include "core/history.hpp"
#include "core/hysteresis.hpp"
#include "core/plan.hpp"
#include "core/result.hpp"
#include "core/saved.hpp"
#include "core/snapshot.hpp"

namespace vital {

class CheckState {
 public:
  // `added` is when the check came to be; `first_due` its first planned look, from which its age counts until then.
  CheckState(const CheckPlan& plan, Now added, Instant first_due);

  // One outcome, with the moment it was really found. True if the shown state changed.
  bool take(Now now, const ProbeResult& result, Instant found_at);

  // Time passed: stale, a flapping hold that ends. True if the shown state changed.
  bool advance(Now now);
  // When advance() would next do something; empty if only outcomes can.
  std::optional<Instant> wake() const;

  // The agent was not there (stopped, asleep, restarted): nobody could look, so nothing turns stale before there was
  // time to look again. What is older than max_age meanwhile is_unproven(). For a passive check the time that was
  // `lost` is no silence, since a report would have found nobody; the silence before it counts on.
  void hold_from(Instant now, Duration lost);
  // The host slept `how_long` without the clock seeing it: all evidence is that much older.
  void aged_by(Duration how_long);

  // The plan changed (same name): keep the shown state, judge by the new plan. If what is probed changed too, the next
  // evidence decides at once.
  void replan(const CheckPlan& plan, bool is_same_target);

  State state() const { return state_; }
  bool is_pending_change() const { return has_evidence() && hysteresis_.progress().has_value(); }
  bool is_flapping() const { return flap_.is_flapping(); }
  bool has_evidence() const { return evidence_at_.has_value(); }
  // Shown, but the evidence is older than max_age: services treat it as unknown. Never true of a passive check, whose
  // silence is a failure instead.
  bool is_unproven(Instant now) const;
  // When it will be unproven if nothing comes; empty if it has no evidence.
  std::optional<Instant> proven_until() const;
  std::optional<Instant> evidence_at() const { return evidence_at_; }
  Instant added_at() const { return added_at_; }
  WallTime since() const { return since_; }
  const std::optional<ProbeResult>& last() const { return last_; }
  std::string history() const { return history_.print(); }
  unsigned streak() const { return streak_; }

  void fill(CheckView& view) const;

  SavedCheck save(Instant now) const;
  // Takes a saved state over, `elapsed` after it was saved. Whose agent was away meanwhile calls hold_from() next.
  void restore(Now now, const SavedCheck& saved, Duration elapsed);

 private:
  bool show(Now now, State next);
  State judged() const;

  CheckPlan plan_;
  Hysteresis hysteresis_;
  FlapPenalty flap_;
  History history_;

  State state_ = State::pending;
  Verdict last_good_ = Verdict::pass;  // pass or warn: what "up" is shown as
  bool is_stale_ = false;
  bool is_provisional_ = false;  // the next evidence decides at once
  unsigned streak_ = 0;
  WallTime since_{};
  Instant added_at_{};
  Instant age_from_{};  // what max_age counts from
  std::optional<ProbeResult> last_;
  std::optional<Instant> last_at_;
  WallTime last_wall_{};
  std::optional<Instant> evidence_at_;
};

}  // namespace vital
