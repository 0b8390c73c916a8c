// What a policy remembers and says between two moments; the long stories are in tests/simulation/failover.
#include <catch2/catch.hpp>

#include "core/failover/lone_agent.hpp"

namespace vital::failover {

using namespace test;

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
  a.go_on_to_register();
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

TEST_CASE("what the store said before the lease was given up does not make it ours again") {
  Agent a;
  a.pass(70, true);
  a.pass(12, false);
  REQUIRE(a.state() == State::leasing);
  a.grant();
  a.effects.clear();
  a.pass(1, true);  // the primary is back, and the answer was under way
  CHECK(a.state() == State::observing);
  CHECK(a.count<GiveUpLease>() == 1);
  CHECK_FALSE(a.policies.find("main")->facts(a.now).is_lease_ours);
}

TEST_CASE("whoever goes on with what may have promoted writes that down, and takes back no fence") {
  for (const bool may_be_promoted : {false, true}) {
    CAPTURE(may_be_promoted);
    Agent a;
    a.pass(70, true);
    Record r;
    r.entries = {{"main-x", "main", "web9", 5, "one", "two", may_be_promoted ? Phase::promoting : Phase::fencing, 0,
                  a.ago(1min), a.ago(1min), false, false, ""}};
    a.store.record = {encode(r), a.store.revision};
    a.pass(12, false);
    REQUIRE(a.state() == State::leasing);
    a.grant();
    a.effects.clear();
    a.pass(1, false);
    REQUIRE(a.written().entries.size() == 2);
    CHECK(a.written().entries.back().is_bound == may_be_promoted);
    CHECK(a.written().entries.back().to == "two");
    a.write();
    a.pass(1, false);
    REQUIRE(a.state() == State::fencing);
    CHECK(a.policies.find("main")->facts(a.now).orphan_to == (may_be_promoted ? "two" : ""));  // nobody else
    a.answer(Outcome::done);
    a.answer(Outcome::done);  // read back
    REQUIRE(a.state() == State::confirming);
    a.effects.clear();
    a.take(a.policies.apply(a.now, Command(Pause{"main", "kim", ""})));
    // Started again, the old primary would be a second one.
    CHECK(a.count<RunStep>() == (may_be_promoted ? 0 : 1));
    CHECK(a.state() == (may_be_promoted ? State::parked : State::undoing));
  }
}

TEST_CASE("a parked recovery says what went wrong first") {
  Agent a;
  a.go_on_to_register();
  a.pass(1, false);
  REQUIRE(a.state() == State::fencing);
  for (int i = 0; i < 20 && a.state() == State::fencing; ++i) {
    a.answer(Outcome::failed, "it is told to refuse");
    a.now.mono += StepRun::pause;
    a.take(a.policies.apply(a.now, Tick{}));
  }
  REQUIRE(a.state() == State::parked);  // there was nothing to take back
  CHECK(a.why() == "failed: it is told to refuse; what was done is taken back; a human must look");
}

TEST_CASE("two recoveries of the same second have two ids") {
  FailoverPolicyPlan asking = plan();
  asking.mode = Mode::assist;
  Agent a(asking);
  a.pass(70, true);
  a.pass(12, false);
  REQUIRE(a.state() == State::awaiting);
  const std::string first = a.policies.find("main")->recovery().id;
  a.take(a.policies.apply(a.now, Command(Decline{first, "kim"})));
  REQUIRE(a.state() == State::parked);
  a.take(a.policies.apply(a.now, Command(Acknowledge{first, "kim"})));
  for (int i = 0; i < 5; ++i) a.take(a.policies.apply(a.now, Tick{}));
  REQUIRE(a.state() == State::awaiting);
  CHECK(a.policies.find("main")->recovery().id != first);
}

TEST_CASE("what holds the agents together outlives each of them: a new one reads it, and waits") {
  struct Case {
    const char* what;
    void (*is_so)(const Agent&, Record&);
    const char* why;  // it is held; empty = it is not
  };
  const auto entry = [](const Agent& a, const char* from, const char* to, Phase phase, bool is_bound) {
    return Entry{"main-x", "main", "web9", 5, from, to, phase, 0, a.ago(10min), a.ago(10min), false, is_bound, ""};
  };
  static const auto of = entry;
  const Case cases[] = {
      {"nothing", [](const Agent&, Record&) {}, ""},
      {"a cool-down", [](const Agent& a, Record& r) { r.entries = {of(a, "two", "one", Phase::done, false)}; },
       "the last failover is too recent"},
      {"one that was parked after its promotion, and closed since",
       [](const Agent& a, Record& r) { r.entries = {of(a, "two", "one", Phase::closed, true)}; },
       "the last failover is too recent"},
      {"one that was closed and promoted nobody",
       [](const Agent& a, Record& r) { r.entries = {of(a, "two", "one", Phase::closed, false)}; }, ""},
      {"a recovery that a dead owner registered: no cool-down, it is gone on with",
       [](const Agent& a, Record& r) { r.entries = {of(a, "one", "two", Phase::fencing, false)}; }, ""},
      {"a parked one", [](const Agent& a, Record& r) { r.entries = {of(a, "one", "two", Phase::parked, false)}; },
       "acknowledges it"},
      {"the brake", [](const Agent&, Record& r) { r.is_brake_on = true; }, "the brake is on"},
      {"a pause",
       [](const Agent&, Record& r) {
         r.pauses = {{"", "kim", "racks"}};
       },
       "paused"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    Agent before;
    before.pass(70, true);
    Agent a(plan(), before.policies.save());
    a.watch.remember_primary("one");
    Record r;
    c.is_so(a, r);
    a.store.record = {encode(r), 1};
    a.pass(80, false);
    CHECK(a.state() == (*c.why != '\0' ? State::held : State::leasing));
    CHECK(a.why().find(c.why) != std::string::npos);
  }
}

TEST_CASE("who was primary last is in the record, with how far it was, and does not fill it") {
  Agent a;
  a.pass(30, true);
  REQUIRE(a.written().primaries.size() == 1);
  const LastPrimary last = a.written().primaries.front();
  CHECK(last.member == "one");
  CHECK(last.position == "0/3000060");
  CHECK(last.node == "web1");
  CHECK(last.at > a.ago(3s));
  a.write();
  a.pass(1, true);
  a.effects.clear();
  a.pass(50, true);
  CHECK(a.count<WriteRecord>() == 0);
  a.pass(15, true);
  CHECK(a.written().primaries.front().at > last.at);
  CHECK(a.policies.find("main")->last_primary()->at == last.at);  // the store has not said so yet
  // On disk it is as well, for the time without a store.
  Agent after(plan(), a.policies.save());
  CHECK(after.policies.find("main")->last_primary()->member == "one");
  CHECK(after.policies.find("main")->last_primary()->position == "0/3000060");
}

TEST_CASE("whoever promoted and was lost before clients were moved: another one moves them, asked to reassert or not") {
  for (const Phase phase : {Phase::fencing, Phase::promoting, Phase::moving}) {
    for (const auto began : {1min, 300min}) {
      CAPTURE(name(phase), began.count());
      Agent a;
      a.pass(70, true);
      Record r;
      r.entries = {{"main-x", "main", "web9", 5, "two", "one", phase, 0, a.ago(began), a.ago(began), false, false, ""}};
      a.store.record = {encode(r), a.store.revision};
      a.is_led_there = false;
      a.pass(12, true);
      // What is long ago was ended by others.
      CHECK(a.state() == (phase != Phase::fencing && began == 1min ? State::claiming : State::observing));
    }
  }
}

TEST_CASE("where clients are not led to the primary, one agent leads them there again, under the lease") {
  FailoverPolicyPlan p = plan();
  p.is_reasserted = true;
  Agent a(p);
  a.pass(70, true);
  a.is_led_there = false;
  a.pass(9, true);
  CHECK(a.state() == State::observing);  // what lasts a moment is nothing
  a.effects.clear();
  a.pass(3, true);
  REQUIRE(a.state() == State::claiming);
  CHECK(a.told("endpoint_astray") == 1);
  CHECK(a.count<WantLease>() == 1);
  CHECK(a.count<RunStep>() == 0);
  a.grant();
  a.effects.clear();
  a.pass(1, true);
  REQUIRE(a.state() == State::reasserting);
  REQUIRE(a.count<RunStep>() == 1);
  for (const Effect& e : a.effects) {
    if (const auto* step = std::get_if<RunStep>(&e)) {
      CHECK(step->action == "move");
      CHECK(step->to == "one");
      CHECK(step->from == "two");
      CHECK(step->token == a.store.leases[0].token);
      CHECK(step->not_after == a.store.leases[0].until);
    }
  }
  a.answer(Outcome::done);
  a.answer(Outcome::done);
  CHECK(a.state() == State::observing);
  CHECK(a.count<GiveUpLease>() == 1);

  SECTION("then they are, and that is told") {
    a.effects.clear();
    a.is_led_there = true;
    a.pass(1, true);
    CHECK(a.told("endpoint_back") == 1);
  }
  SECTION("or they are not: it is tried again, a minute later") {
    a.store.leases.clear();
    a.effects.clear();
    a.pass(40, true);
    CHECK(a.count<WantLease>() == 0);
    a.pass(20, true);
    CHECK(a.count<WantLease>() == 1);
  }
  SECTION("and a primary that is lost meanwhile is another matter") {
    a.store.leases.clear();
    a.pass(60, true);
    a.pass(1, false);
    CHECK(a.state() == State::suspect);
  }
}

TEST_CASE("who may not, or need not, leads nobody anywhere and tells it") {
  struct Case {
    const char* what;
    void (*is_so)(Agent&, FailoverPolicyPlan&);
  };
  const Case cases[] = {
      {"not asked for", [](Agent&, FailoverPolicyPlan& p) { p.is_reasserted = false; }},
      {"in mode advise", [](Agent&, FailoverPolicyPlan& p) { p.mode = Mode::advise; }},
      {"another holds the lease",
       [](Agent& a, FailoverPolicyPlan&) {
         a.store.leases = {{"main", "web2", false, 9, {}}};
       }},
      {"paused",
       [](Agent& a, FailoverPolicyPlan&) {
         a.store.record = {encode(Record{false, "", {}, {{"main", "kim", ""}}, {}}), 1};
       }},
      {"parked", [](Agent& a, FailoverPolicyPlan&) {
         Record r;
         r.entries = {{"main-x", "main", "web9", 5, "one", "two", Phase::parked, 0, 1, 1, false, false, ""}};
         a.store.record = {encode(r), 1};
       }}};
  for (const Case& c : cases) {
    CAPTURE(c.what);
    Agent a;
    FailoverPolicyPlan p = plan();
    p.is_reasserted = true;
    c.is_so(a, p);
    (void)a.policies.adopt(a.now, {p});
    a.is_led_there = false;
    a.pass(9, true);  // a parked recovery is over once a primary is well for hold_down
    a.pass(c.what == std::string("parked") ? 1 : 30, true);
    CHECK(a.count<WantLease>() == 0);
    if (c.what == std::string("parked")) continue;
    CHECK(a.state() == State::observing);
    CHECK(a.told("endpoint_astray") == 1);
  }
}

TEST_CASE("an operator moves the role from a primary that is well, by the same steps and under the same guards") {
  FailoverPolicyPlan p = plan();
  p.demote = {{"demote", {}, 10s, 2, true}};
  Agent a(p);
  a.pass(70, true);
  a.effects.clear();
  const auto ask = [&](const char* to, const char* echo) {
    a.take(a.policies.apply(a.now, Command(Switchover{"main", to, echo, "kim"})));
  };
  for (const auto& [to, echo] :
       {std::pair("two", "other"), std::pair("two", ""), std::pair("one", "main"), std::pair("three", "main")}) {
    ask(to, echo);
    CHECK(a.state() == State::observing);
  }
  CHECK(a.told("failover_refused") == 4);
  CHECK(a.count<WantLease>() == 0);
  ask("two", "main");
  REQUIRE(a.state() == State::leasing);
  a.grant();
  a.pass(1, true);
  REQUIRE(a.state() == State::registering);
  a.write();
  a.pass(1, true);
  REQUIRE(a.state() == State::fencing);
  for (const Effect& e : a.effects) {
    if (const auto* step = std::get_if<RunStep>(&e)) CHECK(step->action == "demote");
  }
  a.answer(Outcome::done);
  a.answer(Outcome::done);
  CHECK(a.state() == State::confirming);
  a.write();
  a.pass(1, false);
  CHECK(a.state() == State::promoting);
}

TEST_CASE("what holds a failover holds a switchover, too, and says so") {
  struct Case {
    void (*is_so)(Agent&);
    const char* why;
  };
  const Case cases[] = {{[](Agent& a) {
                           a.take(a.policies.apply(a.now, MaintenanceSeen{"main", true}));
                         },
                         "maintenance"},
                        {[](Agent& a) {
                           a.take(a.policies.apply(a.now, SelfSeen{5s, {}, {}, 0, 0}));
                         },
                         "trouble of its own"},
                        {[](Agent& a) {
                           a.store.health = StoreHealth::unreachable;
                           a.pass(1, true);
                         },
                         "store of leases"},
                        {[](Agent& a) {
                           a.store.leases = {{"main", "web2", false, 9, {}}};
                           a.pass(1, true);
                         },
                         "web2 holds the lease"}};
  for (const Case& c : cases) {
    Agent a;
    a.pass(70, true);
    c.is_so(a);
    const std::string why = a.policies.find("main")->why_not_switched(a.now, {"main", "two", "main", "kim"});
    CAPTURE(c.why, why);
    CHECK(
        (why.find(c.why) != std::string::npos || why.find("begins from a primary that is well") != std::string::npos));
    CHECK_FALSE(why.empty());
  }
  Agent a;
  a.pass(70, true);
  CHECK(a.policies.find("main")->why_not_switched(a.now, {"main", "two", "main", "kim"}).empty());
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
  a.go_on_to_register();
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
