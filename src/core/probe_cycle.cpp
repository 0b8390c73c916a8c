// See probe_cycle.hpp.
#include "core/probe_cycle.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "core/schedule.hpp"

namespace vital {

ProbeCycle::ProbeCycle(const CheckPlan& plan, std::uint64_t seed, Instant first_due)
    : seed_(seed), due_(first_due), planned_(first_due) {
  replan(plan);
}

void ProbeCycle::replan(const CheckPlan& plan) {
  hash_ = stable_hash(plan.name);
  interval_ = std::max<Duration>(plan.interval, std::chrono::milliseconds(1));
  timeout_ = std::max<Duration>(plan.timeout, std::chrono::milliseconds(1));
  retry_delay_ = plan.retry_delay;
  edge_interval_ = plan.edge_interval;
  retries_ = plan.retries;
}

Instant ProbeCycle::wake() const {
  if (flight_) return flight_->deadline;
  return retry_at_ ? *retry_at_ : due_;
}

Duration ProbeCycle::edge() const {
  return edge_interval_ > Duration::zero() ? std::min(edge_interval_, interval_) : interval_;
}

Duration ProbeCycle::nearest() const { return std::min(edge(), interval_ / 2); }

Flight ProbeCycle::start(Instant now, ProbeId id) {
  Flight f;
  f.id = id;
  f.attempt = attempt_;
  f.started = now;
  // A retry ends with its cycle, but is never given less than half a timeout, however late we are with it ourselves.
  f.deadline = attempt_ == 0 ? now + timeout_ : std::max(std::min(now + timeout_, cycle_end_), now + timeout_ / 2);
  flight_ = f;
  return f;
}

Flight ProbeCycle::begin(Instant now, ProbeId id, std::uint64_t* skipped) {
  *skipped += schedule::missed(due_, now, interval_);
  // A planned time long gone is clamped to now: what was missed is not made up for.
  planned_ = now - due_ > nearest() / 4 ? now : due_;
  is_unplanned_ = false;
  begun_ = now;
  cycle_end_ = planned_ + interval_;
  attempt_ = 0;
  ++cycle_;
  return start(now, id);
}

Flight ProbeCycle::begin_unplanned(Instant now, ProbeId id) {
  is_unplanned_ = true;
  begun_ = now;
  cycle_end_ = now + interval_;
  attempt_ = 0;
  ++cycle_;
  return start(now, id);
}

Flight ProbeCycle::begin_retry(Instant now, ProbeId id) {
  retry_at_.reset();
  ++attempt_;
  return start(now, id);
}

bool ProbeCycle::retries_after(Instant now, const ProbeResult& r, bool discounted) {
  flight_.reset();
  const bool failed = r.verdict == Verdict::fail || r.verdict == Verdict::unknown;
  // A rejected credential is never tried again (accounts get locked); a wrong config will not get better; and where we
  // are short of breath ourselves more work is no help.
  const bool is_worth_it = failed && !discounted && r.cause != Cause::auth && r.cause != Cause::config;
  if (!is_worth_it || attempt_ >= retries_) return false;
  const Instant at = now + schedule::full_jitter(hash_ ^ seed_, cycle_, attempt_ + 1, retry_delay_);
  if (at + timeout_ / 2 > cycle_end_) return false;
  retry_at_ = at;
  return true;
}

void ProbeCycle::finish(Instant now, bool change_is_pending) {
  flight_.reset();
  retry_at_.reset();
  if (is_unplanned_) {
    // The planned look stays, unless the news calls for an earlier one or this one was only just before it.
    if (change_is_pending) due_ = std::min(due_, begun_ + edge());
    due_ = std::max({due_, now, begun_ + edge()});
    return;
  }
  due_ = std::max(now, schedule::next_planned(hash_, planned_, interval_, edge_interval_, change_is_pending));
}

void ProbeCycle::restart(Instant now) {
  flight_.reset();
  retry_at_.reset();
  due_ = schedule::first_look(hash_, now, interval_);
}

}  // namespace vital
