// What may be done about a failover: the store in which agents meet, the actions, and of each topology who must see it,
// what is done in which order, and within which bounds.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "config/draft.hpp"
#include "config/files.hpp"
#include "failover/kind.hpp"

namespace vital::config {
namespace {

using failover::FailoverPolicyPlan;
using failover::StepPlan;

constexpr std::size_t most_actions = 256;
constexpr std::size_t most_steps = 16;

failover::Mode mode_of(std::string_view word) {
  for (const auto m : {failover::Mode::advise, failover::Mode::assist, failover::Mode::automatic}) {
    if (failover::name(m) == word) return m;
  }
  return failover::Mode::observe;
}

bool is_url(std::string_view text) {
  const bool has_scheme = text.starts_with("http://") || text.starts_with("https://");
  return has_scheme && !text.ends_with("//") && text.find_first_of(" \t\"'<>@") == std::string_view::npos;
}

void read_tls(const Section& tls, ClusterPlan& out, const Context& cx) {
  for (const auto& [name, to] :
       {std::pair("ca", &out.ca), std::pair("certificate", &out.certificate), std::pair("key", &out.key)}) {
    const auto written = tls.text(name);
    if (!written) continue;
    *to = find_file(*written, cx.problems.directory_of(tls.mark()), cx.environment);
    std::string why;
    if (!read_file(*to, std::size_t{1024} * 1024, &why)) tls.complain(name, fmt::format("{} {}", *to, why));
  }
  if (tls.is_map() && out.certificate.empty() != out.key.empty())
    tls.complain(out.key.empty() ? "certificate" : "key", "needs the other of certificate and key, too");
}

// One topology's policy.
class PolicyReader {
 public:
  PolicyReader(const Section& s, const TopologyPlan& topology, const std::vector<ActionDraft>& actions)
      : s_(s), topology_(topology), actions_(actions) {}

  void read(FailoverPolicyPlan& out) {
    if (const auto mode = s_.choice("mode")) out.mode = mode_of(*mode);
    out.max_lag = s_.duration("max_lag");
    if (const auto bytes = s_.size("max_lag_bytes")) out.max_lag_bytes = static_cast<double>(*bytes);
    out.is_synchronous = s_.boolean("synchronous").value_or(false);
    for (const auto& [member, zone] : s_.labels("zones").value_or(std::vector<std::pair<std::string, std::string>>{})) {
      if (!is_member(member)) s_.complain("zones", fmt::format("there is no member '{}'", one_line(member, 64)));
      out.zones[member] = zone;
    }
    const std::string crossing = s_.choice("cross_zone").value_or("ask");
    out.cross_zone = crossing == "refuse"  ? failover::CrossZone::refuse
                     : crossing == "allow" ? failover::CrossZone::allow
                                           : failover::CrossZone::ask;
    out.witnesses = static_cast<unsigned>(s_.integer("witnesses").value_or(out.witnesses));
    for (const auto& [key, to] :
         {std::pair("evidence_max_age", &out.evidence_max_age), std::pair("hold_down", &out.hold_down),
          std::pair("overload_grace", &out.overload_grace), std::pair("doubt", &out.doubt),
          std::pair("cool_down", &out.cool_down), std::pair("approval_for", &out.approval_for),
          std::pair("lease_wait", &out.lease_wait), std::pair("deadline", &out.deadline),
          std::pair("verify_within", &out.verify_within)}) {
      *to = s_.duration(key).value_or(*to);
    }
    const Node* fence = s_.get("fence");
    out.has_no_fence = fence != nullptr && fence->is_scalar() && fence->text == "none";
    if (!out.has_no_fence) out.fence = steps("fence");
    out.promote = steps("promote");
    out.move = steps("move");
    out.demote = steps("demote");
    out.is_reasserted = s_.boolean("reassert").value_or(false);
    if (out.is_reasserted && (out.move.empty() || !topology_.endpoint))
      s_.complain("reassert", "needs move, and an endpoint that shows where clients are led");
    look_at_dry_runs(out);
  }

 private:
  bool is_member(std::string_view name) const {
    return std::any_of(topology_.members.begin(), topology_.members.end(),
                       [&](const TopologyPlan::Member& m) { return m.name == name; });
  }

  const ActionDraft* find(std::string_view name) const {
    const auto at =
        std::find_if(actions_.begin(), actions_.end(), [&](const ActionDraft& a) { return a.name == name; });
    return at == actions_.end() ? nullptr : &*at;
  }

  // The actions that a step may turn out to be: {from} and {to} may be any two members.
  std::set<std::string> meant_by(const std::string& action) const {
    std::set<std::string> out;
    for (const TopologyPlan::Member& from : topology_.members) {
      for (const TopologyPlan::Member& to : topology_.members) {
        if (&from == &to) continue;
        out.insert(filled_in(action, {{"from", from.name}, {"to", to.name}, {"topology", topology_.name}}));
      }
    }
    return out;
  }

