// Reload and restart: what did not change keeps its state, and no answer changes unless the world did.
#include <catch2/catch.hpp>

#include "core/stage.hpp"

using namespace vital;
using namespace vital::test;

TEST_CASE("a reload keeps state, counters, phase and the probe in flight of what did not change") {
  Stage stage(all_of({a_check("a"), a_check("b")}));
  stage.target("b").well(1500ms);
  stage.run(12s);
  while (stage.flights.empty()) stage.run(10ms);
  const auto before = stage.check("b");
  const auto in_flight = stage.flights.begin()->first;
  const auto abandoned = stage.abandoned.size();
  Plan next = all_of({a_check("new"), a_check("b"), a_check("a")});
  stage.reload(next);
  CHECK(stage.abandoned.size() == abandoned);
  CHECK(stage.flights.contains(in_flight));
  CHECK(stage.check("b").state == State::pass);
  CHECK(stage.check("b").history == before.history);
  CHECK(stage.check("b").streak == before.streak);
  CHECK(stage.check("b").next_due == before.next_due);
  CHECK(Stage::field(stage.noted("plan_adopted")[0], "kept") == "2");
  CHECK(Stage::field(stage.noted("plan_adopted")[0], "added") == "1");
}

TEST_CASE("a result of a kept probe counts for the same check under its new number") {
  Stage stage(all_of({a_check("a"), a_check("b")}));
  stage.answers_itself = false;
  stage.run(1100ms);
  REQUIRE(stage.starts.size() == 2);
  const auto& of_b = stage.starts[0].check == "b" ? stage.starts[0] : stage.starts[1];
  stage.reload(all_of({a_check("b")}));
  ProbeResult bad;
  bad.verdict = Verdict::fail;
  bad.cause = Cause::refused;
  bad.duration = 1ms;
  stage.answer(of_b.probe.id, bad);
  CHECK(stage.check("b").state == State::fail);
  REQUIRE(stage.abandoned.size() == 1);  // that of a, which is gone
}

TEST_CASE(
    "a reload never ejects: a new check counts once it knows something, a changed one keeps its word until then") {
  Stage stage(all_of({a_check("a")}));
  stage.run(12s);
  REQUIRE(stage.service("web").answer == Verdict::pass);
  stage.forget_notes();
  Plan next = all_of({a_check("a"), a_check("new")});
  next.checks[0].fingerprint = 2;
  stage.reload(next);
  CHECK(stage.check("new").state == State::pending);
  CHECK(stage.check("a").state == State::pass);
  CHECK(stage.service("web").answer == Verdict::pass);
  CHECK(stage.noted("service_state").empty());
  SECTION("the first result of the changed check decides at once") {
    stage.target("a").refuse();
    stage.run(1100ms);
    CHECK(stage.check("a").state == State::fail);
    CHECK(stage.service("web").answer == Verdict::fail);
  }
  SECTION("so does that of the new one") {
    stage.target("new").refuse();
    stage.run(1100ms);
    CHECK(stage.service("web").answer == Verdict::fail);
  }
  SECTION("a new check that learns nothing counts as unknown after startup_timeout") {
    stage.target("new").say(Verdict::unknown, Cause::agent, "busy");
    next.checks[1].max_age = 1h;
    stage.reload(next);
    stage.run(61s);
    CHECK(stage.service("web").answer == Verdict::fail);
  }
}

TEST_CASE("a changed check that failed stays failed until the new look") {
  Stage stage(all_of({a_check("a")}));
  stage.target("a").refuse();
  stage.run(3s);
  Plan next = all_of({a_check("a")});
  next.checks[0].fingerprint = 2;
  stage.reload(next);
  CHECK(stage.check("a").state == State::fail);
  stage.target("a").well();
  stage.run(1100ms);
  CHECK(stage.check("a").state == State::pass);
}

TEST_CASE("a removed check's probe is abandoned, its late result dropped") {
  Stage stage(all_of({a_check("a"), a_check("b")}));
  stage.answers_itself = false;
  stage.run(1100ms);
  REQUIRE(stage.starts.size() == 2);
  stage.reload(all_of({a_check("a")}));
  REQUIRE(stage.abandoned.size() == 1);
  stage.input(ProbeDone{stage.abandoned[0].id, ProbeResult{}});
  stage.run(100ms);
  CHECK(stage.snapshot().counters.late_results == 1);
  CHECK(stage.snapshot().checks.size() == 1);
}

TEST_CASE("overlays survive a reload") {
  Stage stage(all_of({a_check("a")}));
  Overlay o;
  o.kind = OverlayKind::drain;
  o.service = "web";
  stage.input(SetOverlay{o});
  stage.reload(all_of({a_check("a"), a_check("b")}));
  CHECK(stage.service("web").overlay == OverlayKind::drain);
}

