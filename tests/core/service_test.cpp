// Services between rule and answer: start-up, overlays, budget, hold-down, slow start, dependencies, the node.
#include <catch2/catch.hpp>

#include "core/stage.hpp"

using namespace vital;
using namespace vital::test;

namespace {
Plan quick(std::vector<CheckPlan> checks) {  // one outcome a second, each decides
  for (CheckPlan& c : checks) {
    c.interval = c.edge_interval = 1s;
    c.timeout = 500ms;
    c.rise = c.fall = 1;
    c.max_age = 1h;
  }
  return all_of(std::move(checks));
}
Overlay overlay(OverlayKind kind, std::string service, std::string reason = "work") {
  Overlay o;
  o.kind = kind;
  o.service = std::move(service);
  o.owner = "alice";
  o.reason = std::move(reason);
  return o;
}
}  // namespace

TEST_CASE("a pending service is answered as fail until startup_timeout, then by on_unknown") {
  Plan plan = all_of({a_check("db")});
  plan.checks[0].start_delay = 1h;
  plan.services[0].on_unknown = OnUnknown::warn;
  Stage stage(plan);
  stage.run(60s - 1ns);
  CHECK(stage.service("web").state == State::pending);
  CHECK(stage.service("web").answer == Verdict::fail);
  stage.run(1ns);
  CHECK(stage.service("web").answer == Verdict::warn);
}

TEST_CASE("a service of non-critical checks is pending, too, before anything is known") {
  Plan plan = all_of({a_check("db")});
  plan.checks[0].is_critical = false;
  Stage stage(plan);
  CHECK(stage.service("web").state == State::pending);
  stage.run(1100ms);
  CHECK(stage.service("web").state == State::pass);
}

TEST_CASE("an overlay changes the answer and not the state, names who and why, and ends by itself without a burst") {
  Stage stage(quick({a_check("db")}));
  stage.run(2s);
  Overlay o = overlay(OverlayKind::maintenance, "web", "kernel update");
  o.until = stage.now().wall + std::chrono::seconds(60);
  stage.starts.clear();
  stage.input(SetOverlay{o});
  CHECK(stage.service("web").state == State::pass);
  CHECK(stage.service("web").answer == Verdict::fail);
  CHECK(stage.service("web").overlay == OverlayKind::maintenance);
  CHECK(stage.service("web").weight == 0);
  CHECK(stage.service("web").reason == "maintenance by alice: kernel update");
  CHECK(stage.snapshot().node.answer == Verdict::fail);
  CHECK(stage.snapshot().node.overlay == OverlayKind::maintenance);
  stage.move_wall(std::chrono::hours(5));  // a clock that jumps ends nothing
  stage.run(60s - 1ns);
  CHECK(stage.service("web").answer == Verdict::fail);
  stage.run(1ns);
  CHECK(stage.service("web").answer == Verdict::pass);
  CHECK(stage.noted("overlay_expired").size() == 1);
  CHECK(stage.snapshot().overlays.empty());
  CHECK(stage.starts.size() >= 59);
  CHECK(stage.starts.size() <= 61);
}

TEST_CASE("maintenance is heavier than drain, and resume ends what lies there") {
  Stage stage(quick({a_check("db")}));
  stage.run(2s);
  stage.input(SetOverlay{overlay(OverlayKind::drain, "")});
  CHECK(stage.service("web").overlay == OverlayKind::drain);
  stage.input(SetOverlay{overlay(OverlayKind::maintenance, "web")});
  CHECK(stage.service("web").overlay == OverlayKind::maintenance);
  stage.input(ClearOverlay{"web"});
  CHECK(stage.service("web").overlay == OverlayKind::drain);
  CHECK(stage.snapshot().overlays.size() == 1);
  stage.input(ClearOverlay{""});
  CHECK(stage.service("web").overlay == OverlayKind::none);
  CHECK(stage.service("web").answer == Verdict::pass);
}

