// Rerun: a journal, row by row, through another plan, and beside it what was really said. It knows the time base of a
// record (wall clock, corrected where the clock was set), lives of the agent, sleeps and overlays; core/replay judges.
// One thread.
//
//   Rerun rerun(plan, since);
//   for (const JournalRow& row : page.rows) rerun.take(row);
//   const ReplayComparison c = rerun.finish(until);
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/replay.hpp"
#include "store/journal_rows.hpp"

namespace vital::cmd {

class Rerun {
 public:
  Rerun(std::shared_ptr<const Plan> plan, WallTime since) : plan_(std::move(plan)), since_(since) {}

  // Rows in the order of their ids, from a state (or the first row there is) on.
  void take(const JournalRow& row);

  // Nothing was taken that can be replayed.
  bool is_empty() const { return !replay_; }
  // The later one of `since` and what the record begins with.
  WallTime from() const { return std::max(since_, first_); }
  WallTime last() const { return last_; }
  // Whether every check stands in the record under the very settings of the plan.
  bool is_same_config() const { return is_same_; }
  const Replayed& replayed() const { return replay_->outcome(); }
  ReplayComparison finish(WallTime until);

 private:
  void take(const JournalEvent& event);
  void take(const JournalResult& result);
  void take(const JournalState& state);
  Replay& replay(WallTime at);
  Now at(WallTime wall) const;
  void compare_settings(const SavedState& saved);
  void record(const SavedState& saved, WallTime at);

  std::shared_ptr<const Plan> plan_;
  const WallTime since_;
  WallTime first_{}, last_{};
  std::chrono::milliseconds clock_set_by_{};  // so far: taken off the wall clock it gives the time that passed
  std::unique_ptr<Replay> replay_;
  bool is_same_ = true;
  bool is_stopping_ = false;  // the agent shows drain because it leaves: nobody's verdict
  bool is_between_lives_ = false;
  std::vector<ReplayChange> recorded_, initial_;
};

}  // namespace vital::cmd
