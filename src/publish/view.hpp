// View: what the front serves, rendered before anybody asks. The agent's loop makes one from each snapshot and
// publishes it; the front thread only picks the bytes that fit the request. Immutable.
//
// Numbers that change by themselves (Age, age_ms) are worked out from the instants kept here when a request comes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "core/snapshot.hpp"

namespace vital {

// What the agent knows of itself; goes into /metrics, /readyz and the details.
struct AgentFacts {
  std::string version;
  WallTime started{};
  bool is_config_current = true;  // false after a refused reload
  std::string config_problem;     // first line of why
  WallTime config_loaded{};
  Duration loop_lag{};  // worst in the last minute
  std::uint64_t reloads = 0, refused_reloads = 0;
  // Ready-made lines of Prometheus text for what other rooms count (workers, drops), each family complete with HELP and
  // TYPE.
  std::string metrics;
};

}  // namespace vital
