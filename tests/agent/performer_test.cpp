#include "agent/performer.hpp"

#include <catch2/catch.hpp>
#include <map>

using namespace vital;
using namespace std::chrono_literals;

namespace {

// What the ports were told, and a clock that stands until it is moved.
struct House {
  Now now{Instant(1000s), WallTime(std::chrono::milliseconds(1795521600000))};
  std::map<std::uint64_t, std::shared_ptr<const CheckSpec>> running;
  std::vector<std::uint64_t> abandoned;
  std::vector<std::string> retired;
  std::vector<std::string> notes;
  std::vector<std::pair<std::string, Cause>> counted;
  std::shared_ptr<const Snapshot> seen;
  Step last;

  Ports ports() {
    Ports p;
    p.start_probe = [this](ProbeId id, std::shared_ptr<const CheckSpec> spec, std::uint32_t, Instant) {
      running[id.value] = std::move(spec);
    };
    p.abandon_probe = [this](ProbeId id) {
      abandoned.push_back(id.value);
      running.erase(id.value);
    };
    p.retire = [this](const std::shared_ptr<const CheckSpec>& spec) { retired.push_back(spec->check); };
    p.publish = [this](std::shared_ptr<const Snapshot> s) { seen = std::move(s); };
    p.note = [this](Now, const Note& note) { notes.push_back(note.event); };
    p.ended = [this](Now, std::string_view check, const ProbeEnded& e) { counted.emplace_back(check, e.result.cause); };
    p.timed = [this](const Step& step) { last = Step{{}, step.wake_at, step.valid_until}; };
    return p;
  }

  // Moves on as the agent's timer would, a wake at a time.
  void pass(Performer& performer, Duration how_long) {
    const Instant until = now.mono + how_long;
    while (last.wake_at <= until) {
      move(std::max(last.wake_at, now.mono));
      performer.apply(now, Tick{});
      if (last.wake_at == now.mono) move(now.mono + 1ms);
    }
    move(until);
  }
  void move(Instant to) {
    now.wall += std::chrono::duration_cast<std::chrono::milliseconds>(to - now.mono);
    now.mono = to;
  }
  // The probe of a check ends now.
  void finish(Performer& performer, const std::string& check, Verdict verdict) {
    for (const auto& [id, spec] : running) {
      if (spec->check != check) continue;
      ProbeResult r;
      r.verdict = verdict;
      r.cause = verdict == Verdict::pass ? Cause::none : Cause::refused;
      const ProbeId done(id);
      running.erase(id);
      performer.apply(now, ProbeDone{done, r});
      return;
    }
    FAIL("no probe of " << check << " runs");
  }
  bool is_running(const std::string& check) const {
    return std::any_of(running.begin(), running.end(), [&](const auto& r) { return r.second->check == check; });
  }
};

std::shared_ptr<const CheckSpec> spec(const std::string& check) {
  auto s = std::make_shared<CheckSpec>();
  s->check = check;
  return s;
}

std::shared_ptr<Plan> plan(const std::vector<std::string>& checks) {
  auto p = std::make_shared<Plan>();
  p->node = "web-1";
  Rule rule;
  for (const std::string& name : checks) {
    CheckPlan c;
    c.name = name;
    c.type = "tcp";
    c.interval = 10s;
    c.timeout = 2s;
    c.max_age = 32s;
    c.fingerprint = 1;
    p->checks.push_back(c);
    Rule leaf;
    leaf.kind = Rule::Kind::check;
    leaf.target = static_cast<std::uint32_t>(p->checks.size() - 1);
    rule.members.push_back(leaf);
  }
  ServicePlan s;
  s.name = "web";
  s.rule = rule;
  s.startup_timeout = 60s;
  p->services.push_back(s);
  return p;
}

Specs specs(const std::vector<std::string>& checks) {
  Specs out;
  for (const std::string& c : checks) out.push_back(spec(c));
  return out;
}

}  // namespace

TEST_CASE("a probe is started with the spec of its check, and its result is counted and published") {
  House house;
  Performer performer(plan({"app", "db"}), specs({"app", "db"}), house.ports(), house.now);
  performer.apply(house.now, Tick{});
  house.pass(performer, 1s);
  REQUIRE(house.is_running("app"));
  REQUIRE(house.is_running("db"));
  house.finish(performer, "app", Verdict::pass);
  house.finish(performer, "db", Verdict::fail);
  house.pass(performer, 100ms);
  CHECK(house.counted == std::vector<std::pair<std::string, Cause>>{{"app", Cause::none}, {"db", Cause::refused}});
  CHECK(house.seen->at(CheckId(0)).state == State::pass);
  CHECK(house.seen->at(CheckId(1)).state == State::fail);
}

