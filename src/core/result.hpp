// ProbeResult: what one probe found. A plain value, made by a worker (or by the core itself at a deadline), judged by
// the core, shown by publish/, kept by store/. Pure.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "core/verdict.hpp"

namespace vital {

// A number the check measured: latency 0.0123 s. `warn` and `fail` are the thresholds it was judged by, NaN for none.
struct Measure {
  std::string name;
  double value = 0;
  std::string unit;
  double warn = 0;
  double fail = 0;
};

// What the agent itself was like while the probe ran: a timeout that coincides with our own trouble proves nothing.
struct Evidence {
  Duration queue_delay{};      // from the planned start until a worker took it
  Duration worker_lag{};       // how late the worker turned, or how long it was kept from running, during the probe
  Duration timer_overshoot{};  // how late the deadline was noticed
  double cpu_pressure = 0;     // PSI "some avg10" of the host in percent, 0..100
  Duration loop_lag{};         // how late the agent's own loop turned during the probe
  Duration throttled{};        // how long our control group's CPU quota held us back during the probe
};

struct ProbeResult {
  Verdict verdict = Verdict::unknown;
  Cause cause = Cause::agent;
  std::string text;     // one line, safe to print, no secrets
  Duration duration{};  // start to result
  std::vector<std::pair<Phase, Duration>> phases;
  std::vector<Measure> measures;
  std::vector<std::pair<std::string, std::string>> facts;
  Evidence evidence;
};

}  // namespace vital
