// The steps of a stage: what counts as done, what is tried again, what may have acted after all.
#include "core/failover/steps.hpp"

#include <catch2/catch.hpp>

namespace vital::failover {
namespace {

using namespace std::chrono_literals;

struct Stage {
  StepRun run;
  Instant now = Instant{} + 100s;

  explicit Stage(std::vector<StepPlan> plans, bool undoes = false) {
    std::vector<StepRun::Item> items;
    for (const StepPlan& p : plans) items.push_back({p, static_cast<std::uint32_t>(items.size())});
    run = StepRun(std::move(items), undoes);
  }
  // The next step is asked for and ends so.
  std::string step(Outcome outcome) {
    if (run.status(now) == Steps::running) now += StepRun::pause;
    REQUIRE(run.status(now) == Steps::idle);
    const RunStep s = run.begin(now, now + 5s);
    REQUIRE(run.status(now) == Steps::running);
    CHECK(run.done(now, {"", s.step, s.attempt, s.verb, outcome, ""}));
    CHECK_FALSE(run.done(now, {"", s.step, s.attempt, s.verb, Outcome::done, ""}));  // twice
    return s.action + " " + std::string(name(s.verb));
  }
};

const StepPlan one{"one", {}, 10s, 2, true}, two{"two", {}, 10s, 1, false};

}  // namespace

TEST_CASE("each step is performed and read back, one after the other") {
  Stage s({one, two});
  CHECK(s.step(Outcome::done) == "one perform");
  CHECK(s.step(Outcome::done) == "one verify");
  CHECK(s.step(Outcome::done) == "two perform");
  CHECK(s.run.status(s.now) == Steps::idle);
  CHECK(s.step(Outcome::done) == "two verify");
  CHECK(s.run.status(s.now) == Steps::finished);
  CHECK(Stage({}).run.status(s.now) == Steps::finished);
}

TEST_CASE("what says done and is not is tried again, and fails at last") {
  Stage s({one});
  s.step(Outcome::done);
  CHECK(s.step(Outcome::unverified) == "one verify");
  CHECK(s.step(Outcome::done) == "one perform");
  s.step(Outcome::failed);
  CHECK(s.run.status(s.now) == Steps::failed);
  CHECK(s.run.may_have_acted());
  CHECK(s.run.acted().size() == 1);
}

TEST_CASE("a timeout is no failure until reading back says so") {
  Stage s({one});
  s.step(Outcome::timeout);
  CHECK(s.step(Outcome::done) == "one verify");
  CHECK(s.run.status(s.now) == Steps::finished);
}

TEST_CASE("what failed for certain did nothing") {
  Stage s({one});
  s.step(Outcome::failed);
  s.step(Outcome::failed);
  CHECK(s.run.status(s.now) == Steps::failed);
  CHECK_FALSE(s.run.may_have_acted());
  Stage unsure({one});
  unsure.step(Outcome::timeout);
  unsure.step(Outcome::failed);
  unsure.step(Outcome::failed);
  CHECK(unsure.run.may_have_acted());
}

TEST_CASE("a veto ends it at once; too late is tried again for as long as it takes") {
  Stage s({one});
  for (int i = 0; i < 10; ++i) CHECK(s.step(Outcome::too_late) == "one perform");
  s.step(Outcome::vetoed);
  CHECK(s.run.status(s.now) == Steps::vetoed);
  CHECK_FALSE(s.run.may_have_acted());
}

TEST_CASE("one that never answers has timed out, a moment after its deadline") {
  Stage s({two});
  s.run.begin(s.now, s.now + 5s);
  s.now += 10s;
  s.run.tick(s.now);
  CHECK(s.run.status(s.now) == Steps::running);
  s.now += StepRun::patience;
  s.run.tick(s.now);
  CHECK(s.run.status(s.now) == Steps::idle);
  CHECK(s.step(Outcome::failed) == "two verify");
  CHECK(s.run.status(s.now) == Steps::failed);
}

TEST_CASE("steps are taken back without reading back, and one that was stopped may have acted") {
  Stage back({one}, true);
  CHECK(back.step(Outcome::done) == "one compensate");
  CHECK(back.run.status(back.now) == Steps::finished);
  Stage s({one});
  s.run.begin(s.now, s.now + 5s);
  CHECK(s.run.stop());
  CHECK_FALSE(s.run.stop());
  CHECK(s.run.status(s.now) == Steps::failed);
  CHECK(s.run.acted().size() == 1);
}

}  // namespace vital::failover