  std::vector<StepPlan> steps(std::string_view key) const {
    std::vector<StepPlan> out;
    const Node* written = s_.get(key);
    if (written == nullptr || written->is_bad) return out;
    const std::string path = s_.path_of(key);
    if (written->is_map() || written->items.size() > most_steps) {
      s_.complain(key, fmt::format("must be a list of at most {} actions, as in [stop-old]", most_steps));
      return out;
    }
    if (written->is_scalar()) add(out, *written, path);
    for (std::size_t i = 0; i < written->items.size(); ++i) {
      add(out, written->items[i], fmt::format("{}[{}]", path, i));
    }
    return out;
  }

  // stop-old, or {action: stop-old, deadline: 20s}.
  void add(std::vector<StepPlan>& out, const Node& written, const std::string& path) const {
    if (written.is_bad) return;
    StepPlan step;
    Mark mark = written.mark;
    if (written.is_map()) {
      const Section s(s_.problems(), written, path, "topology.step");
      if (!s.has("action")) s.problems().add(s.mark(), s.path_of("action"), "is missing; write action: NAME");
      step.action = s.text("action").value_or("");
      step.deadline = s.duration("deadline").value_or(step.deadline);
      step.attempts = static_cast<unsigned>(s.integer("attempts").value_or(step.attempts));
      step.is_undone = s.boolean("undo").value_or(false);
      if (const Node* n = s.get("action")) mark = n->mark;
    } else if (written.is_scalar()) {
      step.action = written.text;
    } else {
      s_.problems().add(mark, path, fmt::format("is {}; write the name of an action", kind_name(written)));
    }
    if (step.action.empty()) return;
    look_at_direction(step.action, mark, path);
    std::vector<std::string> known;
    for (const ActionDraft& a : actions_) known.push_back(a.name);
    for (const std::string& name : meant_by(step.action)) {
      if (find(name) != nullptr) continue;
      s_.problems().add(mark, path,
                        fmt::format("there is no action '{}' in failover.actions{}", one_line(name, 64),
                                    known.empty() ? std::string() : suggestion(name, known)));
    }
    out.push_back(std::move(step));
  }

  // A fence that stops the candidate, a promotion of the old primary: one word in place of the other.
  void look_at_direction(const std::string& action, Mark mark, const std::string& path) const {
    const bool has_from = action.find("{from}") != std::string::npos, has_to = action.find("{to}") != std::string::npos;
    const std::string_view list = std::string_view(path).substr(path.rfind('.') + 1);
    const bool is_stop = list.starts_with("fence") || list.starts_with("demote");
    if (is_stop && has_to && !has_from)
      s_.problems().warn(
          mark, path,
          "goes by {to}, the member that is to be promoted, and not by {from}: does it stop the right one?");
    if (list.starts_with("promote") && has_from && !has_to)
      s_.problems().warn(mark, path,
                         "goes by {from}, the old primary, and not by {to}: does it promote the right one?");
  }

  // A fence that only says what it would do beside a promotion that is meant: two primaries.
  void look_at_dry_runs(const FailoverPolicyPlan& plan) const {
    if (plan.mode != failover::Mode::assist && plan.mode != failover::Mode::automatic) return;
    std::string dry, real;
    for (const auto* list : {&plan.fence, &plan.promote, &plan.move, &plan.demote}) {
      for (const StepPlan& step : *list) {
        for (const std::string& name : meant_by(step.action)) {
          if (const ActionDraft* a = find(name)) (a->is_enabled ? real : dry) = name;
        }
      }
    }
    if (dry.empty()) return;
    const Node* mode = s_.get("mode");
    const Mark at = mode != nullptr ? mode->mark : s_.mark();
    if (!real.empty()) {
      s_.problems().add(
          at, s_.path_of("mode"),
          fmt::format("{} is a dry run and {} is not; write enabled: true for all of its actions or none", dry, real));
    } else {
      s_.problems().warn(at, s_.path_of("mode"),
                         "all its actions are dry runs, so nothing will be done; write enabled: true to mean it");
    }
  }

