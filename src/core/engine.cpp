// See engine.hpp. This file: a step, being late, and inputs that are no probes.
#include "core/engine.hpp"

#include <algorithm>
#include <utility>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "core/engine_impl.hpp"
#include "core/evidence.hpp"
#include "core/schedule.hpp"

namespace vital {

using namespace std::chrono_literals;

namespace {

constexpr Duration longest_sleep = 1s;  // the engine wants to be woken at least this often
constexpr Duration believed_for = 3s;   // past this without a step, the front answers for itself
constexpr Duration hiccup = 50ms;       // a loop later than this was busy elsewhere: probes in flight lost that time
constexpr Duration stall = 1s;          // a loop later than this was not running at all

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
        {"flights", std::to_string(flights_.size())}});
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

}  // namespace vital
