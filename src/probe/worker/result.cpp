// Reading what a module found; see result.hpp.
#include "probe/worker/result.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/text.hpp"
#include "probe/worker/abi.hpp"

namespace vital::worker {
namespace {

std::string text_of(const char* text, std::size_t limit) {
  return text == nullptr ? std::string() : one_line({text, strnlen(text, 4 * limit)}, limit);
}

double threshold(double value) { return std::isfinite(value) ? value : std::numeric_limits<double>::quiet_NaN(); }

void complain(std::string& complaint, std::string_view what) {
  if (!complaint.empty()) complaint += "; ";
  complaint += what;
}

void read_words(const vital_result& from, ProbeResult& to, std::string& complaint) {
  if (from.verdict > VITAL_UNKNOWN) {
    complain(complaint, fmt::format("gave the unknown verdict {}", from.verdict));
    to = our_trouble(fmt::format("the module gave a verdict this vitald does not know ({})", from.verdict));
    return;
  }
  to.verdict = static_cast<Verdict>(from.verdict);
  to.cause = from.cause <= VITAL_CAUSE_AGENT ? static_cast<Cause>(from.cause) : Cause::none;
  if (from.cause > VITAL_CAUSE_AGENT) complain(complaint, fmt::format("gave the unknown cause {}", from.cause));
  if (to.verdict == Verdict::pass) to.cause = Cause::none;
  if (to.verdict == Verdict::unknown && to.cause == Cause::none) to.cause = Cause::agent;
  to.text = text_of(from.text, 1024);
}

}  // namespace

ProbeResult our_trouble(std::string text) {
  ProbeResult out;
  out.verdict = Verdict::unknown;
  out.cause = Cause::agent;
  out.text = std::move(text);
  return out;
}

ProbeResult read_result(const vital_result* foreign, std::string& complaint) {
  const auto from = read_struct<vital_result>(foreign);
  if (!from) {
    complain(complaint, foreign == nullptr ? "finished without a result" : "gave a result that is too small");
    return our_trouble("the module gave a broken result");
  }
  ProbeResult to;
  read_words(*from, to, complaint);

  const bool are_phases_sound = read_array<vital_phase>(
      from->phases, from->phase_count, from->phase_stride, max_phases, [&](const vital_phase& phase) {
        constexpr auto longest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
        if (phase.phase > VITAL_PHASE_EXCHANGE || phase.duration_ns > longest) return;
        to.phases.emplace_back(static_cast<Phase>(phase.phase), Duration(phase.duration_ns));
      });
  if (!are_phases_sound) complain(complaint, "gave phases of a wrong size");

  const bool are_measures_sound = read_array<vital_measure>(
      from->measures, from->measure_count, from->measure_stride, max_measures, [&](const vital_measure& measure) {
        const std::string name = text_of(measure.name, 128);
        if (name.empty() || !std::isfinite(measure.value)) return;
        to.measures.push_back(
            {name, measure.value, text_of(measure.unit, 16), threshold(measure.warn), threshold(measure.fail)});
      });
  if (!are_measures_sound) complain(complaint, "gave measures of a wrong size");

  const bool are_facts_sound =
      read_array<vital_fact>(from->facts, from->fact_count, from->fact_stride, max_facts, [&](const vital_fact& fact) {
        const std::string name = text_of(fact.name, 128);
        if (!name.empty()) to.facts.emplace_back(name, text_of(fact.value, 1024));
      });
  if (!are_facts_sound) complain(complaint, "gave facts of a wrong size");
  return to;
}

}  // namespace vital::worker
