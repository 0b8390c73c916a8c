// See policies.hpp.
#include "core/failover/policies.hpp"

#include <algorithm>
#include <iterator>

#include "base/text.hpp"
#include "core/failover/lines.hpp"

namespace vital::failover {
namespace {

void append(std::vector<Effect>& to, std::vector<Effect> more) {
  to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

std::string_view line_of(std::string_view saved, std::string_view topology) {
  for (const std::string_view line : split(saved, '\n')) {
    if (LineReader(line).text("topology") == topology) return line;
  }
  return {};
}

}  // namespace

std::vector<Effect> Policies::adopt(Now now, const std::vector<FailoverPolicyPlan>& plans, std::string_view saved) {
  std::vector<Effect> out;
  const auto is_planned = [&](const std::string& topology) {
    return std::any_of(plans.begin(), plans.end(), [&](const auto& p) { return p.topology == topology; });
  };
  for (auto it = policies_.begin(); it != policies_.end();) {
    if (is_planned(it->first)) {
      ++it;
      continue;
    }
    append(out, it->second.leave(now));
    it = policies_.erase(it);
  }
  for (const FailoverPolicyPlan& plan : plans) {
    if (const auto known = policies_.find(plan.topology); known != policies_.end()) {
      known->second.replan(plan);
    } else {
      policies_.emplace(plan.topology, Policy(plan, node_, now, line_of(saved, plan.topology)));
    }
  }
  return out;
}

std::vector<Effect> Policies::saw(Now now, std::string_view topology, const Sight& sight) {
  const auto found = policies_.find(topology);
  return found == policies_.end() ? std::vector<Effect>() : found->second.apply(now, sight);
}

std::vector<Effect> Policies::apply(Now now, const Input& input) {
  std::vector<Effect> out;
  for (auto& [name, policy] : policies_) append(out, policy.apply(now, input));
  return out;
}

const Policy* Policies::find(std::string_view topology) const {
  const auto found = policies_.find(topology);
  return found == policies_.end() ? nullptr : &found->second;
}

void Policies::each(const std::function<void(const Policy&)>& see) const {
  for (const auto& [name, policy] : policies_) see(policy);
}

Instant Policies::wake_at(Instant now) const {
  Instant out = now + std::chrono::seconds(1);
  for (const auto& [name, policy] : policies_) out = std::min(out, policy.wake_at(now));
  return out;
}

std::string Policies::save() const {
  std::string out;
  for (const auto& [name, policy] : policies_) out += policy.save() + "\n";
  return out;
}

}  // namespace vital::failover
