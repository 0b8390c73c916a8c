// The timing calculator by hand-worked examples; the simulator proves its bounds against the engine.
#include "core/timing.hpp"

#include <catch2/catch.hpp>

#include "core/stage.hpp"

using namespace vital;
using namespace vital::test;

namespace {
CheckPlan profile(Duration interval, Duration timeout, unsigned retries, Duration edge, unsigned rise, unsigned fall) {
  CheckPlan c = a_check("c");
  c.interval = interval;
  c.timeout = timeout;
  c.retries = retries;
  c.retry_delay = std::min<Duration>(1s, timeout / 4);
  c.edge_interval = edge;
  c.rise = rise;
  c.fall = fall;
  return c;
}
}  // namespace

TEST_CASE("the three profiles, worked out by hand") {
  const auto strict = timing::of_check(profile(2s, 1s, 0, 1s, 2, 2));
  CHECK(strict.longest_cycle == 1s);
  CHECK(strict.to_fail.best == 0s);
  CHECK(strict.to_fail.worst == 4s);  // 2 until the next look, 1 to time out, 1 for the second
  CHECK(strict.to_pass.worst == 4s);

  const auto standard = timing::of_check(profile(5s, 2s, 1, 2s, 2, 3));
  CHECK(standard.longest_cycle == 4500ms);  // 2 + 0.5 + 2
  CHECK(standard.to_fail.best == 2s);
  CHECK(standard.to_fail.worst == 5s + 3 * 4500ms);
  CHECK(standard.to_pass.worst == 5s + 2s + 2s);

  const auto lenient = timing::of_check(profile(10s, 5s, 2, 5s, 2, 3));
  CHECK(lenient.longest_cycle == 10s);
  CHECK(lenient.to_fail.best == 5s);
  CHECK(lenient.to_fail.worst == 40s);
  CHECK(lenient.to_pass.worst == 20s);
}

TEST_CASE("an n of m window counts its n, a passive check its silence") {
  CheckPlan window = profile(5s, 1s, 0, 2s, 2, 3);
  window.fall_window = {5, 10};
  CHECK(timing::of_check(window).to_fail.worst == 5s + 1s + 4 * 2s);
  CheckPlan passive = a_check("beat");
  passive.is_passive = true;
  passive.max_age = 90s;
  CHECK(timing::of_check(passive).to_fail.worst == 90s);
}

TEST_CASE("a flapping hold is bounded by the penalty's cap") {
  CheckPlan c = a_check("c");
  c.flap.half_life = 50s;
  CHECK(timing::of_check(c).flap_hold == 100s);  // from 6 to 1.5 is two half-lives
}

TEST_CASE("a service fails with the quickest that suffices and at the latest with the slowest") {
  CheckPlan fast = profile(2s, 1s, 0, 1s, 2, 2), slow = profile(10s, 5s, 2, 5s, 2, 3);
  fast.name = "fast";
  slow.name = "slow";
  Plan plan = all_of({fast, slow});
  auto t = timing::of_service(plan, ServiceId(0));
  REQUIRE(t.to_fail);
  CHECK(t.to_fail->best == 0s);
  CHECK(t.to_fail->worst == 40s);
  plan.services[0].rule.kind = Rule::Kind::any;
  t = timing::of_service(plan, ServiceId(0));
  CHECK(t.to_fail->best == 5s);
  plan.checks[0].scope = Scope::shared;
  t = timing::of_service(plan, ServiceId(0));
  CHECK_FALSE(t.to_fail);
  plan.services[0].rule.kind = Rule::Kind::all;
  t = timing::of_service(plan, ServiceId(0));
  CHECK(t.to_fail->best == 5s);
}

TEST_CASE("end to end with a declared consumer, and what cannot be kept is warned of") {
  Plan plan = all_of({profile(2s, 1s, 0, 1s, 2, 2)});
  plan.services[0].lb = Consumer{30s, 5s, 2, 3};
  plan.services[0].detect_within = 30s;
  const auto t = timing::of_service(plan, ServiceId(0));
  REQUIRE(t.seen_down);
  CHECK(t.seen_down->best == 30s);
  CHECK(t.seen_down->worst == 4s + 60s + 5s);
  CHECK(t.seen_up->worst == 4s + 90s + 5s);
  REQUIRE(t.warnings.size() == 1);
  CHECK(t.warnings[0].find("detect_within 30s cannot be kept: it may take 1m 9s") != std::string::npos);
  plan.services[0].detect_within = 70s;
  plan.services[0].lb->timeout = 500ms;
  const auto again = timing::of_service(plan, ServiceId(0));
  REQUIRE(again.warnings.size() == 1);
  CHECK(again.warnings[0].find("the consumer's timeout 500ms is below the timeout 1s of check c") != std::string::npos);
}

TEST_CASE("the table names every check and service") {
  Plan plan = all_of({profile(2s, 1s, 0, 1s, 2, 2)});
  CHECK(timing::table(plan) ==
        "check c: fail after 0s to 4s, pass again after 0s to 4s, stale after 17s without evidence\n"
        "service web: fail after 0s to 4s, pass again after 0s to 4s\n");
}

TEST_CASE("an ejection budget that can withhold a fail is a warning beside the promised time") {
  Plan plan = all_of({a_check("c")});
  CHECK(timing::of_service(plan, ServiceId(0)).warnings.empty());
  plan.services[0].budget.ejections = 2;
  const auto warnings = timing::of_service(plan, ServiceId(0)).warnings;
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0] == "web: its ejection budget can withhold a fail for longer than this");
  plan.services[0].budget = {0, {}, 30s, {}};
  CHECK(timing::of_service(plan, ServiceId(0)).warnings.size() == 1);
}