TEST_CASE("a probe that does not come back is counted as a timeout and given up") {
  House house;
  Performer performer(plan({"app"}), specs({"app"}), house.ports(), house.now);
  performer.apply(house.now, Tick{});
  house.pass(performer, 3s + 100ms);
  CHECK(house.counted == std::vector<std::pair<std::string, Cause>>{{"app", Cause::timeout}});
  CHECK(house.abandoned.size() == 1);
}

TEST_CASE("whoever wants a check run now is told when its result is in, and not before") {
  House house;
  Performer performer(plan({"app"}), specs({"app"}), house.ports(), house.now);
  performer.apply(house.now, Tick{});
  house.pass(performer, 1s);
  house.finish(performer, "app", Verdict::pass);
  house.pass(performer, 1s);
  REQUIRE_FALSE(house.is_running("app"));

  int answers = 0;
  std::shared_ptr<const Snapshot> told;
  performer.run(house.now, CheckId(0), house.now.mono + 50s, [&](std::shared_ptr<const Snapshot> s) {
    ++answers;
    told = std::move(s);
  });
  CHECK(house.is_running("app"));
  CHECK(answers == 0);
  house.move(house.now.mono + 50ms);
  house.finish(performer, "app", Verdict::fail);
  house.pass(performer, 100ms);
  REQUIRE(answers == 1);
  CHECK(told->at(CheckId(0)).last->verdict == Verdict::fail);
}

TEST_CASE("two who want the same check share one probe") {
  House house;
  Performer performer(plan({"app"}), specs({"app"}), house.ports(), house.now);
  performer.apply(house.now, Tick{});
  house.pass(performer, 1s);
  int answers = 0;
  for (int i = 0; i < 2; ++i) {
    performer.run(house.now, CheckId(0), house.now.mono + 50s, [&](const auto& s) { answers += s ? 1 : 100; });
  }
  CHECK(house.running.size() == 1);
  house.finish(performer, "app", Verdict::pass);
  house.pass(performer, 100ms);
  CHECK(answers == 2);
}

TEST_CASE("whoever waits for a check that is removed, or for too long, is told that nothing came") {
  House house;
  Performer performer(plan({"app", "db"}), specs({"app", "db"}), house.ports(), house.now);
  performer.apply(house.now, Tick{});
  int nothing = 0;
  const auto count = [&](const auto& s) { nothing += s ? 100 : 1; };
  performer.run(house.now, CheckId(1), house.now.mono + 50s, count);
  performer.adopt(house.now, plan({"app"}), specs({"app"}));
  CHECK(nothing == 1);
  performer.run(house.now, CheckId(0), house.now.mono + 1s, count);
  house.pass(performer, 1500ms);
  CHECK(nothing == 2);
}

TEST_CASE("a reload keeps a running check, abandons a changed one and retires what is used no longer") {
  House house;
  Specs before = specs({"app", "db", "old"});
  Performer performer(plan({"app", "db", "old"}), before, house.ports(), house.now);
  performer.apply(house.now, Tick{});
  house.pass(performer, 1s);
  REQUIRE(house.running.size() == 3);

  // "new" comes first, so that every number means another check.
  auto next = plan({"new", "app", "db"});
  next->checks[2].fingerprint = 2;
  performer.adopt(house.now, next, {spec("new"), before[0], spec("db")});
  CHECK(house.is_running("app"));
  CHECK_FALSE(house.is_running("db"));
  CHECK_FALSE(house.is_running("old"));
  CHECK(house.retired == std::vector<std::string>{"db", "old"});
  house.finish(performer, "app", Verdict::pass);
  house.pass(performer, 1s);
  CHECK(house.seen->at(CheckId(1)).state == State::pass);
  CHECK(house.is_running("new"));
  CHECK(house.is_running("db"));
  CHECK(house.counted.front().first == "app");
}

TEST_CASE("a restart goes on from what was saved") {
  House house;
  std::optional<SavedState> saved;
  {
    Performer performer(plan({"app"}), specs({"app"}), house.ports(), house.now);
    performer.apply(house.now, Tick{});
    house.pass(performer, 1s);
    house.finish(performer, "app", Verdict::pass);
    Overlay drain;
    drain.kind = OverlayKind::drain;
    drain.owner = "alice";
    performer.apply(house.now, SetOverlay{drain});
    saved = performer.save(house.now);
  }
  SECTION("what is fresh is shown at once") {
    house.move(house.now.mono + 5s);
    const Performer performer(plan({"app"}), specs({"app"}), house.ports(), house.now, saved);
    CHECK(performer.snapshot()->at(CheckId(0)).state == State::pass);
    REQUIRE(performer.snapshot()->overlays.size() == 1);
    CHECK(performer.snapshot()->overlays[0].owner == "alice");
  }
  SECTION("what is old, by a wall clock that went backwards too, proves nothing") {
    house.now.wall -= 1h;
    const Performer performer(plan({"app"}), specs({"app"}), house.ports(), house.now, saved);
    CHECK(performer.snapshot()->at(CheckId(0)).is_unproven);
  }
}
