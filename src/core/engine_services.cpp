// What the checks add up to: which failure explains which, what each service says, and the snapshot the world reads.
#include <algorithm>

#include "base/duration.hpp"
#include "core/composite.hpp"
#include "core/engine_impl.hpp"
#include "core/reason.hpp"

namespace vital {

using namespace std::chrono_literals;

namespace {
constexpr Duration believed_for = 3s;
constexpr unsigned deepest_dependency = 64;  // config refuses cycles; this keeps a bug from hanging the loop

void sooner(std::optional<Instant>* at, Instant when) { *at = *at ? std::min(**at, when) : when; }
}  // namespace

// ---- dependencies --------------------------------------------------------------------------------------------------

void Engine::Impl::list_dependents() {
  dependents_.clear();
  watchers_.assign(plan_->checks.size(), {});
  for (std::uint32_t i = 0; i < plan_->checks.size(); ++i) {
    if (!plan_->checks[i].depends_on.empty()) dependents_.push_back(i);
    const CompositePlan* composite = plan_->checks[i].composite.get();
    if (composite == nullptr) continue;
    std::vector<CheckId> looks_at = composite->rule.checks;
    if (composite->warn_rule) {
      looks_at.insert(looks_at.end(), composite->warn_rule->checks.begin(), composite->warn_rule->checks.end());
    }
    for (const CheckId check : looks_at) {
      auto& watchers = watchers_[check.value];
      if (std::find(watchers.begin(), watchers.end(), i) == watchers.end()) watchers.push_back(i);
    }
  }
}

// A failure is explained by the deepest failed dependency below it, a local one before a shared one. Children go on
// being probed: only the reading of their failure changes. Once explained it stays so until the check is well again or
// has failed `fall` times more by itself: checks recover one after the other.
void Engine::Impl::explain_failures() {
  const auto is_bad = [&](std::uint32_t i) {
    const CheckState& s = slots_[i].state;
    return plan_->checks[i].mode != Mode::shadow &&
           (s.state() == State::fail || slots_[i].is_suspect || (s.last() && s.last()->verdict == Verdict::fail));
  };
  const auto root_of = [&](std::uint32_t i) {
    for (unsigned depth = 0; depth < deepest_dependency; ++depth) {
      const auto& deps = plan_->checks[i].depends_on;
      const auto bad = std::find_if(deps.begin(), deps.end(), [&](CheckId d) { return is_bad(d.value); });
      if (bad == deps.end()) break;
      i = bad->value;
    }
    return CheckId(i);
  };
  for (const std::uint32_t i : dependents_) {
    const CheckPlan& check = plan_->checks[i];
    Slot& slot = slots_[i];
    const auto before = std::pair(slot.suppressed_by, slot.is_explained_shared);
    std::optional<CheckId> root;
    bool all_shared = true;
    for (const CheckId dep : check.depends_on) {
      if (!is_bad(dep.value)) continue;
      const CheckId candidate = root_of(dep.value);
      const bool is_shared = plan_->at(candidate).scope == Scope::shared;
      if (!root || (all_shared && !is_shared)) root = candidate;
      all_shared = all_shared && is_shared;
    }
    const unsigned own_fall = check.fall_window ? check.fall_window->first : check.fall;
    if (slot.state.state() != State::fail) {
      slot.suppressed_by.reset();
      slot.is_explained_shared = false;
      slot.bad_since_explained = 0;
    } else if (root) {
      slot.suppressed_by = root;
      slot.is_explained_shared = all_shared;
      slot.bad_since_explained = 0;
    } else if (slot.suppressed_by && slot.bad_since_explained >= own_fall) {
      slot.suppressed_by.reset();
      slot.is_explained_shared = false;
    }
    if (before != std::pair(slot.suppressed_by, slot.is_explained_shared)) services_dirty_ = is_loud_ = true;
  }
}

// ---- services ------------------------------------------------------------------------------------------------------

rules::Leaf Engine::Impl::leaf(const ServiceState& service, const ServicePlan& plan, CheckId id, Instant now,
                               std::optional<Instant>* wake) const {
  const Slot& slot = slots_[id.value];
  rules::Leaf l;
  l.state = slot.state.state();
  l.is_unproven = slot.state.is_unproven(now);
  l.is_explained_shared = slot.is_explained_shared;
  if (l.state == State::pending) {
    const Instant patience = slot.state.added_at() + plan.startup_timeout;
    l.is_overdue = now >= patience;
    l.is_ignored = service.has_started() && !l.is_overdue;
    if (!l.is_overdue) sooner(wake, patience);
  }
  return l;
}

// A nested service as its parent sees it: before overlays, after its budget.
State Engine::Impl::nested_state(ServiceId id) const {
  const ServiceState& s = services_[id.value];
  if (s.is_withheld()) return State::warn;
  return s.is_held_down() ? State::fail : s.state();
}

State Engine::Impl::by_rule(ServiceId id, Instant now, std::optional<Instant>* wake) const {
  const ServicePlan& plan = plan_->at(id);
  const ServiceState& state = services_[id.value];
  bool any_known = false, any_ignored = false, any_overdue = false, any_critical = false;
  const auto checks = [&](CheckId check) {
    const rules::Leaf l = leaf(state, plan, check, now, wake);
    if (plan_->at(check).mode != Mode::shadow) {
      any_known = any_known || l.state != State::pending;
      any_ignored = any_ignored || l.is_ignored;
      any_overdue = any_overdue || l.is_overdue;
      any_critical = true;
    }
    return l;
  };
  const auto services = [&](ServiceId s) {
    any_known = true;
    return nested_state(s);
  };
  const auto found = rules::evaluate(*plan_, plan, checks, services);
  if (!found) return any_ignored ? state.state() : State::pass;
  // Before anything is known the service is pending, even if all its checks are of the kind that can only warn.
  if (any_critical && !any_known && !any_overdue) return State::pending;
  return *found;
}

OverlayKind Engine::Impl::overlay_on(const std::string& service) const {
  OverlayKind kind = is_stopping_ ? OverlayKind::drain : OverlayKind::none;
  for (const Overlay* o : {overlays_.on(""), service.empty() ? nullptr : overlays_.on(service)}) {
    if (o != nullptr) kind = std::max(kind, o->kind);
  }
  return kind;
}

void Engine::Impl::judge_services(Now now) {
  services_dirty_ = false;
  services_wake_.reset();
  struct Change {
    std::uint32_t service;
    State from;
    Verdict told;
    bool was_withheld;
  };
  std::vector<Change> changes;
  for (std::uint32_t i = 0; i < services_.size(); ++i) {
    ServiceState& s = services_[i];
    const Change before{i, s.state(), s.answer(), s.is_withheld()};
    const std::uint64_t withheld = s.withheld();
    if (s.judge(now, by_rule(ServiceId(i), now.mono, &services_wake_), overlay_on(plan_->services[i].name))) {
      is_loud_ = true;
      if (before.from != s.state() || before.told != s.answer() || before.was_withheld != s.is_withheld()) {
        changes.push_back(before);
      }
    }
    counters_.withheld_ejections += s.withheld() - withheld;
    if (s.wake()) sooner(&services_wake_, *s.wake());
  }
  if (changes.empty()) return;
  const auto checks = check_views(now.mono);
  for (const Change& c : changes) {
    const ServiceState& s = services_[c.service];
    const ServiceView view = view_of(ServiceId(c.service), checks, now.mono);
    std::string causes;
    for (const CheckId id : view.causes) causes += (causes.empty() ? "" : ",") + plan_->at(id).name;
    note(s.answer() == Verdict::fail ? Note::Level::warning : Note::Level::info,
         s.is_withheld() && !c.was_withheld ? "ejection_withheld" : "service_state",
         {{"service", plan_->services[c.service].name},
          {"from", std::string(name(c.from))},
          {"to", std::string(name(s.state()))},
          {"answer", std::string(name(s.answer()))},
          {"reason", view.reason},
          {"causes", causes}});
  }
}

std::string Engine::Impl::reason_for(const ServiceView& view, const ServiceState& state, const std::string& service,
                                     const std::vector<CheckView>& checks, Instant now) const {
  if (view.overlay != OverlayKind::none) {
    for (const Overlay* o : {service.empty() ? nullptr : overlays_.on(service), overlays_.on("")}) {
      if (o != nullptr && o->kind == view.overlay) return reason::of_overlay(*o);
    }
    return "drain: shutting down";
  }
  std::string why = reason::of_causes(*plan_, view.causes, checks, now);
  if (state.is_withheld()) {
    return "fall withheld, " + std::to_string(state.recent_ejections()) + " within the window already: " + why;
  }
  if (view.is_held_down && state.held_until()) {
    return "held down for " + friendly_duration(*state.held_until() - now) + " more, it fell " +
           std::to_string(state.recent_ejections()) + " times lately" + (why.empty() ? "" : ": " + why);
  }
  return why;
}

ServiceView Engine::Impl::view_of(ServiceId id, const std::vector<CheckView>& checks, Instant now) const {
  const ServicePlan& plan = plan_->at(id);
  const ServiceState& state = services_[id.value];
  ServiceView view;
  state.fill(view);
  std::optional<Instant> unused;
  const auto leaves = [&](CheckId check) { return leaf(state, plan, check, now, &unused); };
  const auto services = [&](ServiceId s) { return nested_state(s); };
  if (view.state != State::pass) {
    for (const auto& culprit : rules::causes(*plan_, plan, leaves, services)) {
      const auto root = checks[culprit.check.value].suppressed_by;
      for (const auto& cause : {root, std::optional(culprit.check)}) {
        if (cause && std::find(view.causes.begin(), view.causes.end(), *cause) == view.causes.end()) {
          view.causes.push_back(*cause);
        }
      }
    }
    // Root causes lead.
    std::stable_partition(view.causes.begin(), view.causes.end(), [&](CheckId c) {
      return std::any_of(view.causes.begin(), view.causes.end(),
                         [&](CheckId other) { return checks[other.value].suppressed_by == c; });
    });
  }
  view.score = rules::score(*plan_, plan, leaves, services);
  for (const CheckId check : rules::checks_of(*plan_, plan.rule)) {
    const auto at = checks[check.value].evidence_at;
    if (plan_->at(check).mode != Mode::shadow && at) sooner(&view.oldest_evidence, *at);
  }
  view.reason = reason_for(view, state, plan.name, checks, now);
  return view;
}

// The worst of its services; among equals the first.
ServiceView Engine::Impl::view_of_node(const std::vector<ServiceView>& services, WallTime wall) {
  ServiceView node;
  node.state = State::pass;
  node.answer = Verdict::pass;
  const ServiceView* worst = nullptr;
  OverlayKind lightest = OverlayKind::maintenance;
  bool only_overlays = true;
  const auto gravity = [](const ServiceView& v) {
    return static_cast<unsigned>(v.answer) * 8 + static_cast<unsigned>(v.state);
  };
  for (const ServiceView& s : services) {
    if (worst == nullptr || gravity(s) > gravity(*worst)) worst = &s;
    node.weight = std::min(node.weight, s.weight);
    node.score = std::min(node.score, s.score);
    node.withheld += s.withheld;
    node.is_withheld = node.is_withheld || s.is_withheld;
    node.is_held_down = node.is_held_down || s.is_held_down;
    if (s.oldest_evidence) sooner(&node.oldest_evidence, *s.oldest_evidence);
    if (s.answer == Verdict::fail) {
      if (s.overlay == OverlayKind::none)
        only_overlays = false;
      else
        lightest = std::min(lightest, s.overlay);
    }
    for (const CheckId c : s.causes) {
      if (std::find(node.causes.begin(), node.causes.end(), c) == node.causes.end()) node.causes.push_back(c);
    }
  }
  if (worst != nullptr) {
    node.state = worst->state;
    node.answer = worst->answer;
    node.reason = worst->reason;
  }
  node.overlay = overlay_on("");
  if (node.overlay != OverlayKind::none) {
    node.answer = Verdict::fail;
    node.weight = 0;
  } else if (node.answer == Verdict::fail && only_overlays) {
    node.overlay = lightest;
  }
  if (node.state != node_state_ || node.answer != node_answer_) node_since_ = wall;
  node_state_ = node.state;
  node_answer_ = node.answer;
  node.since = node_since_;
  return node;
}

std::vector<CheckView> Engine::Impl::check_views(Instant now) const {
  std::vector<CheckView> out(slots_.size());
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    CheckView& v = out[i];
    slot.state.fill(v);
    v.is_unproven = slot.state.is_unproven(now) && v.state != State::stale;
    v.suppressed_by = slot.suppressed_by;
    if (!slot.cycle) continue;
    v.next_due = slot.cycle->due();
    if (slot.cycle->flight()) v.running_since = slot.cycle->flight()->started;
  }
  return out;
}

