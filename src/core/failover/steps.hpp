// StepRun: the steps of one stage of a recovery, one after the other. Each is performed, then verified by reading back;
// only what was verified counts. A step is tried `attempts` times; one that never answers is taken as timed out. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/failover/facts.hpp"

namespace vital::failover {

class StepRun {
 public:
  struct Item {
    StepPlan plan;
    std::uint32_t number = 0;  // within the recovery
  };

  StepRun() = default;
  // `undoes`: each item is compensated instead of performed and verified.
  explicit StepRun(std::vector<Item> items, bool undoes = false);

  Steps status(Instant now) const;
  // The next thing to do, when idle. The caller fills in what belongs to the recovery.
  RunStep begin(Instant now, Instant not_after);
  // An answer; false if it is none of ours: late, twice, of another.
  bool done(Instant now, const StepDone& answer);
  // Time passed: one whose deadline is long over has timed out.
  void tick(Instant now);
  std::optional<StopStep> stop();  // what runs is not waited for any more

  bool has_begun() const { return has_begun_; }  // something was asked to be performed
  bool may_have_acted() const {
    return might_this_ || !acted_.empty();
  }                                                   // and was not said to be undone: done, or nobody knows
  std::vector<Item> acted() const { return acted_; }  // those, newest first
  const std::string& text() const { return text_; }   // of the last answer
  std::optional<Instant> wake_at() const;

  static constexpr Duration pause = std::chrono::seconds(1);     // before another attempt
  static constexpr Duration patience = std::chrono::seconds(5);  // past a deadline

 private:
  void conclude(Instant now, Verb verb, Outcome outcome);
  void retry(Instant now, Outcome outcome);

  std::vector<Item> items_;
  bool undoes_ = false;
  std::size_t at_ = 0;
  std::uint32_t attempt_ = 0;  // of the step at_; the name of a question, too
  unsigned failures_ = 0;
  Verb verb_ = Verb::perform;
  bool is_running_ = false;
  bool might_this_ = false;    // the step at_ may have acted, in any attempt
  bool might_before_ = false;  // the same, before this attempt
  Instant deadline_{};
  Instant not_before_{};
  std::optional<Steps> end_;
  bool has_begun_ = false;
  std::vector<Item> acted_;
  std::string text_;
};

}  // namespace vital::failover
