// See engine.hpp. This file: inputs, probes, deadlines, stalls. What the checks add up to is in engine_services.cpp.
#include "core/engine.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "core/composite.hpp"
#include "core/engine_impl.hpp"
#include "core/evidence.hpp"
#include "core/reason.hpp"
#include "core/schedule.hpp"

namespace vital {

using namespace std::chrono_literals;

namespace {

constexpr Duration longest_sleep = 1s;    // the engine wants to be woken at least this often
constexpr Duration believed_for = 3s;     // past this without a step, the front answers for itself
constexpr Duration worth_telling = 10ms;  // of our own delay, in a note
constexpr Duration hiccup = 50ms;         // a loop later than this was busy elsewhere: probes in flight lost that time
constexpr Duration stall = 1s;            // a loop later than this was not running at all
constexpr std::size_t answered_kept = 4096;

std::string text_of(std::uint64_t n) { return std::to_string(n); }

std::vector<std::pair<std::string, std::string>> fields_of(const Overlay& o) {
  std::vector<std::pair<std::string, std::string>> out{
      {"kind", std::string(name(o.kind))}, {"service", o.service}, {"owner", o.owner}};
  if (!o.source.empty()) out.emplace_back("file", o.source);
  return out;
}

}  // namespace

Engine::Impl::Impl(std::shared_ptr<const Plan> plan, Now now, bool only_reports)
    : plan_(std::move(plan)), only_reports_(only_reports), last_now_(now.mono) {
  node_since_ = now.wall;
  for (const CheckPlan& c : plan_->checks) {
    slots_.push_back(make_slot(c, now));
    wakes_.push_back(now.mono);
  }
  for (const ServicePlan& s : plan_->services) services_.emplace_back(s, now);
  list_dependents();
}

Engine::Impl::Slot Engine::Impl::make_slot(const CheckPlan& plan, Now now) const {
  const Instant first = plan.is_passive
                            ? now.mono + plan.start_delay
                            : schedule::first_look(stable_hash(plan.name), now.mono, plan.interval) + plan.start_delay;
  Slot slot{CheckState(plan, now, first), {}, {}, false, 0, false, false, false};
  if (!plan.is_passive && !only_reports_) slot.cycle.emplace(plan, stable_hash(plan_->node), first);
  return slot;
}

Step Engine::Impl::apply(Now now, const Input& input) {
  now.mono = std::max(now.mono, last_now_);
  last_now_ = now.mono;
  effects_.clear();
  notice_lateness(now);
  std::visit([&](const auto& in) { take(now, in); }, input);
  // A loop that was busy elsewhere finds many things at once. Only when it comes to nothing but the time has it read
  // all that was waiting: an answer that came in time must not lose to a deadline that is looked at first.
  run_due(now, std::holds_alternative<Tick>(input));
  for (const Overlay& gone : overlays_.expire(now.mono)) {
    note(Note::Level::info, "overlay_expired", fields_of(gone));
    services_dirty_ = is_loud_ = true;
  }
  if (services_dirty_ || (services_wake_ && *services_wake_ <= now.mono)) judge_services(now);
  const bool quiet_due = is_quiet_ && (!published_at_ || *published_at_ + quiet_time() <= now.mono);
  if (is_loud_ || quiet_due || !snapshot_) publish(now);

  Step step;
  step.effects = std::move(effects_);
  effects_.clear();
  step.wake_at = now.mono + (only_reports_ ? Duration(24h) : longest_sleep);
  for (const Instant w : wakes_) step.wake_at = std::min(step.wake_at, w);
  if (services_wake_) step.wake_at = std::min(step.wake_at, *services_wake_);
  if (const auto w = overlays_.wake()) step.wake_at = std::min(step.wake_at, *w);
  if (is_quiet_) step.wake_at = std::min(step.wake_at, *published_at_ + quiet_time());
  step.wake_at = std::max(step.wake_at, now.mono);
  step.valid_until = now.mono + believed_for;
  promised_ = step.wake_at;
  return step;
}

// ---- being late ----------------------------------------------------------------------------------------------------

void Engine::Impl::notice_lateness(Now now) {
  if (only_reports_ || !promised_) return;
  const Duration late = now.mono - *promised_;
  if (late <= hiccup) return;
  loop_late_ += late;
  if (late > stall) {
    resume_after_stall(now, late);
  } else {
    // What came due meanwhile comes as far apart as it was planned, not all at once.
    for (std::uint32_t i = 0; i < slots_.size(); ++i) {
      Slot& slot = slots_[i];
      if (!slot.cycle || !slot.cycle->is_idle() || slot.cycle->due() > now.mono) continue;
      slot.cycle->postpone(now.mono + std::max(slot.cycle->due() - *promised_, Duration::zero()));
      reckon_wake(now.mono, i);
    }
  }
}

// Nobody looked for a while: nothing we know has got better or worse by that. What timed out meanwhile proves nothing,
// what was due is spread as at a start, and nothing turns stale before there was time for a fresh look.
void Engine::Impl::resume_after_stall(Now now, Duration late) {
  ++counters_.stalls;
  note(Note::Level::warning, "agent_stalled",
       {{"for", friendly_duration(late)},
        {"for_ms", std::to_string(milliseconds(late))},
        {"flights", text_of(flights_.size())}});
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    slot.state.hold_from(now.mono, late);
    if (!slot.cycle) continue;
    if (const Flight* f = slot.cycle->flight()) {
      if (f->deadline > now.mono) continue;
      pass_deadline(now, i);
    }
    if (slot.cycle->wake() <= now.mono) {
      counters_.skipped_cycles += schedule::missed(slot.cycle->due(), now.mono, plan_->checks[i].interval);
      look_anew(now, slot);
    }
    reckon_wake(now.mono, i);
  }
  services_dirty_ = true;
}

