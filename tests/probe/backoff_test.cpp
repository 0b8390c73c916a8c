// How long a failing module is left alone.
#include "probe/backoff.hpp"

#include <catch2/catch.hpp>

using namespace vital;
using namespace std::chrono_literals;

TEST_CASE("each failure doubles the wait, up to five minutes, and a success forgives") {
  Backoff backoff;
  Instant now(1000s);
  CHECK(backoff.waiting("m", now) == nullptr);
  Duration expected = 1s;
  for (int n = 1; n <= 12; ++n) {
    backoff.failed("m", "it crashed", now);
    const auto* entry = backoff.waiting("m", now);
    REQUIRE(entry != nullptr);
    CHECK(entry->failures == static_cast<unsigned>(n));
    CHECK(entry->until == now + expected);
    now = entry->until;
    CHECK(backoff.waiting("m", now) == nullptr);
    expected = std::min<Duration>(2 * expected, 5min);
  }
  backoff.succeeded("m");
  CHECK(backoff.is_empty());
  backoff.failed("m", "again", now);
  CHECK(backoff.waiting("m", now)->until == now + 1s);
}

TEST_CASE("one key's failures are not another's") {
  Backoff backoff;
  backoff.failed("a", "x", Instant(1s));
  CHECK(backoff.waiting("b", Instant(1s)) == nullptr);
}

TEST_CASE("the number of keys remembered is bounded, and the nearest to forgiveness goes first") {
  Backoff backoff;
  for (std::size_t n = 0; n <= Backoff::most; ++n) {
    backoff.failed("key" + std::to_string(n), "x", Instant(std::chrono::seconds(n)));
  }
  CHECK(backoff.waiting("key0", Instant(0s)) == nullptr);
  CHECK(backoff.waiting("key1", Instant(1s)) != nullptr);
}
