// What a mode needs; see plan.hpp.
#include "core/failover/plan.hpp"

namespace vital::failover {

std::string_view name(Mode mode) {
  switch (mode) {
    case Mode::observe:
      return "observe";
    case Mode::advise:
      return "advise";
    case Mode::assist:
      return "assist";
    case Mode::automatic:
      return "auto";
  }
  return "observe";
}

std::string_view name(CrossZone rule) {
  switch (rule) {
    case CrossZone::refuse:
      return "refuse";
    case CrossZone::ask:
      return "ask";
    case CrossZone::allow:
      return "allow";
  }
  return "refuse";
}

std::vector<std::string> refusals(const FailoverPolicyPlan& plan, bool has_store, const Preflight* preflight) {
  std::vector<std::string> out;
  if (plan.mode == Mode::observe || plan.mode == Mode::advise) return out;
  const std::string mode(name(plan.mode));
  const bool is_auto = plan.mode == Mode::automatic;
  if (!has_store) {
    out.push_back("mode " + mode + " needs a store of leases, or two agents may act at once; configure cluster.etcd");
  }
  if (plan.promote.empty())
    out.push_back("mode " + mode + " has nothing to promote with; write promote: [{action: ...}]");
  if (plan.fence.empty()) {
    if (is_auto) {
      out.push_back(
          "mode auto needs a fence, or the old primary may go on taking writes; write fence: [{action: ...}]");
    } else if (!plan.has_no_fence) {
      out.push_back(
          "mode assist needs a fence; write fence: [{action: ...}], or fence: none if whoever approves sees to it");
    }
  }
  if (plan.witnesses == 0) out.push_back("witnesses: 0 believes nobody; write 2, or 1 if a fence always works");
  if (!is_auto) return out;
  if (!plan.max_lag && !plan.max_lag_bytes && !plan.is_synchronous) {
    out.push_back("mode auto needs a bound on what may be lost; write max_lag, max_lag_bytes or synchronous: true");
  }
  if (preflight == nullptr) {
    out.push_back("mode auto needs a pre-flight, and there was none yet; run vitalctl failover check");
    return out;
  }
  for (const Finding& f : preflight->findings) {
    if (f.level != Finding::Level::bad || (!f.topology.empty() && f.topology != plan.topology)) continue;
    out.push_back("mode auto needs a green pre-flight: " + f.what + ": " + f.text);
  }
  return out;
}

}  // namespace vital::failover
