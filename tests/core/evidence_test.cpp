// What a timeout is worth when the agent itself was late, asleep, stopped or out of workers.
#include "core/evidence.hpp"

#include <catch2/catch.hpp>

#include "core/stage.hpp"

using namespace vital;
using namespace vital::test;

namespace {
ProbeResult timed_out() {
  ProbeResult r;
  r.verdict = Verdict::fail;
  r.cause = Cause::timeout;
  r.text = "no answer";
  r.duration = 2s;
  return r;
}
}  // namespace

TEST_CASE("the tolerance is a quarter of the timeout within bounds, halved under CPU pressure") {
  const std::pair<Duration, Duration> rows[] = {
      {10s, 250ms}, {1s, 250ms}, {600ms, 150ms}, {300ms, 100ms}, {100ms, 50ms}};
  for (const auto& [timeout, expected] : rows) {
    CHECK(evidence::tolerance(timeout, 0) == expected);
    CHECK(evidence::tolerance(timeout, 90) == expected / 2);
  }
}

TEST_CASE("a timeout is believed only as far as we were on time") {
  struct Row {
    const char* what;
    Evidence evidence;
    Verdict expected;
  };
  const Row rows[] = {
      {"on time", {0ms, 0ms, 0ms, 0}, Verdict::fail},
      {"a little late", {50ms, 50ms, 50ms, 0}, Verdict::fail},
      {"waited for a worker", {300ms, 0ms, 0ms, 0}, Verdict::unknown},
      {"the worker's loop stood still", {0ms, 300ms, 0ms, 0}, Verdict::unknown},
      {"the deadline was noticed late", {0ms, 0ms, 300ms, 0}, Verdict::unknown},
      {"a little of each is too much", {100ms, 100ms, 100ms, 0}, Verdict::unknown},
      {"a busy host alone proves nothing about us", {0ms, 0ms, 0ms, 99}, Verdict::fail},
      {"but makes small delays count", {150ms, 0ms, 0ms, 99}, Verdict::unknown},
      {"our loop was late", {0ms, 0ms, 0ms, 0, 300ms}, Verdict::unknown},
      {"our control group was throttled", {0ms, 0ms, 0ms, 0, 0ms, 300ms}, Verdict::unknown},
      {"what overlaps counts once", {0ms, 0ms, 200ms, 0, 200ms, 200ms}, Verdict::fail},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    ProbeResult r = timed_out();
    r.evidence = row.evidence;
    const auto judged = evidence::judge(a_check("db"), r, 2s);
    CHECK(judged.result.verdict == row.expected);
    CHECK(judged.discounted == (row.expected == Verdict::unknown));
    if (judged.discounted) CHECK(judged.result.cause == Cause::agent);
  }
}

TEST_CASE("other causes need no clock and are always believed") {
  ProbeResult r = timed_out();
  r.cause = Cause::refused;
  r.evidence.worker_lag = 10s;
  CHECK(evidence::judge(a_check("db"), r, 2s).result.verdict == Verdict::fail);
}

TEST_CASE("our own delay does not make an answer slow") {
  CheckPlan check = a_check("db");
  check.warn_after = 500ms;
  ProbeResult r;
  r.verdict = Verdict::pass;
  r.cause = Cause::none;
  r.duration = 600ms;
  CHECK(evidence::judge(check, r, 2s).result.verdict == Verdict::warn);
  r.evidence.worker_lag = 200ms;
  CHECK(evidence::judge(check, r, 2s).result.verdict == Verdict::pass);
}

TEST_CASE("a deadline that the loop itself noticed too late is unknown/agent and does not count") {
  Stage stage(all_of({a_check("db")}));
  stage.run(10s);
  stage.target("db").hang();
  stage.run(5s);
  REQUIRE(stage.flying().size() == 1);
  const Instant deadline = stage.flying()[0].deadline;
  stage.run(deadline - 500ms - stage.now().mono);
  stage.stall(900ms);  // less than a stall, more than the tolerance
  stage.run(1ms);
  CHECK(stage.check("db").history.back() == '?');
  CHECK(stage.check("db").last->cause == Cause::agent);
  CHECK(stage.snapshot().counters.discounted_timeouts == 1);
  CHECK(stage.noted("timeout_discounted").size() == 1);
  CHECK(stage.check("db").state == State::pass);
}

