// See engine.hpp. This file: what outlives a plan or a process: another plan is adopted, states are saved and restored.
#include <map>
#include <utility>

#include "core/engine_impl.hpp"

namespace vital {

void Engine::Impl::take(Now now, const PlanChanged& in) {
  std::map<std::string, std::uint32_t> old_checks;
  for (std::uint32_t i = 0; i < slots_.size(); ++i) old_checks.emplace(plan_->checks[i].name, i);
  std::map<std::string, std::uint32_t> old_services;
  for (std::uint32_t i = 0; i < services_.size(); ++i) old_services.emplace(plan_->services[i].name, i);

  std::uint64_t kept = 0, replanned = 0, added = 0;
  std::vector<Slot> slots;
  for (const CheckPlan& c : in.plan->checks) {
    const auto found = old_checks.find(c.name);
    if (found == old_checks.end() || plan_->checks[found->second].is_passive != c.is_passive) {
      slots.push_back(make_slot(c, now));
      ++added;
      continue;
    }
    const std::uint32_t old = found->second;
    const bool is_same = plan_->checks[old].fingerprint == c.fingerprint;
    if (!is_same) drop_flight(old, true);
    Slot slot = std::move(slots_[old]);
    slots_[old].cycle.reset();
    // Its cause is found anew below; ids of the old plan mean nothing now.
    if (slot.suppressed_by) slot.suppressed_by = in.plan->find_check(plan_->at(*slot.suppressed_by).name);
    slot.state.replan(c, is_same);
    if (slot.cycle) {
      slot.cycle->replan(c);
      if (!is_same) look_anew(now, slot);
    }
    (is_same ? kept : replanned) += 1;
    slots.push_back(std::move(slot));
    old_checks.erase(found);
  }
  for (const auto& [gone_name, gone] : old_checks) drop_flight(gone, true);

  std::vector<ServiceState> services;
  for (const ServicePlan& s : in.plan->services) {
    if (const auto found = old_services.find(s.name); found != old_services.end()) {
      services.push_back(std::move(services_[found->second]));
      services.back().replan(s);
    } else {
      services.emplace_back(s, now);
    }
  }
  note(Note::Level::info, "plan_adopted",
       {{"kept", std::to_string(kept)},
        {"changed", std::to_string(replanned)},
        {"added", std::to_string(added)},
        {"removed", std::to_string(old_checks.size())}});
  plan_ = in.plan;
  slots_ = std::move(slots);
  services_ = std::move(services);
  flights_.clear();
  wakes_.assign(slots_.size(), now.mono);
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].cycle && slots_[i].cycle->flight()) flights_.emplace(slots_[i].cycle->flight()->id.value, i);
    reckon_wake(now.mono, i);
  }
  list_dependents();
  explain_failures();
  services_dirty_ = is_loud_ = true;
}

void Engine::Impl::restore(Now now, const SavedState& saved, Duration elapsed, bool is_restart) {
  for (const SavedCheck& s : saved.checks) {
    if (const auto id = plan_->find_check(s.name)) {
      slots_[id->value].state.restore(now, s, elapsed);
      if (is_restart) slots_[id->value].state.hold_from(now.mono, elapsed);
    }
  }
  for (const SavedService& s : saved.services) {
    if (const auto id = plan_->find_service(s.name)) services_[id->value].restore(now, s, elapsed);
  }
  for (const Overlay& o : saved.overlays) overlays_.set(now, o);
  explain_failures();
  judge_services(now);
  publish(now);
  effects_.clear();
  is_loud_ = true;
}

SavedState Engine::save(Now now) const {
  SavedState s;
  s.saved_at = now.wall;
  for (const Impl::Slot& slot : impl_->slots_) s.checks.push_back(slot.state.save(now.mono));
  for (const ServiceState& service : impl_->services_) s.services.push_back(service.save(now.mono));
  s.overlays = impl_->overlays_.all();
  return s;
}

}  // namespace vital
