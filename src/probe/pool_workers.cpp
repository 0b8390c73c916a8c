// Workers, whatever their lane: started, killed, let go when idle, and what they say of themselves; see pool_impl.hpp.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <system_error>

#include "probe/pool_impl.hpp"

namespace vital {
namespace {

using namespace std::chrono_literals;

constexpr Duration sweep_interval = 1s;

}  // namespace

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
      let_go(*worker);
    }
  }
  std::erase_if(lanes_, [now](const auto& l) {
    return l.second->worker == nullptr && l.second->waiting.empty() && l.second->may_start_at < now;
  });
  if (!workers_.empty()) sweep_timer_.arm_in(std::min(sweep_interval, options_.idle_after));
}

// Its end, without haste: it has nothing to do.
void Pool::Impl::let_go(WorkerProcess& worker) {
  for (const auto& [key, lane] : lanes_) {
    if (lane->worker == &worker) lane->worker = nullptr;
  }
  worker.stop();
}

void Pool::Impl::let_go_if_outdated(WorkerProcess& worker) {
  if (worker.is_outdated && worker.is_usable() && worker.in_flight == 0 && !worker.kill_at) let_go(worker);
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
  let_go_if_outdated(worker);
  if (is_blocking) dispatch();
}

void Pool::Impl::worker_cancelled(WorkerProcess& worker, std::uint64_t id) {
  Probe* probe = find(id);
  if (probe != nullptr && probe->place == Place::cancelling && probe->worker == &worker) erase(*probe);
  let_go_if_outdated(worker);
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
  for (const std::uint64_t id : probes_of(worker)) {
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

void Pool::Impl::set_limits(unsigned memory_mib, unsigned processes, std::string seccomp) {
  if (memory_mib == options_.memory_mib && processes == options_.processes && seccomp == options_.seccomp) return;
  options_.memory_mib = memory_mib;
  options_.processes = processes;
  options_.seccomp = std::move(seccomp);
  for (const auto& worker : workers_) worker->is_outdated = true;
  for (const auto& [key, lane] : lanes_) {
    // Its successor is started by the next probe. One that is dying comes to that by itself.
    if (lane->worker != nullptr && lane->worker->is_usable()) lane->worker = nullptr;
  }
  for (const auto& worker : workers_) let_go_if_outdated(*worker);
}

}  // namespace vital
