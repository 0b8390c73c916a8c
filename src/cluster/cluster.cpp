// See cluster.hpp.
#include "cluster/cluster.hpp"

#include <fmt/format.h>
#include <time.h>

#include <utility>

namespace vital {
namespace {

constexpr Duration turn_every = std::chrono::milliseconds(100);

}  // namespace

Duration slept_in_all() {
  timespec boot{};
  timespec monotonic{};
  clock_gettime(CLOCK_MONOTONIC, &monotonic);
  clock_gettime(CLOCK_BOOTTIME, &boot);
  return std::chrono::seconds(boot.tv_sec - monotonic.tv_sec) + Duration(boot.tv_nsec - monotonic.tv_nsec);
}

Cluster::Cluster(Loop& loop, ClusterPlan plan, const std::string& helper, Told told)
    : loop_(loop), plan_(std::move(plan)), told_(std::move(told)), timer_(loop, [this] { turn(); }) {
  if (plan_.kind == ClusterPlan::Kind::etcd) {
    courier_ = std::make_unique<Courier>(loop_, helper, plan_, [this](std::uint64_t id, const etcd::Reply& reply) {
      store_->answered(Loop::now(), id, reply);
      told_(seen());
    });
    store_ = std::make_unique<EtcdStore>(plan_, [this](const EtcdStore::Call& call) { courier_->send(call); });
  }
  timer_.arm_in(Duration{});
}

Cluster::~Cluster() = default;

void Cluster::turn() {
  timer_.arm_in(turn_every);
  if (store_) store_->tick(Loop::now(), slept_in_all());
  told_(seen());
}

void Cluster::perform(const failover::WantLease& want) {
  if (store_) store_->want(want.topology);
}
void Cluster::perform(const failover::GiveUpLease& give_up) {
  if (store_) store_->give_up(Loop::now(), give_up.topology);
}
void Cluster::perform(const failover::PublishVote& vote) {
  if (store_) store_->publish(vote);
}
void Cluster::perform(const failover::WriteRecord& record) {
  if (store_) store_->write(record);
}
void Cluster::forget(const std::string& topology) {
  if (!store_) return;
  store_->forget_votes(topology);
  store_->give_up(Loop::now(), topology);
}

void Cluster::leave() {
  timer_.disarm();
  if (store_) store_->leave(Loop::now());
}
bool Cluster::has_left() const { return !store_ || !store_->is_waiting(); }

failover::ClusterSeen Cluster::seen() const {
  if (store_) return store_->seen(Loop::now());
  failover::ClusterSeen alone;
  alone.at = Loop::now();
  alone.text = "no store of leases is configured";
  return alone;
}

std::string Cluster::metrics() const {
  if (!store_) return {};
  const EtcdStore::Counts& n = store_->counts();
  std::string out =
      "# HELP vitald_cluster_up 1 if a quorum of the store answered the last look, else 0.\n"
      "# TYPE vitald_cluster_up gauge\n";
  out += fmt::format("vitald_cluster_up {}\n", seen().health == failover::StoreHealth::ok ? 1 : 0);
  const auto family = [&](std::string_view called, std::string_view help, std::uint64_t value) {
    out += fmt::format("# HELP {0} {1}\n# TYPE {0} counter\n{0} {2}\n", called, help, value);
  };
  family("vitald_cluster_calls_total", "Calls to the store.", n.calls);
  family("vitald_cluster_calls_late_total", "Calls without an answer in time.", n.late);
  family("vitald_cluster_calls_refused_total", "Calls that were answered with an error.", n.refused);
  family("vitald_cluster_rotations_total", "Times another endpoint was taken.", n.rotations);
  family("vitald_cluster_logins_total", "Logins that succeeded.", n.logins);
  family("vitald_cluster_leases_gained_total", "Leases of topologies taken.", n.gained);
  family("vitald_cluster_leases_lost_total", "Leases of topologies that ended without being given back.", n.lost);
  family("vitald_cluster_renewals_unconfirmed_total", "Renewals that a later read did not confirm.", n.unconfirmed);
  family("vitald_cluster_dropped_total", "What there was no room for.", n.dropped);
  family("vitald_cluster_helper_starts_total", "Starts of vitald-cluster.", courier_->restarts());
  return out;
}

}  // namespace vital