TEST_CASE("a failing service under drain stays told as drained, and fails when the drain ends") {
  Stage stage(quick({a_check("db")}));
  stage.run(2s);
  stage.input(SetOverlay{overlay(OverlayKind::drain, "web")});
  stage.target("db").refuse();
  stage.run(3s);
  CHECK(stage.service("web").state == State::fail);
  CHECK(stage.service("web").overlay == OverlayKind::drain);
  stage.input(ClearOverlay{"web"});
  CHECK(stage.service("web").answer == Verdict::fail);
  CHECK(stage.service("web").overlay == OverlayKind::none);
}

TEST_CASE("stopping shows drain everywhere and goes on looking") {
  Stage stage(quick({a_check("db")}));
  stage.run(2s);
  stage.input(Stop{});
  CHECK(stage.snapshot().is_stopping);
  CHECK(stage.service("web").overlay == OverlayKind::drain);
  CHECK(stage.snapshot().node.reason == "drain: shutting down");
  const auto before = stage.starts.size();
  stage.run(3s);
  CHECK(stage.starts.size() > before);
}

TEST_CASE("what is withheld from a service is withheld from those it is a member of, and so is a hold") {
  Plan plan = quick({a_check("db")});
  plan.services[0].budget = {1, 10min, 0s, 0s};
  Rule inner;
  inner.kind = Rule::Kind::service;
  inner.target = 0;
  plan.services.push_back(a_service("site", group(Rule::Kind::all, {inner})));
  const auto fall_twice = [](Stage& stage) {
    for (int i = 0; i < 2; ++i) {
      stage.run(2s);
      stage.target("db").refuse();
      stage.run(1100ms);
      if (i == 0) stage.target("db").well();
    }
  };
  SECTION("withheld") {
    Stage stage(plan);
    fall_twice(stage);
    CHECK(stage.service("web").is_withheld);
    CHECK(stage.service("site").answer == Verdict::warn);
  }
  SECTION("held down") {
    plan.services[0].budget = {10, 10min, 0s, 1min};
    Stage stage(plan);
    fall_twice(stage);
    stage.target("db").well();
    stage.run(5s);
    CHECK(stage.service("web").is_held_down);
    CHECK(stage.service("site").answer == Verdict::fail);
    stage.run(1min);
    CHECK(stage.service("site").answer == Verdict::pass);
  }
}

TEST_CASE("a hold grows with each fall, but never beyond the window") {
  Plan plan = quick({a_check("db")});
  plan.services[0].budget = {10, 1min, 0s, 40s};
  Stage stage(plan);
  const auto fall = [&] {
    stage.target("db").refuse();
    stage.run(1100ms);
    CHECK(stage.service("web").answer == Verdict::fail);
    stage.target("db").well();
    stage.run(1100ms);
  };
  stage.run(2s);
  fall();
  fall();
  stage.run(41s);
  CHECK(stage.service("web").answer == Verdict::pass);  // 40 s for the second
  fall();
  stage.run(55s);
  CHECK(stage.service("web").is_held_down);
  stage.run(6s);
  CHECK(stage.service("web").answer == Verdict::pass);  // not 80 s for the third
}

TEST_CASE("overlays of several sources lie on the same, the gravest counts, and each source ends its own") {
  Stage stage(quick({a_check("db")}));
  stage.run(2s);
  Overlay from_file = overlay(OverlayKind::maintenance, "web", "disks");
  from_file.source = "/spool/web.maintenance";
  const auto kind = [&] { return stage.service("web").overlay; };
  SECTION("the lighter one first") {
    stage.input(SetOverlay{overlay(OverlayKind::drain, "web")});
    stage.input(SetOverlay{from_file});
  }
  SECTION("the graver one first") {
    stage.input(SetOverlay{from_file});
    stage.input(SetOverlay{overlay(OverlayKind::drain, "web")});
  }
  CHECK(kind() == OverlayKind::maintenance);
  CHECK(stage.service("web").reason == "maintenance by alice: disks");
  stage.input(ClearOverlay{"web", "/spool/another"});
  CHECK(stage.snapshot().overlays.size() == 2);
  stage.input(ClearOverlay{"web", from_file.source});
  CHECK(kind() == OverlayKind::drain);
  stage.input(ClearOverlay{"web"});
  CHECK(kind() == OverlayKind::none);
}

