// Sums of lost time; see own_trouble.hpp.
#include "agent/own_trouble.hpp"

#include <fmt/format.h>

namespace vital {

void OwnTrouble::add(const Evidence& e) {
  lost_.queue_delay += e.queue_delay;
  lost_.worker_lag += e.worker_lag;
  lost_.timer_overshoot += e.timer_overshoot;
  lost_.loop_lag += e.loop_lag;
  lost_.throttled += e.throttled;
}

std::string OwnTrouble::metrics() const {
  return fmt::format(
      "# HELP vitald_probe_lost_seconds_total Time probes lost by trouble of the agent's own, by what it was.\n"
      "# TYPE vitald_probe_lost_seconds_total counter\n"
      "vitald_probe_lost_seconds_total{{why=\"queue\"}} {}\n"
      "vitald_probe_lost_seconds_total{{why=\"worker\"}} {}\n"
      "vitald_probe_lost_seconds_total{{why=\"timer\"}} {}\n"
      "vitald_probe_lost_seconds_total{{why=\"loop\"}} {}\n"
      "vitald_probe_lost_seconds_total{{why=\"throttled\"}} {}\n"
      "# HELP vitald_host_cpu_pressure_ratio Share of the last ten seconds in which something waited for a CPU.\n"
      "# TYPE vitald_host_cpu_pressure_ratio gauge\n"
      "vitald_host_cpu_pressure_ratio {}\n"
      "# HELP vitald_agent_throttled_seconds_total Time the agent's control group was held back by its CPU quota.\n"
      "# TYPE vitald_agent_throttled_seconds_total counter\n"
      "vitald_agent_throttled_seconds_total {}\n",
      seconds(lost_.queue_delay), seconds(lost_.worker_lag), seconds(lost_.timer_overshoot), seconds(lost_.loop_lag),
      seconds(lost_.throttled), pressure_.cpu / 100, seconds(pressure_.throttled));
}

}  // namespace vital
