// One check's state: unknown, stale, warn, flapping, passive, history.
#include "core/check_state.hpp"

#include <catch2/catch.hpp>

#include "core/stage.hpp"

using namespace vital;
using namespace vital::test;

namespace {
ProbeResult result(Verdict v, Cause c = Cause::none) {
  ProbeResult r;
  r.verdict = v;
  r.cause = c;
  r.text = "text";
  return r;
}
}  // namespace

TEST_CASE("unknown never counts toward fall and holds the state until max_age, then it is stale") {
  CheckPlan check = a_check("db");  // max_age 17 s
  Stage stage(all_of({check}));
  stage.run(10s);
  REQUIRE(stage.check("db").state == State::pass);
  const Instant last_good = *stage.check("db").evidence_at;
  stage.target("db").say(Verdict::unknown, Cause::agent, "our resolver is down");
  stage.run(last_good + 17s - 1ns - stage.now().mono);
  CHECK(stage.check("db").state == State::pass);
  CHECK(stage.check("db").last->verdict == Verdict::unknown);
  CHECK(stage.service("web").answer == Verdict::pass);
  stage.run(1ns);
  CHECK(stage.check("db").state == State::stale);
  CHECK(stage.service("web").state == State::stale);
  CHECK(stage.service("web").answer == Verdict::fail);
  CHECK(stage.service("web").reason.find("db: stale: no evidence for 17s, last unknown/agent: our resolver is down") ==
        0);
  SECTION("the first evidence after that decides at once") {
    stage.target("db").well();
    stage.run(6s);
    CHECK(stage.check("db").state == State::pass);
  }
  SECTION("also if it is bad") {
    stage.target("db").refuse();
    stage.run(6s);
    CHECK(stage.check("db").state == State::fail);
  }
}

TEST_CASE("between failures unknown changes nothing: it neither counts nor resets") {
  const Now now{Instant(100s), WallTime{}};
  CheckState state(a_check("db"), now, now.mono);
  state.take(now, result(Verdict::pass), now.mono);
  state.take(now, result(Verdict::fail), now.mono);
  state.take(now, result(Verdict::unknown), now.mono);
  state.take(now, result(Verdict::fail), now.mono);
  CHECK(state.state() == State::pass);
  state.take(now, result(Verdict::unknown), now.mono);
  state.take(now, result(Verdict::fail), now.mono);
  CHECK(state.state() == State::fail);
  CHECK(state.history() == ".F?F?F");
}

TEST_CASE("a check of which nothing is ever learnt turns from pending to stale") {
  Stage stage(all_of({a_check("db")}));
  stage.target("db").say(Verdict::unknown, Cause::auth, "password rejected");
  stage.run(10s);
  CHECK(stage.check("db").state == State::pending);
  stage.run(10s);
  CHECK(stage.check("db").state == State::stale);
}

TEST_CASE("warn is good for hysteresis and shows at once") {
  const Now now{Instant(100s), WallTime{}};
  CheckState state(a_check("db"), now, now.mono);
  state.take(now, result(Verdict::fail), now.mono);
  state.take(now, result(Verdict::warn, Cause::latency), now.mono);
  CHECK(state.state() == State::fail);
  state.take(now, result(Verdict::warn, Cause::latency), now.mono);
  CHECK(state.state() == State::warn);
  state.take(now, result(Verdict::pass), now.mono);
  CHECK(state.state() == State::pass);
  state.take(now, result(Verdict::warn, Cause::latency), now.mono);
  state.take(now, result(Verdict::fail), now.mono);
  CHECK(state.state() == State::warn);  // what it was shown as is held while a change is pending
}

TEST_CASE("the view says how far a change is, and the streak") {
  Stage stage(all_of({a_check("db")}));
  stage.run(10s);
  stage.target("db").refuse();
  while (stage.check("db").history.find("FF") == std::string::npos) stage.run(100ms);
  const CheckView& view = stage.check("db");
  REQUIRE(view.pending_change);
  CHECK(view.pending_change->to == State::fail);
  CHECK(view.pending_change->needed == 3);
  CHECK(view.pending_change->seen == 2);
  CHECK(view.streak == 2);
  CHECK(view.state == State::pass);
}

TEST_CASE("an n of m window makes trouble that comes and goes fall") {
  CheckPlan check = a_check("db");
  check.fall_window = {3, 6};
  const Now now{Instant(100s), WallTime{}};
  CheckState state(check, now, now.mono);
  for (const Verdict v : {Verdict::pass, Verdict::fail, Verdict::pass, Verdict::fail, Verdict::pass}) {
    state.take(now, result(v), now.mono);
  }
  CHECK(state.state() == State::pass);
  state.take(now, result(Verdict::fail), now.mono);
  CHECK(state.state() == State::fail);
}

TEST_CASE("however often a check falls, the hold ends two half-lives after the last fall") {
  FlapPenalty penalty(FlapPlan{3.0, 1.5, 60s});
  const Instant now(1000s);
  for (int i = 0; i < 100; ++i) penalty.fell(now);
  CHECK(penalty.at(now) == FlapPenalty::cap);
  CHECK(penalty.is_flapping());
  CHECK_FALSE(penalty.advance(now + 119s));
  CHECK(penalty.advance(now + 121s));
}

