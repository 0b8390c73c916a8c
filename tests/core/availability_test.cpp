#include "core/availability.hpp"

#include <catch2/catch.hpp>

using namespace vital;
using namespace std::chrono_literals;

namespace {
WallTime at(std::chrono::minutes m) { return WallTime(std::chrono::hours(24 * 365 * 50)) + m; }
}  // namespace

TEST_CASE("up, down, planned and unknown add up to the whole") {
  Timeline line;
  line.said = {{at(0min), "pass"}, {at(10min), "fail"}, {at(15min), "warn"}, {at(50min), "stale"}};
  line.planned = {{at(20min), at(25min)}};
  line.away = {{at(30min), at(40min)}};
  const Availability a = availability(line, at(0min), at(60min));
  CHECK(a.down == 5min);
  CHECK(a.planned == 5min);
  CHECK(a.unknown == 20min);
  CHECK(a.up == 30min);
  CHECK(a.share() == Approx(30.0 / 35));
}

TEST_CASE("a fault during planned maintenance is not held against anybody") {
  Timeline line;
  line.said = {{at(0min), "pass"}, {at(10min), "fail"}, {at(20min), "pass"}};
  line.planned = {{at(9min), at(21min)}};
  CHECK(availability(line, at(0min), at(60min)).down == 0min);
  CHECK(availability(line, at(0min), at(60min)).share() == 1.0);
}

TEST_CASE("a window that begins in the middle knows what was said before it") {
  Timeline line;
  line.said = {{at(0min), "fail"}, {at(30min), "pass"}};
  const Availability a = availability(line, at(20min), at(40min));
  CHECK(a.down == 10min);
  CHECK(a.up == 10min);
}

TEST_CASE("what nobody looked at is neither up nor down") {
  const Availability a = availability({}, at(0min), at(60min));
  CHECK(a.unknown == 60min);
  CHECK(a.share() == 1.0);
}
