// Each check of the configuration, probed once; see finding.hpp.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "base/text.hpp"
#include "cmd/doctor/finding.hpp"
#include "cmd/probing.hpp"

namespace vital::doctor {
namespace {

std::string mend(const CheckPlan& check, const ProbeResult& result, const std::string& file) {
  const std::string look = fmt::format("look closer: vitald probe -c {} {}", file, check.name);
  switch (result.cause) {
    case Cause::auth:
      return "give the check a user and a password that the server takes; " + look;
    case Cause::dns:
      return "correct the name, or the resolver; " + look;
    case Cause::refused:
      return "start what should listen there, or correct host and port; " + look;
    case Cause::config:
      return "correct what the text names; " + look;
    default:
      return look;
  }
}

}  // namespace

void look_at_targets(const Patient& patient, Findings& out) {
  if (patient.loaded.config == nullptr || access(patient.worker.c_str(), X_OK) != 0) return;
  const Config& config = *patient.loaded.config;
  std::vector<CheckId> wanted;
  for (std::uint32_t i = 0; i < config.plan->checks.size(); ++i) {
    const CheckPlan& check = config.plan->checks[i];
    if (!check.is_passive && check.composite == nullptr && config.specs.at(i) != nullptr) wanted.emplace_back(i);
  }
  // People see how far it is.
  const bool is_shown = isatty(STDERR_FILENO) == 1;
  std::size_t ended = 0, good = 0;
  cmd::probe_each("vitalctl doctor", patient.worker, config, wanted, [&](CheckId id, const ProbeResult& result) {
    if (is_shown) fmt::print(stderr, "\r{} of {} checks ", ++ended, wanted.size());
    if (result.verdict == Verdict::pass) {
      ++good;
      return;
    }
    const CheckPlan& check = config.plan->at(id);
    const bool counts = check.is_critical && check.mode != Mode::shadow;
    const bool is_bad =
        result.verdict == Verdict::fail || (result.verdict == Verdict::unknown && result.cause != Cause::agent);
    out.push_back({is_bad && counts ? Level::problem : Level::warning, "target",
                   fmt::format("{}: {}{}: {}", check.name, name(result.verdict),
                               result.cause == Cause::none ? "" : fmt::format("/{}", name(result.cause)),
                               one_line(result.text, 512)),
                   mend(check, result, patient.config_file)});
  });
  if (is_shown && ended > 0) fmt::print(stderr, "\r\x1b[K");
  if (good > 0)
    out.push_back({Level::ok, "target", fmt::format("{} of {} checks pass at one look", good, wanted.size()), {}});
}

}  // namespace vital::doctor
