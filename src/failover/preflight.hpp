// Pre-flight: would a failover work now? What the agent knows already (the store, the witnesses, the candidates) as
// findings, and what the actions must be asked. Pure; asking them is the actor's.
#pragma once

#include <string>
#include <vector>

#include "core/failover/seam.hpp"
#include "core/topology.hpp"
#include "failover/actor.hpp"

namespace vital {

// One topology as a pre-flight looks at it.
struct PreflightTopology {
  std::string name;
  std::string primary;  // that is, or was last; empty if none ever was
  TopologyStatus status = TopologyStatus::unknown;
  std::vector<MemberView> members;
  struct Step {
    std::string action;
    std::map<std::string, std::string> parameters;
  };
  std::vector<Step> fence, promote, move, demote;
  bool has_no_fence = false;  // by the operator's word
  unsigned witnesses = 2;     // that must agree, this agent included
  Duration evidence_max_age = std::chrono::seconds(15);
};

// The store, the witnesses, the primary, the candidates.
std::vector<failover::Finding> preflight_facts(const PreflightTopology& topology, const failover::ClusterSeen& cluster);

// What each action would be asked: of every fence once, of promotions and moves once for each standby.
std::vector<Actor::Question> preflight_questions(const PreflightTopology& topology);

// "good", "warning" or "bad".
std::string_view level_name(failover::Finding::Level level);
// "good  main  promote promote-two: ..." a line each, bad ones first.
std::string preflight_text(const failover::Preflight& preflight);
// Whether nothing is bad.
bool is_green(const failover::Preflight& preflight);

}  // namespace vital
