#include "base/duration.hpp"

#include <catch2/catch.hpp>

using namespace vital;
using namespace std::chrono_literals;

TEST_CASE("a duration is one number and one unit") {
  CHECK(parse_duration("250ms") == 250ms);
  CHECK(parse_duration("5s") == 5s);
  CHECK(parse_duration("1.5s") == 1500ms);
  CHECK(parse_duration("10m") == 10min);
  CHECK(parse_duration("2d") == 48h);
  CHECK(parse_duration("0s") == 0s);
}

TEST_CASE("a duration without a unit, with a sign, two units or an overflow is refused") {
  for (const char* bad :
       {"", "5", "s", "-5s", "+5s", "5 s", "5sec", "1h30m", "1.2.3s", "999999999999999999d", "inf", "1e3s"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_duration(bad));
  }
}

TEST_CASE("a duration is written the shortest exact way and reads back") {
  CHECK(format_duration(250ms) == "250ms");
  CHECK(format_duration(60s) == "1m");
  CHECK(format_duration(90s) == "90s");
  CHECK(format_duration(0s) == "0s");
  for (const Duration d : {Duration(1500ms), Duration(48h), Duration(7us), Duration(3601s)}) {
    CHECK(parse_duration(format_duration(d)) == d);
  }
}

TEST_CASE("wall time is RFC 3339 in UTC and reads back") {
  const WallTime t{std::chrono::milliseconds(1795255380123)};
  CHECK(format_wall(t) == "2026-11-21T10:03:00.123Z");
  CHECK(parse_wall("2026-11-21T10:03:00.123Z") == t);
  CHECK(parse_wall("2026-11-21T10:03:00Z") == t - std::chrono::milliseconds(123));
  CHECK_FALSE(parse_wall("2026-11-21 10:03:00"));
  CHECK_FALSE(parse_wall("2026-11-21T10:03:00.123+09:00"));
}

TEST_CASE("a wall time in an id is short and without signs a shell or a URL would mind") {
  const auto t = parse_wall("2026-11-26T01:22:33.123Z");
  REQUIRE(t);
  CHECK(compact_wall(*t) == "20261126T012233Z");
}
