// See composite.hpp.
#include "core/composite.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "base/text.hpp"

namespace vital::composite {

namespace {

double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

std::string shown(const Expression::Value& v) {
  if (const auto* t = std::get_if<std::string>(&v)) return one_line(*t, 60);
  if (const auto* n = std::get_if<double>(&v)) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.6g", *n);
    return text.data();
  }
  return "not known";
}

}  // namespace

Expression::Value value_of(const CheckView& check, const std::string& field, Instant now) {
  if (field == "state") return std::string(name(check.state));
  if (!check.last || check.state == State::stale || check.is_unproven) return {};
  const ProbeResult& last = *check.last;
  for (const Measure& m : last.measures) {
    if (m.name == field) return std::isfinite(m.value) ? Expression::Value(m.value) : Expression::Value();
  }
  for (const auto& [fact, value] : last.facts) {
    if (fact == field) return value;
  }
  if (field == "verdict") return std::string(name(last.verdict));
  if (field == "cause") return std::string(name(last.cause));
  if (field == "text") return last.text;
  if (field == "duration") return seconds(last.duration);
  if (field == "result_age" && check.last_at) return seconds(now - *check.last_at);
  return {};
}

ProbeResult judge(const CompositePlan& plan, const std::function<CheckView(CheckId)>& view, Instant now) {
  ProbeResult result;
  const auto value = [&](const CompositeRule& rule, std::size_t i) {
    return value_of(view(rule.checks.at(i)), rule.condition.references().at(i).field, now);
  };
  const auto holds = [&](const CompositeRule& rule) {
    return rule.condition.judge([&](std::size_t i) { return value(rule, i); });
  };
  // What it looked at, and how that was, so that nobody has to look it up.
  const auto because = [&](const CompositeRule& rule, const std::string& how) {
    std::string text = one_line(rule.text, 200) + how;
    std::string values;
    for (std::size_t i = 0; i < rule.checks.size(); ++i) {
      const Expression::Reference& r = rule.condition.references()[i];
      values += (values.empty() ? ": " : ", ") + r.check + "." + r.field + " is " + shown(value(rule, i));
    }
    return text + values;
  };
  for (const CompositeRule* rule : {&plan.rule, plan.warn_rule ? &*plan.warn_rule : nullptr}) {
    for (std::size_t i = 0; rule != nullptr && i < rule->checks.size(); ++i) {
      const std::string full = rule->condition.references()[i].check + "." + rule->condition.references()[i].field;
      const Expression::Value v = value(*rule, i);
      const bool is_there =
          std::any_of(result.measures.begin(), result.measures.end(),
                      [&](const Measure& m) { return m.name == full; }) ||
          std::any_of(result.facts.begin(), result.facts.end(), [&](const auto& f) { return f.first == full; });
      if (is_there) continue;
      if (const auto* n = std::get_if<double>(&v))
        result.measures.push_back({full, *n, "", std::nan(""), std::nan("")});
      if (const auto* t = std::get_if<std::string>(&v)) result.facts.emplace_back(full, *t);
    }
  }
  const auto say = [&](Verdict verdict, Cause cause, std::string text) {
    result.verdict = verdict;
    result.cause = cause;
    result.text = std::move(text);
    return result;
  };
  const std::optional<bool> must = holds(plan.rule);
  if (!must) return say(Verdict::unknown, Cause::content, because(plan.rule, " cannot be judged"));
  if (!*must) return say(Verdict::fail, Cause::content, because(plan.rule, " does not hold"));
  if (plan.warn_rule) {
    const std::optional<bool> should = holds(*plan.warn_rule);
    if (!should) return say(Verdict::unknown, Cause::content, because(*plan.warn_rule, " cannot be judged"));
    if (!*should) return say(Verdict::warn, Cause::content, because(*plan.warn_rule, " does not hold"));
  }
  return say(Verdict::pass, Cause::none, because(plan.rule, " holds"));
}

}  // namespace vital::composite
