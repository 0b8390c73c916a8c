// See failover_control.hpp.
#include "agent/failover_control.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "core/failover/guards.hpp"
#include "core/rules.hpp"
#include "publish/json_text.hpp"

namespace vital {

using namespace std::chrono_literals;
using failover::Decision;
using failover::Finding;
using failover::Policy;

namespace {

constexpr Duration preflight_until_green = 5s;
constexpr Duration preflight_every = 5min;
constexpr Duration store_patience = 5s;
constexpr Duration preflight_patience = 5s;  // for one action
constexpr Duration of_late = 1min;
constexpr Duration late_turn = 2s;

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <typename... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

bool has_check(const TopologyPlan& t, CheckId id) {
  if (t.endpoint == id) return true;
  return std::any_of(t.members.begin(), t.members.end(), [&](const auto& m) { return m.check == id; });
}

// The check itself, or one it depends on, looks at a topology.
bool concerns(const Plan& plan, CheckId id, const std::vector<TopologyPlan>& topologies, int depth = 0) {
  for (const TopologyPlan& t : topologies) {
    if (has_check(t, id)) return true;
  }
  const auto& on = plan.at(id).depends_on;
  return depth < 16 &&
         std::any_of(on.begin(), on.end(), [&](CheckId c) { return concerns(plan, c, topologies, depth + 1); });
}

PreflightTopology preflight_of(const failover::FailoverPolicyPlan& plan, const failover::Sight& sight) {
  PreflightTopology out;
  out.name = plan.topology;
  out.primary = sight.primary;
  out.status = sight.status;
  out.members = sight.members;
  for (const auto& [from, to] : {std::pair(&plan.demote, &out.demote), std::pair(&plan.fence, &out.fence),
                                 std::pair(&plan.promote, &out.promote), std::pair(&plan.move, &out.move)}) {
    for (const failover::StepPlan& s : *from) to->push_back({s.action, s.parameters});
  }
  out.has_no_fence = plan.has_no_fence;
  out.witnesses = plan.witnesses;
  out.evidence_max_age = plan.evidence_max_age;
  return out;
}

Duration wall_ahead(Now now) { return now.wall.time_since_epoch() - now.mono.time_since_epoch(); }

}  // namespace

std::vector<failover::MaintenanceSeen> maintenance_of(const Snapshot& snapshot,
                                                      const std::vector<TopologyPlan>& topologies) {
  bool is_all = false;
  std::set<std::string> on;
  for (const Overlay& o : snapshot.overlays) {
    if (o.kind == OverlayKind::none) continue;
    if (o.service.empty()) is_all = true;
    const auto service = snapshot.plan->find_service(o.service);
    if (!service) continue;
    for (const CheckId c : rules::checks_of(*snapshot.plan, snapshot.plan->at(*service).rule)) {
      for (const TopologyPlan& t : topologies) {
        if (has_check(t, c)) on.insert(t.name);
      }
    }
  }
  std::vector<failover::MaintenanceSeen> out{{"", is_all}};
  for (const TopologyPlan& t : topologies) out.push_back({t.name, on.count(t.name) > 0});
  return out;
}

failover::SelfSeen bad_of_late(const Snapshot& snapshot, const std::vector<TopologyPlan>& topologies, WallTime now) {
  failover::SelfSeen out;
  unsigned bad = 0;
  for (std::size_t i = 0; i < snapshot.checks.size(); ++i) {
    const CheckId id(static_cast<std::uint32_t>(i));
    const CheckPlan& plan = snapshot.plan->at(id);
    if (plan.is_passive || plan.type == "composite" || concerns(*snapshot.plan, id, topologies)) continue;
    ++out.unrelated_checks;
    const CheckView& view = snapshot.checks[i];
    const bool is_bad = view.state == State::fail || view.state == State::stale;
    if (is_bad && now - view.since < of_late) ++bad;
  }
  if (out.unrelated_checks > 0) out.share_of_bad_checks = static_cast<double>(bad) / out.unrelated_checks;
  return out;
}

FailoverControl::FailoverControl(Loop& loop, Paths paths, Hooks hooks, std::shared_ptr<FailoverBoard> board)
    : loop_(loop), paths_(std::move(paths)), hooks_(std::move(hooks)), board_(std::move(board)) {}

void FailoverControl::adopt(Now now, const Config& config, std::string_view saved) {
  const auto before = std::exchange(config_, std::make_shared<const Config>(config));
  if (!policies_ || before->cluster.node != config_->cluster.node) {
    if (policies_) perform(policies_->adopt(now, {}));
    policies_ = std::make_unique<failover::Policies>(config_->cluster.node);
  }
  if (!actor_) {
    actor_ = std::make_unique<Actor>(
        loop_, ActorOptions{paths_.worker, paths_.state_dir + "/failover.journal"},
        [this](const failover::StepDone& done) { feed(Loop::both(), done); },
        [this](const std::vector<StepEntry>& steps, const std::string& trouble) {
          if (!trouble.empty()) hooks_.note({Note::Level::error, "failover_journal", {{"trouble", trouble}}});
          for (const StepEntry& s : steps) {
            hooks_.note({Note::Level::error,
                         "failover_interrupted",
                         {{"topology", s.topology},
                          {"recovery", s.recovery},
                          {"action", s.action},
                          {"verb", std::string(failover::name(s.verb))},
                          {"at", s.at},
                          {"effect", "whether it was done is not known; look at it"}}});
          }
        });
  }
  actor_->adopt(config_->actions);
  if (!cluster_ || !(cluster_->plan() == config_->cluster)) {
    // What the old store said holds no longer: leases end there by themselves.
    if (cluster_) perform(policies_->adopt(now, {}));
    cluster_ = std::make_unique<Cluster>(loop_, config_->cluster, paths_.helper,
                                         [this](const failover::ClusterSeen& seen) { feed(Loop::both(), seen); });
  }
  std::map<std::string, std::string> not_ready;
  for (const failover::FailoverPolicyPlan& plan : config_->policies) {
    if (plan.mode != failover::Mode::automatic) continue;
    const auto was =
        before ? std::find(before->policies.begin(), before->policies.end(), plan) : decltype(before->policies.end()){};
    const bool is_same = before && was != before->policies.end();
    const auto known = not_ready_.find(plan.topology);
    if (is_same && known == not_ready_.end()) continue;  // it was green
    not_ready[plan.topology] = "there was no pre-flight yet";
  }
  not_ready_ = std::move(not_ready);
  preflight_at_.reset();
  adopted_at_ = now.mono;
  perform(policies_->adopt(now, plans(), saved));
  show(now);
}

std::vector<std::string> FailoverControl::save() const {
  std::vector<std::string> out;
  policies_->each([&](const Policy& p) { out.push_back(p.save()); });
  return out;
}

void FailoverControl::each_last_primary(
    const std::function<void(const std::string& topology, const std::string& member)>& see) const {
  policies_->each([&](const Policy& p) {
    if (const auto last = p.last_primary()) see(p.plan().topology, last->member);
  });
}

std::vector<failover::FailoverPolicyPlan> FailoverControl::plans() const {
  std::vector<failover::FailoverPolicyPlan> out = config_->policies;
  for (failover::FailoverPolicyPlan& plan : out) {
    if (not_ready_.count(plan.topology) > 0) plan.mode = failover::Mode::assist;
  }
  return out;
}

void FailoverControl::saw(Now now, const std::string& topology, const failover::Sight& sight) {
  if (is_leaving_ || policies_->find(topology) == nullptr) return;
  look_at_self(now);
  sights_[topology] = sight;
  perform(policies_->saw(now, topology, sight));
}

// Told of itself before anything else, so that what waited while we slept or were stopped decides nothing.
void FailoverControl::look_at_self(Now now) {
  failover::SelfSeen self;
  const Duration slept = slept_in_all();
  const Duration ahead = wall_ahead(now);
  if (turned_at_) {
    const Duration silent = now.mono - *turned_at_;
    if (silent > late_turn) self.loop_late = silent;
    if (slept - slept_ > 20ms) self.slept = slept - slept_;
    self.clock_jump = ahead - wall_ahead_ - (slept - slept_);
  }
  turned_at_ = now.mono;
  slept_ = slept;
  wall_ahead_ = ahead;
  const bool is_news = self.loop_late > Duration{} || self.slept > Duration{} || self.clock_jump > Policy::jumped ||
                       self.clock_jump < -Policy::jumped;
  if (is_news) perform(policies_->apply(now, self));
}

void FailoverControl::feed(Now now, const failover::Input& input) {
  if (is_leaving_) return;
  look_at_self(now);
  perform(policies_->apply(now, input));
}

void FailoverControl::tick(Now now, const Snapshot& snapshot) {
  if (is_leaving_) return;
  for (const failover::MaintenanceSeen& seen : maintenance_of(snapshot, config_->topologies)) feed(now, seen);
  feed(now, bad_of_late(snapshot, config_->topologies, now.wall));
  feed(now, Tick{});
  const Duration every = not_ready_.empty() ? preflight_every : preflight_until_green;
  const bool is_auto = std::any_of(config_->policies.begin(), config_->policies.end(),
                                   [](const auto& p) { return p.mode == failover::Mode::automatic; });
  const bool is_due = is_auto && !is_preflight_under_way_ && (!preflight_at_ || now.mono - *preflight_at_ > every);
  // The first one waits a moment for the store's first answer.
  const bool is_too_early = is_due && !preflight_at_ && now.mono - adopted_at_ < store_patience &&
                            cluster_->seen().health == failover::StoreHealth::unreachable;
  if (is_due && !is_too_early) {
    preflight_at_ = now.mono;
    ask_preflight({});
  }
  if (now.mono - shown_at_ >= 1s) show(now);
}

void FailoverControl::perform(const std::vector<failover::Effect>& effects) {
  for (const failover::Effect& effect : effects) {
    std::visit(Overloaded{[&](const failover::RunStep& step) { actor_->run(step); },
                          [&](const failover::StopStep& stop) { actor_->stop(stop); },
                          [&](const Note& note) { hooks_.note(note); },
                          [&](const Decision& decision) {
                            Count& count = counts_[decision.topology];
                            ++count.decisions;
                            count.done += decision.effect == failover::Do::write_done ? 1U : 0U;
                            count.reasserted += decision.from == failover::State::reasserting &&
                                                        decision.when == failover::When::steps_finished
                                                    ? 1U
                                                    : 0U;
                            count.parked += decision.effect == failover::Do::write_parked ? 1U : 0U;
                            hooks_.decided(decision);
                            shown_at_ = {};  // whoever looks next sees it
                          },
                          [&](const auto& of_store) {
                            if (cluster_) cluster_->perform(of_store);
                          }},
               effect);
  }
}

// ---- pre-flight

void FailoverControl::ask_preflight(std::function<void(const failover::Preflight&)> told) {
  is_preflight_under_way_ = true;
  std::vector<Finding> facts;
  std::vector<Actor::Question> questions;
  const failover::ClusterSeen seen = cluster_->seen();
  for (const failover::FailoverPolicyPlan& plan : config_->policies) {
    const PreflightTopology topology = preflight_of(plan, sights_[plan.topology]);
    for (Finding& f : preflight_facts(topology, seen)) facts.push_back(std::move(f));
    if (topology.primary.empty()) continue;  // nobody knows what to ask
    for (Actor::Question& q : preflight_questions(topology)) questions.push_back(std::move(q));
  }
  actor_->check(std::move(questions), preflight_patience,
                [this, facts = std::move(facts), told = std::move(told)](const std::vector<Finding>& more) mutable {
                  is_preflight_under_way_ = false;
                  facts.insert(facts.end(), more.begin(), more.end());
                  const Now now = Loop::both();
                  preflight_ = {now.mono, std::move(facts)};
                  ready_if_green(now, preflight_);
                  if (told) told(preflight_);
                });
}

void FailoverControl::check(std::function<void(const failover::Preflight&)> told) { ask_preflight(std::move(told)); }

void FailoverControl::ready_if_green(Now now, const failover::Preflight& preflight) {
  if (is_leaving_) return;
  bool is_news = false;
  for (const failover::FailoverPolicyPlan& plan : config_->policies) {
    const auto waiting = not_ready_.find(plan.topology);
    if (waiting == not_ready_.end()) continue;
    const auto why = refusals(plan, cluster_->plan().kind != ClusterPlan::Kind::standalone, &preflight);
    if (why.empty()) {
      hooks_.note({Note::Level::info, "failover_ready", {{"topology", plan.topology}, {"mode", "auto"}}});
      not_ready_.erase(waiting);
      is_news = true;
    } else if (waiting->second != why.front()) {
      waiting->second = why.front();
      hooks_.note({Note::Level::warning,
                   "failover_not_ready",
                   {{"topology", plan.topology}, {"acts_as", "assist"}, {"why", one_line(why.front(), 400)}}});
    }
  }
  if (is_news) perform(policies_->adopt(now, plans()));
  show(now);
}

// ---- operators

std::string FailoverControl::command(Now now, const failover::Command& command) {
  if (is_leaving_) return "vitald is stopping";
  const auto by_recovery = [&](const std::string& id) {
    const Policy* found = nullptr;
    policies_->each([&](const Policy& p) {
      if (!id.empty() && p.recovery().id == id) found = &p;
    });
    return found;
  };
  const std::string refused = std::visit(
      Overloaded{[&](const failover::Approve& a) -> std::string {
                   const Policy* p = by_recovery(a.recovery);
                   if (p == nullptr) return "this agent asks for no approval of " + one_line(a.recovery, 80);
                   if (p->state() != failover::State::awaiting)
                     return "nothing is asked for now: it is " + std::string(failover::name(p->state()));
                   if (a.echo != p->recovery().to)
                     return "it would promote " + p->recovery().to + ", not " + one_line(a.echo, 64);
                   return {};
                 },
                 [&](const failover::Decline& d) -> std::string {
                   const Policy* p = by_recovery(d.recovery);
                   if (p == nullptr || p->state() != failover::State::awaiting)
                     return "this agent asks for no approval of " + one_line(d.recovery, 80);
                   return {};
                 },
                 [&](const failover::Switchover& s) -> std::string {
                   const Policy* p = policies_->find(s.topology);
                   if (p == nullptr) return "nothing is done about a topology " + one_line(s.topology, 64);
                   return p->why_not_switched(now, s);
                 },
                 [&](const failover::Pause& p) -> std::string {
                   return p.topology.empty() || policies_->find(p.topology) != nullptr
                              ? ""
                              : "nothing is done about a topology " + one_line(p.topology, 64);
                 },
                 [&](const failover::Resume& r) -> std::string {
                   return r.topology.empty() || policies_->find(r.topology) != nullptr
                              ? ""
                              : "nothing is done about a topology " + one_line(r.topology, 64);
                 },
                 [&](const failover::Acknowledge& a) -> std::string {
                   bool waits = false;
                   policies_->each([&](const Policy& p) { waits = waits || p.waits_for_word_on(a.recovery); });
                   return waits ? "" : "no recovery " + one_line(a.recovery, 80) + " is parked";
                 },
                 [](const auto&) -> std::string { return {}; }},
      command);
  if (!refused.empty()) return refused;
  feed(now, command);
  show(now);
  return {};
}

void FailoverControl::leave(Now now) {
  if (is_leaving_) return;
  perform(policies_->adopt(now, {}));
  is_leaving_ = true;
  cluster_->leave();
}

}  // namespace vital
