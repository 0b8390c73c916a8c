// load_config(): the steps from a file to a Config, in the order in which mistakes are worth telling. Nothing stops at
// the first one; what depends on something broken is left out instead of being complained about again.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "base/text.hpp"
#include "config/config.hpp"
#include "config/draft.hpp"
#include "config/files.hpp"
#include "config/source.hpp"
#include "core/composite.hpp"
#include "core/rules.hpp"

namespace vital::config {
namespace {

std::vector<std::string> module_path_of(const Section& top) {
  const Node* n = top.get("module_path");
  const auto path = top.texts("module_path");
  if (!path) return {};
  for (const std::string& directory : *path) {
    if (!directory.starts_with('/'))
      top.problems().add(n->mark, "module_path",
                         fmt::format("'{}' is relative; write the whole path, from /", one_line(directory, 200)));
  }
  return *path;
}

std::vector<CheckDraft> read_checks(const Section& top, const Context& cx) {
  std::vector<CheckDraft> drafts;
  const Entry* checks = top.entry("checks");
  if (checks == nullptr) {
    Mark whole = top.mark();
    whole.line = whole.column = 0;
    cx.problems.add(whole, "checks", "is missing; write at least one, as in checks: {app: {type: http, url: ...}}");
    return drafts;
  }
  const CommonOptions defaults = [&] {
    const Node* n = top.get("defaults");
    if (n == nullptr) return CommonOptions{};
    const Section s(cx.problems, *n, "defaults", "defaults", Section::Unknown::collected);
    std::vector<std::string> known;
    for (const Key* k : keys_of("defaults")) known.emplace_back(k->name);
    for (const Entry* e : s.rest()) {
      cx.problems.add(e->mark, s.path_of(e->key),
                      is_of_one_check(e->key) ? "belongs to a check, not into the defaults; move it"
                                              : "unknown key" + suggestion(e->key, known));
    }
    return read_common(s);
  }();
  const Profile& profile = profile_named(top.choice("profile").value_or("lenient"));
  const Node& map = checks->value;
  if (map.is_bad || map.is_null()) return drafts;
  if (!map.is_map() || map.entries.empty()) {
    cx.problems.add(
        map.mark, "checks",
        fmt::format("is {}; write a map of names to checks, at least one", map.is_map() ? "empty" : kind_name(map)));
    return drafts;
  }
  for (const Entry& check : map.entries) drafts.push_back(read_check(check, defaults, profile, cx));
  return drafts;
}

// Lets the modules look at their options; at most one complaint each.
void validate(const std::vector<CheckDraft>& drafts, const std::vector<ActionDraft>& actions, const Context& cx) {
  struct Owner {
    const Entry* entry;
    std::string path;
    const std::vector<std::string>* secrets;
  };
  std::vector<std::shared_ptr<const CheckSpec>> specs;
  std::vector<Owner> owners;
  for (const CheckDraft& d : drafts) {
    if (d.spec == nullptr) continue;
    specs.push_back(d.spec);
    owners.push_back({d.entry, d.path(), &d.spec->secrets});
  }
  for (const ActionDraft& a : actions) {
    if (a.spec == nullptr) continue;
    specs.push_back(std::make_shared<const CheckSpec>(with_idle_step(*a.spec)));
    owners.push_back({a.entry, a.path(), &a.spec->secrets});
  }
  if (specs.empty()) return;
  for (const SpecProblem& p : cx.modules.validate(specs)) {
    const Owner& owner = owners.at(p.index);
    const bool is_secret = std::find(owner.secrets->begin(), owner.secrets->end(), p.option) != owner.secrets->end();
    const std::string option = p.option.empty() ? "" : "." + p.option + (is_secret ? "_file" : "");
    cx.problems.add(place_of_option(*owner.entry, p.option), owner.path + option, p.text);
  }
}

// Whoever forgot a check in the services sees it fail while every answer stays green.
void warn_of_lone_checks(const std::vector<CheckDraft>& drafts, const Plan& plan,
                         const std::vector<TopologyPlan>& topologies, Problems& problems) {
  std::vector<bool> counts(plan.checks.size());
  const auto count = [&](const std::vector<CheckId>& checks) {
    for (const CheckId id : checks) counts.at(id.value) = true;
  };
  for (const ServicePlan& s : plan.services) count(rules::checks_of(plan, s.rule));
  for (const CheckPlan& c : plan.checks) {
    count(c.depends_on);
    if (c.composite) count(c.composite->rule.checks);
    if (c.composite && c.composite->warn_rule) count(c.composite->warn_rule->checks);
  }
  for (const TopologyPlan& t : topologies) {
    for (const TopologyPlan::Member& m : t.members) count({m.check});
    if (t.endpoint) count({*t.endpoint});
  }
  for (const CheckDraft& d : drafts) {
    const auto id = plan.find_check(d.plan.name);
    if (!d.is_enabled || !id || counts.at(id->value) || d.plan.mode == Mode::shadow) continue;
    problems.warn(d.entry->mark, d.path(),
                  "is in no service, so no answer depends on it; write it into one, or mode: shadow if that is meant");
  }
}

std::uint64_t hash_tree(const Node& n, std::uint64_t seed) {
  seed = stable_hash(std::to_string(static_cast<int>(n.kind)) + "\x1f" + n.text, seed);
  for (const Node& item : n.items) seed = hash_tree(item, seed);
  for (const Entry& e : n.entries) seed = hash_tree(e.value, stable_hash(e.key + "\x1e", seed));
  return stable_hash("\x1d", seed);
}

std::shared_ptr<Config> assemble(Config config, std::vector<CheckDraft>& drafts, Plan plan, std::uint64_t hash) {
  for (CheckDraft& d : drafts) {
    if (!d.is_enabled) {
      config.disabled.push_back(d.plan.name);
      continue;
    }
    CheckPlan& check = plan.checks.at(config.specs.size());
    check.fingerprint = fingerprint_of(check, *d.spec);
    hash = stable_hash(std::to_string(check.fingerprint), hash);
    config.specs.push_back(std::move(d.spec));
    config.settings.push_back(std::move(d.settings));
  }
  plan.fingerprint = hash;
  config.plan = std::make_shared<const Plan>(std::move(plan));
  return std::make_shared<Config>(std::move(config));
}

std::shared_ptr<const Config> compile(Node& root, const LoadOptions& options, const Environment& environment,
                                      const MakeSource& make_source, Problems& problems) {
  const std::uint64_t hash = hash_tree(root, stable_hash(""));
  const Section top(problems, root, "", "");
  Config config;
  config.file = options.file;
  Plan plan;
  config.profile = top.choice("profile").value_or("lenient");
  config.module_path = module_path_of(top);
  const auto modules = make_source(config.module_path);
  for (const std::string& text : modules->problems()) {
    const Entry* written = top.entry("module_path");
    problems.add(written != nullptr ? written->value.mark : Mark{}, written != nullptr ? "module_path" : "", text);
  }
  const Context cx{problems, environment, *modules, options.read_secrets, options.inspect_tls};

  read_node(top.section("node", "node"), plan, environment);
  read_listen(top.section("listen", "listen"), config, cx);
  read_log(top.section("log", "log"), config);
  if (const auto directory = top.text("state_dir")) {
    config.state_dir = *directory;
    if (!directory->starts_with('/'))
      top.complain("state_dir", fmt::format("'{}' is relative; write the whole path, from /", *directory));
  }
  config.spool = config.state_dir + "/spool";
  const Section overlays = top.section("overlays", "overlays");
  if (const auto folder = overlays.text("spool")) {
    config.spool = *folder == "off" ? "" : *folder;
    if (!config.spool.empty() && !config.spool.starts_with('/'))
      overlays.complain("spool", fmt::format("'{}' is relative; write the whole path, from /, or off", *folder));
  }
  read_journal(top.section("journal", "journal"), config);
  const Section workers = top.section("workers", "workers");
  config.workers_max = static_cast<unsigned>(workers.integer("max").value_or(config.workers_max));
  config.workers_memory_mib = static_cast<unsigned>(workers.integer("memory_mib").value_or(config.workers_memory_mib));
  config.workers_processes = static_cast<unsigned>(workers.integer("processes").value_or(config.workers_processes));
  config.workers_seccomp = workers.choice("seccomp").value_or(config.workers_seccomp);
  const Section shutdown = top.section("shutdown", "shutdown");
  plan.shutdown_drain = shutdown.duration("drain").value_or(Duration{});
  config.leaves_when_left = shutdown.choice("leave").value_or("on_time") == "when_left";

  std::vector<CheckDraft> drafts = read_checks(top, cx);
  for (const CheckDraft& d : drafts) {
    if (d.is_enabled) plan.checks.push_back(d.plan);
  }
  if (!drafts.empty() && plan.checks.empty())
    problems.add(top.entry("checks")->mark, "checks", "all of them are disabled; enable at least one");
  resolve_dependencies(drafts, plan, problems);
  resolve_composites(drafts, plan, problems);
  read_services(top.entry("services"), drafts, plan, problems);
  config.outputs = read_outputs(top.get("outputs"), plan, cx);
  const Section failover = top.section("failover", "failover");
  config.topologies = read_failover(failover, drafts, plan);
  config.cluster = read_cluster(top.section("cluster", "cluster"), plan, cx);
  const std::vector<ActionDraft> actions = read_actions(failover, cx);
  read_policies(failover, actions, config);
  validate(drafts, actions, cx);
  if (problems.any()) return nullptr;
  warn_of_lone_checks(drafts, plan, config.topologies, problems);
  config.files = problems.files();
  return assemble(std::move(config), drafts, std::move(plan), hash);
}

}  // namespace

std::uint64_t fingerprint_of(const CheckPlan& c, const CheckSpec& spec) {
  std::uint64_t hash = stable_hash(c.type);
  const auto add = [&](const auto& value) { hash = stable_hash(fmt::format("{}\x1f", value), hash); };
  for (const Duration d : {c.interval, c.timeout, c.retry_delay, c.edge_interval, c.warn_after.value_or(Duration{}),
                           c.max_age, c.flap.half_life})
    add(d.count());
  for (const unsigned n : {c.retries, c.rise, c.fall, c.fall_window ? c.fall_window->second : 0U}) add(n);
  add(c.flap.suppress);
  add(c.flap.reuse);
  add(c.is_passive);
  for (const auto& [name, items] : spec.values) {
    add(name);
    add(items.size());
    for (const std::string& item : items) add(item);
  }
  return hash;
}

Loaded load_with(const LoadOptions& options, const MakeSource& make_source) {
  const Environment environment = [&](const std::string& name) -> std::optional<std::string> {
    if (!options.environment) return process_environment(name);
    if (auto value = options.environment(name)) return value;
    return name == "HOSTNAME" ? process_environment(name) : std::nullopt;
  };
  Problems problems;
  Loaded out;
  if (auto root = read_tree(options.file, environment, problems))
    out.config = compile(*root, options, environment, make_source, problems);
  out.problems = problems.problems();
  out.warnings = problems.warnings();
  if (!out.problems.empty()) out.config = nullptr;
  return out;
}

namespace {

class RegistrySource final : public ModuleSource {
 public:
  RegistrySource(std::shared_ptr<Registry> registry, RegistryOptions actions)
      : registry_(std::move(registry)), action_options_(std::move(actions)) {}
  std::shared_ptr<const ModuleInfo> describe(std::string_view type, std::string* why) override {
    return registry_->describe(type, why);
  }
  std::shared_ptr<const ModuleInfo> describe_action(std::string_view type, std::string* why) override {
    if (actions_ == nullptr) actions_ = std::make_unique<Registry>(action_options_);
    const std::vector<std::string> known = actions_->types();
    if (std::find(known.begin(), known.end(), type) == known.end()) {
      *why = fmt::format("there is no kind of action '{}'{}", one_line(type, 64), suggestion(type, known));
      return nullptr;
    }
    return actions_->describe(type, why);
  }
  std::vector<SpecProblem> validate(std::span<const std::shared_ptr<const CheckSpec>> specs) override {
    return registry_->validate(specs);
  }
  std::vector<std::string> problems() const override { return registry_->problems(); }

 private:
  std::shared_ptr<Registry> registry_;
  RegistryOptions action_options_;
  std::unique_ptr<Registry> actions_;  // once one is asked for
};

}  // namespace
}  // namespace vital::config

namespace vital {

Loaded load_config(const LoadOptions& options) {
  std::shared_ptr<Registry> registry;
  Loaded out = config::load_with(options, [&](const std::vector<std::string>& module_path) {
    registry = std::make_shared<Registry>(RegistryOptions{options.builtin_path, module_path, options.worker, {}});
    return std::make_unique<config::RegistrySource>(registry,
                                                    RegistryOptions{options.actions_path, {}, options.worker, {}});
  });
  out.registry = std::move(registry);
  return out;
}

}  // namespace vital
