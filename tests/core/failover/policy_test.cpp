// What a policy remembers and says between two moments; the long stories are in tests/simulation/failover.
#include <catch2/catch.hpp>

#include "core/failover/cases.hpp"
#include "core/failover/policies.hpp"

namespace vital::failover {

using namespace test;

namespace {

constexpr CheckId one{0}, two{1};

// An agent with its own checks and a store that says what the test wants.
struct Agent {
  FailoverWatch watch{{"main", {{"one", one, 30s}, {"two", two, 30s}}, {}, 10s}};
  Policies policies{"web1"};
  Now now{Instant{} + 1000s, WallTime{} + std::chrono::hours(24 * 365 * 56)};
  ClusterSeen store;
  std::vector<Effect> effects;

  explicit Agent(FailoverPolicyPlan p = plan(), std::string_view saved = {}) {
    policies.adopt(now, {std::move(p)}, saved);
    store.health = StoreHealth::ok;
  }
  void take(std::vector<Effect> more) {
    for (Effect& e : more) effects.push_back(std::move(e));
  }
  ProbeResult says(const char* role) const {
    ProbeResult r;
    r.verdict = role != nullptr ? Verdict::pass : Verdict::fail;
    r.cause = role != nullptr ? Cause::none : Cause::refused;
    if (role != nullptr) r.facts = {{"role", role}};
    r.measures = {{"lag", 0.1, "s", 0, 0}};
    return r;
  }
  // So many seconds, with everybody looked at in each.
  void pass(int how_many, bool is_primary_up, bool do_others_see_it_down = true) {
    for (int i = 0; i < how_many; ++i) {
      now.mono += 1s;
      now.wall += std::chrono::seconds(1);
      (void)watch.observe(now, one, says(is_primary_up ? "primary" : nullptr));
      (void)watch.observe(now, two, says("standby"));
      take(policies.saw(now, "main", sight_of(watch, now.mono)));
      store.at = now.mono;
      ++store.revision;
      store.votes.clear();
      if (do_others_see_it_down)
        store.votes = {{"web2", "", "main", "one", ServerRole::unknown, !is_primary_up, is_primary_up, 1s, ""}};
      take(policies.apply(now, store));
      take(policies.apply(now, Tick{}));
    }
  }
  // The store does as it is asked.
  void grant() { store.leases = {{"main", "web1", true, store.revision + 1, now.mono + 60s}}; }
  void write() {
    for (const Effect& e : effects) {
      if (const auto* w = std::get_if<WriteRecord>(&e)) store.record = {w->text, store.revision + 1};
    }
    effects.clear();
  }
  State state() const { return policies.find("main")->state(); }
  template <typename T>
  std::size_t count() const {
    std::size_t n = 0;
    for (const Effect& e : effects) n += std::holds_alternative<T>(e) ? 1 : 0;
    return n;
  }
};

}  // namespace

TEST_CASE("from a primary that dies to the first step, with the lease and the record on the way") {
  Agent a;
  a.pass(70, true);
  CHECK(a.state() == State::observing);
  a.pass(12, false);
  CHECK(a.state() == State::leasing);
  CHECK(a.count<WantLease>() == 1);
  CHECK(a.count<RunStep>() == 0);
  a.grant();
  a.effects.clear();
  a.pass(1, false);
  CHECK(a.state() == State::registering);
  CHECK(a.count<RunStep>() == 0);
  a.write();
  a.pass(1, false);
  CHECK(a.state() == State::fencing);
  REQUIRE(a.count<RunStep>() == 1);
  for (const Effect& e : a.effects) {
    if (const auto* step = std::get_if<RunStep>(&e)) {
      CHECK(step->not_after == a.store.leases[0].until);  // not a moment later than the lease is ours
      CHECK(step->token == a.store.leases[0].token);
      CHECK(step->deadline == a.now.mono + 10s);
    }
  }
}

TEST_CASE("the host slept: a lease that was seen before is none, and nothing begins") {
  Agent a;
  a.pass(70, true);
  a.pass(12, false);
  a.grant();
  a.effects.clear();
  a.pass(1, false);
  a.write();
  a.take(a.policies.apply(a.now, SelfSeen{{}, 20s, {}, 0, 0}));
  CHECK_FALSE(is_acting(a.state()));
  a.pass(3, false);
  CHECK(a.count<RunStep>() == 0);
}

TEST_CASE("after trouble of its own an agent goes by nothing it saw before") {
  Agent a;
  a.pass(70, true);
  a.pass(12, false);
  a.take(a.policies.apply(a.now, SelfSeen{5s, {}, {}, 0, 0}));
  const Facts f = a.policies.find("main")->facts(a.now);
  CHECK(f.bad_for == never);
  CHECK(f.store_age == never);
  for (const MemberFact& m : f.members) CHECK_FALSE(m.is_seen);
  a.pass(1, false);
  CHECK(a.policies.find("main")->facts(a.now).members[0].is_seen);
}

TEST_CASE("most checks that have nothing to do with it turn bad at once: the trouble is our own") {
  Agent a;
  a.pass(70, true);
  a.take(a.policies.apply(a.now, SelfSeen{{}, {}, {}, 0.9, 10}));
  a.pass(20, false);
  CHECK(a.state() == State::held);
  a.pass(20, false);
  CHECK(a.state() == State::leasing);
  Agent few;
  few.pass(70, true);
  few.take(few.policies.apply(few.now, SelfSeen{{}, {}, {}, 1.0, 1}));  // a share of one is no share
  few.pass(20, false);
  CHECK(few.state() == State::leasing);
}

TEST_CASE("a store that goes back in time is not believed") {
  Agent a;
  a.pass(70, true);
  a.pass(8, false);
  a.store.revision = 3;
  a.pass(10, false);
  CHECK(a.state() == State::held);
}

TEST_CASE("whoever goes on with what another began promotes nobody else than the other may have promoted") {
  struct Left {
    Phase phase;
    bool is_bound;
    State state;
  };
  for (const Left& left : {Left{Phase::fencing, false, State::leasing}, Left{Phase::fencing, true, State::held},
                           Left{Phase::promoting, false, State::held}, Left{Phase::moving, false, State::held}}) {
    Agent a;
    a.pass(70, true);
    Record r;
    r.entries = {{"main-x", "main", "web9", 5, "one", "three", left.phase, 0, 1, 1, false, left.is_bound, ""}};
    a.store.record = {encode(r), a.store.revision};
    a.pass(12, false);
    CHECK(a.state() == left.state);
  }
}

TEST_CASE("maintenance holds it, of this topology or of all") {
  for (const char* which : {"main", ""}) {
    Agent a;
    a.pass(70, true);
    a.take(a.policies.apply(a.now, MaintenanceSeen{which, true}));
    a.pass(15, false);
    CHECK(a.state() == State::held);
    a.take(a.policies.apply(a.now, MaintenanceSeen{which, false}));
    a.pass(1, false);
    CHECK(a.state() == State::leasing);
  }
}

TEST_CASE("after a restart the primary that was seen well before counts as seen, an unknown one does not") {
  Agent before;
  before.pass(70, true);
  Agent after(plan(), before.policies.save());
  after.watch.remember_primary("one");
  after.pass(80, false);
  CHECK(after.state() == State::leasing);
  Agent fresh;
  fresh.watch.remember_primary("one");
  fresh.pass(80, false);
  CHECK(fresh.state() == State::held);
}

TEST_CASE("a topology that leaves the plan stops what runs and gives up its lease") {
  Agent a;
  a.pass(70, true);
  a.pass(12, false);
  a.grant();
  a.effects.clear();
  a.pass(1, false);
  a.write();
  a.pass(1, false);
  REQUIRE(a.state() == State::fencing);
  a.effects = a.policies.adopt(a.now, {});
  CHECK(a.count<StopStep>() == 1);
  CHECK(a.count<GiveUpLease>() == 1);
  CHECK_FALSE(a.policies.is_any());
}

TEST_CASE("votes are published as evidence comes, and not more often than is of use") {
  Agent a;
  a.pass(30, true);
  CHECK(a.count<PublishVote>() >= 2 * 9);
  CHECK(a.count<PublishVote>() <= 2 * 11);
  a.effects.clear();
  a.pass(1, false);
  CHECK(a.count<PublishVote>() >= 1);  // news at once
}

TEST_CASE("a decision is told once, not at every look") {
  Agent a;
  a.pass(300, true);
  a.pass(5, false);
  a.effects.clear();
  a.pass(4, false, false);
  CHECK(a.count<Decision>() <= 1);
}

}  // namespace vital::failover