  const Section& s_;
  const TopologyPlan& topology_;
  const std::vector<ActionDraft>& actions_;
};

}  // namespace

ClusterPlan read_cluster(const Section& s, const Plan& plan, const Context& cx) {
  ClusterPlan out;
  out.node = plan.node;
  out.zone = plan.zone;
  if (!s.is_map()) return out;
  if (s.choice("type").value_or("standalone") == "etcd") out.kind = ClusterPlan::Kind::etcd;
  out.name = s.text("name").value_or(out.name);
  out.prefix = s.text("prefix").value_or(out.prefix);
  out.endpoints = s.texts("endpoints").value_or(std::vector<std::string>{});
  for (const std::string& url : out.endpoints) {
    if (!is_url(url))
      s.complain("endpoints", fmt::format("'{}' is no URL; write http://10.0.0.5:2379", one_line(url, 100)));
  }
  if (out.kind == ClusterPlan::Kind::etcd && out.endpoints.empty() &&
      (!s.has("endpoints") || s.get("endpoints") != nullptr))
    s.problems().add(s.mark(), s.path_of("endpoints"), "is missing; write endpoints: [http://127.0.0.1:2379]");
  if (out.kind == ClusterPlan::Kind::standalone && s.has("endpoints"))
    s.complain("endpoints", "is of no use to a standalone agent; write type: etcd, too");
  out.user = s.text("user").value_or("");
  if (const Node* file = s.get("password_file")) {
    if (const auto secret = read_secret_file(*file, s.path_of("password_file"), cx)) out.password = secret->text;
  }
  if (out.user.empty() == s.has("password_file"))
    s.complain(out.user.empty() ? "password_file" : "user", "needs the other of user and password_file, too");
  read_tls(s.section("tls", "cluster.tls"), out, cx);
  out.ttl = s.duration("ttl").value_or(out.ttl);
  out.margin = s.duration("margin").value_or(out.margin);
  out.timeout = s.duration("timeout").value_or(out.timeout);
  out.interval = s.duration("interval").value_or(out.interval);
  if (out.margin + out.timeout * 2 + out.interval > out.ttl) {
    s.complain(s.has("ttl") ? "ttl" : "margin",
               fmt::format("a lease of {} less the margin {} leaves no time for two calls of {} and the interval {}; "
                           "write a longer ttl",
                           format_duration(out.ttl), format_duration(out.margin), format_duration(out.timeout),
                           format_duration(out.interval)));
  }
  return out;
}

std::vector<ActionDraft> read_actions(const Section& failover, const Context& cx) {
  std::vector<ActionDraft> out;
  const Node* actions = failover.get("actions");
  if (actions == nullptr || actions->is_bad) return out;
  if (!actions->is_map() || actions->entries.size() > most_actions) {
    failover.complain("actions", fmt::format("must be a map of at most {} names to actions, as in "
                                             "{{stop-one: {{type: systemd.stop, unit: postgresql}}}}",
                                             most_actions));
    return out;
  }
  for (const Entry& e : actions->entries) {
    ActionDraft draft;
    draft.name = e.key;
    draft.entry = &e;
    if (e.value.is_bad || !is_good_name(e.key, e.mark, "failover.actions", cx.problems)) continue;
    const Section s(cx.problems, e.value, draft.path(), "action", Section::Unknown::collected);
    const auto type = s.is_map() ? s.text("type") : std::nullopt;
    if (s.is_map() && !s.has("type")) cx.problems.add(e.mark, draft.path(), "needs a type, as in type: exec");
    draft.is_enabled = s.is_map() && s.boolean("enabled").value_or(false);
    if (type) {
      std::string why;
      if (const auto module = cx.modules.describe_action(*type, &why)) {
        auto spec = std::make_shared<CheckSpec>();
        spec->check = draft.path();
        spec->module = without_step(*module);
        if (read_action_options(e, draft.path(), s.rest(), *spec, cx)) draft.spec = std::move(spec);
      } else {
        s.complain("type", why);
      }
    }
    out.push_back(std::move(draft));
  }
  return out;
}

void read_policies(const Section& failover, const std::vector<ActionDraft>& actions, Config& config) {
  FailoverPolicyPlan common;
  common.mode = mode_of(failover.choice("mode").value_or("observe"));
  common.grace = failover.duration("grace").value_or(common.grace);
  const Section brake = failover.section("brake", "failover.brake");
  common.brake_max = static_cast<unsigned>(brake.integer("max").value_or(common.brake_max));
  common.brake_window = brake.duration("window").value_or(common.brake_window);
  for (const ActionDraft& a : actions) config.actions[a.name] = {a.name, a.spec, !a.is_enabled};
  const Node* topologies = failover.get("topologies");
  if (topologies == nullptr || !topologies->is_map()) return;
  for (const TopologyPlan& topology : config.topologies) {
    const Entry* written = topologies->find(topology.name);
    const Section s(failover.problems(), written->value, "failover.topologies." + topology.name, "topology");
    if (!s.is_map()) continue;
    FailoverPolicyPlan plan = common;
    plan.topology = topology.name;
    const std::size_t before = failover.problems().count();
    PolicyReader(s, topology, actions).read(plan);
    if (plan.mode == failover::Mode::observe) continue;
    const failover::Preflight unasked;  // that is the agent's, while it runs
    const Node* mode = s.get("mode");
    // What is written wrongly need not be called missing, too.
    for (const std::string& why : failover.problems().count() == before
                                      ? refusals(plan, config.cluster.kind != ClusterPlan::Kind::standalone, &unasked)
                                      : std::vector<std::string>{}) {
      failover.problems().add(mode != nullptr ? mode->mark : s.mark(), s.path_of("mode"), why);
    }
    config.policies.push_back(std::move(plan));
  }
}

}  // namespace vital::config
