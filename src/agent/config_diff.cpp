// Comparing two configs; see config_diff.hpp.
#include "agent/config_diff.hpp"

#include <algorithm>
#include <map>
#include <string_view>

#include "base/duration.hpp"
#include "base/text.hpp"

namespace vital {
namespace {

constexpr std::size_t names_shown = 8;

// Two rules of two plans, in which numbers mean different checks.
bool same_rule(const Plan& plan_a, const Rule& a, const Plan& plan_b, const Rule& b) {
  if (a.kind != b.kind || a.need != b.need || a.need_warn != b.need_warn || a.weights != b.weights) return false;
  if (a.kind == Rule::Kind::check) return plan_a.at(CheckId(a.target)).name == plan_b.at(CheckId(b.target)).name;
  if (a.kind == Rule::Kind::service) return plan_a.at(ServiceId(a.target)).name == plan_b.at(ServiceId(b.target)).name;
  return std::equal(
      a.members.begin(), a.members.end(), b.members.begin(), b.members.end(),
      [&](const Rule& member_a, const Rule& member_b) { return same_rule(plan_a, member_a, plan_b, member_b); });
}

bool same_service(const Plan& plan_a, ServicePlan a, const Plan& plan_b, ServicePlan b) {
  if (!same_rule(plan_a, a.rule, plan_b, b.rule)) return false;
  a.rule = {};
  b.rule = {};
  return a == b;
}

void say(std::string& out, const std::string& what, const std::vector<std::string>& names) {
  if (names.empty()) return;
  if (!out.empty()) out += ", ";
  out += std::to_string(names.size()) + " " + what;
  std::vector<std::string> shown(names.begin(),
                                 names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), names_shown)));
  if (names.size() > shown.size()) shown.push_back("...");
  out += " (" + join(shown, ", ") + ")";
}

// What of one check is written differently. `from` and `to` are as `vitald explain` shows them.
void compare_options(const std::string& check, const std::vector<Setting>& before, const std::vector<Setting>& after,
                     bool is_same_to_probe, std::vector<ConfigDiff::Option>& out) {
  std::map<std::string, std::pair<std::string, std::string>> values;
  for (const Setting& s : before) values[s.name].first = s.value;
  for (const Setting& s : after) values[s.name].second = s.value;
  const std::size_t known = out.size();
  for (const auto& [option, value] : values) {
    if (value.first != value.second) out.push_back({"checks." + check + "." + option, value.first, value.second});
  }
  if (out.size() == known && !is_same_to_probe) out.push_back({"checks." + check, "", "a secret, or a file it names"});
}

// By names: the numbers of checks change when others come or go.
std::vector<std::string> topologies_of(const Config& config) {
  std::vector<std::string> out;
  const auto check = [&](CheckId id) { return config.plan->at(id).name; };
  for (const TopologyPlan& t : config.topologies) {
    out.push_back(t.name);
    for (const TopologyPlan::Member& m : t.members) out.push_back(m.name + "=" + check(m.check));
    out.push_back("endpoint=" + (t.endpoint ? check(*t.endpoint) : std::string()));
    out.push_back("max_lag=" + (t.max_lag ? format_duration(*t.max_lag) : std::string()));
  }
  return out;
}

bool same_actions(const ActionPlans& a, const ActionPlans& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.is_dry_run == y.second.is_dry_run &&
           same_spec(*x.second.spec, *y.second.spec);
  });
}

}  // namespace

bool same_spec(const CheckSpec& a, const CheckSpec& b) {
  return a.check == b.check && a.module.type == b.module.type && a.module.path == b.module.path &&
         a.module.version == b.module.version && a.module.lane == b.module.lane &&
         a.module.is_builtin == b.module.is_builtin && a.values == b.values && a.secrets == b.secrets;
}

Specs keep_specs(const Specs& in_use, Specs next) {
  std::map<std::string_view, const std::shared_ptr<const CheckSpec>*> by_name;
  for (const auto& spec : in_use) {
    if (spec) by_name.emplace(spec->check, &spec);
  }
  for (auto& spec : next) {
    if (!spec) continue;
    const auto found = by_name.find(spec->check);
    if (found != by_name.end() && same_spec(**found->second, *spec)) spec = *found->second;
  }
  return next;
}

