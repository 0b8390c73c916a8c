// The blocking lane: one probe a worker, workers on demand, killed with their group when a probe does not come back.
// See pool_impl.hpp.
#include <algorithm>
#include <chrono>

#include "probe/pool_impl.hpp"

namespace vital {
namespace {

// A worker whose module is still being loaded is no hung probe: killed at once, it would never get through on a slow
// disk. It gets this long.
constexpr Duration patience_to_load = std::chrono::seconds(10);

}  // namespace

void Pool::Impl::dispatch() {
  if (is_shutting_down_) return;
  for (std::size_t at = 0; at < queue_.size();) {
    Probe& probe = probes_.at(queue_[at]);
    if (is_held(probe)) {
      ++at;
      continue;
    }
    WorkerProcess* worker = pick(probe);
    if (worker == nullptr) {
      const auto usable =
          std::ranges::count_if(workers_, [](const auto& w) { return w->is_usable() && w->lane() == Lane::blocking; });
      if (usable >= static_cast<long>(options_.max_blocking)) return;
      std::string why;
      worker = launch(Lane::blocking, &why);
      if (worker == nullptr) {
        if (usable > 0) return;  // one of them will be free again
        queue_.erase(queue_.begin() + static_cast<long>(at));
        refuse(probe, why);
        continue;
      }
    }
    queue_.erase(queue_.begin() + static_cast<long>(at));
    give(probe, *worker);
  }
}

// The best idle worker: one that has the instance, then one that has the module, then the one used last, so that the
// others may grow old and go.
WorkerProcess* Pool::Impl::pick(const Probe& probe) {
  WorkerProcess* best = nullptr;
  int best_score = -1;
  for (const auto& worker : workers_) {
    if (worker->lane() != Lane::blocking || !worker->is_usable() || worker->in_flight > 0 || worker->kill_at ||
        worker->is_outdated) {
      continue;
    }
    const int score = worker->knows(probe.spec) ? 2 : worker->has_loaded(probe.spec->module.path) ? 1 : 0;
    if (score > best_score || (score == best_score && worker->idle_since > best->idle_since)) {
      best = worker.get();
      best_score = score;
    }
  }
  return best;
}

void Pool::Impl::reclaim_blocking(Probe& probe, const std::string& why) {
  WorkerProcess& worker = *probe.worker;
  hold(probe.spec->check, worker);
  const bool is_loading = worker.state() == WorkerProcess::State::starting || worker.stage() == Stage::loading ||
                          worker.stage() == Stage::creating;
  erase(probe);
  if (is_loading) {
    worker.kill_at = Loop::now() + patience_to_load;
    return;
  }
  kill(worker, why);
  dispatch();  // its place is free
}

}  // namespace vital
