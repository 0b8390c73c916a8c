// vitald check-config: every problem of a configuration at once, one line each; with --timing what the configuration
// means in seconds. Exit 0 if the agent would start with it, else 78.
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/duration.hpp"
#include "cmd/cmd.hpp"
#include "cmd/config_schema.hpp"
#include "cmd/loading.hpp"
#include "config/config.hpp"
#include "config/keys.hpp"
#include "core/timing.hpp"

namespace vital::cmd {
namespace {

using Json = nlohmann::ordered_json;

constexpr Option options[] = {
    config_option,
    {0, "timing", "", "best and worst time from a fault to fail and back, per check and service"},
    {0, "json", "", "as JSON"},
    {0, "reference", "", "print every key the agent knows, as Markdown, and nothing else"},
    {0, "schema", "", "print the configuration as a JSON Schema, for editors, and nothing else"},
    {0, "module-path", "DIRECTORY", "for --schema: modules of yours are there"},
};
constexpr Usage usage{"vitald check-config", "-c FILE [--timing] [--json]",
                      "Finds every mistake in a configuration, and what to write instead.",
                      "vitald check-config -c /etc/vitald/vitald.yaml --timing", options};

Json to_json(const std::vector<Problem>& problems) {
  Json out = Json::array();
  for (const Problem& p : problems)
    out.push_back({{"file", p.file}, {"line", p.line}, {"column", p.column}, {"path", p.path}, {"text", p.text}});
  return out;
}

Json to_json(const timing::Range& r) {
  return {{"best_ms", milliseconds(r.best)}, {"worst_ms", milliseconds(r.worst)}};
}
Json to_json(const std::optional<timing::Range>& r) { return r ? to_json(*r) : Json(); }

Json timing_json(const Plan& plan) {
  Json checks = Json::array();
  for (const CheckPlan& c : plan.checks) {
    const timing::CheckTiming t = timing::of_check(c);
    checks.push_back({{"name", c.name},
                      {"to_fail", to_json(t.to_fail)},
                      {"to_pass", to_json(t.to_pass)},
                      {"longest_cycle_ms", milliseconds(t.longest_cycle)},
                      {"to_stale_ms", milliseconds(t.to_stale)}});
  }
  Json services = Json::array();
  for (std::uint32_t i = 0; i < plan.services.size(); ++i) {
    const timing::ServiceTiming t = timing::of_service(plan, ServiceId(i));
    services.push_back({{"name", plan.services[i].name},
                        {"to_fail", to_json(t.to_fail)},
                        {"to_pass", to_json(t.to_pass)},
                        {"seen_down", to_json(t.seen_down)},
                        {"seen_up", to_json(t.seen_up)},
                        {"warnings", t.warnings}});
  }
  return {{"checks", std::move(checks)}, {"services", std::move(services)}};
}

std::string count(std::size_t n, std::string_view one) { return fmt::format("{} {}{}", n, one, n == 1 ? "" : "s"); }

// What can be described of the modules there; is_whole becomes false if that is not all.
std::vector<ModuleInfo> all_of(const RegistryOptions& where, bool& is_whole) {
  Registry registry(where);
  for (const std::string& problem : registry.problems()) fmt::print(stderr, "vitald check-config: {}\n", problem);
  is_whole = is_whole && registry.problems().empty();
  std::vector<ModuleInfo> out;
  for (const std::string& type : registry.types()) {
    std::string why;
    if (const auto info = registry.describe(type, &why)) {
      out.push_back(*info);
    } else {
      fmt::print(stderr, "vitald check-config: {}\n", why);
      is_whole = false;
    }
  }
  return out;
}

int print_schema(const std::string& module_path) {
  const Places places = find_places();
  RegistryOptions where{places.builtin_path, {}, places.worker, {}};
  if (!module_path.empty()) where.module_path.push_back(module_path);
  bool is_whole = true;
  const auto modules = all_of(where, is_whole);
  fmt::print("{}", config_schema(modules, all_of({places.actions_path, {}, places.worker, {}}, is_whole)));
  return is_whole ? exit_ok : exit_failed;
}

}  // namespace

int check_config(int argc, char** argv) {
  const Arguments args(usage, argc, argv);
  if (args.is_done()) return args.exit_code();
  if (args.has("schema")) return print_schema(args.value("module-path"));
  if (args.has("reference")) {
    fmt::print("{}", config::reference());
    return exit_ok;
  }
  const Loaded loaded = load_config(loading(args.value("config")));
  const bool is_good = loaded.config != nullptr;

  if (args.has("json")) {
    Json out{{"ok", is_good}, {"problems", to_json(loaded.problems)}, {"warnings", to_json(loaded.warnings)}};
    if (is_good && args.has("timing")) out["timing"] = timing_json(*loaded.config->plan);
    fmt::print("{}\n", out.dump(2, ' ', false, Json::error_handler_t::replace));
    return is_good ? exit_ok : exit_config;
  }
  print_problems(loaded);
  if (!is_good) return exit_config;

  const Plan& plan = *loaded.config->plan;
  fmt::print("{}: {}: {}, {}{}\n", loaded.config->file, Paint().green("ok"), count(plan.checks.size(), "check"),
             count(plan.services.size(), "service"),
             loaded.config->files.size() > 1 ? fmt::format(", {} files", loaded.config->files.size()) : "");
  if (args.has("timing")) fmt::print("{}", timing::table(plan));
  return exit_ok;
}

}  // namespace vital::cmd