// Whatever its cycle was at is given up; the next look comes as first looks do.
void Engine::Impl::look_anew(Now now, Slot& slot) {
  slot.cycle->restart(now.mono);
  slot.is_suspect = false;
}

void Engine::Impl::take(Now now, const Slept& in) {
  ++counters_.stalls;
  note(Note::Level::warning, "host_slept",
       {{"for", friendly_duration(in.how_long)}, {"for_ms", std::to_string(milliseconds(in.how_long))}});
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    slot.state.aged_by(in.how_long);
    slot.state.hold_from(now.mono, in.stalled);  // a clock that did not run counted no silence
    if (slot.cycle) {
      drop_flight(i, true);
      look_anew(now, slot);
    }
    reckon_wake(now.mono, i);
  }
  services_dirty_ = is_loud_ = true;
}

// ---- probes --------------------------------------------------------------------------------------------------------

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

// ---- the other inputs ----------------------------------------------------------------------------------------------

void Engine::Impl::take(Now, const ProbeQueued& in) {
  std::uint32_t check = 0;
  if (Flight* f = flight_of(in.id, &check)) f->is_queued = true;
}

void Engine::Impl::take(Now now, const ProbeTaken& in) {
  std::uint32_t check = 0;
  Flight* f = flight_of(in.id, &check);
  if (f == nullptr || !f->is_queued) return;
  f->is_queued = false;
  f->queue_delay = now.mono - f->started;
}

void Engine::Impl::take(Now, const ProbeDelayed& in) {
  std::uint32_t check = 0;
  if (Flight* f = flight_of(in.id, &check)) f->worker_lag += std::max(in.lost, Duration::zero());
}

void Engine::Impl::take(Now, const Pressure& in) {
  pressure_ = in.cpu;
  throttled_ = std::max(throttled_, in.throttled);
}

void Engine::Impl::take(Now now, const RunNow& in) {
  if (in.check.value >= slots_.size()) return;
  Slot& slot = slots_[in.check.value];
  if (!slot.cycle || !slot.cycle->is_idle()) return;
  const ProbeId id(next_probe_++);
  launch(now, in.check.value, slot.cycle->begin_unplanned(now.mono, id));
  reckon_wake(now.mono, in.check.value);
}

void Engine::Impl::take(Now now, const Report& in) {
  if (in.check.value >= slots_.size() || slots_[in.check.value].cycle) return;
  Slot& slot = slots_[in.check.value];
  const Duration found_ago = std::max(in.found_ago, Duration::zero());
  if (!only_reports_) effects_.emplace_back(ProbeEnded{in.check, in.result, 0, in.is_outcome, false, found_ago});
  slot.is_suspect = !in.is_outcome && in.result.verdict == Verdict::fail;
  if (in.is_outcome) {
    outcome(now, in.check.value, in.result, now.mono - found_ago);
  } else if (slot.is_suspect) {
    explain_failures();
  }
  reckon_wake(now.mono, in.check.value);
}

void Engine::Impl::take(Now now, const SetOverlay& in) {
  if (in.overlay.kind == OverlayKind::none) return take(now, ClearOverlay{in.overlay.service, in.overlay.source});
  overlays_.set(now, in.overlay);
  auto fields = fields_of(in.overlay);
  fields.emplace_back("reason", in.overlay.reason);
  fields.emplace_back("until", in.overlay.until ? format_wall(*in.overlay.until) : "forever");
  note(Note::Level::info, "overlay_set", std::move(fields));
  services_dirty_ = is_loud_ = true;
}

void Engine::Impl::take(Now, const ClearOverlay& in) {
  const auto gone = overlays_.clear(in.service, in.source);
  if (!gone) return;
  note(Note::Level::info, "overlay_cleared", fields_of(*gone));
  services_dirty_ = is_loud_ = true;
}

void Engine::Impl::take(Now, const Stop&) { is_stopping_ = services_dirty_ = is_loud_ = true; }

