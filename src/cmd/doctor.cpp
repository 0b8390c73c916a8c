// vitald doctor, which vitalctl doctor runs: what is wrong with this installation, and how to mend it. It asks the
// agent if there is one, and needs none. Nothing is changed.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "cmd/cmd.hpp"
#include "cmd/doctor/finding.hpp"
#include "cmd/loading.hpp"
#include "cmd/record.hpp"

namespace vital::cmd {
namespace {

using Json = nlohmann::ordered_json;
using doctor::Finding;
using doctor::Findings;
using doctor::Level;

constexpr Option options[] = {
    config_option,
    {0, "no-probes", "", "do not probe the checks"},
    {0, "json", "", "as JSON"},
    socket_option,
};
constexpr Usage usage{
    "vitalctl doctor", "[-c FILE] [--no-probes] [--json]",
    "Finds what is wrong with this installation, and says how to mend it: configuration, secrets, modules, state,\n"
    "ports, agent, unit, limits, clock, resolver, and each check probed once. The agent need not run. Ends with\n"
    "0 if all is well, 1 if there is a warning, 2 if there is a problem.",
    "vitalctl doctor -c /etc/vitald/vitald.yaml", options};

std::string_view word(Level level) {
  switch (level) {
    case Level::ok:
      return "ok";
    case Level::warning:
      return "warning";
    case Level::problem:
      return "problem";
  }
  return "";
}

std::string painted(const Paint& paint, Level level) {
  const std::string text = fmt::format("{:<8}", word(level));
  switch (level) {
    case Level::ok:
      return paint.green(text);
    case Level::warning:
      return paint.yellow(text);
    case Level::problem:
      return paint.red(text);
  }
  return text;
}

void print(const Findings& findings) {
  const Paint paint;
  for (const Finding& f : findings) {
    fmt::print("{} {:<9} {}\n", painted(paint, f.level), f.subject, one_line(f.text, 1024));
    if (!f.mend.empty()) fmt::print("         {:<9} {}\n", "mend:", one_line(f.mend, 512));
  }
}

Json to_json(const Findings& findings, Level worst) {
  Json list = Json::array();
  for (const Finding& f : findings) {
    list.push_back({{"level", word(f.level)},
                    {"subject", f.subject},
                    {"text", one_line(f.text, 1024)},
                    {"mend", f.mend.empty() ? Json() : Json(one_line(f.mend, 512))}});
  }
  return {{"worst", word(worst)}, {"findings", std::move(list)}};
}

}  // namespace

int doctor(int argc, char** argv) {
  const Arguments args(usage, argc, argv);
  if (args.is_done()) return args.exit_code();
  signal(SIGPIPE, SIG_IGN);
  LoadOptions load = loading(args.value("config"));
  doctor::Patient patient{load.file, load.worker, load.builtin_path, {}, {}, false, 0};
  const char* named = std::getenv("VITALD_SOCKET");
  if (named != nullptr) patient.socket = named;
  if (args.has("socket")) patient.socket = args.value("socket");
  patient.loaded = load_config(load);

  Findings found;
  doctor::look_at_config(patient, found);
  doctor::look_at_worker(patient, found);
  doctor::look_at_modules(patient, found);
  doctor::look_at_state(patient, found);
  doctor::look_at_agent(patient, found);
  doctor::look_at_unit(found);
  doctor::look_at_ports(patient, found);
  doctor::look_at_limits(patient, found);
  doctor::look_at_clock(found);
  doctor::look_at_resolver(found);
  if (!args.has("no-probes")) doctor::look_at_targets(patient, found);

  Level worst = Level::ok;
  for (const Finding& f : found) worst = std::max(worst, f.level);
  if (args.has("json")) {
    fmt::print("{}\n", to_json(found, worst).dump(2, ' ', false, Json::error_handler_t::replace));
  } else {
    print(found);
  }
  return static_cast<int>(worst);
}

}  // namespace vital::cmd
