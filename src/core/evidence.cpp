// See evidence.hpp.
#include "core/evidence.hpp"

#include <algorithm>
#include <chrono>

#include "base/duration.hpp"

namespace vital::evidence {

using namespace std::chrono_literals;

namespace {
constexpr double high_pressure = 50.0;  // percent of the last ten seconds in which something waited for a CPU
}

Duration tolerance(Duration timeout, double cpu_pressure) {
  const Duration floor = std::min<Duration>(100ms, timeout / 2);
  const Duration base = std::min<Duration>(std::max<Duration>(timeout / 4, floor), 250ms);
  return cpu_pressure >= high_pressure ? base / 2 : base;
}

Duration lost(const Evidence& e) {
  return e.queue_delay + std::max(e.worker_lag + std::max(e.timer_overshoot, e.loop_lag), e.throttled);
}

Judged judge(const CheckPlan& plan, ProbeResult r, Duration allowed) {
  const Duration mine = lost(r.evidence);
  if (r.verdict == Verdict::fail && r.cause == Cause::timeout && mine > tolerance(allowed, r.evidence.cpu_pressure)) {
    r.verdict = Verdict::unknown;
    r.cause = Cause::agent;
    r.text = "timed out while the agent itself was " + friendly_duration(mine) + " late, which proves nothing (" +
             r.text + ")";
    return {std::move(r), true};
  }
  if (r.verdict == Verdict::pass && plan.warn_after && r.duration > *plan.warn_after &&
      r.duration - mine > *plan.warn_after) {
    r.verdict = Verdict::warn;
    r.cause = Cause::latency;
    r.text = "took " + friendly_duration(r.duration) + ", more than " + format_duration(*plan.warn_after) +
             (r.text.empty() ? "" : ": " + r.text);
  }
  return {std::move(r), false};
}

ProbeResult deadline_result(Duration allowed, bool was_queued, const Evidence& evidence) {
  ProbeResult r;
  r.duration = allowed;
  r.evidence = evidence;
  if (was_queued) {
    r.evidence.queue_delay = allowed;
    r.verdict = Verdict::unknown;
    r.cause = Cause::agent;
    r.text = "no worker was free for " + friendly_duration(allowed);
    return r;
  }
  r.verdict = Verdict::fail;
  r.cause = Cause::timeout;
  r.text = "no answer in " + friendly_duration(allowed);
  return r;
}

}  // namespace vital::evidence