ConfigDiff diff(const Config& before, const Config& after) {
  ConfigDiff d;
  const Plan& old_plan = *before.plan;
  const Plan& new_plan = *after.plan;
  for (const CheckPlan& check : new_plan.checks) {
    const auto old = old_plan.find_check(check.name);
    const bool is_same = old && old_plan.at(*old).fingerprint == check.fingerprint;
    (!old ? d.added : is_same ? d.kept : d.changed).push_back(check.name);
    const auto at = static_cast<std::size_t>(&check - new_plan.checks.data());
    if (old && old->value < before.settings.size() && at < after.settings.size()) {
      compare_options(check.name, before.settings[old->value], after.settings[at], is_same, d.options);
    }
  }
  for (const CheckPlan& check : old_plan.checks) {
    if (!new_plan.find_check(check.name)) d.removed.push_back(check.name);
  }
  for (const ServicePlan& service : new_plan.services) {
    const auto old = old_plan.find_service(service.name);
    if (!old) {
      d.services_added.push_back(service.name);
    } else if (!same_service(old_plan, old_plan.at(*old), new_plan, service)) {
      d.services_changed.push_back(service.name);
    }
  }
  for (const ServicePlan& service : old_plan.services) {
    if (!new_plan.find_service(service.name)) d.services_removed.push_back(service.name);
  }
  const auto setting = [&](const char* path, bool is_same) {
    if (!is_same) d.settings.emplace_back(path);
  };
  setting("node",
          old_plan.node == new_plan.node && old_plan.zone == new_plan.zone && old_plan.labels == new_plan.labels);
  setting("listen.health", before.health == after.health);
  setting("listen.haproxy", before.haproxy == after.haproxy);
  setting("listen.grpc", before.grpc == after.grpc);
  setting("listen.admin", before.admin.socket == after.admin.socket && before.admin.mode == after.admin.mode &&
                              before.admin.group == after.admin.group);
  setting("log", before.log.format == after.log.format && before.log.file == after.log.file);
  setting("state_dir", before.state_dir == after.state_dir);
  setting("overlays.spool", before.spool == after.spool);
  setting("module_path", before.module_path == after.module_path);
  setting("journal", before.journal == after.journal);
  setting("workers", before.workers_max == after.workers_max && before.workers_memory_mib == after.workers_memory_mib &&
                         before.workers_processes == after.workers_processes &&
                         before.workers_seccomp == after.workers_seccomp);
  setting("outputs", before.outputs == after.outputs);
  setting("cluster", before.cluster == after.cluster);
  setting("failover", topologies_of(before) == topologies_of(after) && before.policies == after.policies &&
                          same_actions(before.actions, after.actions));
  setting("shutdown.drain", old_plan.shutdown_drain == new_plan.shutdown_drain);
  setting("shutdown.leave", before.leaves_when_left == after.leaves_when_left);
  return d;
}

bool ConfigDiff::is_empty() const {
  return added.empty() && removed.empty() && changed.empty() && services_added.empty() && services_removed.empty() &&
         services_changed.empty() && settings.empty();
}

std::string ConfigDiff::summary() const {
  std::string out;
  say(out, added.size() == 1 ? "check added" : "checks added", added);
  say(out, removed.size() == 1 ? "check removed" : "checks removed", removed);
  say(out, changed.size() == 1 ? "check changed" : "checks changed", changed);
  say(out, services_added.size() == 1 ? "service added" : "services added", services_added);
  say(out, services_removed.size() == 1 ? "service removed" : "services removed", services_removed);
  say(out, services_changed.size() == 1 ? "service changed" : "services changed", services_changed);
  say(out, settings.size() == 1 ? "setting changed" : "settings changed", settings);
  if (out.empty()) out = "nothing changed";
  return out + ", " + std::to_string(kept.size()) + (kept.size() == 1 ? " check kept" : " checks kept");
}

}  // namespace vital
