// Replay: recorded outcomes run through a plan, to see what it would have said and when. Times of probing are not
// replayed (what was not looked at is not known): hysteresis, windows, warn_after, shorter timeouts, max_age, flapping,
// dependencies, rules and budgets are. Pure.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "core/plan.hpp"
#include "core/result.hpp"

namespace vital {

// One outcome as it was recorded; in order of time.
struct RecordedResult {
  std::string check;
  Now at;
  ProbeResult result;
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
  std::vector<ReplayChange> changes;
  std::vector<ReplayedService> services;  // as plan->services
  std::size_t unused = 0;                 // results of checks the plan does not have
};

Replayed replay(const std::shared_ptr<const Plan>& plan, std::span<const RecordedResult> results);

}  // namespace vital
