// When a check is looked at: planned times, the grid, the edge, jitter, and cycles with retries.
#include "core/schedule.hpp"

#include <catch2/catch.hpp>
#include <set>

#include "base/text.hpp"
#include "core/probe_cycle.hpp"
#include "core/stage.hpp"

using namespace vital;
using namespace vital::test;

TEST_CASE("the first look comes within a second, at the name's place, always the same") {
  std::set<Duration> places;
  for (int i = 0; i < 100; ++i) {
    const auto hash = stable_hash("check-" + std::to_string(i));
    const Instant at = schedule::first_look(hash, Instant(50s), 10s);
    CHECK(at >= Instant(50s));
    CHECK(at < Instant(51s));
    CHECK(schedule::first_look(hash, Instant(50s), 10s) == at);
    places.insert((at - Instant(50s)) / 100ms * 1ns);
    CHECK(schedule::first_look(hash, Instant(50s), 200ms) < Instant(50s) + 200ms);
  }
  CHECK(places.size() == 10);  // spread over the whole second
}

TEST_CASE("steady looks are on the name's grid, whatever happened before, and after a restart on the same") {
  const auto hash = stable_hash("db");
  const auto third_after = [&](Instant t) {  // one look may lie between an unusual one and the grid
    for (int i = 0; i < 3; ++i) t = schedule::next_planned(hash, t, 10s, 5s, false);
    return t;
  };
  const Instant a = third_after(Instant(100s));
  CHECK(schedule::next_planned(hash, a, 10s, 5s, false) - a == 10s);
  CHECK((third_after(Instant(777s)) - a) % 10s == 0ns);
  CHECK((third_after(Instant(1234567ms)) - a) % 10s == 0ns);
}

TEST_CASE("two planned looks are never further apart than the interval nor nearer than half of it or the edge") {
  for (int i = 0; i < 2000; ++i) {
    const auto hash = stable_hash("x" + std::to_string(i));
    const Instant from = Instant(1000s) + i * 7ms;
    for (const Duration edge : {Duration(1s), Duration(4s), Duration(10s)}) {
      const Duration gap = schedule::next_planned(hash, from, 10s, edge, false) - from;
      CHECK(gap <= 10s);
      CHECK(gap >= std::min<Duration>(edge, 5s));
      CHECK(schedule::next_planned(hash, from, 10s, edge, true) - from == edge);
    }
  }
}

TEST_CASE("full jitter covers its range and is the same for the same attempt") {
  Duration least = 1s, most = 0s;
  for (std::uint64_t cycle = 0; cycle < 1000; ++cycle) {
    const Duration d = schedule::full_jitter(1, cycle, 1, 1s);
    CHECK(d == schedule::full_jitter(1, cycle, 1, 1s));
    CHECK(d <= 1s);
    least = std::min(least, d);
    most = std::max(most, d);
  }
  CHECK(least < 10ms);
  CHECK(most > 990ms);
  CHECK(schedule::full_jitter(1, 1, 1, 0s) == 0s);
}

TEST_CASE("a retry is made inside the cycle and the last attempt is the outcome") {
  CheckPlan check = a_check("db");
  check.interval = 10s;
  check.edge_interval = 5s;
  check.retries = 2;
  check.retry_delay = 500ms;
  Stage stage(all_of({check}));
  stage.answers_itself = false;
  stage.run(1s);
  REQUIRE(stage.starts.size() == 1);
  ProbeResult bad;
  bad.verdict = Verdict::fail;
  bad.cause = Cause::refused;
  bad.duration = 1ms;
  stage.answer(stage.starts[0].probe.id, bad);
  CHECK(stage.check("db").state == State::pending);  // the cycle is not over
  CHECK(stage.check("db").history.empty());
  stage.run(500ms);
  REQUIRE(stage.starts.size() == 2);
  CHECK(stage.starts[1].probe.attempt == 1);
  ProbeResult good = bad;
  good.verdict = Verdict::pass;
  good.cause = Cause::none;
  stage.answer(stage.starts[1].probe.id, good);
  CHECK(stage.check("db").state == State::pass);
  CHECK(stage.check("db").history == ".");
}

TEST_CASE("retries that hang end with the cycle, and one with less than half a timeout left is not made") {
  CheckPlan check = a_check("db");  // the lenient profile: 3 x 5 s do not fit into 10 s
  check.interval = 10s;
  check.timeout = 5s;
  check.retries = 2;
  check.retry_delay = 1s;
  check.edge_interval = 5s;
  Stage stage(all_of({check}));
  stage.target("db").hang();
  stage.run(30s);
  const Instant first = stage.starts[0].at;
  REQUIRE(stage.starts.size() >= 3);
  CHECK(stage.starts[1].probe.attempt == 1);
  CHECK(stage.starts[1].at >= first + 5s);
  CHECK(stage.starts[1].at <= first + 6s);
  CHECK(stage.starts[1].probe.deadline == first + 10s);
  CHECK(stage.starts[2].probe.attempt == 0);
  CHECK(stage.starts[2].at >= first + 10s);
}

TEST_CASE("a rejected credential is never tried again") {
  for (const Verdict v : {Verdict::fail, Verdict::unknown}) {
    CheckPlan check = a_check("db");
    check.retries = 2;
    Stage stage(all_of({check}));
    stage.target("db").say(v, Cause::auth, "password rejected");
    stage.run(30s);
    REQUIRE(stage.starts.size() > 4);
    for (const auto& start : stage.starts) CHECK(start.probe.attempt == 0);
  }
}

TEST_CASE("an answer that is only slow is not tried again") {
  CheckPlan check = a_check("db");
  check.retries = 2;
  check.warn_after = 100ms;
  Stage stage(all_of({check}));
  stage.target("db").well(500ms);
  stage.run(30s);
  for (const auto& start : stage.starts) CHECK(start.probe.attempt == 0);
  CHECK(stage.check("db").state == State::warn);
  CHECK(stage.check("db").last->cause == Cause::latency);
  CHECK(stage.service("web").answer == Verdict::warn);
}

TEST_CASE("start_delay holds the first look back") {
  CheckPlan check = a_check("db");
  check.start_delay = 20s;
  Stage stage(all_of({check}));
  stage.run(20s - 1ns);
  CHECK(stage.starts.empty());
  stage.run(1s);
  CHECK(stage.starts.size() == 1);
}

TEST_CASE("an operator's look comes at once, only if none is in flight, and leaves the grid alone") {
  Stage stage(all_of({a_check("db")}));
  stage.target("db").well(300ms);
  stage.run(12s);
  while (*stage.check("db").next_due - stage.now().mono < 1s) stage.run(10ms);
  const std::size_t before = stage.starts.size();
  const auto due = *stage.check("db").next_due;
  stage.input(RunNow{stage.id("db")});
  stage.input(RunNow{stage.id("db")});
  CHECK(stage.starts.size() == before + 1);
  stage.run(400ms);
  CHECK(*stage.check("db").next_due >= due);
  CHECK((*stage.check("db").next_due - due) <= 2s);
}

TEST_CASE("missed cycles are counted and not made up for") {
  CheckPlan check = a_check("db");
  check.interval = 1s;
  check.edge_interval = 1s;
  check.timeout = 500ms;
  Stage stage(all_of({check}));
  stage.run(5s);
  stage.starts.clear();
  stage.stall(60s);
  stage.run(3s);
  CHECK(stage.starts.size() <= 4);
  CHECK(stage.snapshot().counters.skipped_cycles >= 58);
}