TEST_CASE("a restart goes on with a hold, a ramp and a budget where they were") {
  Plan plan = quick({a_check("db")});
  const auto fall = [](Stage& stage) {
    stage.target("db").refuse();
    stage.run(1100ms);
    stage.target("db").well();
    stage.run(1100ms);
  };
  SECTION("a hold") {
    plan.services[0].budget = {10, 10min, 0s, 1min};
    Stage stage(plan);
    stage.run(2s);
    fall(stage);
    fall(stage);
    stage.restart(2s);
    stage.run(2s);
    CHECK(stage.service("web").is_held_down);
    CHECK(stage.service("web").answer == Verdict::fail);
    stage.run(1min);
    CHECK(stage.service("web").answer == Verdict::pass);
  }
  SECTION("a ramp") {
    plan.services[0].slow_start = 1min;
    Stage stage(plan);
    stage.run(2s);
    fall(stage);
    stage.run(20s);
    stage.restart(2s);
    stage.run(2s);
    CHECK(stage.service("web").weight > 30);
    CHECK(stage.service("web").weight < 60);
  }
  SECTION("a budget") {
    plan.services[0].budget = {1, 10min, 0s, 0s};
    Stage stage(plan);
    stage.run(2s);
    fall(stage);
    stage.restart(2s);
    stage.run(2s);
    stage.target("db").refuse();
    stage.run(1100ms);
    CHECK(stage.service("web").is_withheld);
  }
}

TEST_CASE("the ejection budget withholds what is too much, shows and counts it") {
  Plan plan = quick({a_check("db")});
  plan.services[0].budget = {2, 10min, 0s, 0s};
  Stage stage(plan);
  const auto flip = [&] {
    stage.target("db").refuse();
    stage.run(1100ms);
    const Verdict told = stage.service("web").answer;
    const bool withheld = stage.service("web").is_withheld;
    stage.target("db").well();
    stage.run(1100ms);
    CHECK(stage.service("web").answer == Verdict::pass);
    return std::pair(told, withheld);
  };
  stage.run(2s);
  CHECK(flip() == std::pair(Verdict::fail, false));
  CHECK(flip() == std::pair(Verdict::fail, false));
  CHECK(flip() == std::pair(Verdict::warn, true));
  CHECK(flip() == std::pair(Verdict::warn, true));
  CHECK(stage.snapshot().counters.withheld_ejections == 2);
  CHECK(stage.service("web").withheld == 2);
  CHECK(stage.noted("ejection_withheld").size() == 2);
  SECTION("a withheld fail is told once the window has moved on") {
    stage.target("db").refuse();
    stage.run(2s);
    CHECK(stage.service("web").state == State::fail);
    CHECK(stage.service("web").answer == Verdict::warn);
    CHECK(stage.service("web").reason.find("fall withheld, 2 within the window already: db: fail/refused") == 0);
    stage.run(10min);
    CHECK(stage.service("web").answer == Verdict::fail);
  }
}

TEST_CASE("after a recovery a service is not taken out again before min_uptime") {
  Plan plan = quick({a_check("db")});
  plan.services[0].budget.min_uptime = 30s;
  Stage stage(plan);
  stage.run(2s);
  stage.target("db").refuse();
  stage.run(1100ms);
  CHECK(stage.service("web").answer == Verdict::fail);  // the first time it is
  stage.target("db").well();
  stage.run(1100ms);
  stage.target("db").refuse();
  stage.run(1100ms);
  CHECK(stage.service("web").answer == Verdict::warn);
  stage.run(30s);
  CHECK(stage.service("web").answer == Verdict::fail);
}

