// Probes, whatever their lane: started, given to a worker, finished, given up; see pool.hpp and pool_impl.hpp.
#include "probe/pool.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/duration.hpp"
#include "probe/pool_impl.hpp"

namespace vital {
namespace {

using namespace std::chrono_literals;

// How long before its deadline we say that a probe had no fair chance: the core's own verdict comes at the deadline.
Duration margin(Duration total) { return std::min<Duration>(50ms, total / 10); }

}  // namespace

// ---- the public face -----------------------------------------------------------------------------------------------

Pool::Pool(Loop& loop, PoolOptions options, Handlers handlers)
    : impl_(std::make_unique<Impl>(loop, std::move(options), std::move(handlers))) {}
Pool::~Pool() = default;
void Pool::start(ProbeId id, std::shared_ptr<const CheckSpec> spec, std::uint32_t attempt, Instant deadline) {
  impl_->start(id, std::move(spec), attempt, deadline);
}
void Pool::abandon(ProbeId id) { impl_->abandon(id); }
void Pool::retire(const std::shared_ptr<const CheckSpec>& spec) { impl_->retire(spec); }
void Pool::set_max_blocking(unsigned max_blocking) { impl_->set_max_blocking(max_blocking); }
void Pool::set_limits(unsigned memory_mib, unsigned processes, std::string seccomp) {
  impl_->set_limits(memory_mib, processes, std::move(seccomp));
}
void Pool::shut_down(Duration patience, std::function<void()> ended) { impl_->shut_down(patience, std::move(ended)); }
PoolStats Pool::stats() const { return impl_->stats(); }

// ---- probes --------------------------------------------------------------------------------------------------------

Pool::Impl::Impl(Loop& loop, PoolOptions options, Handlers handlers)
    : loop_(loop),
      options_(std::move(options)),
      handlers_(std::move(handlers)),
      self_(std::make_shared<Impl*>(this)),
      agenda_timer_(loop, [this] { look_at_probes(); }),
      sweep_timer_(loop, [this] { sweep(); }),
      orphan_timer_(loop, [this] { look_for_orphans({}); }) {
  if (options_.idle_after <= Duration::zero()) options_.idle_after = 30s;
  if (options_.grace <= Duration::zero()) options_.grace = 1s;
  options_.max_blocking = std::max(1U, options_.max_blocking);
  adopt_orphans();
}

Pool::Impl::~Impl() { *self_ = nullptr; }

void Pool::Impl::post(std::function<void()> work) {
  loop_.post([self = self_, work = std::move(work)] {
    if (*self != nullptr) work();
  });
}

std::vector<std::uint64_t> Pool::Impl::probes_of(const WorkerProcess& worker) const {
  std::vector<std::uint64_t> out;
  for (const auto& [id, probe] : probes_) {
    if (probe.worker == &worker) out.push_back(id);
  }
  return out;
}

Pool::Impl::Probe* Pool::Impl::find(std::uint64_t id) {
  const auto at = probes_.find(id);
  return at == probes_.end() ? nullptr : &at->second;
}

void Pool::Impl::start(ProbeId id, Spec spec, std::uint32_t attempt, Instant deadline) {
  const Instant now = Loop::now();
  const auto [at, is_new] = probes_.try_emplace(id.value);
  if (!is_new) return;  // an id is never used twice
  Probe& probe = at->second;
  probe.id = id;
  probe.spec = std::move(spec);
  probe.attempt = attempt;
  probe.asked = now;
  probe.deadline = deadline;
  const CheckSpec& s = *probe.spec;

  if (is_shutting_down_) return refuse(probe, "vitald is shutting down");
  for (const std::string& key : {"module:" + s.module.path, "check:" + s.check}) {
    if (const auto* entry = backoff_.waiting(key, now)) {
      return refuse(probe, fmt::format("{} ({} times); it is tried again in {}", entry->reason, entry->failures,
                                       friendly_duration(entry->until - now)));
    }
  }
  if (is_unkillable(s.check)) return refuse(probe, why_queued(probe));
  if (s.module.lane == Lane::async) return start_async(probe);
  if (queue_.size() >= options_.max_queued) {
    ++counters_.queued_full;
    return refuse(probe, fmt::format("no worker free, and {} probes wait already", queue_.size()));
  }
  queue_.push_back(id.value);
  probe.place = Place::queued;
  look_later(probe, deadline - margin(deadline - now));
  dispatch();
  if (Probe* still = find(id.value); still != nullptr && still->place == Place::queued) {
    post([this, id] {
      Probe* p = find(id.value);
      if (p == nullptr || p->place != Place::queued) return;
      p->was_announced = true;
      if (handlers_.queued) handlers_.queued(id);
    });
  }
}

// The answer comes a moment later: never from within start().
void Pool::Impl::refuse(Probe& probe, std::string text) {
  probe.place = Place::posted;
  post([this, id = probe.id.value, text = std::move(text)] {
    if (Probe* p = find(id)) finish_unknown(*p, text);
  });
}

bool Pool::Impl::give(Probe& probe, WorkerProcess& worker) {
  if (!worker.run(probe.id.value, probe.spec, probe.attempt, probe.deadline)) {
    refuse(probe, "the check's options are too long for a worker: all together may have 256 KiB");
    return false;
  }
  ++counters_.probes;
  probe.place = Place::running;
  probe.worker = &worker;
  probe.given = Loop::now();
  if (worker.lane() == Lane::blocking) probe.starved_before = worker.starved();
  ++worker.in_flight;
  worker.expect_life(true);
  look_later(probe, probe.deadline - margin(probe.deadline - probe.asked));
  if (probe.was_announced && handlers_.taken) {
    post([this, id = probe.id] {
      if (handlers_.taken && find(id.value) != nullptr) handlers_.taken(id);
    });
  }
  return true;
}

void Pool::Impl::erase(Probe& probe) {
  look_later(probe, Instant{});
  if (WorkerProcess* worker = probe.worker) {
    if (--worker->in_flight == 0) {
      worker->idle_since = Loop::now();
      worker->expect_life(false);
    }
  }
  probes_.erase(probe.id.value);
}

void Pool::Impl::finish(Probe& probe, ProbeResult result) {
  const ProbeId id = probe.id;
  erase(probe);
  handlers_.done(id, std::move(result));
}

void Pool::Impl::finish_unknown(Probe& probe, std::string text) {
  ProbeResult result;
  result.text = std::move(text);
  const Instant now = Loop::now();
  result.duration = now - probe.asked;
  result.evidence.queue_delay = (probe.worker == nullptr ? now : probe.given) - probe.asked;
  finish(probe, std::move(result));
}

void Pool::Impl::abandon(ProbeId id) {
  Probe* probe = find(id.value);
  if (probe == nullptr) return;
  switch (probe->place) {
    case Place::queued:
      std::erase(queue_, id.value);
      for (const auto& [key, lane] : lanes_) std::erase(lane->waiting, id.value);
      return erase(*probe);
    case Place::posted:
      return erase(*probe);
    case Place::running:
      return reclaim(*probe, "a probe overran its deadline");
    case Place::cancelling:
      return;
  }
}

void Pool::Impl::reclaim(Probe& probe, const std::string& why) {
  if (probe.spec->module.lane == Lane::blocking) return reclaim_blocking(probe, why);
  probe.worker->cancel(probe.id.value);
  probe.place = Place::cancelling;  // if that is never confirmed, the worker does not turn and is found out
  look_later(probe, Instant{});
}

// ---- the rest ------------------------------------------------------------------------------------------------------

void Pool::Impl::retire(const Spec& spec) {
  for (const auto& worker : workers_) worker->forget(spec);
  apart_.erase("check:" + spec->check);
  backoff_.succeeded("check:" + spec->check);
}

void Pool::Impl::shut_down(Duration patience, std::function<void()> ended) {
  is_shutting_down_ = true;
  when_shut_down_ = std::move(ended);
  queue_.clear();
  for (const auto& [key, lane] : lanes_) lane->waiting.clear();
  while (!probes_.empty()) erase(probes_.begin()->second);
  for (const auto& worker : workers_) worker->stop();
  shut_down_timer_.emplace(loop_, [this] {
    for (const auto& worker : workers_) worker->kill("vitald ends");
  });
  shut_down_timer_->arm_in(patience);
  post([this] { finish_shut_down(); });
}

void Pool::Impl::finish_shut_down() {
  if (!is_shutting_down_ || !when_shut_down_) return;
  const bool is_over =
      std::ranges::all_of(workers_, [](const auto& w) { return w->state() == WorkerProcess::State::unkillable; });
  if (!is_over) return;
  shut_down_timer_.reset();
  const auto tell = std::exchange(when_shut_down_, nullptr);
  tell();
}

PoolStats Pool::Impl::stats() const {
  PoolStats out = counters_;
  out.kill_method = kill_method();
  out.unkillable_processes =
      static_cast<unsigned>(std::ranges::count_if(orphans_, [](const auto& o) { return !o.second.why.empty(); }));
  for (const auto& worker : workers_) {
    switch (worker->state()) {
      case WorkerProcess::State::starting:
        ++out.starting;
        break;
      case WorkerProcess::State::up:
        ++(worker->in_flight > 0 || worker->kill_at ? out.busy : out.idle);
        break;
      case WorkerProcess::State::unkillable:
        ++out.unkillable;
        break;
      case WorkerProcess::State::stopping:
      case WorkerProcess::State::killed:
      case WorkerProcess::State::dead:
        break;
    }
  }
  return out;
}

void Pool::Impl::note(Note::Level level, std::string event, std::vector<std::pair<std::string, std::string>> fields) {
  if (!handlers_.note) return;
  // Not at once: whoever made us say it may be in the middle of something.
  post([this, note = Note{level, std::move(event), std::move(fields)}] { handlers_.note(note); });
}

}  // namespace vital
