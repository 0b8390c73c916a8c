// The store against a gateway that lives in the test's own time: what is held, for how long, and that never two hold
// it.
#include "cluster/etcd_store.hpp"

#include <catch2/catch.hpp>
#include <memory>
#include <queue>
#include <random>
#include <set>

#include "fake_etcd.hpp"

namespace vital {
namespace {

using namespace std::chrono_literals;
using failover::StoreHealth;

ClusterPlan plan_of(const std::string& node) {
  ClusterPlan plan;
  plan.kind = ClusterPlan::Kind::etcd;
  plan.name = "c";
  plan.node = node;
  plan.prefix = "/v";
  plan.endpoints = {"http://e1:2379", "http://e2:2379"};
  return plan;
}

// One agent with a clock of its own, and the way to its etcd.
struct Agent {
  FakeEtcd& etcd;
  double rate = 1;    // of its clock
  Duration offset{};  // of its clock
  bool is_frozen = false, is_cut = false;
  double loss = 0;  // of requests, and of answers
  Duration delay_max = 5ms;
  Duration slept{};
  std::mt19937 dice;
  struct Event {
    Duration at;  // of the world
    std::uint64_t order;
    std::function<void()> what;
    bool operator<(const Event& other) const { return at > other.at || (at == other.at && order > other.order); }
  };
  std::priority_queue<Event> events;
  std::uint64_t order = 0;
  Duration world{};
  std::set<std::string> dead;  // endpoints
  std::vector<EtcdStore::Call> calls;
  EtcdStore store;

  Agent(FakeEtcd& with, const ClusterPlan& plan, unsigned seed = 1)
      : etcd(with), dice(seed), store(plan, [this](const EtcdStore::Call& call) { leave(call); }) {}

  Instant now() const {
    return Instant(100s + offset + Duration(static_cast<Duration::rep>(static_cast<double>(world.count()) * rate)));
  }
  static Instant world_instant(Duration at) { return Instant(5000s + at); }
  bool loses() { return loss > 0 && std::uniform_real_distribution(0.0, 1.0)(dice) < loss; }
  Duration delay() { return Duration(std::uniform_int_distribution<Duration::rep>(0, delay_max.count())(dice)); }

  void leave(const EtcdStore::Call& call) {
    calls.push_back(call);
    if (dead.contains(call.endpoint)) {
      plan_event(delay(), [this, id = call.id] { store.answered(now(), id, {"Connection refused", 0, ""}); });
      return;
    }
    if (is_cut || loses()) return;
    plan_event(delay(), [this, call] {
      const etcd::Reply reply = etcd.serve(world_instant(world), call);
      if (is_cut || loses()) return;
      plan_event(delay(), [this, id = call.id, reply] { answer(id, reply); });
    });
  }
  // A frozen process finds its answers when it wakes.
  void answer(std::uint64_t id, const etcd::Reply& reply) {
    if (is_frozen) {
      plan_event(50ms, [this, id, reply] { answer(id, reply); });
      return;
    }
    store.answered(now(), id, reply);
  }
  void plan_event(Duration in, std::function<void()> what) { events.push({world + in, ++order, std::move(what)}); }

