// A worker that is busy is not one that hangs.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "probe/bench_core.hpp"

using namespace vital;
using namespace vital::test;

TEST_CASE("a worker that goes from check to check is not taken for one that hangs") {
  BenchCore core({.grace = 600ms});
  CHECK(word(core.run(async("answer"), 5s)) == "pass/none");
  // All in one message, so that the question whether it turns waits behind them for three times the grace.
  std::vector<std::uint64_t> ids;
  for (int n = 0; n < 9; ++n) {
    ids.push_back(core.start(async("block at start", "slow" + std::to_string(n), "1000", "200000000"), 20s));
  }
  for (const auto id : ids) CHECK(word(core.wait(id)) == "pass/none");
  CHECK(core.pool().stats().killed == 0);
}
