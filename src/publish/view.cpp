// Making a View; see view.hpp.
#include "publish/view.hpp"

#include <utility>

#include "publish/outcome.hpp"

namespace vital {
namespace {

// Why /readyz is not yet true; empty if it is.
std::string missing_for_ready(const Snapshot& snapshot, const AgentFacts& facts) {
  if (!facts.is_config_current) return "the config in use is not the one asked for: " + facts.config_problem;
  for (std::uint32_t i = 0; i < snapshot.checks.size(); ++i) {
    const CheckPlan& plan = snapshot.plan->at(CheckId(i));
    const bool counts = plan.is_critical && plan.mode == Mode::active;
    if (counts && !snapshot.checks[i].last) return "no result yet of check " + plan.name;
  }
  return {};
}

}  // namespace

std::shared_ptr<const View> make_view(std::shared_ptr<const Snapshot> snapshot, AgentFacts facts) {
  auto view = std::make_shared<View>();
  const Snapshot& s = *snapshot;
  view->node = render_answer(node_outcome(s, s.made_wall));
  view->services.reserve(s.services.size());
  for (std::uint32_t i = 0; i < s.services.size(); ++i) {
    view->services.push_back(render_answer(service_outcome(s, ServiceId(i), s.made_wall)));
    view->by_name.emplace(s.plan->at(ServiceId(i)).name, i);
  }
  view->ready_reason = missing_for_ready(s, facts);
  view->is_ready = view->ready_reason.empty();
  view->facts = std::move(facts);
  view->snapshot = std::move(snapshot);
  return view;
}

}  // namespace vital