TEST_CASE("the hold-down grows with each fall in the window") {
  Plan plan = quick({a_check("db")});
  plan.services[0].budget = {100, 1h, 0s, 10s};
  Stage stage(plan);
  const auto down_for = [&] {
    stage.target("db").refuse();
    while (stage.service("web").answer != Verdict::fail) stage.run(10ms);
    const Instant from = stage.now().mono;
    stage.target("db").well();
    while (stage.service("web").answer != Verdict::pass) stage.run(10ms);
    return stage.now().mono - from;
  };
  stage.run(2s);
  CHECK(down_for() <= 1100ms);
  const Duration second = down_for();
  CHECK(second >= 10s);
  CHECK(second <= 11s);
  const Duration third = down_for();
  CHECK(third >= 20s);
  CHECK(third <= 21s);
}

TEST_CASE("after a recovery the weight climbs over slow_start; a first start gets all of it at once") {
  Plan plan = quick({a_check("db")});
  plan.services[0].slow_start = 20s;
  Stage stage(plan);
  stage.run(1100ms);
  CHECK(stage.service("web").weight == 100);
  stage.target("db").refuse();
  stage.run(1100ms);
  CHECK(stage.service("web").weight == 0);
  stage.target("db").well();
  stage.run(1100ms);
  CHECK(stage.service("web").answer == Verdict::pass);
  CHECK(stage.service("web").weight >= 1);
  CHECK(stage.service("web").weight <= 10);
  stage.run(10s);
  CHECK(stage.service("web").weight >= 45);
  CHECK(stage.service("web").weight <= 60);
  stage.run(10s);
  CHECK(stage.service("web").weight == 100);
}

TEST_CASE("a warn tells balancers the configured weight") {
  Plan plan = quick({a_check("db")});
  plan.services[0].warn_weight = 50;
  Stage stage(plan);
  stage.target("db").say(Verdict::warn, Cause::content, "nearly full");
  stage.run(1100ms);
  CHECK(stage.service("web").weight == 50);
  CHECK(stage.snapshot().node.weight == 50);
}

TEST_CASE("a failed dependency explains its dependents, which go on being probed, and leads the reason") {
  Plan plan = quick({a_check("app"), a_check("db"), a_check("net")});
  plan.checks[0].depends_on = {CheckId(1)};
  plan.checks[1].depends_on = {CheckId(2)};
  Stage stage(plan);
  stage.run(2s);
  for (const char* c : {"app", "db", "net"}) stage.target(c).refuse();
  stage.run(1100ms);
  CHECK(stage.check("app").suppressed_by == stage.id("net"));
  CHECK(stage.check("db").suppressed_by == stage.id("net"));
  CHECK_FALSE(stage.check("net").suppressed_by);
  CHECK(stage.service("web").causes.front() == stage.id("net"));
  CHECK(stage.service("web").reason.find("net: fail/refused: connection refused; app: ") == 0);
  CHECK(stage.service("web").reason.find("(because of net)") != std::string::npos);
  const auto before = stage.starts.size();
  stage.run(5s);
  CHECK(stage.starts.size() >= before + 14);
  stage.target("app").well();
  stage.run(1100ms);
  CHECK(stage.check("app").state == State::pass);  // a recovery is never suppressed
  CHECK_FALSE(stage.check("app").suppressed_by);
}

TEST_CASE("a root cause outside the rule is still named first") {
  Plan plan = quick({a_check("app"), a_check("gateway")});
  plan.checks[0].depends_on = {CheckId(1)};
  plan.services[0].rule = group(Rule::Kind::all, {leaf(CheckId(0))});
  Stage stage(plan);
  stage.target("app").refuse();
  stage.target("gateway").refuse();
  stage.run(2s);
  CHECK(stage.service("web").reason.find("gateway: fail") == 0);
}

TEST_CASE("what explains another failure is named before what explains nothing") {
  Plan plan = quick({a_check("other"), a_check("app"), a_check("gateway")});
  plan.checks[1].depends_on = {CheckId(2)};
  Stage stage(plan);
  for (const char* c : {"other", "app", "gateway"}) stage.target(c).refuse();
  stage.run(2s);
  CHECK(stage.service("web").causes == std::vector{stage.id("gateway"), stage.id("other"), stage.id("app")});
}

