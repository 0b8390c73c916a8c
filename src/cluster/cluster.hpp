// Cluster: where the agents of one cluster meet, as the agent's loop sees it. Alone (`standalone`) nobody ever holds a
// lease, so nothing may fence or promote on this agent's word; with etcd see etcd_store.hpp. [loop]
//
//   Cluster cluster(loop, plan, helper, [&](const failover::ClusterSeen& seen) { policy.heard(seen); });
//   cluster.perform(failover::WantLease{"main"});
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cluster/courier.hpp"
#include "cluster/etcd_store.hpp"
#include "cluster/plan.hpp"
#include "core/failover/seam.hpp"
#include "loop/loop.hpp"

namespace vital {

class Cluster {
 public:
  using Told = std::function<void(const failover::ClusterSeen&)>;
  // `told` comes a few times a second and after each answer, never from within a call.
  Cluster(Loop& loop, ClusterPlan plan, const std::string& helper, Told told);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  void perform(const failover::WantLease& want);
  void perform(const failover::GiveUpLease& give_up);
  void perform(const failover::PublishVote& vote);
  void perform(const failover::WriteRecord& record);
  void forget(const std::string& topology);  // it is gone from the config

  // Gives leases back, so that others need not wait for their end. Wait until has_left(), but not for long.
  void leave();
  bool has_left() const;

  failover::ClusterSeen seen() const;
  const ClusterPlan& plan() const { return plan_; }
  std::string metrics() const;  // Prometheus text; empty if standalone

 private:
  void turn();

  Loop& loop_;
  ClusterPlan plan_;
  Told told_;
  std::unique_ptr<EtcdStore> store_;  // null if standalone
  std::unique_ptr<Courier> courier_;
  Timer timer_;
};

// How long the host has slept since it started: what CLOCK_BOOTTIME counts and CLOCK_MONOTONIC does not.
Duration slept_in_all();

}  // namespace vital
