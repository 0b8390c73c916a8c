// The async lanes: many probes share a worker's loop. A worker that stops turning is killed; whose code held it up or
// crashed it gets a worker of its own from then on, so that it can spoil nobody else's probes. See pool_impl.hpp.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/duration.hpp"
#include "probe/pool_impl.hpp"

namespace vital {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t max_apart = 16;       // workers of their own for culprits
constexpr std::size_t max_waiting = 16384;  // probes that may wait for a worker to be started again
constexpr Duration calm = 60s;              // a crash after this long is the first again
constexpr Duration longest_pause = 30s;

// What keeps children of its own kills what it does not know of, and has a worker to itself for that.
bool shares_a_worker(const ModuleInfo& module) { return module.is_builtin && module.type != "exec_lines"; }

// The first crash costs nothing, further ones 200 ms, 400 ms, ...
Duration pause_after(unsigned crashes) {
  if (crashes <= 1) return {};
  return std::min<Duration>(longest_pause, 100ms * (1LL << std::min(crashes - 1, 16U)));
}

}  // namespace

std::string Pool::Impl::lane_key(const CheckSpec& spec) const {
  if (std::string own = "check:" + spec.check; !apart_.empty() && apart_.contains(own)) return own;
  const std::string module = "module:" + spec.module.path;
  return shares_a_worker(spec.module) && !apart_.contains(module) ? std::string("builtin") : module;
}

Pool::Impl::AsyncLane& Pool::Impl::lane_of(const CheckSpec& spec) {
  auto& lane = lanes_[lane_key(spec)];
  if (lane == nullptr) {
    lane = std::make_unique<AsyncLane>(loop_, [] {});
    AsyncLane* raw = lane.get();
    lane->timer = Timer(loop_, [this, raw] { dispatch(*raw); });
  }
  return *lane;
}

void Pool::Impl::start_async(Probe& probe) {
  AsyncLane& lane = lane_of(*probe.spec);
  if (lane.waiting.size() >= max_waiting) {
    ++counters_.queued_full;
    return refuse(probe, fmt::format("no worker free, and {} probes wait already", lane.waiting.size()));
  }
  const bool is_ready = lane.worker != nullptr && lane.worker->is_usable() && lane.waiting.empty() && !is_held(probe);
  if (is_ready) {
    give(probe, *lane.worker);
    return;
  }
  probe.place = Place::queued;
  lane.waiting.push_back(probe.id.value);
  look_later(probe, probe.deadline - std::min<Duration>(50ms, (probe.deadline - probe.asked) / 10));
  dispatch(lane);
}

void Pool::Impl::dispatch(AsyncLane& lane) {
  if (is_shutting_down_ || lane.waiting.empty()) return;
  const Instant now = Loop::now();
  if (lane.worker == nullptr) {
    if (now < lane.may_start_at) return lane.timer.arm_at(lane.may_start_at);
    std::string why;
    lane.worker = launch(Lane::async, &why);
    if (lane.worker == nullptr) {
      for (const std::uint64_t id : std::exchange(lane.waiting, {})) refuse(probes_.at(id), why);
      return;
    }
  }
  if (!lane.worker->is_usable()) return;  // it is dying; its end will call us again
  std::deque<std::uint64_t> held;
  for (const std::uint64_t id : std::exchange(lane.waiting, {})) {
    Probe& probe = probes_.at(id);
    if (is_held(probe)) {
      held.push_back(id);
    } else {
      give(probe, *lane.worker);
    }
  }
  lane.waiting.insert(lane.waiting.end(), held.begin(), held.end());
}

void Pool::Impl::worker_silent(WorkerProcess& worker) {
  const Spec culprit = worker.culprit();
  const std::string silence = friendly_duration(options_.grace);
  note(Note::Level::warning, "worker_killed",
       {{"pid", std::to_string(worker.pid())},
        {"why", "it did not turn for " + silence},
        {"check", culprit ? culprit->check : ""}});
  set_apart(culprit, worker.stage());  // before anybody asks for its lane again
  kill(worker, "held up its worker for " + silence);
  // Its probes are lost now; no need to wait for its end.
  for (const std::uint64_t id : probes_of(worker)) {
    Probe* probe = find(id);
    if (probe == nullptr || probe->worker != &worker) continue;
    if (probe->place == Place::cancelling) {
      erase(*probe);
    } else if (probe->spec == culprit) {
      finish_unknown(*probe, "the module held up its worker for " + silence);
    } else {
      finish_unknown(*probe, fmt::format("its worker was lost: {} held it up for {}",
                                         culprit ? "check " + culprit->check : "something", silence));
    }
  }
}

void Pool::Impl::lost_worker(AsyncLane& lane, const Ending& ending) {
  lane.worker = nullptr;
  // A culprit that was set apart takes the reason to wait with it.
  const bool is_cause_gone = ending.culprit != nullptr && &lane_of(*ending.culprit) != &lane;
  if (ending.is_asked_for || is_cause_gone) return;
  const Instant now = Loop::now();
  lane.crashes = now - lane.crashed_at > calm ? 1 : lane.crashes + 1;
  lane.crashed_at = now;
  lane.may_start_at = now + pause_after(lane.crashes);
}

// From now on the one whose code ran when a worker was lost has a worker of its own.
void Pool::Impl::set_apart(const Spec& culprit, Stage stage) {
  if (culprit == nullptr || apart_.size() >= max_apart) return;
  const bool is_new =
      apart_.insert(stage == Stage::loading ? "module:" + culprit->module.path : "check:" + culprit->check).second;
  if (is_new)
    note(Note::Level::warning, "check_set_apart",
         {{"check", culprit->check}, {"why", "its module cost others their worker"}});
}

}  // namespace vital
