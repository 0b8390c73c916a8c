// Replay: recorded outcomes run through a plan, to see what it would have said and when. Times of probing are not
// replayed (what was not looked at is not known): hysteresis, windows, warn_after, shorter timeouts, fewer retries,
// max_age, flapping, dependencies, rules, budgets and overlays are. With the plan of the record it says what was said.
// Pure.
//
//   Replay replay(plan, first.at);             // or, from a recorded state: Replay replay(plan, at, saved);
//   for (const RecordedResult& r : results) replay.take(r);
//   replay.end(now);
//   for (const ReplayChange& c : replay.outcome().changes) ...
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "core/engine.hpp"
#include "core/plan.hpp"
#include "core/result.hpp"
#include "core/saved.hpp"

namespace vital {

// One attempt as it was recorded; in order of time.
struct RecordedResult {
  std::string check;
  Now at;
  ProbeResult result;
  Duration found_ago{};
  std::uint32_t attempt = 0;
  bool is_outcome = true;  // false: a retry followed
};

struct ReplayChange {
  WallTime at{};
  bool is_service = false;
  std::string name;
  std::string from, to;  // states
  std::string answer;    // services: what consumers would have been told
  std::string reason;
};

struct ReplayedService {
  std::string name;
  unsigned falls = 0;    // to an answer of fail, after having been up
  Duration told_fail{};  // for how long, since it first was up
};

struct Replayed {
  std::vector<ReplayChange> changes;      // at most Replay::most_changes
  std::uint64_t changes_left_out = 0;     // beyond those
  std::vector<ReplayedService> services;  // as plan->services
  std::size_t results = 0;                // taken
  std::size_t unused = 0;                 // of checks the plan does not have
  // What the record cannot tell: timeouts that would have been given more time, failures that would have been retried.
  std::map<std::string, std::uint64_t> undecided;  // by check
};

class Replay {
 public:
  static constexpr std::size_t most_changes = 100000;

  // Nothing is known before `start`.
  Replay(const std::shared_ptr<const Plan>& plan, Now start);
  // As everything stood at `start`.
  Replay(const std::shared_ptr<const Plan>& plan, Now start, SavedState saved);

  void take(const RecordedResult& result);
  // The agent began anew at this moment; `is_warm`: it went on from where it had stopped. `recorded` is what it really
  // knew then, where the settings are the same and it would be what this plan knew.
  void restart(Now at, bool is_warm, const SavedState* recorded = nullptr);
  void slept(Now at, Duration how_long);    // the host
  void stalled(Now at, Duration how_long);  // the agent
  void lay(Now at, const Overlay& overlay);
  void lift(Now at, const std::string& service, const std::string& source);
  // Lets the time pass until then.
  void end(Now at) { pass_until(at); }

  // The check was recorded under other settings than the plan's, so what the record cannot tell is counted.
  void differs(const std::string& check, bool is_other = true) {
    if (is_other) {
      differing_.insert(check);
    } else {
      differing_.erase(check);
    }
  }

  const Replayed& outcome() const { return out_; }
  const Snapshot& snapshot() const { return *engine_->snapshot(); }
  Now now() const { return now_; }

 private:
  void pass_until(Now at);
  void pass(Duration how_long);
  void feed(const Input& input);
  void write_down(const Note& note);
  void look();
  ProbeResult reread(const CheckPlan& check, ProbeResult r, Duration lost);

  std::shared_ptr<const Plan> plan_;
  std::unique_ptr<Engine> engine_;
  Now now_;
  Instant wake_at_{};
  std::vector<bool> was_up_, is_down_;  // as plan_->services
  std::set<std::string, std::less<>> differing_;
  std::map<std::string, bool> is_over_;  // the cycle's outcome was taken already: later attempts do not count
  Replayed out_;
};

Replayed replay(const std::shared_ptr<const Plan>& plan, std::span<const RecordedResult> results);

// What was said of one check or service for a while, and what would have been said instead.
struct ReplayDifference {
  std::string name;
  bool is_service = false;
  WallTime from{}, to{};
  std::string said, would_say;  // checks: states; services: what consumers are told
};

// How one check or service stood over the whole time, recorded and replayed.
struct ReplaySummary {
  std::string name;
  bool is_service = false;
  unsigned falls = 0, would_fall = 0;  // to fail
  Duration down{}, would_be_down{};    // in fail
};

struct ReplayComparison {
  std::vector<ReplaySummary> subjects;        // those that are in both
  std::vector<ReplayDifference> differences;  // in order of time
};

// Both in order of time. What each subject was at `from` is said by a change at that moment. A difference shorter than
// `tolerance` is how late a loop turns, not a difference.
ReplayComparison compare(const std::vector<ReplayChange>& recorded, const std::vector<ReplayChange>& replayed,
                         WallTime from, WallTime to, Duration tolerance);

}  // namespace vital
