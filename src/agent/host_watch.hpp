// What the host did to us, read now and then on the loop: how hard its CPUs are fought for, and whether it slept. Both
// are kernel files and clocks that answer at once. [loop]
#pragma once

#include <optional>
#include <string_view>

#include "base/time.hpp"

namespace vital {

// The "some avg10" of /proc/pressure/cpu, in percent. Empty if the text is something else. Pure.
std::optional<double> parse_cpu_pressure(std::string_view text);

class HostWatch {
 public:
  // Empty where the kernel does not tell.
  static std::optional<double> cpu_pressure();

  // How long the host has slept since the last call: CLOCK_BOOTTIME counts that, CLOCK_MONOTONIC does not.
  Duration slept();

 private:
  std::optional<Duration> ahead_;  // boot time minus monotonic, at the last call
};

}  // namespace vital
