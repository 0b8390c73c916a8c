// Replay: recorded outcomes through another plan.
#include "core/replay.hpp"

#include <catch2/catch.hpp>

#include "core/stage.hpp"

using namespace vital;
using namespace vital::test;

namespace {
std::vector<RecordedResult> record(const std::string& check, const std::string& outcomes, Duration every = 5s,
                                   Duration took = 10ms) {
  std::vector<RecordedResult> out;
  Now at{Instant(100s), WallTime(std::chrono::hours(24 * 365 * 50))};
  for (const char c : outcomes) {
    RecordedResult r{check, at, {}};
    r.result.verdict = c == '.' ? Verdict::pass : c == 'F' ? Verdict::fail : Verdict::unknown;
    r.result.cause = c == '.' ? Cause::none : c == 'F' ? Cause::refused : Cause::agent;
    r.result.duration = took;
    out.push_back(r);
    at.mono += every;
    at.wall += std::chrono::duration_cast<std::chrono::milliseconds>(every);
  }
  return out;
}
}  // namespace

TEST_CASE("the same results under a more lenient plan fall less often") {
  const auto results = record("db", "...FFF...FF....FFFF....");
  Plan plan = all_of({a_check("db")});
  const auto three = replay(std::make_shared<const Plan>(plan), results);
  REQUIRE(three.services.size() == 1);
  CHECK(three.services[0].falls == 2);
  CHECK(three.services[0].told_fail == 10s + 15s);
  plan.checks[0].fall = 2;
  CHECK(replay(std::make_shared<const Plan>(plan), results).services[0].falls == 3);
  plan.checks[0].fall = 5;
  const auto five = replay(std::make_shared<const Plan>(plan), results);
  CHECK(five.services[0].falls == 0);
  CHECK(five.services[0].told_fail == 0s);
}

TEST_CASE("each change carries its moment, name and reason") {
  const auto out = replay(std::make_shared<const Plan>(all_of({a_check("db")})), record("db", "..FFF"));
  REQUIRE(out.changes.size() == 4);
  CHECK(out.changes[2].name == "db");
  CHECK(out.changes[2].to == "fail");
  CHECK(out.changes[3].is_service);
  CHECK(out.changes[3].answer == "fail");
  CHECK(out.changes[3].at == WallTime(std::chrono::hours(24 * 365 * 50)) + std::chrono::seconds(20));
  CHECK(out.changes[3].reason == "db: fail/refused");
}

TEST_CASE("silence in the record is stale in the replay, and unknown checks are counted, not guessed") {
  auto results = record("db", "..");
  auto late = record("db", ".");
  late[0].at.mono = results.back().at.mono + 10min;
  late[0].at.wall = results.back().at.wall + std::chrono::minutes(10);
  results.push_back(late[0]);
  results.push_back(record("gone", ".")[0]);
  results.back().at = late[0].at;
  const auto out = replay(std::make_shared<const Plan>(all_of({a_check("db")})), results);
  CHECK(out.unused == 1);
  REQUIRE(out.services[0].falls == 1);
  CHECK(out.services[0].told_fail == 10min - 17s);
}

TEST_CASE("a shorter timeout and another warn_after read the recorded durations anew") {
  Plan plan = all_of({a_check("db")});
  plan.checks[0].timeout = 100ms;
  CHECK(replay(std::make_shared<const Plan>(plan), record("db", "...", 5s, 200ms)).changes.back().to == "fail");
  plan.checks[0].timeout = 1s;
  plan.checks[0].warn_after = 150ms;
  CHECK(replay(std::make_shared<const Plan>(plan), record("db", "...", 5s, 200ms)).changes.back().to == "warn");
}