// ---- the snapshot --------------------------------------------------------------------------------------------------

// What changed nothing but numbers waits a little, so that a thousand checks do not make a thousand snapshots of a
// thousand checks each second: a millisecond for each check, between 20 ms and 1 s.
Duration Engine::Impl::quiet_time() const {
  return std::clamp<Duration>(std::chrono::milliseconds(slots_.size()), 20ms, 1s);
}

void Engine::Impl::publish(Now now) {
  auto s = std::make_shared<Snapshot>();
  s->seq = ++seq_;
  s->made_at = now.mono;
  s->made_wall = now.wall;
  s->valid_until = now.mono + believed_for;
  s->plan = plan_;
  s->checks = check_views(now.mono);
  for (std::uint32_t i = 0; i < services_.size(); ++i) {
    s->services.push_back(view_of(ServiceId(i), s->checks, now.mono));
  }
  s->node = view_of_node(s->services, now.wall);
  if (s->node.overlay != OverlayKind::none && overlay_on("") != OverlayKind::none && !services_.empty()) {
    s->node.reason = s->services.front().reason;
    if (const Overlay* o = overlays_.on("")) s->node.reason = reason::of_overlay(*o);
  }
  s->overlays = overlays_.all();
  s->counters = counters_;
  s->is_stopping = is_stopping_;
  snapshot_ = std::move(s);
  published_at_ = now.mono;
  is_loud_ = is_quiet_ = false;
  effects_.emplace_back(Publish{snapshot_});
}

}  // namespace vital
