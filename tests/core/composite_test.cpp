// Composite checks: what the engine makes of other checks' results, when, and what it leaves alone.
#include "core/composite.hpp"

#include <catch2/catch.hpp>

#include "stage.hpp"

using namespace vital;
using namespace vital::test;

namespace {

// A rule that looks at this one check.
CompositeRule rule(const std::string& text, CheckId check) {
  CompositeRule r{text, std::get<Expression>(Expression::parse(text)), {}};
  r.checks.assign(r.condition.references().size(), check);
  return r;
}

// db (0), and lag-ok (1) that looks at it.
Plan a_plan(const std::string& text, std::optional<std::string> warn = {}) {
  CheckPlan composite = a_check("lag-ok");
  composite.type = "composite";
  composite.timeout = {};
  composite.composite = std::make_shared<const CompositePlan>(
      CompositePlan{rule(text, CheckId(0)), warn ? std::optional(rule(*warn, CheckId(0))) : std::nullopt});
  return all_of({a_check("db"), composite});
}

void lags(Stage& stage, double seconds) {
  stage.target("db").well();
  stage.target("db").measures = {{"lag", seconds, "s", 0, 0}};
  stage.target("db").facts = {{"role", "standby"}};
}

}  // namespace

TEST_CASE("a composite is judged from what its checks found, and nothing is probed for it") {
  Stage stage(a_plan("db.lag < 10 and db.role == standby"));
  lags(stage, 3);
  stage.run(12s);
  CHECK(stage.check("lag-ok").state == State::pass);
  CHECK(stage.check("lag-ok").last->text ==
        "db.lag < 10 and db.role == standby holds: db.lag is 3, db.role is standby");
  for (const auto& start : stage.starts) CHECK(start.check == "db");
  REQUIRE(stage.check("lag-ok").last->measures.size() == 1);
  CHECK(stage.check("lag-ok").last->measures[0].name == "db.lag");
}

TEST_CASE("a composite has its first result with that of its check, whatever its own phase") {
  Stage stage(a_plan("db.lag < 10"));
  lags(stage, 3);
  while (stage.check("db").state == State::pending) stage.run(10ms);
  CHECK(stage.check("lag-ok").state == State::pass);
}

TEST_CASE("a rule that does not hold fails after as many results as any check") {
  Stage stage(a_plan("db.lag < 10"));
  lags(stage, 3);
  stage.run(20s);
  lags(stage, 34);
  stage.run(5s);
  CHECK(stage.check("lag-ok").state == State::pass);
  stage.run(15s);
  CHECK(stage.check("lag-ok").state == State::fail);
  CHECK(stage.check("lag-ok").last->cause == Cause::content);
  CHECK(stage.check("db").state == State::pass);
  CHECK(stage.service("web").reason.find("db.lag is 34") != std::string::npos);
  lags(stage, 3);
  stage.run(20s);
  CHECK(stage.check("lag-ok").state == State::pass);
}

TEST_CASE("a warn rule warns, and the rule that must hold goes first") {
  Stage stage(a_plan("db.lag < 10", "db.lag < 2"));
  lags(stage, 1);
  stage.run(20s);
  CHECK(stage.check("lag-ok").state == State::pass);
  lags(stage, 3);
  stage.run(20s);
  CHECK(stage.check("lag-ok").state == State::warn);
  lags(stage, 30);
  stage.run(20s);
  CHECK(stage.check("lag-ok").state == State::fail);
}

TEST_CASE("a value that is not known proves nothing, and in the end the composite is stale") {
  Stage stage(a_plan("db.lag < 10"));
  lags(stage, 3);
  stage.run(20s);
  stage.target("db").well();  // answers, and says nothing of its lag
  stage.run(10s);
  CHECK(stage.check("lag-ok").state == State::pass);
  CHECK(stage.check("lag-ok").last->verdict == Verdict::unknown);
  CHECK(stage.check("lag-ok").last->text == "db.lag < 10 cannot be judged: db.lag is not known");
  stage.run(30s);
  CHECK(stage.check("lag-ok").state == State::stale);
}

TEST_CASE("a composite sees a check's state at once when it changes") {
  Stage stage(a_plan("db.state != fail"));
  lags(stage, 3);
  stage.run(20s);
  stage.target("db").refuse();
  while (stage.check("db").state == State::pass) stage.run(10ms);
  CHECK(stage.check("lag-ok").last->verdict == Verdict::fail);
  stage.run(10s);
  CHECK(stage.check("lag-ok").state == State::fail);
}

TEST_CASE("a stale check has a state and nothing else") {
  CheckView view;
  view.state = State::pass;
  view.last = ProbeResult{};
  view.last->verdict = Verdict::pass;
  view.last->measures = {{"lag", 3, "s", 0, 0}};
  view.last->facts = {{"role", "primary"}};
  view.last_at = Instant(100s);
  const Instant now = Instant(103s);
  const auto number = [&](const char* field) {
    const Expression::Value v = composite::value_of(view, field, now);
    const auto* n = std::get_if<double>(&v);
    return n != nullptr ? *n : -1;
  };
  CHECK(number("lag") == 3);
  CHECK(number("result_age") == 3);
  CHECK(composite::value_of(view, "role", now) == Expression::Value(std::string("primary")));
  CHECK(composite::value_of(view, "verdict", now) == Expression::Value(std::string("pass")));
  CHECK(composite::value_of(view, "nothing", now) == Expression::Value());
  view.state = State::stale;
  CHECK(composite::value_of(view, "lag", now) == Expression::Value());
  CHECK(composite::value_of(view, "state", now) == Expression::Value(std::string("stale")));
  view.state = State::pass;
  view.is_unproven = true;
  CHECK(composite::value_of(view, "role", now) == Expression::Value());
}

TEST_CASE("a reload moves a composite's checks about without losing them") {
  Stage stage(a_plan("db.lag < 10"));
  lags(stage, 3);
  stage.run(20s);
  Plan other = a_plan("db.lag < 10");
  std::swap(other.checks[0], other.checks[1]);
  other.checks[0].composite = std::make_shared<const CompositePlan>(CompositePlan{rule("db.lag < 10", CheckId(1)), {}});
  stage.reload(std::move(other));
  CHECK(stage.check("lag-ok").state == State::pass);
  lags(stage, 34);
  stage.run(25s);
  CHECK(stage.check("lag-ok").state == State::fail);
}