TEST_CASE("a timeout while our control group was throttled is unknown/agent, one before or after it is not") {
  Stage stage(all_of({a_check("db")}));
  stage.run(10s);
  stage.input(Pressure{0, 700ms});  // long before
  stage.target("db").hang();
  while (stage.flights.empty()) stage.run(10ms);
  const auto wait_out = [&] { stage.run(stage.flying()[0].deadline - stage.now().mono); };
  SECTION("not during it") {
    wait_out();
    CHECK(stage.check("db").last->verdict == Verdict::fail);
    CHECK(stage.check("db").last->evidence.throttled == 0ms);
  }
  SECTION("during it") {
    stage.run(1s);
    stage.input(Pressure{0, 1100ms});
    wait_out();
    CHECK(stage.check("db").last->verdict == Verdict::unknown);
    CHECK(stage.check("db").last->evidence.throttled == 400ms);
  }
  SECTION("never more than the probe took") {
    stage.input(Pressure{0, 10min});
    wait_out();
    CHECK(stage.check("db").last->evidence.throttled == 2s);
  }
}

TEST_CASE("what we ourselves were like is kept with every result") {
  Stage stage(all_of({a_check("db")}));
  stage.input(Pressure{42, 0ms});
  stage.target("db").well(500ms);
  stage.run(10s);
  while (stage.flights.empty()) stage.run(10ms);
  stage.input(ProbeDelayed{stage.flying()[0].id, 30ms});
  stage.run(400ms);
  stage.stall(1s);
  stage.run(1ms);
  const Evidence& e = stage.check("db").last->evidence;
  CHECK(e.cpu_pressure == 42);
  CHECK(e.worker_lag == 30ms);
  CHECK(e.loop_lag >= 200ms);
  CHECK(stage.check("db").state == State::pass);
}

TEST_CASE("a result found in time but handed over a moment late still counts") {
  Stage stage(all_of({a_check("db")}));
  stage.answers_itself = false;
  stage.run(1s);
  REQUIRE(stage.flying().size() == 1);
  const StartProbe probe = stage.flying()[0];
  stage.run(probe.deadline - 100ms - stage.now().mono);
  stage.stall(200ms);
  ProbeResult r = timed_out();
  r.verdict = Verdict::pass;
  r.cause = Cause::none;
  r.duration = 1900ms;
  SECTION("found in time") {
    stage.answer(probe.id, r);
    CHECK(stage.check("db").state == State::pass);
  }
  SECTION("found after the deadline") {
    r.duration = 2050ms;
    stage.answer(probe.id, r);
    stage.input(Tick{});
    CHECK(stage.check("db").state == State::fail);
    CHECK(stage.snapshot().counters.late_results == 1);
  }
}

TEST_CASE("after a moment of being busy, what waits in a socket is read before a deadline is passed") {
  Stage stage(all_of({a_check("db"), a_check("app")}));
  stage.answers_itself = false;
  stage.run(1s);
  REQUIRE(stage.flying().size() == 2);
  const StartProbe first = stage.flying()[0], second = stage.flying()[1];
  stage.run(first.deadline - 100ms - stage.now().mono);
  stage.stall(160ms);  // both answered in time; the loop comes to the other one first
  ProbeResult well;
  well.verdict = Verdict::pass;
  well.cause = Cause::none;
  well.duration = 10ms;
  stage.answer(second.id, well);
  stage.answer(first.id, well);
  stage.run(1ms);
  CHECK(stage.check(stage.plan().at(first.check).name).state == State::pass);
  CHECK(stage.check(stage.plan().at(second.check).name).state == State::pass);
  CHECK(stage.snapshot().counters.late_results == 0);
}

TEST_CASE("a probe that no worker took proves nothing about the target") {
  Stage stage(all_of({a_check("db")}));
  stage.run(10s);
  stage.target("db").hang();
  const std::size_t before = stage.starts.size();
  while (stage.starts.size() == before) stage.run(10ms);
  stage.input(ProbeQueued{stage.starts.back().probe.id});
  SECTION("never taken") {
    stage.run(2100ms);
    CHECK(stage.check("db").last->verdict == Verdict::unknown);
    CHECK(stage.check("db").last->text == "no worker was free for 2s");
  }
  SECTION("taken late") {
    stage.run(1s);
    stage.input(ProbeTaken{stage.starts.back().probe.id});
    stage.run(1100ms);
    CHECK(stage.check("db").last->verdict == Verdict::unknown);
    CHECK(stage.check("db").last->evidence.queue_delay >= 1s);
  }
  SECTION("taken at once") {
    stage.run(20ms);
    stage.input(ProbeTaken{stage.starts.back().probe.id});
    stage.run(2100ms);
    CHECK(stage.check("db").last->verdict == Verdict::fail);
  }
}

