// Looking at probes whose time is nearly over: had they a fair chance, and if not, whose fault was it? See
// pool_impl.hpp.
#include <fmt/format.h>

#include <chrono>

#include "base/duration.hpp"
#include "probe/pool_impl.hpp"

namespace vital {

void Pool::Impl::look_later(Probe& probe, Instant when) {
  if (probe.look_at != Instant{}) agenda_.erase({probe.look_at, probe.id.value});
  probe.look_at = when;
  if (when == Instant{}) return;
  agenda_.emplace(when, probe.id.value);
  if (!agenda_armed_ || when < *agenda_armed_) agenda_timer_.arm_at(*(agenda_armed_ = when));
}

void Pool::Impl::look_at_probes() {
  agenda_armed_.reset();
  const Instant now = Loop::now();
  while (!agenda_.empty() && agenda_.begin()->first <= now) {
    Probe& probe = probes_.at(agenda_.begin()->second);
    look_later(probe, Instant{});
    look(probe);
  }
  if (!agenda_.empty()) agenda_timer_.arm_at(*(agenda_armed_ = agenda_.begin()->first));
}

void Pool::Impl::look(Probe& probe) {
  const std::uint64_t id = probe.id.value;
  if (probe.place == Place::queued) {
    const std::string why = why_queued(probe);
    std::erase(queue_, id);
    for (const auto& [key, lane] : lanes_) std::erase(lane->waiting, id);
    return finish_unknown(probe, why);
  }
  if (probe.place != Place::running) return;
  // Its answer may be waiting in the socket.
  probe.worker->read_all();
  Probe* still = find(id);
  if (still == nullptr || still->place != Place::running) return;
  const Instant now = Loop::now();
  if (now < still->deadline) {
    if (const auto trouble = our_trouble(*still)) {
      ProbeResult result;
      result.text = *trouble;
      result.duration = now - still->asked;
      result.evidence.queue_delay = still->given - still->asked;
      const ProbeId told = still->id;
      reclaim(*still, *trouble);
      return handlers_.done(told, std::move(result));
    }
    const Duration lost = lost_by_worker(*still);
    look_later(*still, still->deadline + options_.grace);
    if (lost > Duration::zero() && handlers_.delayed) handlers_.delayed(ProbeId(id), lost);
    return;
  }
  // Nobody gave it up at its deadline. That should not happen, but must not keep a worker for ever.
  ProbeResult result;
  result.verdict = Verdict::fail;
  result.cause = Cause::timeout;
  result.duration = now - still->asked;
  result.text = fmt::format("no answer in {}", friendly_duration(still->deadline - still->asked));
  const ProbeId told = still->id;
  reclaim(*still, "a probe overran its deadline");
  handlers_.done(told, std::move(result));
}

std::string Pool::Impl::why_queued(const Probe& probe) const {
  if (const auto held = held_.find(probe.spec->check); held != held_.end()) {
    const pid_t pid = held->second.worker->pid();
    return held->second.is_unkillable
               ? fmt::format("unkillable: its last probe hangs in the kernel (pid {}); not run a second time", pid)
               : fmt::format("the worker of its last probe (pid {}) has not ended yet", pid);
  }
  if (const auto* orphan = orphan_of(probe.spec->check)) {
    return orphan->second.why.empty()
               ? fmt::format("a process its last probe left behind (pid {}) has not ended yet", orphan->first)
               : fmt::format("unkillable: a process its last probe left behind (pid {}) {}; not run a second time",
                             orphan->first, orphan->second.why);
  }
  if (probe.spec->module.lane == Lane::async) return "no worker free: the one it shares is being started again";
  return fmt::format("no worker free: all {} are busy", options_.max_blocking);
}

// The time of this probe in which its worker could not run, as far as that is known without its answer.
Duration Pool::Impl::lost_by_worker(const Probe& probe) const {
  if (probe.worker->lane() == Lane::blocking) return probe.worker->starved() - probe.starved_before;
  return probe.worker->culprit() == probe.spec ? Duration::zero() : probe.worker->silence();
}

// Why a probe that is about to miss its deadline had no fair chance; nothing if it had.
std::optional<std::string> Pool::Impl::our_trouble(const Probe& probe) const {
  const WorkerProcess& worker = *probe.worker;
  const Duration total = probe.deadline - probe.asked;
  if (worker.state() == WorkerProcess::State::starting) return "its worker was still starting";
  const Stage stage = worker.stage();
  if (is_early(stage)) {
    return "a module in its worker was still " + early(stage);
  }
  if (const Duration waited = probe.given - probe.asked; waited > total / 4) {
    return fmt::format("no answer in the {} it had after {} of waiting for a free worker",
                       friendly_duration(total - waited), friendly_duration(waited));
  }
  if (worker.lane() == Lane::blocking) {
    if (const Duration starved = lost_by_worker(probe); starved > total / 4) {
      return fmt::format("no answer, but its worker was kept from running for {}: this machine is overloaded",
                         friendly_duration(starved));
    }
  }
  if (worker.lane() == Lane::async && worker.silence() > options_.grace / 8) {
    const auto culprit = worker.culprit();
    if (culprit == probe.spec) return {};  // its own module holds it up
    return fmt::format("its worker is held up{}", culprit ? " by check " + culprit->check : std::string());
  }
  return {};
}

}  // namespace vital