TEST_CASE("what a shared dependency explains degrades, also while checks come back one after the other") {
  Plan plan = quick({a_check("app"), a_check("db")});
  plan.checks[0].depends_on = {CheckId(1)};
  plan.checks[0].rise = 3;
  plan.checks[0].fall = 2;
  plan.checks[1].scope = Scope::shared;
  Stage stage(plan);
  stage.run(2s);
  stage.target("app").refuse();
  stage.target("db").refuse();
  for (int i = 0; i < 50; ++i) {
    stage.run(100ms);
    CHECK(stage.service("web").answer != Verdict::fail);
  }
  CHECK(stage.check("app").state == State::fail);
  CHECK(stage.service("web").answer == Verdict::warn);
  SECTION("the database is back, the application needs its time") {
    stage.target("app").well();
    stage.target("db").well();
    for (int i = 0; i < 50; ++i) {
      stage.run(100ms);
      CHECK(stage.service("web").answer != Verdict::fail);
    }
    CHECK(stage.service("web").answer == Verdict::pass);
  }
  SECTION("the database is back, the application stays broken: now it is its own fault") {
    stage.target("db").well();
    stage.run(4s);
    CHECK(stage.check("db").state == State::pass);
    CHECK(stage.service("web").answer == Verdict::fail);
    CHECK_FALSE(stage.check("app").suppressed_by);
  }
}

TEST_CASE("shadow checks are judged, and never counted nor blamed") {
  Plan plan = quick({a_check("app"), a_check("trial")});
  plan.checks[1].mode = Mode::shadow;
  plan.checks[0].depends_on = {CheckId(1)};
  Stage stage(plan);
  stage.target("app").refuse();
  stage.target("trial").refuse();
  stage.run(2s);
  CHECK(stage.check("trial").state == State::fail);
  CHECK_FALSE(stage.check("app").suppressed_by);
  CHECK(stage.service("web").causes == std::vector<CheckId>{CheckId(0)});
  stage.target("app").well();
  stage.run(2s);
  CHECK(stage.service("web").answer == Verdict::pass);
}

TEST_CASE("services nest, and the node is the worst of them") {
  Plan plan = quick({a_check("a"), a_check("b")});
  plan.services.clear();
  plan.services.push_back(a_service("data", leaf(CheckId(0))));
  Rule data;
  data.kind = Rule::Kind::service;
  data.target = 0;
  plan.services.push_back(a_service("web", group(Rule::Kind::all, {data, leaf(CheckId(1))})));
  plan.services.push_back(a_service("batch", leaf(CheckId(1))));
  Stage stage(plan);
  stage.target("a").refuse();
  stage.run(1100ms);
  CHECK(stage.service("data").answer == Verdict::fail);
  CHECK(stage.service("web").answer == Verdict::fail);
  CHECK(stage.service("web").reason == "a: fail/refused: connection refused");
  CHECK(stage.service("batch").answer == Verdict::pass);
  CHECK(stage.snapshot().node.answer == Verdict::fail);
  CHECK(stage.snapshot().node.reason == "a: fail/refused: connection refused");
  stage.target("a").well();
  stage.run(1100ms);
  CHECK(stage.snapshot().node.answer == Verdict::pass);
  CHECK(stage.snapshot().node.reason.empty());
}

TEST_CASE("the age of an answer is that of the oldest evidence that counts") {
  Plan plan = quick({a_check("a"), a_check("b")});
  Stage stage(plan);
  stage.run(3s);
  stage.target("b").say(Verdict::unknown, Cause::agent, "busy");
  stage.run(5s);
  REQUIRE(stage.service("web").oldest_evidence);
  CHECK(*stage.service("web").oldest_evidence == *stage.check("b").evidence_at);
  CHECK(stage.now().mono - *stage.service("web").oldest_evidence > 4s);
}
