// Each guard with its cases: what it stops, and what it lets through. The rule each stands for is in docs/failover.md.
#include "core/failover/guards.hpp"

#include <catch2/catch.hpp>
#include <functional>

#include "core/failover/cases.hpp"
#include "core/failover/facts.hpp"
#include "core/failover/table.hpp"

namespace vital::failover {

using namespace test;
using Catch::Matchers::Contains;

namespace {

// Where a suspect goes with these facts.
std::string next(const Facts& f, const FailoverPolicyPlan& p = plan()) {
  return std::string(name(decide(State::suspect, f, p).to));
}

struct Case {
  const char* what;
  std::function<void(Facts&, FailoverPolicyPlan&)> change;
  const char* to;
};

void hold(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    Facts f = dead_primary();
    FailoverPolicyPlan p = plan();
    c.change(f, p);
    INFO(c.what);
    CHECK(next(f, p) == c.to);
  }
}

}  // namespace

TEST_CASE("a dead primary that enough agents see, with a fit standby and nothing against it, is replaced") {
  CHECK(next(dead_primary()) == "leasing");
}

TEST_CASE("unknown is not down") {
  hold({{"our own look has grown old", [](Facts& f, auto&) { f.members[0].age = 60'000; }, "suspect"},
        {"nobody could look at it", [](Facts& f, auto&) { f.bad_for = never; }, "observing"},
        {"it lives, as a standby", [](Facts& f, auto&) { f.members[0].is_down = false; }, "suspect"},
        {"another agent knows nothing of it", [](Facts& f, auto&) { f.votes[0].is_down = false; }, "suspect"}});
}

TEST_CASE("one observer is not enough, and one that sees it well is enough to wait") {
  hold({{"no other saw it", [](Facts& f, auto&) { f.votes.clear(); }, "suspect"},
        {"the other saw another member down", [](Facts& f, auto&) { f.votes[0].member = "two"; }, "suspect"},
        {"two words of the same agent are one",
         [](Facts& f, auto& p) {
           f.votes.push_back(f.votes[0]);
           p.witnesses = 3;
         },
         "suspect"},
        {"our own word twice is one", [](Facts& f, auto&) { f.votes[0].node = "web1"; }, "suspect"},
        {"a third saw it well",
         [](Facts& f, auto&) {
           f.votes.push_back({"web3", "one", ServerRole::primary, false, true, 100});
         },
         "suspect"},
        {"a third saw another primary",
         [](Facts& f, auto&) {
           f.votes.push_back({"web3", "two", ServerRole::primary, false, true, 100});
         },
         "suspect"},
        {"one witness is what the plan asks for",
         [](Facts& f, auto& p) {
           f.votes.clear();
           p.witnesses = 1;
         },
         "leasing"}});
}

TEST_CASE("a standby that lost the primary is a witness, as long as its word is fresh") {
  hold({{"it lost it with us",
         [](Facts& f, auto&) {
           f.votes.clear();
           f.members[1].lost_primary = true;
         },
         "leasing"},
        {"it is cut off, but was so before", [](Facts& f, auto&) { f.votes.clear(); }, "suspect"},
        {"that was long ago",
         [](Facts& f, auto& p) {
           f.votes.clear();
           p.evidence_max_age = 1500ms;
           f.members[0].age = 100;
           f.members[1].lost_primary = true;
           f.members[1].age = 1600;
         },
         "suspect"},
        {"three are needed",
         [](Facts& f, auto& p) {
           p.witnesses = 3;
           f.members[1].lost_primary = true;
         },
         "leasing"}});
}

TEST_CASE("evidence grows old, whatever it says") {
  hold({{"an old word that it is down", [](Facts& f, auto&) { f.votes[0].age = 15'001; }, "suspect"},
        {"one just young enough", [](Facts& f, auto&) { f.votes[0].age = 15'000; }, "leasing"},
        {"an old word that it is well",
         [](Facts& f, auto&) {
           f.votes.push_back({"web3", "one", ServerRole::primary, false, true, 15'001});
         },
         "leasing"}});
}

TEST_CASE("an agent in doubt of itself, or just started, does nothing") {
  hold({{"its loop stood still", [](Facts& f, auto&) { f.doubt_left = 1; }, "held"},
        {"it has just started", [](Facts& f, auto&) { f.grace_left = 1; }, "held"},
        {"it never saw this primary well", [](Facts& f, auto&) { f.was_seen_well = false; }, "held"}});
}

TEST_CASE("without a store of leases that answers now, nothing is done") {
  hold({{"none is configured", [](Facts& f, auto&) { f.store = StoreHealth::standalone; }, "held"},
        {"it is away", [](Facts& f, auto&) { f.store = StoreHealth::unreachable; }, "held"},
        {"it refuses", [](Facts& f, auto&) { f.store = StoreHealth::refused; }, "held"},
        {"it was heard long ago", [](Facts& f, auto&) { f.store_age = 20'000; }, "held"},
        {"it was never heard", [](Facts& f, auto&) { f.store_age = never; }, "held"},
        {"another agent holds the lease", [](Facts& f, auto&) { f.lease_holder = "web2"; }, "held"},
        {"another recovery is under way", [](Facts& f, auto&) { f.other_recovery = "main-x"; }, "held"}});
}

TEST_CASE("the brake, a cool-down, a parked recovery and a human hold it") {
  hold({{"the brake is on", [](Facts& f, auto&) { f.is_brake_on = true; }, "held"},
        {"as many topologies as may fail have", [](Facts& f, auto& p) { f.recoveries = p.brake_max; }, "held"},
        {"one less", [](Facts& f, auto& p) { f.recoveries = p.brake_max - 1; }, "leasing"},
        {"the last failover is recent", [](Facts& f, auto&) { f.cool_down_left = 1; }, "held"},
        {"another is parked", [](Facts& f, auto&) { f.parked_recovery = "main-x"; }, "held"},
        {"it lost its owner again and again",
         [](Facts& f, auto&) {
           f.orphan = "main-x";
           f.orphan_tries = 3;
         },
         "held"},
        {"it is paused", [](Facts& f, auto&) { f.is_paused = true; }, "held"},
        {"it is in maintenance", [](Facts& f, auto&) { f.is_maintenance = true; }, "held"}});
}

TEST_CASE("slow is not dead") {
  hold({{"it takes connections", [](Facts& f, auto&) { f.members[0].is_reached = true; }, "suspect"},
        {"it does for longer than overload_grace",
         [](Facts& f, auto&) {
           f.members[0].is_reached = true;
           f.bad_for = 120'000;
         },
         "leasing"},
        {"its standby still receives",
         [](Facts& f, auto&) {
           f.members[1].is_moving = true;
           f.bad_for = 1'200'000;
         },
         "suspect"},
        {"it went down a moment ago", [](Facts& f, auto&) { f.bad_for = 9'999; }, "suspect"}});
}

TEST_CASE("a candidate is warm and close, and known to be") {
  hold({{"it lags", [](Facts& f, auto&) { f.members[1].lag = 30'001; }, "held"},
        {"nobody knows its lag", [](Facts& f, auto&) { f.members[1].lag = never; }, "held"},
        {"it lags in bytes",
         [](Facts& f, auto& p) {
           p.max_lag_bytes = 10;
           f.members[1].lag_bytes = 11;
         },
         "held"},
        {"nobody knows how many bytes", [](Facts&, auto& p) { p.max_lag_bytes = 10; }, "held"},
        {"its replay is paused", [](Facts& f, auto&) { f.members[1].is_promotable = false; }, "held"},
        {"it is on another timeline",
         [](Facts& f, auto&) {
           f.primary_timeline = "3";
           f.members[1].timeline = "2";
         },
         "held"},
        {"it is on the same",
         [](Facts& f, auto&) {
           f.primary_timeline = "3";
           f.members[1].timeline = "3";
         },
         "leasing"},
        {"it was cut off before others last saw the primary well",
         [](Facts& f, auto&) { f.members[1].unfollowed = 15'001; }, "held"},
        {"it was cut off with it", [](Facts& f, auto&) { f.members[1].unfollowed = 15'000; }, "leasing"},
        {"it was the primary until a moment ago", [](Facts& f, auto&) { f.members[1].lost_role = 1000; }, "held"},
        {"it was long ago", [](Facts& f, auto&) { f.members[1].lost_role = 3'600'001; }, "leasing"},
        {"nobody looked at it lately", [](Facts& f, auto&) { f.members[1].age = 20'000; }, "held"},
        {"another agent sees it down",
         [](Facts& f, auto&) {
           f.votes.push_back({"web2", "two", ServerRole::unknown, true, false, 100});
         },
         "held"},
        {"there is none: the last healthy one is not fenced", [](Facts& f, auto&) { f.members.pop_back(); }, "held"},
        {"what was begun may have promoted another",
         [](Facts& f, auto&) {
           f.orphan = "x";
           f.orphan_to = "three";
         },
         "held"},
        {"what was begun may have promoted this one",
         [](Facts& f, auto&) {
           f.orphan = "x";
           f.orphan_to = "two";
         },
         "leasing"}});
}

TEST_CASE("of several the nearest in the same zone is chosen, by every agent the same") {
  Facts f = dead_primary();
  FailoverPolicyPlan p = plan();
  MemberFact three = f.members[1], four = f.members[1];
  three.name = "three";
  three.lag = 100;
  four.name = "four";
  four.lag = 100;
  f.members.push_back(three);
  f.members.push_back(four);
  CHECK(choose(f, p).name == "four");
  for (MemberFact& m : f.members) m.zone = m.name == "two" || m.name == "one" ? "east" : "west";
  CHECK(choose(f, p).name == "two");
  CHECK_FALSE(choose(f, p).must_ask);
  f.members[1].is_seen = false;
  CHECK(choose(f, p).name == "four");
  CHECK(choose(f, p).must_ask);
  CHECK(next(f, p) == "awaiting");
  p.cross_zone = CrossZone::refuse;
  CHECK(next(f, p) == "held");
  CHECK_THAT(choose(f, p).why, Contains("another zone"));
  p.cross_zone = CrossZone::allow;
  CHECK(next(f, p) == "leasing");
}

TEST_CASE("who decides depends on the mode") {
  hold({{"observe", [](Facts&, auto& p) { p.mode = Mode::observe; }, "suspect"},
        {"advise", [](Facts&, auto& p) { p.mode = Mode::advise; }, "advised"},
        {"assist", [](Facts&, auto& p) { p.mode = Mode::assist; }, "awaiting"},
        {"assist, approved",
         [](Facts& f, auto& p) {
           p.mode = Mode::assist;
           f.approval_left = 1;
         },
         "leasing"},
        {"auto without a fence", [](Facts&, auto& p) { p.fence.clear(); }, "awaiting"}});
}

TEST_CASE("auto is refused with a line for each thing that is missing") {
  FailoverPolicyPlan p = plan();
  Preflight green;
  CHECK(refusals(p, true, &green).empty());
  const auto only = [](const std::vector<std::string>& lines, const char* part) {
    REQUIRE(lines.size() == 1);
    CHECK_THAT(lines[0], Contains(part));
  };
  only(refusals(p, false, &green), "store of leases");
  only(refusals(p, true, nullptr), "pre-flight");
  Preflight red;
  red.findings = {{Finding::Level::warning, "main", "clock", "2 s apart"},
                  {Finding::Level::bad, "other", "fence", "x"}};
  CHECK(refusals(p, true, &red).empty());
  red.findings.push_back({Finding::Level::bad, "main", "fence: systemd.stop", "not permitted"});
  only(refusals(p, true, &red), "not permitted");
  FailoverPolicyPlan unbound = p;
  unbound.max_lag.reset();
  only(refusals(unbound, true, &green), "max_lag");
  unbound.is_synchronous = true;
  CHECK(refusals(unbound, true, &green).empty());
  FailoverPolicyPlan unfenced = p;
  unfenced.fence.clear();
  unfenced.has_no_fence = true;
  only(refusals(unfenced, true, &green), "fence");
  unfenced.mode = Mode::assist;
  CHECK(refusals(unfenced, true, nullptr).empty());
  unfenced.has_no_fence = false;
  only(refusals(unfenced, true, nullptr), "fence: none");
  unfenced.mode = Mode::advise;
  CHECK(refusals(unfenced, false, nullptr).empty());
}

}  // namespace vital::failover
