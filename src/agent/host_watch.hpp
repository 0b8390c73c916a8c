// What the host did to us, read now and then on the loop: how hard its CPUs are fought for, for how long our control
// group was held back by its CPU quota, and whether the host slept. All are kernel files and clocks that answer at
// once. [loop]
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "base/unique_fd.hpp"
#include "core/engine.hpp"

namespace vital {

// The "some avg10" of /proc/pressure/cpu, in percent. Empty if the text is something else. Pure.
std::optional<double> parse_cpu_pressure(std::string_view text);

// "throttled_usec" of a cpu.stat (control groups v2), or "throttled_time" in nanoseconds (v1). Empty if it has neither.
// Pure.
std::optional<Duration> parse_throttled(std::string_view cpu_stat);

// The folders of our control group and those above it, in which there may be a cpu.stat: from /proc/self/cgroup and
// /proc/self/mountinfo. Bounded; pure.
std::vector<std::string> cpu_stat_places(std::string_view cgroup, std::string_view mountinfo);

class HostWatch {
 public:
  HostWatch();

  // Read anew, but not more often than something can have changed. Zero where the kernel does not tell.
  Pressure pressure(Instant now);

  // How long the host has slept since the last call: CLOCK_BOOTTIME counts that, CLOCK_MONOTONIC does not.
  Duration slept();

 private:
  // Files stay open: a read is all it takes.
  struct Group {
    UniqueFd cpu_stat;
    Duration throttled_before;  // by its own count, when we began
  };
  UniqueFd psi_;
  std::vector<Group> groups_;
  Pressure last_;
  std::optional<Instant> psi_read_at_, groups_read_at_;
  std::optional<Duration> ahead_;  // boot time minus monotonic, at the last call
};

}  // namespace vital
