// FailoverControl: what this agent may do about failovers: the policies decide, the store says who may, the actor acts.
// It exists only where a topology has a mode above observe. An agent of mode `auto` asks for approval, as in `assist`,
// until a pre-flight has been green once in its life.
//
//   FailoverControl control(loop, {worker, helper, state_dir}, {note, decided});
//   control.adopt(now, config);                    // at the start, and at each reload
//   control.saw(now, "main", sight_of(watch, now.mono));
//   control.tick(now, surroundings);               // four times a second
//
// All on the loop; what others read is on the board.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/failover_board.hpp"
#include "cluster/cluster.hpp"
#include "config/config.hpp"
#include "core/failover/policies.hpp"
#include "core/snapshot.hpp"
#include "failover/actor.hpp"
#include "failover/preflight.hpp"

namespace vital {

// Which topologies are drained or in maintenance: those of a service that has such an overlay; "" for the whole node.
// Pure.
std::vector<failover::MaintenanceSeen> maintenance_of(const Snapshot& snapshot,
                                                      const std::vector<TopologyPlan>& topologies);
// How many of the checks that have to do with no topology turned bad within the last minute. Pure.
failover::SelfSeen bad_of_late(const Snapshot& snapshot, const std::vector<TopologyPlan>& topologies, WallTime now);

class FailoverControl {
 public:
  struct Paths {
    std::string worker, helper, state_dir;  // vitald-worker, vitald-cluster
  };
  struct Hooks {
    std::function<void(const Note&)> note;
    std::function<void(const failover::Decision&)> decided;
  };
  FailoverControl(Loop& loop, Paths paths, Hooks hooks, std::shared_ptr<FailoverBoard> board);

  static bool is_wanted(const Config& config) { return !config.policies.empty(); }
  // A topology that is gone, or watches only from now on, gives up its lease; what it began is left to the record. One
  // that stays goes on with the new plan.
  // `saved`: what save() gave before a restart.
  void adopt(Now now, const Config& config, std::string_view saved = {});
  std::vector<std::string> save() const;  // what a restart must not forget, a line a topology

  // Who was primary last, of each topology of which the state file or the store knows it.
  void each_last_primary(const std::function<void(const std::string& topology, const std::string& member)>& see) const;

  void saw(Now now, const std::string& topology, const failover::Sight& sight);
  void tick(Now now, const Snapshot& snapshot);

  // Empty if it was taken; else why not, in one line.
  std::string command(Now now, const failover::Command& command);
  // Told once, later.
  void check(std::function<void(const failover::Preflight&)> told);

  // No further step begins, and leases are given back; has_left() once the store knows.
  void leave(Now now);
  bool has_left() const { return !cluster_ || cluster_->has_left(); }

 private:
  struct Count {
    std::uint64_t done = 0, parked = 0, reasserted = 0, decisions = 0;
  };
  void feed(Now now, const failover::Input& input);
  void look_at_self(Now now);
  void perform(const std::vector<failover::Effect>& effects);
  std::vector<failover::FailoverPolicyPlan> plans() const;
  void ready_if_green(Now now, const failover::Preflight& preflight);
  void ask_preflight(std::function<void(const failover::Preflight&)> told);
  void show(Now now);

  Loop& loop_;
  const Paths paths_;
  const Hooks hooks_;
  const std::shared_ptr<FailoverBoard> board_;
  std::unique_ptr<failover::Policies> policies_;
  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<Actor> actor_;
  std::shared_ptr<const Config> config_;  // a copy of what was adopted
  std::map<std::string, failover::Sight> sights_;
  std::map<std::string, std::string> not_ready_;  // topologies of mode auto that act as assist, and why
  std::map<std::string, Count> counts_;
  failover::Preflight preflight_;
  Instant adopted_at_{};
  std::optional<Instant> preflight_at_;
  bool is_preflight_under_way_ = false;
  bool is_leaving_ = false;

  std::optional<Instant> turned_at_;  // when it was last told anything
  Duration slept_{};
  Duration wall_ahead_{};  // wall minus monotonic
  Instant shown_at_{};
};

}  // namespace vital
