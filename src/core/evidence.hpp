// What a result is worth. A timeout proves something about the target only if we were on time ourselves: these rules
// turn what coincides with our own trouble into unknown/agent. Other causes (refused, a wrong answer) need no clock and
// are always believed. Pure functions.
#pragma once

#include "base/time.hpp"
#include "core/plan.hpp"
#include "core/result.hpp"

namespace vital::evidence {

// How much of a timeout we may have lost ourselves before a timeout proves nothing: a quarter of it, at most 250 ms, at
// least 100 ms where the timeout allows. CPU pressure alone proves nothing about us, it halves the tolerance.
Duration tolerance(Duration timeout, double cpu_pressure);

// The time of the probe that was lost by us and not by the target. Delays that overlap count once: a late loop notices
// a deadline late, and who is throttled is late everywhere.
Duration lost(const Evidence& evidence);

// The rules above plus warn_after, applied to one finished attempt. True in `discounted` if a timeout was taken back.
struct Judged {
  ProbeResult result;
  bool discounted = false;
};
Judged judge(const CheckPlan& plan, ProbeResult result, Duration allowed);

// The result the core makes itself when a deadline passes without one. `was_queued`: no worker ever took the probe.
ProbeResult deadline_result(Duration allowed, bool was_queued, const Evidence& evidence);

}  // namespace vital::evidence
