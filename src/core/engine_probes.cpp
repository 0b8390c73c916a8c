// See engine.hpp. This file: a probe from its start to what its check makes of it.
#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "core/composite.hpp"
#include "core/engine_impl.hpp"
#include "core/evidence.hpp"
#include "core/reason.hpp"

namespace vital {

using namespace std::chrono_literals;

namespace {

constexpr Duration worth_telling = 10ms;  // of our own delay, in a note
constexpr std::size_t answered_kept = 4096;

}  // namespace

void Engine::Impl::run_due(Now now, bool may_pass_deadlines) {
  for (std::uint32_t i = 0; i < wakes_.size(); ++i) {
    if (wakes_[i] <= now.mono) run_due(now, i, may_pass_deadlines);
  }
}

void Engine::Impl::run_due(Now now, std::uint32_t check, bool may_pass_deadlines) {
  Slot& slot = slots_[check];
  const State from = slot.state.state();
  const bool was_flapping = slot.state.is_flapping();
  if (slot.state.advance(now)) changed(now, check, from);
  tell_flapping(check, was_flapping);
  if (slot.cycle) {
    const Flight* f = slot.cycle->flight();
    if (may_pass_deadlines && f != nullptr && f->deadline <= now.mono) pass_deadline(now, check);
    if (!slot.cycle->flight() && slot.cycle->wake() <= now.mono) {
      const ProbeId id(next_probe_++);
      launch(now, check,
             slot.cycle->is_idle() ? slot.cycle->begin(now.mono, id, &counters_.skipped_cycles)
                                   : slot.cycle->begin_retry(now.mono, id));
    }
  }
  reckon_wake(now.mono, check);
}

void Engine::Impl::launch(Now now, std::uint32_t check, const Flight& flight) {
  if (const CompositePlan* composite = plan_->checks[check].composite.get()) {
    // Nothing is probed: the answer is in what is known.
    const auto view = [&](CheckId id) {
      CheckView v;
      slots_[id.value].state.fill(v);
      v.is_unproven = slots_[id.value].state.is_unproven(now.mono);
      return v;
    };
    return conclude(now, check, composite::judge(*composite, view, now.mono), now.mono, false);
  }
  flights_.emplace(flight.id.value, check);
  Flight& f = *slots_[check].cycle->flight();
  f.loop_late_then = loop_late_;
  f.throttled_then = throttled_;
  effects_.emplace_back(StartProbe{flight.id, CheckId(check), flight.attempt, flight.deadline});
  is_quiet_ = true;
}

void Engine::Impl::drop_flight(std::uint32_t check, bool abandon) {
  Slot& slot = slots_[check];
  if (!slot.cycle || !slot.cycle->flight()) return;
  const ProbeId id = slot.cycle->flight()->id;
  flights_.erase(id.value);
  if (abandon) effects_.emplace_back(AbandonProbe{id, CheckId(check)});
}

Flight* Engine::Impl::flight_of(ProbeId id, std::uint32_t* check) {
  const auto it = flights_.find(id.value);
  if (it == flights_.end()) return nullptr;
  *check = it->second;
  return slots_[it->second].cycle->flight();
}

// What we ourselves were like since this probe began.
Evidence Engine::Impl::evidence_of(const Flight& f, Instant now) const {
  Evidence e;
  e.queue_delay = f.queue_delay;
  e.worker_lag = f.worker_lag;
  e.loop_lag = loop_late_ - f.loop_late_then;
  e.throttled = std::clamp<Duration>(throttled_ - f.throttled_then, Duration::zero(), now - f.started);
  e.cpu_pressure = pressure_;
  return e;
}

// The verdict at the deadline, on time, whatever became of the probe.
void Engine::Impl::pass_deadline(Now now, std::uint32_t check) {
  const Flight f = *slots_[check].cycle->flight();
  const Duration allowed = f.deadline - f.started;
  Evidence evidence = evidence_of(f, now.mono);
  evidence.timer_overshoot = now.mono - f.deadline;
  ProbeResult r = evidence::deadline_result(allowed, f.is_queued, evidence);
  drop_flight(check, true);
  auto judged = evidence::judge(plan_->checks[check], std::move(r), allowed);
  const bool is_ours = judged.discounted || f.is_queued;
  if (is_ours) ++counters_.discounted_timeouts;
  conclude(now, check, judged.result, f.deadline, is_ours);
}

void Engine::Impl::take(Now now, const ProbeDone& in) {
  std::uint32_t check = 0;
  const Flight* f = flight_of(in.id, &check);
  if (f == nullptr) {
    if (in.id.value == 0 || in.id.value >= next_probe_) {
      ++counters_.unknown_ids;
    } else if (answered_.contains(in.id.value)) {
      ++counters_.duplicate_results;
    } else {
      ++counters_.late_results;
    }
    is_quiet_ = true;
    return;
  }
  const Duration allowed = f->deadline - f->started;
  ProbeResult r = in.result;
  const Instant found_at = f->started + std::max(r.evidence.queue_delay, f->queue_delay) + r.duration;
  // Found in time but handed over a moment late counts; found or handed over too late does not: at the deadline the
  // verdict is the core's.
  const bool is_late =
      now.mono > f->deadline && (found_at > f->deadline || now.mono - f->deadline > evidence::tolerance(allowed, 0));
  if (is_late) {
    ++counters_.late_results;
    is_quiet_ = true;
    return;
  }
  const Evidence seen = evidence_of(*f, now.mono);
  r.evidence.queue_delay = std::max(r.evidence.queue_delay, seen.queue_delay);
  r.evidence.worker_lag = std::max(r.evidence.worker_lag, seen.worker_lag);
  r.evidence.loop_lag = seen.loop_lag;
  r.evidence.throttled = seen.throttled;
  r.evidence.cpu_pressure = seen.cpu_pressure;
  const Instant started = f->started;
  drop_flight(check, false);
  answered_.insert(in.id.value);
  answered_order_.push_back(in.id.value);
  if (answered_order_.size() > answered_kept) {
    answered_.erase(answered_order_.front());
    answered_order_.pop_front();
  }
  auto judged = evidence::judge(plan_->checks[check], std::move(r), allowed);
  if (judged.discounted) ++counters_.discounted_timeouts;
  conclude(now, check, judged.result, std::clamp(found_at, started, now.mono), judged.discounted);
  reckon_wake(now.mono, check);
}

void Engine::Impl::conclude(Now now, std::uint32_t check, const ProbeResult& r, Instant found_at, bool discounted) {
  Slot& slot = slots_[check];
  is_quiet_ = true;
  if (discounted && !slot.was_discounted) {
    note(Note::Level::warning, "timeout_discounted", {{"check", plan_->checks[check].name}, {"reason", r.text}});
  }
  slot.was_discounted = discounted;
  const std::uint32_t attempt = slot.cycle->attempt();
  const bool is_outcome = !slot.cycle->retries_after(now.mono, r, discounted);
  effects_.emplace_back(ProbeEnded{CheckId(check), r, attempt, is_outcome, discounted, now.mono - found_at});
  if (!is_outcome) {
    slot.is_suspect = r.verdict == Verdict::fail;
    if (slot.is_suspect) explain_failures();
    return;
  }
  slot.is_suspect = false;
  outcome(now, check, r, found_at);
  slot.cycle->finish(now.mono, slot.state.is_pending_change());
}

void Engine::Impl::outcome(Now now, std::uint32_t check, const ProbeResult& r, Instant found_at) {
  Slot& slot = slots_[check];
  const State from = slot.state.state();
  const bool was_flapping = slot.state.is_flapping();
  if (r.verdict == Verdict::fail) ++slot.bad_since_explained;
  const bool is_change = slot.state.take(now, r, found_at);
  is_quiet_ = true;
  if (is_change) changed(now, check, from);
  tell_flapping(check, was_flapping);
  explain_failures();
  if (r.verdict == Verdict::fail && from != State::fail) look_at_dependencies(now, check);
}

// A check begins to fail: whether one of its dependencies explains it should be known before it falls, or a slower
// check of a shared database would learn too late that the trouble is everybody's.
void Engine::Impl::look_at_dependencies(Now now, std::uint32_t check) {
  for (const CheckId dep : plan_->checks[check].depends_on) {
    Slot& slot = slots_[dep.value];
    if (!slot.cycle || !slot.cycle->may_look_early(now.mono)) continue;
    launch(now, dep.value, slot.cycle->begin_unplanned(now.mono, ProbeId(next_probe_++)));
    reckon_wake(now.mono, dep.value);
  }
}

// A check's state changed: composites that look at it are judged anew, though not more often than while a change of
// their own is pending, so that inputs that change one after the other do not count as many results.
void Engine::Impl::look_at_watchers(Now now, std::uint32_t check) {
  for (const std::uint32_t watcher : watchers_[check]) {
    Slot& slot = slots_[watcher];
    if (!slot.cycle || !slot.cycle->is_idle()) continue;
    if (slot.state.has_evidence() && !slot.cycle->may_look_early(now.mono)) continue;
    launch(now, watcher, slot.cycle->begin_unplanned(now.mono, ProbeId(next_probe_++)));
    reckon_wake(now.mono, watcher);
  }
}

void Engine::Impl::tell_flapping(std::uint32_t check, bool before) {
  const CheckState& state = slots_[check].state;
  if (state.is_flapping() == before) return;
  is_loud_ = true;
  note(Note::Level::warning, before ? "flapping_over" : "flapping",
       {{"check", plan_->checks[check].name}, {"history", state.history()}});
}

// The shown state of a check is another one.
void Engine::Impl::changed(Now now, std::uint32_t check, State from) {
  const Slot& slot = slots_[check];
  const State to = slot.state.state();
  explain_failures();
  CheckView view;
  slot.state.fill(view);
  std::vector<std::pair<std::string, std::string>> fields{
      {"check", plan_->checks[check].name}, {"from", std::string(name(from))}, {"to", std::string(name(to))}};
  if (view.last) fields.emplace_back("cause", std::string(name(view.last->cause)));
  fields.emplace_back("reason", one_line(reason::of_check(view, now.mono), 300));
  fields.emplace_back("history", view.history);
  if (view.last) {
    fields.emplace_back("duration_ms", std::to_string(milliseconds(view.last->duration)));
    if (const Duration lost = evidence::lost(view.last->evidence); lost > worth_telling) {
      fields.emplace_back("lost_ms", std::to_string(milliseconds(lost)));
    }
  }
  if (slot.suppressed_by) fields.emplace_back("suppressed_by", plan_->at(*slot.suppressed_by).name);
  const bool is_bad = to == State::fail || to == State::stale;
  note(is_bad ? Note::Level::warning : Note::Level::info, "check_state", std::move(fields));
  services_dirty_ = is_loud_ = true;
  look_at_watchers(now, check);
}

void Engine::Impl::reckon_wake(Instant now, std::uint32_t check) {
  Slot& slot = slots_[check];
  // A state that is held can become unproven, or proven again, without changing.
  if (const bool is_unproven = slot.state.is_unproven(now); is_unproven != slot.was_unproven) {
    slot.was_unproven = is_unproven;
    services_dirty_ = is_loud_ = true;
  }
  Instant wake = now + 24h;
  if (slot.cycle) wake = std::min(wake, slot.cycle->wake());
  if (const auto w = slot.state.wake()) wake = std::min(wake, *w);
  if (const auto w = slot.state.proven_until(); w && *w > now) wake = std::min(wake, *w);
  wakes_[check] = wake;
}

}  // namespace vital
