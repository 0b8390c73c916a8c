// FailoverPolicyPlan: what may be done about one topology, by whom it must be seen, and within which bounds. Compiled
// from the configuration, immutable. The defaults are lenient: slow to act, quick to stop. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/failover/seam.hpp"

namespace vital::failover {

enum class Mode : std::uint8_t {
  observe,    // watches and writes the timeline
  advise,     // says what it would do
  assist,     // does it once a human has approved
  automatic,  // does it; written `auto`
};
std::string_view name(Mode mode);

// A candidate in another zone than the old primary's.
enum class CrossZone : std::uint8_t { refuse, ask, allow };
std::string_view name(CrossZone rule);

struct StepPlan {
  std::string action;
  std::map<std::string, std::string> parameters;
  Duration deadline = std::chrono::seconds(30);  // of one attempt
  unsigned attempts = 2;
  bool is_undone = false;  // what it did is taken back (`compensate`) if nothing was promoted after all
  bool operator==(const StepPlan&) const = default;
};

struct FailoverPolicyPlan {
  std::string topology;
  Mode mode = Mode::observe;
  std::map<std::string, std::string> zones;  // member to zone; absent = nobody knows
  CrossZone cross_zone = CrossZone::ask;

  unsigned witnesses = 2;                                // agents that must see the primary down, this one included
  Duration evidence_max_age = std::chrono::seconds(15);  // of what any of them saw
  Duration hold_down = std::chrono::seconds(10);         // down for so long without a break
  Duration overload_grace = std::chrono::minutes(2);     // one that takes connections and answers none is down after it
  Duration grace = std::chrono::minutes(1);              // after the start nothing is done
  Duration doubt = std::chrono::seconds(30);             // after trouble of its own nothing is done
  Duration cool_down = std::chrono::hours(1);            // after a failover no other
  unsigned brake_max = 2;                                // topologies that may have a recovery within the window
  Duration brake_window = std::chrono::hours(1);
  Duration approval_for = std::chrono::minutes(10);  // an approval not used by then is void
  Duration lease_wait = std::chrono::seconds(10);    // for the store to show what was asked of it
  Duration deadline = std::chrono::minutes(5);       // of a whole recovery
  Duration verify_within = std::chrono::minutes(1);  // until the checks show the new primary

  std::optional<Duration> max_lag;
  std::optional<double> max_lag_bytes;
  bool is_synchronous = false;  // replication is: no acknowledged write is lost
  bool has_no_fence = false;    // `fence: none`, written on purpose
  bool is_reasserted = false;   // `move` again where clients are not led to the primary

  std::vector<StepPlan> fence, promote, move;
  std::vector<StepPlan> demote;  // of a planned switchover, in place of `fence`: the old primary lives; empty = fence
  bool operator==(const FailoverPolicyPlan&) const = default;
};

// Why the plan may not run in its mode, one line each: what is missing, and what to write. Empty = it may.
std::vector<std::string> refusals(const FailoverPolicyPlan& plan, bool has_store, const Preflight* preflight);

}  // namespace vital::failover
