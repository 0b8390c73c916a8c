// Time as the whole house says it: Instant for intervals (monotonic, never printed), WallTime for people (printed,
// never subtracted), Duration in nanoseconds. The core takes both as arguments and owns no clock; only loop/ and main
// read one.
#pragma once

#include <chrono>

namespace vital {

using Duration = std::chrono::nanoseconds;

// CLOCK_MONOTONIC, without a now() on purpose.
struct Monotonic {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<Monotonic>;
  static constexpr bool is_steady = true;
};
using Instant = Monotonic::time_point;

using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;

// The two clocks read at the same moment.
struct Now {
  Instant mono;
  WallTime wall;
};

constexpr double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }
constexpr long long milliseconds(Duration d) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
}

}  // namespace vital
