// cluster-node: one agent's side of a store of leases and nothing else, for tests against a real etcd. Wants the lease
// of one topology and prints what it sees, a line of JSON each time that changes and every 100 ms; times are
// CLOCK_MONOTONIC, which all processes of a machine share.
//
//   cluster-node HELPER NODE '{"endpoints": [...], "ttl_ms": 3000, ...}' HOLD_MS
//
// With HOLD_MS above 0 the lease is given back after that time and wanted again.
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "cluster/cluster.hpp"

int main(int argc, char** argv) {
  using namespace vital;
  using Json = nlohmann::ordered_json;
  if (argc != 5) return 2;
  const Json given = Json::parse(argv[3]);
  ClusterPlan plan;
  plan.kind = ClusterPlan::Kind::etcd;
  plan.node = argv[2];
  for (const auto& e : given["endpoints"]) plan.endpoints.push_back(e);
  const auto time = [&](const char* key, Duration& to) {
    if (given.contains(key)) to = std::chrono::milliseconds(given[key].get<long long>());
  };
  time("ttl_ms", plan.ttl);
  time("margin_ms", plan.margin);
  time("timeout_ms", plan.timeout);
  time("interval_ms", plan.interval);
  for (const auto& [key, to] : {std::pair{"ca", &plan.ca},
                                {"certificate", &plan.certificate},
                                {"key", &plan.key},
                                {"user", &plan.user},
                                {"password", &plan.password}}) {
    *to = given.value(key, std::string());
  }
  const Duration hold = std::chrono::milliseconds(std::atoll(argv[4]));

  Loop loop;
  Instant printed{};
  Instant held_since{};
  bool was_ours = false;
  std::unique_ptr<Cluster> cluster;
  cluster = std::make_unique<Cluster>(loop, plan, argv[1], [&](const failover::ClusterSeen& seen) {
    const Instant now = Loop::now();
    Json lease = nullptr;
    bool is_ours = false;
    for (const failover::LeaseSeen& l : seen.leases) {
      if (l.topology != "main") continue;
      is_ours = l.is_ours;
      lease = {{"holder", l.holder},
               {"ours", l.is_ours},
               {"token", l.token},
               {"until_ns", l.until.time_since_epoch().count()}};
    }
    if (is_ours && !was_ours) held_since = now;
    if (hold > Duration{} && is_ours && now - held_since > hold) {
      cluster->perform(failover::GiveUpLease{"main"});
    } else {
      cluster->perform(failover::WantLease{"main"});
    }
    cluster->perform(failover::PublishVote{"main", "one", ServerRole::primary, false, true, now, "well", {}});
    if (is_ours == was_ours && now - printed < std::chrono::milliseconds(100)) return;
    was_ours = is_ours;
    printed = now;
    // The time is taken last: what is said here was true then.
    Json votes = Json::array();
    for (const failover::PeerVote& v : seen.votes) {
      votes.push_back({{"node", v.node}, {"age_ms", milliseconds(v.age)}});
    }
    std::printf("%s\n", Json{{"at_ns", now.time_since_epoch().count()},
                             {"health", name(seen.health)},
                             {"text", seen.text},
                             {"lease", lease},
                             {"votes", votes}}
                            .dump()
                            .c_str());
    std::fflush(stdout);
  });
  Signals signals(loop, {SIGTERM}, [&](int) {
    cluster->leave();
    loop.stop();
  });
  loop.run();
  for (int i = 0; i < 20 && !cluster->has_left(); ++i) loop.run_for(std::chrono::milliseconds(100));
  return 0;
}
