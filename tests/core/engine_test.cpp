// The engine as a whole: probes, deadlines, late and double results, reload, overlays, what is published.
#include <algorithm>
#include <catch2/catch.hpp>

#include "core/stage.hpp"

using namespace vital;
using namespace vital::test;

TEST_CASE("a look on demand leaves the planned one, unless that would come right after it, or there is bad news") {
  Stage stage(all_of({a_check("db")}));
  stage.run(10s);
  for (const std::size_t seen = stage.starts.size(); stage.starts.size() == seen;) stage.run(10ms);
  stage.run(100ms);
  const Instant due = *stage.check("db").next_due;  // a whole interval ahead
  const auto ask = [&](Instant when) {
    stage.run(when - stage.now().mono);
    stage.input(RunNow{stage.id("db")});
    const std::size_t begun = stage.starts.size();
    stage.run(10s);
    REQUIRE(stage.starts.size() > begun);
    return stage.starts[begun].at;
  };
  SECTION("long before it") { CHECK(ask(due - 3s) == due); }
  SECTION("right before it") { CHECK(ask(due - 100ms) == due - 100ms + 2s); }
  SECTION("bad news") {
    stage.target("db").refuse();
    CHECK(ask(due - 3s) == due - 3s + 2s);
  }
}

TEST_CASE("however often a check fails, its dependencies are not looked at more often than their edge interval") {
  CheckPlan db = a_check("db"), app = a_check("app");
  db.interval = 60s;
  db.edge_interval = 5s;
  app.interval = app.edge_interval = 200ms;
  app.timeout = 100ms;
  app.fall = 1000;
  app.depends_on = {CheckId(0)};
  Stage stage(all_of({db, app}));
  stage.run(2s);
  stage.target("app").refuse();
  stage.starts.clear();
  stage.run(20s);
  const auto looks =
      std::count_if(stage.starts.begin(), stage.starts.end(), [](const Stage::Start& s) { return s.check == "db"; });
  CHECK(looks >= 3);
  CHECK(looks <= 5);
}

TEST_CASE("two nodes with the same config do not retry in step, and one does so the same each time") {
  const auto wait_of = [](const std::string& node) {
    CheckPlan check = a_check("db");
    check.retries = 1;
    check.retry_delay = 1s;
    Plan plan = all_of({check});
    plan.node = node;
    Stage stage(plan);
    stage.target("db").refuse();
    stage.run(3s);
    REQUIRE(stage.starts.size() >= 2);
    return stage.starts[1].at - stage.starts[0].at;
  };
  CHECK(wait_of("web-1") != wait_of("web-2"));
  CHECK(wait_of("web-1") == wait_of("web-1"));
}

TEST_CASE("before the first result a service is pending and answered as fail") {
  Stage stage(all_of({a_check("db")}));
  CHECK(stage.check("db").state == State::pending);
  CHECK(stage.service("web").state == State::pending);
  CHECK(stage.service("web").answer == Verdict::fail);
}

TEST_CASE("the first result decides at once, good or bad") {
  Stage stage(all_of({a_check("good"), a_check("bad")}));
  stage.target("bad").refuse();
  stage.run(1100ms);
  CHECK(stage.check("good").state == State::pass);
  CHECK(stage.check("bad").state == State::fail);
  CHECK(stage.service("web").answer == Verdict::fail);
  CHECK(stage.service("web").reason == "bad: fail/refused: connection refused");
}

TEST_CASE("a probe without an answer is fail/timeout exactly at its deadline and is abandoned") {
  Stage stage(all_of({a_check("db")}));
  stage.target("db").hang();
  stage.run(1s);
  REQUIRE(stage.starts.size() == 1);
  const auto probe = stage.starts[0].probe;
  CHECK(probe.deadline == stage.starts[0].at + 2s);
  stage.run(probe.deadline - stage.now().mono - 1ns);
  CHECK(stage.check("db").state == State::pending);
  stage.run(1ns);
  CHECK(stage.check("db").state == State::fail);
  CHECK(stage.check("db").last->cause == Cause::timeout);
  REQUIRE(stage.abandoned.size() == 1);
  CHECK(stage.abandoned[0].id == probe.id);
}

TEST_CASE("late, duplicate and unknown results are dropped and counted") {
  Stage stage(all_of({a_check("db")}));
  stage.answers_itself = false;
  stage.run(1s);
  REQUIRE(stage.starts.size() == 1);
  ProbeResult good;
  good.verdict = Verdict::pass;
  good.cause = Cause::none;
  good.duration = 1ms;
  stage.answer(stage.starts[0].probe.id, good);
  CHECK(stage.check("db").state == State::pass);
  stage.answer(stage.starts[0].probe.id, good);
  stage.answer(ProbeId(77777), good);
  stage.run(7s);
  REQUIRE(stage.starts.size() >= 2);
  stage.run(3s);
  stage.answer(stage.starts[1].probe.id, good);
  stage.run(1s);
  CHECK(stage.snapshot().counters.duplicate_results == 1);
  CHECK(stage.snapshot().counters.unknown_ids == 1);
  CHECK(stage.snapshot().counters.late_results == 1);
}

TEST_CASE("a check falls after `fall` failures, probed at the edge interval meanwhile, and rises after `rise`") {
  Stage stage(all_of({a_check("db")}));
  stage.run(10s);
  REQUIRE(stage.check("db").state == State::pass);
  stage.target("db").refuse();
  stage.starts.clear();
  stage.run(9s + 1ms);
  CHECK(stage.check("db").state == State::fail);
  REQUIRE(stage.starts.size() >= 3);
  CHECK(stage.starts[1].at - stage.starts[0].at == 2s);
  CHECK(stage.starts[2].at - stage.starts[1].at == 2s);
  CHECK(stage.field(stage.noted("check_state").back(), "to") == "fail");
  stage.target("db").well();
  stage.run(7s + 1ms);
  CHECK(stage.check("db").state == State::pass);
}
