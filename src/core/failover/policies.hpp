// Policies: those of all topologies of one agent, each told what concerns it. Leases, votes and the record are of all
// of them, so an answer of the store goes to each; a step's end only to the one whose recovery it belongs to.
//
//   Policies policies("web1");
//   policies.adopt(now, plans, saved);                                     // at the start, and at each reload
//   for (const Effect& e : policies.saw(now, "main", sight_of(watch, now.mono))) perform(e);
//   for (const Effect& e : policies.apply(now, cluster_seen)) perform(e);
//
// Pure; one thread, the agent's loop.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/failover/policy.hpp"

namespace vital::failover {

class Policies {
 public:
  explicit Policies(std::string node) : node_(std::move(node)) {}

  // Those of the same topology go on with the new plan; a topology that is gone gives up its lease. `saved`: the lines
  // save() gave before a restart.
  std::vector<Effect> adopt(Now now, const std::vector<FailoverPolicyPlan>& plans, std::string_view saved = {});

  std::vector<Effect> saw(Now now, std::string_view topology, const Sight& sight);
  // Whatever is no sight: to all that it may concern.
  std::vector<Effect> apply(Now now, const Input& input);

  // null = there is none
  const Policy* find(std::string_view topology) const;
  bool is_any() const { return !policies_.empty(); }
  void each(const std::function<void(const Policy&)>& see) const;
  Instant wake_at(Instant now) const;  // apply a Tick no later
  std::string save() const;            // a line for each

 private:
  std::string node_;
  std::map<std::string, Policy, std::less<>> policies_;
};

}  // namespace vital::failover
