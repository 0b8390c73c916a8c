// Text and Nagios lines; see plain.hpp.
#include "publish/plain.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/duration.hpp"
#include "base/text.hpp"

namespace vital {
namespace {

std::string check_line(const Snapshot& snapshot, CheckId id) {
  const CheckView& check = snapshot.at(id);
  std::string out = fmt::format("{} {}", snapshot.plan->at(id).name, name(check.state));
  if (!check.last) return out + "\n";
  if (check.last->cause != Cause::none) out += fmt::format(" {}", name(check.last->cause));
  out += fmt::format(" {}ms", milliseconds(check.last->duration));
  if (!check.last->text.empty()) out += " " + check.last->text;
  return one_line(out, 500) + "\n";
}

std::string_view nagios_word(const Outcome& o) {
  switch (o.status) {
    case Verdict::pass:
      return "OK";
    case Verdict::warn:
      return "WARNING";
    case Verdict::fail:
    case Verdict::unknown:
      break;
  }
  const bool is_ignorance = o.overlay == OverlayKind::none && (o.state == State::pending || o.state == State::stale);
  return is_ignorance ? "UNKNOWN" : "CRITICAL";
}

// In quotes, since a label may hold spaces; it must not hold quotes or "=".
std::string label(std::string_view text) {
  std::string out(text);
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c == '\'' || c == '=' || c == '|'; }, '_');
  return "'" + out + "'";
}

// Nagios knows s, us, ms, %, B, KB, MB, TB and c; other units would make the line invalid.
std::string_view nagios_unit(std::string_view unit) {
  for (const std::string_view known : {"s", "us", "ms", "%", "B", "KB", "MB", "GB", "TB", "c"}) {
    if (unit == known) return known;
  }
  return unit == "bytes" ? "B" : "";
}

std::string threshold(double value) { return std::isfinite(value) ? fmt::format("{}", value) : ""; }

}  // namespace

std::string verbose_text(const View& view, const Outcome& outcome, const std::vector<CheckId>& checks,
                         const std::vector<std::string>& warnings) {
  std::string out = fmt::format("{}\n", name(outcome.status));
  if (!outcome.reason.empty()) out += fmt::format("{}: {}\n", outcome.name, one_line(outcome.reason, 400));
  for (const std::string& warning : warnings) out += "note: " + one_line(warning, 200) + "\n";
  for (const CheckId id : checks) out += check_line(*view.snapshot, id);
  return out;
}

std::string nagios_line(const View& view, const Outcome& outcome, const std::vector<CheckId>& checks) {
  const Snapshot& snapshot = *view.snapshot;
  const auto passing =
      std::count_if(checks.begin(), checks.end(), [&](CheckId id) { return snapshot.at(id).state == State::pass; });
  std::string what =
      outcome.reason.empty() ? fmt::format("{} of {} checks pass", passing, checks.size()) : outcome.reason;
  std::replace(what.begin(), what.end(), '|', '/');
  std::string out = fmt::format("{} - {}: {}", nagios_word(outcome), outcome.name, one_line(what, 400));
  std::string perf;
  for (const CheckId id : checks) {
    const std::string& check = snapshot.plan->at(id).name;
    const CheckView& view_of_check = snapshot.at(id);
    if (!view_of_check.last) continue;
    perf += fmt::format(" {}={:.6f}s;;;0", label(check), seconds(view_of_check.last->duration));
    for (const Measure& m : view_of_check.last->measures) {
      if (!std::isfinite(m.value)) continue;
      perf += fmt::format(" {}={}{};{};{}", label(check + "_" + m.name), m.value, nagios_unit(m.unit),
                          threshold(m.warn), threshold(m.fail));
    }
  }
  if (!perf.empty()) out += " |" + perf;
  return out + "\n";
}

}  // namespace vital
