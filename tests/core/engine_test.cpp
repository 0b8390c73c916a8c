// The engine as a whole: probes, deadlines, late and double results, reload, overlays, what is published.
#include <catch2/catch.hpp>

#include "core/stage.hpp"

using namespace vital;
using namespace vital::test;

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
