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

TEST_CASE("fewer retries end a cycle at the attempt that would have been the last") {
  Plan plan = all_of({a_check("db")});
  plan.checks[0].retries = 2;
  std::vector<RecordedResult> results;
  auto good = record("db", "..");
  results.insert(results.end(), good.begin(), good.end());
  for (int cycle = 0; cycle < 3; ++cycle) {
    // Fails once, and the retry is fine.
    for (std::uint32_t attempt = 0; attempt < 2; ++attempt) {
      RecordedResult r = record("db", attempt == 0 ? "F" : ".")[0];
      r.at.mono += 10s + cycle * 5s + attempt * 100ms;
      r.at.wall += std::chrono::milliseconds(10000 + cycle * 5000 + attempt * 100);
      r.attempt = attempt;
      r.is_outcome = attempt == 1;
      results.push_back(r);
    }
  }
  CHECK(replay(std::make_shared<const Plan>(plan), results).services[0].falls == 0);
  plan.checks[0].retries = 0;
  CHECK(replay(std::make_shared<const Plan>(plan), results).services[0].falls == 1);
}

TEST_CASE("what more time or more retries would have brought is counted, not guessed") {
  Plan plan = all_of({a_check("db")});
  plan.checks[0].timeout = 4s;
  plan.checks[0].retries = 0;
  auto results = record("db", ".F.", 5s, 2s);
  results[1].result.cause = Cause::timeout;
  CHECK(replay(std::make_shared<const Plan>(plan), results).undecided.at("db") == 1);
  plan.checks[0].timeout = 1s;
  CHECK(replay(std::make_shared<const Plan>(plan), results).undecided.empty());
}

TEST_CASE("two histories are compared by what was shown when, and a late loop is no difference") {
  const WallTime t0{std::chrono::hours(24 * 365 * 50)};
  const auto line = [&](std::vector<std::pair<int, const char*>> said) {
    std::vector<ReplayChange> out;
    for (const auto& [s, what] : said) out.push_back({t0 + std::chrono::seconds(s), false, "db", "", what, "", ""});
    return out;
  };
  const auto was = line({{0, "pass"}, {100, "fail"}, {160, "pass"}, {300, "fail"}});
  const auto would = line({{0, "pass"}, {102, "fail"}, {160, "pass"}, {200, "warn"}, {210, "pass"}});
  const auto c = compare(was, would, t0, t0 + std::chrono::seconds(400), 5s);
  REQUIRE(c.differences.size() == 2);
  CHECK(c.differences[0].said == "pass");
  CHECK(c.differences[0].would_say == "warn");
  CHECK(c.differences[0].from == t0 + std::chrono::seconds(200));
  CHECK(c.differences[1].would_say == "pass");
  CHECK(c.differences[1].to == t0 + std::chrono::seconds(400));
  REQUIRE(c.subjects.size() == 1);
  CHECK(c.subjects[0].falls == 2);
  CHECK(c.subjects[0].would_fall == 1);
  CHECK(c.subjects[0].down == 160s);
  CHECK(c.subjects[0].would_be_down == 58s);
}

TEST_CASE("from a recorded state on the replay says what the engine said, whatever the state") {
  Plan plan = all_of({a_check("db"), a_check("app")});
  plan.checks[1].depends_on = {CheckId(0)};
  plan.services[0].budget = {1, 10min, 0s, 20s};
  Stage stage(plan);
  stage.run(30s);
  stage.target("db").refuse();
  stage.target("app").hang();
  stage.run(12s);  // in the middle of a fall
  const SavedState saved = stage.engine().save(stage.now());
  const Now start = stage.now();
  const std::size_t notes = stage.notes.size(), rows = stage.record.size();
  stage.run(20s);
  stage.target("db").well();
  stage.run(40s);
  stage.target("app").well();
  stage.run(60s);

  Replay replay(std::make_shared<const Plan>(plan), start, saved);
  for (std::size_t i = rows; i < stage.record.size(); ++i) {
    const auto& r = stage.record[i];
    const WallTime wall = start.wall + std::chrono::duration_cast<std::chrono::milliseconds>(r.at - start.mono);
    if (const auto* e = std::get_if<ProbeEnded>(&r.what)) {
      replay.take({r.check, {r.at, wall}, e->result, e->found_ago, e->attempt, e->is_outcome});
    }
  }
  replay.end(stage.now());
  std::vector<std::string> said, would;
  for (std::size_t i = notes; i < stage.notes.size(); ++i) {
    const Note& n = stage.notes[i];
    if (n.event != "check_state" && n.event != "service_state" && n.event != "ejection_withheld") continue;
    said.push_back(Stage::field(n, n.event == "check_state" ? "check" : "service") + " " + Stage::field(n, "to") + " " +
                   Stage::field(n, "answer"));
  }
  for (const ReplayChange& c : replay.outcome().changes) would.push_back(c.name + " " + c.to + " " + c.answer);
  REQUIRE(said.size() >= 3);
  CHECK(would == said);
}