TEST_CASE("a stopped agent changes no check, answers nothing it cannot prove, and looks again without a burst") {
  std::vector<CheckPlan> checks;
  for (int i = 0; i < 30; ++i) checks.push_back(a_check("c" + std::to_string(i)));
  Stage stage(all_of(checks));
  stage.run(20s);
  REQUIRE(stage.service("web").answer == Verdict::pass);
  stage.forget_notes();
  stage.stall(1h);
  stage.starts.clear();
  stage.input(Tick{});
  CHECK(stage.noted("agent_stalled").size() == 1);
  CHECK(stage.noted("check_state").empty());
  CHECK(stage.check("c0").state == State::pass);
  CHECK(stage.check("c0").is_unproven);
  CHECK(stage.service("web").answer == Verdict::fail);  // an hour old is not pass
  CHECK(stage.service("web").reason.find("waiting for a fresh look") != std::string::npos);
  CHECK(stage.starts.size() <= 1);
  stage.run(1100ms);
  CHECK(stage.starts.size() == 30);
  CHECK(stage.service("web").answer == Verdict::pass);
  CHECK(stage.noted("check_state").empty());
  for (std::size_t i = 0; i + 8 < stage.starts.size(); ++i) {
    CHECK(stage.starts[i + 8].at - stage.starts[i].at > 50ms);
  }
}

TEST_CASE("probes that hung while the agent was stopped prove nothing, and the next look decides") {
  Stage stage(all_of({a_check("db")}));
  stage.run(10s);
  stage.target("db").hang();
  while (stage.flights.empty()) stage.run(100ms);
  stage.stall(10min);
  stage.target("db").refuse();
  stage.forget_notes();
  stage.input(Tick{});
  CHECK(stage.check("db").state == State::pass);
  stage.run(1100ms);
  CHECK(stage.check("db").state == State::fail);
}

TEST_CASE("a short stall changes nothing at all") {
  Stage stage(all_of({a_check("db")}));
  stage.run(10s);
  stage.stall(4s);
  stage.run(1s);
  CHECK(stage.check("db").state == State::pass);
  CHECK(stage.service("web").answer == Verdict::pass);
  CHECK_FALSE(stage.check("db").is_unproven);
}

TEST_CASE("a host that slept ages its evidence and looks again, though its clock saw nothing") {
  Stage stage(all_of({a_check("db")}));
  stage.run(10s);
  stage.forget_notes();
  stage.input(Slept{8h});
  CHECK(stage.check("db").state == State::pass);
  CHECK(stage.service("web").answer == Verdict::fail);
  stage.run(1100ms);
  CHECK(stage.service("web").answer == Verdict::pass);
  CHECK(stage.noted("check_state").empty());
}

TEST_CASE("a wall clock that jumps changes nothing") {
  Stage stage(all_of({a_check("db")}));
  stage.run(10s);
  const std::size_t starts = stage.starts.size();
  stage.forget_notes();
  for (const auto by : {std::chrono::milliseconds(24h), -std::chrono::milliseconds(72h)}) {
    stage.move_wall(by);
    stage.run(5s);
    CHECK(stage.check("db").state == State::pass);
  }
  CHECK(stage.starts.size() == starts + 2);
  CHECK(stage.notes.empty());
}

TEST_CASE("the promise of a step ends three seconds later, and the engine asks to be woken each second") {
  Plan plan = all_of({a_check("db")});
  plan.checks[0].start_delay = 1h;
  const Now now{Instant(50s), WallTime{}};
  Engine engine(std::make_shared<const Plan>(plan), now);
  const Step step = engine.apply(now, Tick{});
  CHECK(step.wake_at == now.mono + 1s);
  CHECK(step.valid_until == now.mono + 3s);
}
