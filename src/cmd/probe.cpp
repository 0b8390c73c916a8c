// vitald probe: runs one configured check once, in the foreground, in a worker as the agent would, and shows what it
// saw: verdict, phases, measures. No agent is asked and none is needed.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "cmd/cmd.hpp"
#include "cmd/loading.hpp"
#include "cmd/probing.hpp"
#include "config/config.hpp"

namespace vital::cmd {
namespace {

using Json = nlohmann::ordered_json;

constexpr int exit_unknown = 3;  // as Nagios plugins say it, also for what kept us from looking
constexpr Option options[] = {config_option, {0, "json", "", "as JSON"}};
constexpr Usage usage{
    "vitald probe",
    "-c FILE CHECK [--json]",
    "Runs one configured check once and shows what it saw. Ends with 0 pass, 1 warn, 2 fail, 3 unknown.",
    "vitald probe -c /etc/vitald/vitald.yaml db",
    options,
    1,
    exit_unknown};

std::string ms(Duration d) { return fmt::format("{:.1f} ms", seconds(d) * 1e3); }

Json to_json(const CheckPlan& plan, const ProbeResult& r) {
  const auto number = [](double v) { return std::isfinite(v) ? Json(v) : Json(); };
  Json phases = Json::object();
  for (const auto& [phase, took] : r.phases) phases[std::string(name(phase))] = seconds(took) * 1e3;
  Json measures = Json::array();
  for (const Measure& m : r.measures) {
    measures.push_back({{"name", m.name},
                        {"value", number(m.value)},
                        {"unit", m.unit},
                        {"warn", number(m.warn)},
                        {"fail", number(m.fail)}});
  }
  Json facts = Json::object();
  for (const auto& [key, value] : r.facts) facts[key] = value;
  return {{"name", plan.name},      {"type", plan.type},    {"verdict", name(r.verdict)},
          {"cause", name(r.cause)}, {"output", r.text},     {"duration_ms", seconds(r.duration) * 1e3},
          {"phases", phases},       {"measures", measures}, {"facts", facts}};
}

void print(const CheckPlan& plan, const ProbeResult& r) {
  const Paint paint;
  const std::string verdict(name(r.verdict));
  const std::string coloured = r.verdict == Verdict::pass   ? paint.green(verdict)
                               : r.verdict == Verdict::fail ? paint.red(verdict)
                                                            : paint.yellow(verdict);
  fmt::print("{} ({}): {}{} in {}\n", paint.bold(plan.name), plan.type, coloured,
             r.cause == Cause::none ? "" : fmt::format("/{}", name(r.cause)), ms(r.duration));
  if (!r.text.empty()) fmt::print("  {}\n", one_line(r.text));
  for (const auto& [phase, took] : r.phases) fmt::print("  {:<12} {:>12}\n", name(phase), ms(took));
  for (const Measure& m : r.measures) {
    std::string limits;
    if (std::isfinite(m.warn)) limits += fmt::format("  warn {:.6g}", m.warn);
    if (std::isfinite(m.fail)) limits += fmt::format("  fail {:.6g}", m.fail);
    fmt::print("  {:<12} {:>12}{}\n", one_line(m.name, 64), fmt::format("{:.6g} {}", m.value, one_line(m.unit, 16)),
               limits);
  }
  for (const auto& [key, value] : r.facts) fmt::print("  {:<12} {:>12}\n", one_line(key, 64), one_line(value, 256));
}

}  // namespace

int probe(int argc, char** argv) {
  const Arguments args(usage, argc, argv);
  if (args.is_done()) return args.exit_code();
  if (args.operands().empty()) {
    fmt::print(stderr, "vitald probe: which check? {} --help shows how\n", usage.command);
    return exit_unknown;
  }
  signal(SIGPIPE, SIG_IGN);
  const LoadOptions load = loading(args.value("config"));
  const Loaded loaded = load_config(load);
  if (!loaded.config) {
    print_problems(loaded);
    return exit_config;
  }
  const Plan& plan = *loaded.config->plan;
  const std::string& wanted = args.operands().front();
  const auto check = plan.find_check(wanted);
  if (!check) {
    std::vector<std::string> names;
    for (const CheckPlan& c : plan.checks) names.push_back(c.name);
    const auto near = nearest(wanted, names);
    fmt::print(stderr, "vitald probe: {} has no check '{}'{}\n", load.file, one_line(wanted, 80),
               near ? fmt::format(", did you mean {}?", *near) : fmt::format("; it has {}", join(names, ", ")));
    return exit_unknown;
  }
  const auto& spec = loaded.config->specs.at(check->value);
  if (plan.at(*check).composite != nullptr) {
    fmt::print(
        stderr,
        "vitald probe: '{0}' is judged from what other checks found; ask the running agent: vitalctl check {0}\n",
        wanted);
    return exit_unknown;
  }
  if (plan.at(*check).is_passive || !spec) {
    fmt::print(stderr, "vitald probe: nothing to run, '{}' is reported by somebody else\n", wanted);
    return exit_unknown;
  }
  ProbeResult result;
  probe_each(std::string(usage.command), load.worker, *loaded.config, {*check},
             [&](CheckId, const ProbeResult& found) { result = found; });
  if (args.has("json")) {
    fmt::print("{}\n", to_json(plan.at(*check), result).dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    print(plan.at(*check), result);
  }
  return static_cast<int>(result.verdict);
}

}  // namespace vital::cmd
