// The table as a whole: an answer to everything, no row in vain, a way out of every state, and the docs in step.
#include "core/failover/table.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <random>
#include <set>
#include <sstream>

#include "core/failover/cases.hpp"
#include "core/failover/ledger.hpp"

namespace vital::failover {

using namespace test;

namespace {

constexpr State last_state = State::parked;
static_assert(state_count == static_cast<std::size_t>(last_state) + 1);

// Facts of no particular world: each of them may be anything.
Facts any_facts(std::mt19937& random) {
  const auto one_in = [&](unsigned n) { return random() % n == 0; };
  const auto pick = [&](auto... v) {
    const std::common_type_t<decltype(v)...> all[] = {v...};
    return all[random() % sizeof...(v)];
  };
  Facts f = dead_primary();
  f.status =
      pick(TopologyStatus::no_primary, TopologyStatus::steady, TopologyStatus::unknown, TopologyStatus::two_primaries);
  if (one_in(4)) f.bad_for = pick(Millis{never}, Millis{1000}, Millis{500'000});
  f.steady_for = f.status == TopologyStatus::steady ? pick(Millis{0}, Millis{100'000}) : never;
  if (f.steady_for != never && one_in(2)) f.bad_for = never;
  f.astray_for = f.steady_for != never && one_in(2) ? 100'000 : never;
  f.reasserted = one_in(6) ? 100 : never;
  if (one_in(8)) f.planned_to = "two";
  if (one_in(6)) f.primary = "two";
  f.in_state = pick(Millis{10}, Millis{20'000}, Millis{100'000});
  f.is_endpoint_good = !one_in(4);
  f.members[0].is_down = !one_in(5);
  f.members[0].is_reached = one_in(5);
  f.members[1].is_promotable = !one_in(5);
  f.members[1].is_moving = one_in(8);
  if (one_in(4)) f.votes.clear();
  if (one_in(5)) f.votes.push_back({"web3", "one", ServerRole::primary, false, true, 100});
  f.store = pick(StoreHealth::ok, StoreHealth::ok, StoreHealth::ok, StoreHealth::unreachable);
  f.is_lease_ours = one_in(2);
  f.lease_left = f.is_lease_ours ? 5000 : 0;
  f.has_lost_lease = !f.is_lease_ours || one_in(5);
  if (!f.is_lease_ours && one_in(4)) f.lease_holder = "web2";
  f.doubt_left = one_in(8) ? 100 : 0;
  f.grace_left = one_in(12) ? 100 : 0;
  f.is_paused = one_in(10);
  f.is_brake_on = one_in(12);
  f.recoveries = pick(0U, 0U, 0U, 2U);
  if (one_in(10)) f.parked_recovery = "main-x";
  f.to = pick(std::string("two"), std::string("two"), std::string("three"));
  f.from = "one";
  f.recovery = "main-1";
  f.left = pick(Millis{-5}, Millis{1000}, Millis{100'000});
  f.shown =
      pick(Phase::none, Phase::fencing, Phase::promoting, Phase::moving, Phase::done, Phase::parked, Phase::closed);
  f.steps = pick(Steps::idle, Steps::running, Steps::finished, Steps::vetoed, Steps::failed);
  f.is_touched = one_in(2);
  f.may_be_promoted = one_in(2);
  f.is_old_back = one_in(6);
  f.approval_left = one_in(2) ? 100 : 0;
  f.is_declined = one_in(4);
  f.is_acknowledged = one_in(4);
  return f;
}

FailoverPolicyPlan any_plan(std::mt19937& random) {
  FailoverPolicyPlan p = plan();
  p.mode = static_cast<Mode>(random() % 4);
  p.is_reasserted = random() % 2 == 0;
  return p;
}

}  // namespace

TEST_CASE("every state has an answer to every state of the world, and no row is there in vain") {
  std::mt19937 random(7);
  std::set<const Row*> used;
  for (int i = 0; i < 100'000; ++i) {
    const Facts f = any_facts(random);
    const FailoverPolicyPlan p = any_plan(random);
    for (std::size_t s = 0; s < state_count; ++s) {
      const Row& row = decide(static_cast<State>(s), f, p);
      if (row.from != static_cast<State>(s) || why(row.when, f, p).empty()) FAIL(name(row.from) << " has no answer");
      used.insert(&row);
    }
  }
  for (const Row& row : table()) {
    INFO(name(row.from) << " when " << name(row.when));
    CHECK(used.count(&row) == 1);
  }
}

TEST_CASE("each state ends in a row that always holds, and says why in every row") {
  for (std::size_t s = 0; s < state_count; ++s) {
    const Row* last = nullptr;
    for (const Row& row : table()) {
      if (row.from != static_cast<State>(s)) continue;
      CHECK((last == nullptr || last->when != When::always));
      last = &row;
      CHECK_FALSE(row.reason.empty());
    }
    REQUIRE(last != nullptr);
    CHECK(last->when == When::always);
  }
}

TEST_CASE("from every state there is a way back to observing") {
  std::set<State> home{State::observing};
  for (bool is_more = true; is_more;) {
    is_more = false;
    for (const Row& row : table()) {
      if (home.count(row.to) == 1 && home.insert(row.from).second) is_more = true;
    }
  }
  CHECK(home.size() == state_count);
}

TEST_CASE("without the lease no step begins, whatever else is so") {
  std::mt19937 random(11);
  for (int i = 0; i < 20'000; ++i) {
    Facts f = any_facts(random);
    f.has_lost_lease = true;
    for (std::size_t s = 0; s < state_count; ++s) {
      const Row& row = decide(static_cast<State>(s), f, plan());
      if (row.effect == Do::run_next) FAIL(name(row.from) << " runs a step without the lease");
    }
  }
}

TEST_CASE("nothing is promoted but from a fence that is confirmed and written down") {
  for (const Row& row : table()) {
    if (row.to == State::promoting && row.from != State::promoting) {
      CHECK(row.from == State::confirming);
      CHECK(row.when == When::shown_promoting);
    }
    if (row.to == State::confirming && row.from != State::confirming) {
      CHECK(row.from == State::fencing);
      CHECK(row.when == When::steps_finished);
    }
  }
}

TEST_CASE("names are there and back") {
  for (std::size_t s = 0; s < state_count; ++s) CHECK(state_of(name(static_cast<State>(s))) == static_cast<State>(s));
  CHECK_FALSE(state_of("elsewhere"));
}

TEST_CASE("docs/failover-table.md shows the table and the diagram as they are") {
  const std::string path = VITALD_SOURCE_ROOT "/docs/failover-table.md";
  const std::string should =
      "# Failover: the decision table\n\nFrom a state, the first row whose condition holds decides. Written by "
      "`VITALD_WRITE_GOLDEN=1 test-core` from\n`src/core/failover/table.cpp`; the conditions are the questions of "
      "`src/core/failover/guards.hpp`.\n\n```mermaid\n" +
      table_diagram() + "```\n\n" + table_text();
  if (std::getenv("VITALD_WRITE_GOLDEN") != nullptr) std::ofstream(path) << should;
  std::stringstream is;
  is << std::ifstream(path).rdbuf();
  CHECK(is.str() == should);
}

TEST_CASE("a decision is written as a line, read again, and decided again from its facts the same") {
  std::mt19937 random(3);
  for (int i = 0; i < 3000; ++i) {
    const Facts f = any_facts(random);
    const FailoverPolicyPlan p = any_plan(random);
    const auto state = static_cast<State>(random() % state_count);
    const Row& row = decide(state, f, p);
    const Decision was{WallTime{} + 5h, "main", state, row.to, row.when, row.effect, why(row.when, f, p), f};
    const auto read = decode_decision(encode(was));
    REQUIRE(read);
    CHECK(*read == was);
    CHECK(replay({*read}, p)[0].is_same);
    CHECK(explain(*read, p).size() > 50);
  }
}

TEST_CASE("a decision without one of its observers may be another") {
  const Facts f = dead_primary();
  const Row& row = decide(State::suspect, f, plan());
  const Decision was{WallTime{}, "main", State::suspect, row.to, row.when, row.effect, {}, f};
  CHECK(was.to == State::leasing);
  CHECK(replay({was}, plan(), "web7")[0].is_same);
  const Replayed without = replay({was}, plan(), "web2")[0];
  CHECK_FALSE(without.is_same);
  CHECK(without.now.when == When::uncorroborated);
  CHECK(replay({was}, plan(), "web1")[0].now.to == State::observing);
}

TEST_CASE("what is no decision is read as none") {
  const std::string line = encode(Decision{});
  for (std::size_t i = 0; i < line.size(); ++i) (void)decode_decision(line.substr(0, i));
  for (const char* text : {"", "x", "decision", "decision from=nowhere to=held",
                           "decision from=held to=held when=always do=nothing facts=x"})
    CHECK_FALSE(decode_decision(text));
}

}  // namespace vital::failover