  void turn_to(Duration at) {
    while (!events.empty() && events.top().at <= at) {
      const Event event = events.top();
      events.pop();
      world = event.at;
      event.what();
    }
    world = at;
    if (!is_frozen) store.tick(now(), slept);
  }
  void run(Duration how_long) {
    for (const Duration end = world + how_long; world < end;) turn_to(world + 50ms);
  }
  const failover::LeaseSeen* lease(const failover::ClusterSeen& seen, const std::string& topology = "main") const {
    for (const failover::LeaseSeen& l : seen.leases) {
      if (l.topology == topology) return &l;
    }
    return nullptr;
  }
  bool holds() const {
    const auto seen = store.seen(now());
    const auto* l = lease(seen);
    return l != nullptr && l->is_ours;
  }
  // 0 while it is not ours.
  std::int64_t token() const {
    const auto seen = store.seen(now());
    const auto* l = lease(seen);
    return l == nullptr || !l->is_ours ? 0 : l->token;
  }
  Instant until() const {
    const auto seen = store.seen(now());
    return lease(seen)->until;
  }
};

TEST_CASE("a lease that is wanted and free is taken, with its create revision as the token") {
  FakeEtcd etcd;
  Agent a(etcd, plan_of("a"));
  a.run(2s);
  CHECK_FALSE(a.holds());
  CHECK(a.store.seen(a.now()).health == StoreHealth::ok);
  a.store.want("main");
  a.run(2s);
  REQUIRE(a.holds());
  CHECK(a.token() > 0);
  CHECK(etcd.value("/v/c/leases/main") == "a");
  CHECK(a.store.seen(a.now()).leases.size() == 1);
  const std::int64_t token = a.token();
  a.run(60s);
  CHECK(a.holds());
  CHECK(a.token() == token);
  CHECK(etcd.mistakes.empty());
}

TEST_CASE("who comes second sees the holder, and takes over with a greater token when the lease is given back") {
  FakeEtcd etcd;
  Agent a(etcd, plan_of("a"));
  Agent b(etcd, plan_of("b"));
  a.store.want("main");
  a.run(2s);
  b.world = a.world;
  b.store.want("main");
  b.run(2s);
  const auto seen = b.store.seen(b.now());
  REQUIRE(b.lease(seen) != nullptr);
  CHECK(b.lease(seen)->holder == "a");
  CHECK_FALSE(b.holds());
  const std::int64_t first = a.token();
  a.world = b.world;
  a.store.give_up(a.now(), "main");
  CHECK_FALSE(a.holds());
  a.run(1s);
  CHECK_FALSE(etcd.has(Agent::world_instant(a.world), "/v/c/leases/main"));
  b.run(3s);
  CHECK(b.holds());
  CHECK(b.token() > first);
}

TEST_CASE("the end of a lease is counted from before the keepalive left, less the margin") {
  FakeEtcd etcd;
  Agent a(etcd, plan_of("a"));
  a.delay_max = 900ms;  // each way
  a.store.want("main");
  a.run(30s);
  REQUIRE(a.holds());
  Instant newest{};
  for (const auto& call : a.calls) {
    if (call.path == "/v3/lease/keepalive") newest = call.not_after - 2s;
  }
  CHECK(a.until() <= newest + 10s);
  a.is_cut = true;
  a.run(9s);
  const auto seen = a.store.seen(a.now());
  CHECK(etcd.has(Agent::world_instant(a.world), "/v/c/leases/main"));
  a.run(2s);
  CHECK_FALSE(a.holds());
  CHECK(etcd.has(Agent::world_instant(a.world), "/v/c/leases/main"));
}

TEST_CASE("a renewal by a leader that was deposed does not count, however well it looks") {
  FakeEtcd etcd;
  Agent a(etcd, plan_of("a"));
  a.store.want("main");
  a.run(5s);
  REQUIRE(a.holds());
  etcd.is_keeping_stale = true;
  bool held_without_key = false;
  for (int i = 0; i < 600; ++i) {
    a.run(50ms);
    if (a.holds() && a.token() != 0 && !etcd.has(Agent::world_instant(a.world), "/v/c/leases/main"))
      held_without_key = true;
  }
  CHECK_FALSE(held_without_key);
  CHECK(a.store.counts().unconfirmed > 0);
  CHECK(a.store.counts().lost > 0);
}

TEST_CASE("a lease that ended by our clock is not taken up again, though its key is still there") {
  FakeEtcd etcd;
  Agent a(etcd, plan_of("a"));
  a.store.want("main");
  a.run(3s);
  const std::int64_t token = a.token();
  a.is_cut = true;
  a.run(11s);
  REQUIRE_FALSE(a.holds());
  a.is_cut = false;
  for (int i = 0; i < 200; ++i) {
    a.run(50ms);
    CHECK(a.token() != token);
    if (a.holds()) break;
  }
  CHECK(a.holds());
  CHECK(a.token() > token);
}

TEST_CASE("a holder that was frozen past its lease wakes without it") {
  FakeEtcd etcd;
  Agent a(etcd, plan_of("a"));
  a.store.want("main");
  a.run(3s);
  const std::int64_t token = a.token();
  a.is_frozen = true;
  a.run(12s);
  CHECK_FALSE(a.holds());  // by its clock alone, before it has turned once
  a.is_frozen = false;
  a.run(100ms);
  CHECK(a.token() != token);
}

TEST_CASE("a host that slept has no lease when it wakes, and no votes") {
  FakeEtcd etcd;
  Agent a(etcd, plan_of("a"));
  a.store.want("main");
  a.run(3s);
  REQUIRE(a.holds());
  a.slept = 30s;
  a.turn_to(a.world + 50ms);
  CHECK_FALSE(a.holds());
  CHECK(a.store.seen(a.now()).health != StoreHealth::ok);
}

TEST_CASE("a key that somebody deleted is no lease any more") {
  FakeEtcd etcd;
  Agent a(etcd, plan_of("a"));
  a.store.want("main");
  a.run(3s);
  const std::int64_t token = a.token();
  etcd.remove("/v/c/leases/main");
  a.run(3s);
  CHECK((!a.holds() || a.token() > token));
  CHECK(a.store.counts().lost == 1);
}

TEST_CASE("with no space left nothing new is taken, and what is held is kept") {
  FakeEtcd etcd;
  Agent a(etcd, plan_of("a"));
  a.store.want("main");
  a.run(3s);
  etcd.is_full = true;
  a.store.want("other");
  a.run(60s);
  CHECK(a.holds());
  const auto seen = a.store.seen(a.now());
  CHECK(a.lease(seen, "other") == nullptr);
  CHECK(etcd.served["/v3/lease/grant"] < 80);
}

TEST_CASE("a dead endpoint is left for the next, and a lease outlives that") {
  FakeEtcd etcd;
  Agent a(etcd, plan_of("a"));
  a.store.want("main");
  a.run(3s);
  const std::int64_t token = a.token();
  for (int i = 0; i < 20; ++i) {
    a.dead = {a.store.endpoint()};
    a.run(4s);
    CHECK(a.token() == token);
    CHECK(a.holds());
  }
  CHECK(a.store.counts().rotations >= 10);
}

TEST_CASE("a token that etcd does not know any more is replaced, and a wrong password is tried seldom") {
  FakeEtcd etcd;
  etcd.password = "right";
  ClusterPlan plan = plan_of("a");
  plan.user = "vitald";
  plan.password = "right";
  Agent a(etcd, plan);
  a.store.want("main");
  a.run(3s);
  REQUIRE(a.holds());
  Agent intruder(etcd, plan);  // its login ends our token
  intruder.world = a.world;
  intruder.run(2s);
  a.world = intruder.world;
  a.run(8s);
  CHECK(a.holds());
  CHECK(a.store.counts().logins == 2);

  FakeEtcd other;
  other.password = "right";
  plan.password = "wrong";
  Agent b(other, plan);
  b.store.want("main");
  b.run(60s);
  CHECK(b.store.seen(b.now()).health == StoreHealth::refused);
  CHECK(b.store.seen(b.now()).text.find("authentication failed") != std::string::npos);
  CHECK(b.store.seen(b.now()).text.find("wrong") == std::string::npos);
  CHECK(other.served["/v3/auth/authenticate"] < 15);
}

TEST_CASE("a store that goes back in time is not believed") {
  FakeEtcd etcd;
  Agent a(etcd, plan_of("a"));
  etcd.put({}, "/v/c/record", "x");
  etcd.put({}, "/v/c/record", "y");
  a.run(2s);
  REQUIRE(a.store.seen(a.now()).health == StoreHealth::ok);
  etcd.go_back(1);
  a.run(10s);
  CHECK(a.store.seen(a.now()).health == StoreHealth::refused);
  CHECK(a.store.seen(a.now()).text.find("went back from revision 3 to 1") != std::string::npos);
}

TEST_CASE("votes reach the others with an age, and end with their writer") {
  FakeEtcd etcd;
  Agent a(etcd, plan_of("a"));
  Agent b(etcd, plan_of("b"));
  for (int i = 0; i < 100; ++i) {
    failover::PublishVote vote{"main", "one", ServerRole::primary, false, true, a.now() - 200ms, "well", {}};
    a.store.publish(vote);
    a.run(50ms);
    b.run(50ms);
  }
  auto votes = b.store.seen(b.now()).votes;
  REQUIRE(votes.size() == 1);
  CHECK(votes[0].node == "a");
  CHECK(votes[0].is_well);
  CHECK(votes[0].age >= 200ms);
  CHECK(votes[0].age < 5s);
  for (int i = 0; i < 100; ++i) b.run(50ms);  // a is frozen: its vote grows old
  votes = b.store.seen(b.now()).votes;
  REQUIRE(votes.size() == 1);
  CHECK(votes[0].age > 5s);
  b.run(20s);
  CHECK(b.store.seen(b.now()).votes.empty());
  CHECK(etcd.mistakes.empty());
}

TEST_CASE("the record is changed by compare-and-swap, guarded by the token") {
  FakeEtcd etcd;
  Agent a(etcd, plan_of("a"));
  a.store.want("main");
  a.run(3s);
  a.store.write({"main", a.token(), 0, "first"});
  a.run(1s);
  const auto record = a.store.seen(a.now()).record;
  CHECK(record.text == "first");
  a.store.write({"main", a.token(), 0, "of one who did not look"});
  a.run(1s);
  a.store.write({"main", a.token() - 1, record.revision, "of an old holder"});
  a.run(1s);
  CHECK(a.store.seen(a.now()).record.text == "first");
  a.store.write({"", 0, record.revision, "an operator's"});
  a.run(1s);
  CHECK(a.store.seen(a.now()).record.text == "an operator's");
}

TEST_CASE("who leaves gives everything back at once") {
  FakeEtcd etcd;
  Agent a(etcd, plan_of("a"));
  a.store.want("main");
  a.run(3s);
  a.store.leave(a.now());
  CHECK_FALSE(a.holds());
  while (a.store.is_waiting() && !a.events.empty()) {
    const auto event = a.events.top();
    a.events.pop();
    a.world = event.at;
    event.what();
  }
  CHECK_FALSE(etcd.has(Agent::world_instant(a.world), "/v/c/leases/main"));
}

// Three agents with clocks that drift, on a bad network, each frozen and cut off now and then, leases deleted by hand,
// leaders deposed. Never do two hold the lease by their own clocks, and somebody does most of the time.
TEST_CASE("never two hold a lease by their own clocks, through hundreds of rounds of trouble") {
  int takeovers = 0;
  double held = 0;
  double all = 0;
  for (unsigned seed = 1; seed <= 300; ++seed) {
    FakeEtcd etcd;
    std::mt19937 dice(seed);
    const auto roll = [&](double chance) { return std::uniform_real_distribution(0.0, 1.0)(dice) < chance; };
    std::vector<std::unique_ptr<Agent>> agents;
    for (const char* node : {"a", "b", "c"}) {
      agents.push_back(std::make_unique<Agent>(etcd, plan_of(node), seed * 7 + node[0]));
      Agent& agent = *agents.back();
      agent.rate = 1 + std::uniform_real_distribution(-0.002, 0.002)(dice);
      agent.offset = std::chrono::seconds(dice() % 1000);
      agent.loss = (seed % 3) * 0.1;
      agent.delay_max = std::chrono::milliseconds(2 + dice() % 700);
      agent.store.want("main");
    }
    std::int64_t newest = 0;
    std::vector<Duration> frozen_until(3), cut_until(3);
    Duration stale_until{};
    for (Duration t{}; t < 120s; t += 50ms) {
      for (std::size_t i = 0; i < agents.size(); ++i) {
        if (t >= frozen_until[i] && roll(0.001)) frozen_until[i] = t + std::chrono::milliseconds(dice() % 30000);
        if (t >= cut_until[i] && roll(0.001)) cut_until[i] = t + std::chrono::milliseconds(dice() % 30000);
        agents[i]->is_frozen = t < frozen_until[i];
        agents[i]->is_cut = t < cut_until[i];
        agents[i]->turn_to(t);
      }
      if (t >= stale_until && roll(0.0005)) {
        etcd.new_term();
        stale_until = t + std::chrono::milliseconds(dice() % 20000);
      }
      etcd.is_keeping_stale = t < stale_until;
      if (roll(0.0003)) agents[dice() % 3]->store.give_up(agents[0]->now(), "main");
      for (auto& agent : agents) agent->store.want("main");
      int holders = 0;
      for (const auto& agent : agents) {
        if (!agent->holds()) continue;
        ++holders;
        if (agent->token() != newest) {
          REQUIRE(agent->token() > newest);
          newest = agent->token();
          ++takeovers;
        }
      }
      CAPTURE(seed, t.count() / 1000000);
      REQUIRE(holders <= 1);
      held += holders;
      all += 1;
    }
    REQUIRE(etcd.mistakes.empty());
  }
  CHECK(takeovers > 900);
  CHECK(held / all > 0.5);
}

}  // namespace
}  // namespace vital