void Engine::Impl::take(Now now, const PlanChanged& in) {
  std::map<std::string, std::uint32_t> old_checks;
  for (std::uint32_t i = 0; i < slots_.size(); ++i) old_checks.emplace(plan_->checks[i].name, i);
  std::map<std::string, std::uint32_t> old_services;
  for (std::uint32_t i = 0; i < services_.size(); ++i) old_services.emplace(plan_->services[i].name, i);

  std::uint64_t kept = 0, replanned = 0, added = 0;
  std::vector<Slot> slots;
  for (const CheckPlan& c : in.plan->checks) {
    const auto found = old_checks.find(c.name);
    if (found == old_checks.end() || plan_->checks[found->second].is_passive != c.is_passive) {
      slots.push_back(make_slot(c, now));
      ++added;
      continue;
    }
    const std::uint32_t old = found->second;
    const bool is_same = plan_->checks[old].fingerprint == c.fingerprint;
    if (!is_same) drop_flight(old, true);
    Slot slot = std::move(slots_[old]);
    slots_[old].cycle.reset();
    // Its cause is found anew below; ids of the old plan mean nothing now.
    if (slot.suppressed_by) slot.suppressed_by = in.plan->find_check(plan_->at(*slot.suppressed_by).name);
    slot.state.replan(c, is_same);
    if (slot.cycle) {
      slot.cycle->replan(c);
      if (!is_same) look_anew(now, slot);
    }
    (is_same ? kept : replanned) += 1;
    slots.push_back(std::move(slot));
    old_checks.erase(found);
  }
  for (const auto& [gone_name, gone] : old_checks) drop_flight(gone, true);

  std::vector<ServiceState> services;
  for (const ServicePlan& s : in.plan->services) {
    if (const auto found = old_services.find(s.name); found != old_services.end()) {
      services.push_back(std::move(services_[found->second]));
      services.back().replan(s);
    } else {
      services.emplace_back(s, now);
    }
  }
  note(Note::Level::info, "plan_adopted",
       {{"kept", text_of(kept)},
        {"changed", text_of(replanned)},
        {"added", text_of(added)},
        {"removed", text_of(old_checks.size())}});
  plan_ = in.plan;
  slots_ = std::move(slots);
  services_ = std::move(services);
  flights_.clear();
  wakes_.assign(slots_.size(), now.mono);
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].cycle && slots_[i].cycle->flight()) flights_.emplace(slots_[i].cycle->flight()->id.value, i);
    reckon_wake(now.mono, i);
  }
  list_dependents();
  explain_failures();
  services_dirty_ = is_loud_ = true;
}

void Engine::Impl::note(Note::Level level, std::string event, std::vector<std::pair<std::string, std::string>> fields) {
  effects_.emplace_back(Note{level, std::move(event), std::move(fields)});
}

// ---- the face ------------------------------------------------------------------------------------------------------

Engine::Engine(std::shared_ptr<const Plan> plan, Now now) : impl_(std::make_unique<Impl>(std::move(plan), now)) {
  impl_->judge_services(now);
  impl_->publish(now);
  impl_->effects_.clear();
  impl_->is_loud_ = true;  // the first step hands it out
}

Engine::Engine(std::shared_ptr<const Plan> plan, Now now, const SavedState& saved, Duration elapsed)
    : impl_(std::make_unique<Impl>(std::move(plan), now)) {
  impl_->restore(now, saved, std::max(elapsed, Duration::zero()), true);
}

void Engine::Impl::restore(Now now, const SavedState& saved, Duration elapsed, bool is_restart) {
  for (const SavedCheck& s : saved.checks) {
    if (const auto id = plan_->find_check(s.name)) {
      slots_[id->value].state.restore(now, s, elapsed);
      if (is_restart) slots_[id->value].state.hold_from(now.mono, elapsed);
    }
  }
  for (const SavedService& s : saved.services) {
    if (const auto id = plan_->find_service(s.name)) services_[id->value].restore(now, s, elapsed);
  }
  for (const Overlay& o : saved.overlays) overlays_.set(now, o);
  explain_failures();
  judge_services(now);
  publish(now);
  effects_.clear();
  is_loud_ = true;
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Engine Engine::for_replay(std::shared_ptr<const Plan> plan, Now now) {
  return Engine(std::make_unique<Impl>(std::move(plan), now, true));
}

Engine Engine::for_replay(std::shared_ptr<const Plan> plan, Now now, const SavedState& saved, Duration elapsed,
                          bool is_restart) {
  auto impl = std::make_unique<Impl>(std::move(plan), now, true);
  impl->restore(now, saved, std::max(elapsed, Duration::zero()), is_restart);
  return Engine(std::move(impl));
}

Engine::~Engine() = default;

Step Engine::apply(Now now, const Input& input) { return impl_->apply(now, input); }

std::shared_ptr<const Snapshot> Engine::snapshot() const { return impl_->snapshot_; }

SavedState Engine::save(Now now) const {
  SavedState s;
  s.saved_at = now.wall;
  for (const Impl::Slot& slot : impl_->slots_) s.checks.push_back(slot.state.save(now.mono));
  for (const ServiceState& service : impl_->services_) s.services.push_back(service.save(now.mono));
  s.overlays = impl_->overlays_.all();
  return s;
}

}  // namespace vital
