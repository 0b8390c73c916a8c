// Would a failover work now? One line a finding, and everything that would forbid it is bad.
#include "failover/preflight.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace vital;
using namespace std::chrono_literals;
using failover::Finding;
using failover::StoreHealth;

namespace {

PreflightTopology good_topology() {
  PreflightTopology t;
  t.name = "main";
  t.primary = "one";
  t.status = TopologyStatus::steady;
  MemberView one;
  one.name = "one";
  one.role = ServerRole::primary;
  MemberView two;
  two.name = "two";
  two.role = ServerRole::standby;
  two.is_promotable = true;
  MemberView three = two;
  three.name = "three";
  t.members = {one, two, three};
  t.fence = {{"stop-{from}", {}}};
  t.promote = {{"promote-{to}", {}}};
  t.move = {{"move", {}}};
  return t;
}

failover::ClusterSeen good_cluster() {
  failover::ClusterSeen c;
  c.health = StoreHealth::ok;
  for (const char* node : {"b", "c"}) {
    failover::PeerVote v;
    v.node = node;
    v.topology = "main";
    v.member = "one";
    v.age = 2s;
    c.votes.push_back(v);
  }
  return c;
}

// The worst level of a finding whose name begins like that; good if there is none.
Finding::Level level(const std::vector<Finding>& found, const std::string& what) {
  Finding::Level out = Finding::Level::good;
  for (const Finding& f : found) {
    if (f.what.starts_with(what)) out = std::max(out, f.level);
  }
  return out;
}

}  // namespace

TEST_CASE("a topology that could be failed over has a green pre-flight") {
  const auto found = preflight_facts(good_topology(), good_cluster());
  CHECK(is_green({{}, found}));
  CHECK(found.size() == 5);
}

TEST_CASE("each thing a failover needs is bad where it is missing") {
  PreflightTopology t = good_topology();
  failover::ClusterSeen c = good_cluster();
  const auto facts = [&] { return preflight_facts(t, c); };
  SECTION("no store") {
    for (const StoreHealth h : {StoreHealth::standalone, StoreHealth::unreachable, StoreHealth::refused}) {
      c.health = h;
      CHECK(level(facts(), "store") == Finding::Level::bad);
    }
  }
  SECTION("too few witnesses") {
    c.votes.resize(1);
    CHECK(level(facts(), "witnesses") == Finding::Level::warning);
    c.votes[0].age = 1min;
    CHECK(level(facts(), "witnesses") == Finding::Level::bad);
    c.votes[0].age = 1s;
    c.votes[0].member = "two";
    CHECK(level(facts(), "witnesses") == Finding::Level::bad);
  }
  SECTION("no primary") {
    t.status = TopologyStatus::no_primary;
    CHECK(level(facts(), "primary") == Finding::Level::bad);
  }
  SECTION("no candidate") {
    t.members[1].is_promotable = false;
    t.members[1].why_not = "its lag is not known";
    CHECK(level(facts(), "candidate two") == Finding::Level::warning);
    CHECK(level(facts(), "candidates") == Finding::Level::good);
    t.members[2].is_promotable = false;
    CHECK(level(facts(), "candidates") == Finding::Level::bad);
  }
  SECTION("no fence") {
    t.fence.clear();
    CHECK(level(facts(), "fence") == Finding::Level::bad);
    t.has_no_fence = true;
    CHECK(level(facts(), "fence") == Finding::Level::warning);
  }
  SECTION("nothing to promote with") {
    t.promote.clear();
    CHECK(level(facts(), "promote") == Finding::Level::bad);
  }
}

TEST_CASE("every action is asked for each standby it would be done for, and once where that makes no difference") {
  std::vector<std::string> asked;
  for (const auto& q : preflight_questions(good_topology())) asked.push_back(q.what);
  CHECK(asked ==
        std::vector<std::string>{"promote promote-two", "move move", "promote promote-three", "fence stop-one"});
}

TEST_CASE("what is bad is told first") {
  failover::Preflight p;
  p.findings = {{Finding::Level::good, "main", "store", "a quorum answers"},
                {Finding::Level::bad, "main", "fence stop-one", "refused"}};
  CHECK(preflight_text(p) == "bad      main fence stop-one: refused\ngood     main store: a quorum answers\n");
  CHECK_FALSE(is_green(p));
}