TEST_CASE("a restart changes no answer unless the world changed") {
  Plan plan = all_of({a_check("good"), a_check("half")});
  plan.services.push_back(a_service("bad", leaf(CheckId(2))));
  plan.checks.push_back(a_check("broken"));
  Stage stage(plan);
  stage.target("broken").refuse();
  stage.run(12s);
  stage.target("half").refuse();
  while (!stage.check("half").pending_change || stage.check("half").pending_change->seen < 2) stage.run(10ms);
  const auto web = stage.service("web");
  const auto bad = stage.service("bad");
  const std::string broken = stage.check("broken").history;
  stage.forget_notes();
  stage.restart(3s);
  CHECK(stage.notes.empty());
  CHECK(stage.service("web").answer == web.answer);
  CHECK(stage.service("web").since == web.since);
  CHECK(stage.service("bad").answer == bad.answer);
  CHECK(stage.service("bad").reason == bad.reason);
  CHECK(stage.check("half").pending_change->seen == 2);  // one more and it falls, restart or not
  CHECK(stage.check("broken").history == broken);
  stage.run(1100ms);
  CHECK(stage.check("half").state == State::fail);
  CHECK(stage.service("web").answer == Verdict::fail);
}

TEST_CASE("what is older than max_age after a restart is not answered as pass, nor has it changed") {
  Stage stage(all_of({a_check("a")}));
  stage.run(12s);
  stage.forget_notes();
  stage.restart(10min);
  CHECK(stage.noted("check_state").empty());
  CHECK(stage.check("a").state == State::pass);
  CHECK(stage.check("a").is_unproven);
  CHECK(stage.service("web").answer == Verdict::fail);
  stage.run(1100ms);
  CHECK(stage.service("web").answer == Verdict::pass);
}

TEST_CASE("a restart under a changed config keeps a check's word until its first look") {
  Stage stage(all_of({a_check("a")}));
  stage.run(12s);
  SavedState saved = stage.engine().save(stage.now());
  Plan plan = all_of({a_check("a")});
  plan.checks[0].fingerprint = 99;
  const Now later{stage.now().mono + 2s, stage.now().wall + std::chrono::seconds(2)};
  Engine engine(std::make_shared<const Plan>(plan), later, saved, 2s);
  CHECK(engine.snapshot()->checks[0].state == State::pass);
  CHECK(engine.snapshot()->services[0].answer == Verdict::pass);
  CHECK_FALSE(engine.snapshot()->checks[0].pending_change);
}

TEST_CASE("overlays, the budget and flapping survive a restart") {
  Plan plan = all_of({a_check("a")});
  plan.checks[0].interval = plan.checks[0].edge_interval = 1s;
  plan.checks[0].rise = plan.checks[0].fall = 1;
  plan.checks[0].flap.half_life = 10min;
  plan.services[0].budget = {2, 1h, 0s, 0s};
  Stage stage(plan);
  stage.run(2s);
  for (int i = 0; i < 2; ++i) {
    stage.target("a").refuse();
    stage.run(1100ms);
    stage.target("a").well();
    stage.run(1100ms);
  }
  stage.restart(1s);
  stage.target("a").refuse();
  stage.run(2100ms);
  CHECK(stage.service("web").answer == Verdict::warn);  // both falls are remembered
  CHECK(stage.service("web").is_withheld);
  stage.target("a").well();
  stage.run(1100ms);
  stage.target("a").refuse();
  stage.run(1100ms);
  CHECK(stage.check("a").is_flapping);
  Overlay o;
  o.kind = OverlayKind::maintenance;
  o.until = stage.now().wall + std::chrono::seconds(100);
  stage.input(SetOverlay{o});
  stage.restart(10s);
  CHECK(stage.check("a").is_flapping);
  CHECK(stage.snapshot().node.overlay == OverlayKind::maintenance);
  stage.run(90s);
  CHECK(stage.snapshot().node.overlay == OverlayKind::none);
}

TEST_CASE("saving and restoring twice in a row gives the same again") {
  Stage stage(all_of({a_check("a"), a_check("b")}));
  stage.target("b").refuse();
  stage.run(12s);
  const SavedState first = stage.engine().save(stage.now());
  Engine engine(std::make_shared<const Plan>(stage.plan()), stage.now(), first, 0s);
  const SavedState second = engine.save(stage.now());
  REQUIRE(second.checks.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(second.checks[i].state == first.checks[i].state);
    CHECK(second.checks[i].hysteresis == first.checks[i].hysteresis);
    CHECK(second.checks[i].history == first.checks[i].history);
    CHECK(second.checks[i].evidence_age == first.checks[i].evidence_age);
    CHECK(second.checks[i].last_text == first.checks[i].last_text);
  }
  CHECK(second.services[0].answer == first.services[0].answer);
  CHECK(second.services[0].has_started == first.services[0].has_started);
}