TEST_CASE("a check that keeps falling is flapping and held down until the penalty has decayed") {
  CheckPlan check = a_check("db");
  check.rise = check.fall = 1;
  check.max_age = 1h;
  check.flap.half_life = 60s;  // suppress 3, reuse 1.5
  Now now{Instant(1000s), WallTime{}};
  CheckState state(check, now, now.mono);
  state.take(now, result(Verdict::pass), now.mono);
  for (int falls = 0; falls < 3; ++falls) {
    CHECK_FALSE(state.is_flapping());
    now.mono += 1s;
    state.take(now, result(Verdict::fail), now.mono);
    CHECK(state.state() == State::fail);
    now.mono += 1s;
    state.take(now, result(Verdict::pass), now.mono);
  }
  // The penalty was a little under 3 at the third fall: not flapping yet. The fourth is one too many.
  CHECK(state.state() == State::pass);
  now.mono += 1s;
  state.take(now, result(Verdict::fail), now.mono);
  CHECK(state.is_flapping());
  now.mono += 1s;
  state.take(now, result(Verdict::pass), now.mono);
  CHECK(state.state() == State::fail);  // well, but held down
  REQUIRE(state.wake());
  CHECK(*state.wake() > now.mono + 60s);   // from about 3.8 to 1.5 takes more than one half-life
  CHECK(*state.wake() < now.mono + 120s);  // and less than two
  now.mono = *state.wake() - 1ms;
  CHECK_FALSE(state.advance(now));
  now.mono += 1ms;
  CHECK(state.advance(now));
  CHECK(state.state() == State::pass);
  CHECK_FALSE(state.is_flapping());
}

TEST_CASE("slow trouble is not flapping") {
  CheckPlan check = a_check("db");
  check.rise = check.fall = 1;
  check.max_age = 1h;
  check.flap.half_life = 60s;
  Now now{Instant(1000s), WallTime{}};
  CheckState state(check, now, now.mono);
  state.take(now, result(Verdict::pass), now.mono);
  for (int i = 0; i < 50; ++i) {
    now.mono += 2min;
    state.take(now, result(Verdict::fail), now.mono);
    now.mono += 10s;
    state.take(now, result(Verdict::pass), now.mono);
    CHECK(state.state() == State::pass);
  }
}

TEST_CASE("a passive check is never probed, follows reports, and its silence is a failure") {
  CheckPlan check = a_check("backup");
  check.is_passive = true;
  check.rise = check.fall = 1;
  check.max_age = 60s;
  Stage stage(all_of({check}));
  stage.run(30s);
  CHECK(stage.starts.empty());
  CHECK(stage.check("backup").state == State::pending);
  stage.input(Report{stage.id("backup"), result(Verdict::pass)});
  CHECK(stage.check("backup").state == State::pass);
  stage.run(60s - 1ns);
  CHECK(stage.check("backup").state == State::pass);
  stage.run(1ns);
  CHECK(stage.check("backup").state == State::fail);
  CHECK(stage.check("backup").last->cause == Cause::timeout);
  CHECK(stage.check("backup").last->text == "no report for 1m; the last one said pass: text");
  stage.input(Report{stage.id("backup"), result(Verdict::pass)});
  CHECK(stage.check("backup").state == State::pass);
  stage.input(Report{stage.id("backup"), result(Verdict::fail, Cause::content)});
  CHECK(stage.check("backup").state == State::fail);
}

TEST_CASE("a passive check that never reports fails after max_age") {
  CheckPlan check = a_check("backup");
  check.is_passive = true;
  check.max_age = 30s;
  Stage stage(all_of({check}));
  stage.run(30s);
  CHECK(stage.check("backup").state == State::fail);
}

TEST_CASE("a passive check counts silence over a restart, but not the time in which nobody could have listened") {
  CheckPlan check = a_check("backup");
  check.is_passive = true;
  check.rise = check.fall = 1;
  check.max_age = 60s;
  Stage stage(all_of({check}));
  stage.input(Report{stage.id("backup"), result(Verdict::pass)});
  stage.run(50s);
  const SavedState saved = stage.engine().save(stage.now());
  const Now later{stage.now().mono + 1h, stage.now().wall + 1h};
  Engine engine(std::make_shared<const Plan>(stage.plan()), later, saved, 1h);
  const auto state_after = [&](Duration more) {
    engine.apply(Now{later.mono + more, later.wall + std::chrono::duration_cast<std::chrono::milliseconds>(more)},
                 Tick{});
    return engine.snapshot()->checks.at(0).state;
  };
  CHECK(state_after(0s) == State::pass);
  CHECK(engine.snapshot()->services.at(0).answer == Verdict::pass);
  for (int i = 1; i < 10; ++i) CHECK(state_after(std::chrono::seconds(i)) == State::pass);
  CHECK(state_after(10s) == State::fail);
  // A second restart does not forget what the first remembered.
  const Now again{later.mono + 20s, later.wall + 20s};
  Engine third(std::make_shared<const Plan>(stage.plan()), again, engine.save({later.mono + 10s, later.wall}), 10s);
  third.apply(again, Tick{});
  CHECK(third.snapshot()->checks.at(0).state == State::fail);
  CHECK(third.snapshot()->checks.at(0).last->text.find("the last one said pass") != std::string::npos);
}

TEST_CASE("a moment in which the agent stood still is no silence of whoever reports") {
  CheckPlan check = a_check("backup");
  check.is_passive = true;
  check.max_age = 60s;
  Stage stage(all_of({check}));
  stage.input(Report{stage.id("backup"), result(Verdict::pass)});
  stage.run(30s);
  const Now stalled{stage.now().mono + 300s, stage.now().wall + 300s};
  stage.engine().apply(stalled, Tick{});
  CHECK(stage.engine().snapshot()->checks.at(0).state == State::pass);
}

TEST_CASE("reports for an active check are not believed") {
  Stage stage(all_of({a_check("db")}));
  stage.input(Report{stage.id("db"), result(Verdict::pass)});
  CHECK(stage.check("db").state == State::pending);
}
