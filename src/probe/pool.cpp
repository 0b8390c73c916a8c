// What all probes have in common, whatever their lane; see pool.hpp and pool_impl.hpp.
#include "probe/pool.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <system_error>

#include "base/duration.hpp"
#include "probe/pool_impl.hpp"

namespace vital {
namespace {

using namespace std::chrono_literals;

// How long before its deadline we say that a probe had no fair chance: the core's own verdict comes at the deadline.
Duration margin(Duration total) { return std::min<Duration>(50ms, total / 10); }

constexpr Duration sweep_interval = 1s;

bool is_early(Stage stage) { return stage == Stage::loading || stage == Stage::creating; }
std::string early(Stage stage) { return stage == Stage::loading ? "being loaded" : "being set up"; }

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

// ---- looking at probes whose time is nearly over
// ---------------------------------------------------------------------

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

// ---- workers -------------------------------------------------------------------------------------------------------

WorkerProcess* Pool::Impl::launch(Lane lane, std::string* why) {
  const Instant now = Loop::now();
  if (const auto* entry = backoff_.waiting("worker", now)) {
    *why = entry->reason;
    return nullptr;
  }
  try {
    workers_.push_back(std::make_unique<WorkerProcess>(
        loop_, *this,
        WorkerProcess::Options{options_.worker, lane, options_.memory_mib, options_.grace, options_.processes,
                               options_.seccomp, control_group_.value_or("")}));
  } catch (const std::system_error& e) {
    *why = fmt::format("no worker: {}", e.what());
    backoff_.failed("worker", *why, now);
    note(Note::Level::error, "worker_start_failed", {{"why", e.what()}});
    return nullptr;
  }
  ++counters_.started;
  if (workers_.size() == 1) sweep_timer_.arm_in(std::min(sweep_interval, options_.idle_after));
  return workers_.back().get();
}

void Pool::Impl::kill(WorkerProcess& worker, std::string why) {
  ++counters_.killed;
  worker.kill(std::move(why));
}

void Pool::Impl::hold(const std::string& check, WorkerProcess& worker) { held_[check] = {&worker, false}; }

void Pool::Impl::sweep() {
  const Instant now = Loop::now();
  for (const auto& worker : workers_) {
    if (worker->kill_at && *worker->kill_at <= now && worker->is_usable()) {
      kill(*worker, "did not come back");
    }
    if (worker->is_usable() && worker->in_flight == 0 && !worker->kill_at &&
        now - worker->idle_since >= options_.idle_after) {
      for (const auto& [key, lane] : lanes_) {
        if (lane->worker == worker.get()) lane->worker = nullptr;
      }
      worker->stop();
    }
  }
  std::erase_if(lanes_, [now](const auto& l) {
    return l.second->worker == nullptr && l.second->waiting.empty() && l.second->may_start_at < now;
  });
  if (!workers_.empty()) sweep_timer_.arm_in(std::min(sweep_interval, options_.idle_after));
}

void Pool::Impl::worker_up(WorkerProcess&) { backoff_.succeeded("worker"); }

void Pool::Impl::worker_result(WorkerProcess& worker, wire::Result sent) {
  const Instant now = Loop::now();
  const bool is_blocking = worker.lane() == Lane::blocking;
  Probe* probe = find(sent.probe);
  const bool is_wanted = probe != nullptr && probe->place == Place::running && probe->worker == &worker;
  if (!is_wanted) {
    ++counters_.late_results;
    if (is_blocking && worker.kill_at) {
      // It was let live to finish loading; now it is as good as any.
      worker.kill_at.reset();
      worker.idle_since = now;
      std::erase_if(held_, [&](const auto& h) { return h.second.worker == &worker; });
    }
  }
  if (is_blocking && sent.left_children) {
    note(Note::Level::warning, "worker_killed",
         {{"pid", std::to_string(worker.pid())}, {"why", "the module left processes behind"}});
    hold(worker.last_check, worker);  // until they are gone, too
    kill(worker, "its module left processes behind");
  }
  if (is_wanted) {
    const Spec& spec = probe->spec;
    if (!backoff_.is_empty()) {
      backoff_.succeeded("module:" + spec->module.path);
      backoff_.succeeded("check:" + spec->check);
    }
    // Times from a worker are hints: what cannot be is cut off.
    const Duration longest = now - probe->asked;
    const auto sane = [&](Duration d) { return std::clamp(d, Duration::zero(), longest); };
    sent.result.duration = sane(sent.result.duration);
    sent.result.evidence.queue_delay = sane(sent.taken - probe->asked);
    sent.result.evidence.worker_lag = sane(sent.worst_lag);
    finish(*probe, std::move(sent.result));
  }
  if (is_blocking) dispatch();
}

void Pool::Impl::worker_cancelled(WorkerProcess& worker, std::uint64_t id) {
  Probe* probe = find(id);
  if (probe != nullptr && probe->place == Place::cancelling && probe->worker == &worker) erase(*probe);
}

void Pool::Impl::worker_line(WorkerProcess&, const wire::Line& line) {
  const auto level = line.level >= 3 ? Note::Level::error : line.level == 2 ? Note::Level::warning : Note::Level::info;
  note(level, "module_log", {{"check", line.check}, {"text", line.text}});
}

void Pool::Impl::worker_nonsense(WorkerProcess& worker, const std::string& what) {
  ++counters_.bad_frames;
  ++counters_.killed;
  note(Note::Level::error, "worker_killed", {{"pid", std::to_string(worker.pid())}, {"why", what}});
}

void Pool::Impl::worker_unkillable(WorkerProcess& worker) {
  note(Note::Level::error, "worker_unkillable", {{"pid", std::to_string(worker.pid())}});
  for (const auto& [key, lane] : lanes_) {
    if (lane->worker == &worker) lane->worker = nullptr;
  }
  if (worker.lane() == Lane::async) {
    if (const auto culprit = worker.culprit()) hold(culprit->check, worker);
  }
  for (auto& [check, held] : held_) {
    if (held.worker == &worker) held.is_unkillable = true;
  }
  give_up_hopeless();
  for (const auto& [key, lane] : lanes_) dispatch(*lane);
  dispatch();
  finish_shut_down();
}

void Pool::Impl::worker_ended(WorkerProcess& worker, const Ending& ending) {
  const Instant now = Loop::now();
  const auto own = std::ranges::find(workers_, &worker, [](const auto& w) { return w.get(); });
  const std::unique_ptr<WorkerProcess> keep = std::move(*own);  // dies with this call
  workers_.erase(own);
  std::erase_if(held_, [&](const auto& h) { return h.second.worker == &worker; });
  if (auto group = worker.take_control_group(); group && !group->is_gone()) graves_.push_back(std::move(*group));
  look_for_orphans(worker.last_check);
  const std::string never_up = ending.was_up || ending.is_asked_for ? std::string()
                               : ending.is_ours                     ? "no worker: " + ending.how
                                                : "no worker: vitald-worker " + ending.how + " before it was up";

  if (!ending.is_ours) {
    ++counters_.crashed;
    note(Note::Level::warning, "worker_crashed",
         {{"pid", std::to_string(worker.pid())},
          {"how", ending.how},
          {"check", ending.culprit ? ending.culprit->check : ""},
          {"while", std::string(name(ending.stage))}});
  }
  if (!never_up.empty()) backoff_.failed("worker", never_up, now);
  // Killed while it was loaded or set up: that took too long, which is no better than a crash.
  if (!ending.is_asked_for && ending.culprit) {
    const std::string reason = fmt::format("the module {} while it was {}", ending.how, early(ending.stage));
    if (ending.stage == Stage::loading) backoff_.failed("module:" + ending.culprit->module.path, reason, now);
    if (ending.stage == Stage::creating) backoff_.failed("check:" + ending.culprit->check, reason, now);
  }
  if (worker.lane() == Lane::async && !ending.is_asked_for) set_apart(ending.culprit, ending.stage);
  const auto its_lane = std::ranges::find(lanes_, &worker, [](const auto& l) { return l.second->worker; });
  if (its_lane != lanes_.end()) lost_worker(*its_lane->second, ending);

  // The books are right: now tell.
  std::vector<std::uint64_t> lost;
  for (const auto& [id, probe] : probes_) {
    if (probe.worker == &worker) lost.push_back(id);
  }
  for (const std::uint64_t id : lost) {
    Probe* probe = find(id);
    if (probe == nullptr || probe->worker != &worker) continue;
    if (probe->place == Place::cancelling) {
      erase(*probe);
    } else if (!never_up.empty()) {
      finish_unknown(*probe, never_up);
    } else if (worker.lane() == Lane::blocking || ending.culprit == probe->spec) {
      finish_unknown(*probe, "the module " + ending.how +
                                 (is_early(ending.stage) ? " while it was " + early(ending.stage) : std::string()));
    } else {
      finish_unknown(*probe, fmt::format("its worker was lost: {}{}",
                                         ending.culprit ? "the module of check " + ending.culprit->check + " " : "it ",
                                         ending.how));
    }
  }
  for (const auto& [key, lane] : lanes_) dispatch(*lane);
  dispatch();
  finish_shut_down();
}

// ---- the rest ------------------------------------------------------------------------------------------------------

void Pool::Impl::retire(const Spec& spec) {
  for (const auto& worker : workers_) worker->forget(spec);
  apart_.erase("check:" + spec->check);
  backoff_.succeeded("check:" + spec->check);
}

void Pool::Impl::set_max_blocking(unsigned max_blocking) {
  options_.max_blocking = std::max(1U, max_blocking);
  auto extra =
      std::ranges::count_if(workers_, [](const auto& w) { return w->is_usable() && w->lane() == Lane::blocking; }) -
      static_cast<long>(options_.max_blocking);
  for (const auto& worker : workers_) {
    if (extra <= 0) break;
    if (!worker->is_usable() || worker->lane() != Lane::blocking || worker->in_flight > 0 || worker->kill_at) continue;
    worker->stop();
    --extra;
  }
  dispatch();
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

void Pool::Impl::set_limits(unsigned memory_mib, unsigned processes, std::string seccomp) {
  options_.memory_mib = memory_mib;
  options_.processes = processes;
  options_.seccomp = std::move(seccomp);
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
