// The timing calculator: how long from a fault to `fail`, and from its end back to `pass`, from the plan alone. The
// bounds are promises: the simulator in tests/simulation runs the engine through faults at every moment and fails if
// one verdict comes earlier or later.
//
//   const auto t = timing::of_check(plan.at(id));    // t.to_fail.best, t.to_fail.worst
//
// A fault is anything that makes every attempt fail from some moment on; it lasts. "Best" is a fault that shows at once
// (refused), in the worst place for us to miss nothing; "worst" one that never answers, just after a good probe began.
// Our own trouble (stalls, full pools) is not in these numbers: it makes verdicts unknown, never early. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "core/plan.hpp"

namespace vital::timing {

struct Range {
  Duration best{};
  Duration worst{};
};

struct CheckTiming {
  Range to_fail;
  Range to_pass;
  Duration longest_cycle{};  // an attempt and its retries, each as slow as can be
  Duration to_stale{};       // from the last evidence, if nothing but unknown comes
  Duration flap_hold{};      // at most this much later back to pass, while it flaps
};
CheckTiming of_check(const CheckPlan& check);

struct ServiceTiming {
  std::optional<Range> to_fail;  // empty: its checks can only make it warn
  std::optional<Range> to_pass;
  std::optional<Range> seen_down;  // until the declared consumer has taken it out, or back in
  std::optional<Range> seen_up;
  std::vector<std::string> warnings;
};
ServiceTiming of_service(const Plan& plan, ServiceId id);

// All of it for people, one line a check and a service, warnings last.
std::string table(const Plan& plan);

}  // namespace vital::timing
