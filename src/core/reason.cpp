// See reason.hpp.
#include "core/reason.hpp"

#include <algorithm>

#include "base/duration.hpp"
#include "base/text.hpp"

namespace vital::reason {

namespace {

constexpr std::size_t most_named = 3;
constexpr std::size_t longest = 512;

std::string of_result(const ProbeResult& r) {
  std::string out(name(r.verdict));
  if (r.cause != Cause::none) out += "/" + std::string(name(r.cause));
  if (!r.text.empty()) out += ": " + r.text;
  return out;
}

}  // namespace

std::string of_check(const CheckView& v, Instant now) {
  switch (v.state) {
    case State::pending:
      return v.last ? "pending: no evidence yet, last " + of_result(*v.last) : "pending: no result yet";
    case State::stale: {
      std::string out = "stale: no evidence";
      if (v.evidence_at) out += " for " + friendly_duration(now - *v.evidence_at);
      if (v.last) out += ", last " + of_result(*v.last);
      return out;
    }
    case State::fail: {
      std::string out;
      if (!v.last || v.last->verdict != Verdict::fail) {
        out = v.is_flapping ? "fail: flapping, held down" : "fail: not recovered yet";
        if (v.last) out += ", last " + of_result(*v.last);
      } else {
        out = of_result(*v.last);
      }
      return out;
    }
    case State::warn:
    case State::pass:
      break;
  }
  if (v.is_unproven && v.evidence_at) {
    return std::string(name(v.state)) + ", but the last evidence is " + friendly_duration(now - *v.evidence_at) +
           " old: waiting for a fresh look";
  }
  return v.last ? of_result(*v.last) : std::string(name(v.state));
}

std::string of_causes(const Plan& plan, const std::vector<CheckId>& causes, const std::vector<CheckView>& checks,
                      Instant now) {
  std::string out;
  for (std::size_t i = 0; i < causes.size() && i < most_named; ++i) {
    const CheckView& v = checks[causes[i].value];
    if (!out.empty()) out += "; ";
    out += plan.at(causes[i]).name + ": " + of_check(v, now);
    if (v.suppressed_by) out += " (because of " + plan.at(*v.suppressed_by).name + ")";
  }
  if (causes.size() > most_named) out += "; and " + std::to_string(causes.size() - most_named) + " more";
  return one_line(out, longest);
}

std::string of_overlay(const Overlay& o) {
  std::string out(name(o.kind));
  if (!o.owner.empty()) out += " by " + o.owner;
  if (!o.reason.empty()) out += ": " + o.reason;
  return one_line(out, longest);
}

}  // namespace vital::reason
