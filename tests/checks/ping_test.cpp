// Loss, round trip and jitter over a window.
#include <catch2/catch.hpp>

#include "ping/window.hpp"

using namespace vital::ping;
using vital::check::Cause;
using vital::check::Verdict;

namespace {
Window of(std::vector<double> rtts, size_t most = 60) {
  Window out(most);
  for (const double rtt : rtts) out.add({rtt < 0, rtt});
  return out;
}
}  // namespace

TEST_CASE("sums over the last echoes") {
  CHECK(of({}).loss() == 0);
  CHECK(of({0.001, 0.003, -1, 0.002}).loss() == 25);
  CHECK(of({0.001, 0.003, -1, 0.002}).rtt() == Approx(0.002));
  CHECK(of({0.001, 0.003, -1, 0.002}).longest() == 0.003);
  // A lost echo has no time that another could differ from.
  CHECK(of({0.001, 0.003, -1, 0.002, 0.001}).jitter() == Approx(0.0015));
  CHECK(of({-1, -1}).jitter() == 0);
  CHECK(of({-1, -1, 0.001, 0.001}, 2).loss() == 0);
  CHECK(of({-1, -1, 0.001, 0.001}, 2).size() == 2);
}

TEST_CASE("the worst that is found decides, and a host that answers nothing most of all") {
  Demands demands;
  demands.loss = {10, 50};
  demands.rtt = {0.002, 0.004};
  demands.jitter = {0.001, 0.002};
  const auto is = [&](std::vector<double> rtts, int back, Verdict verdict, Cause cause) {
    const auto result = judge(of(std::move(rtts)), 5, back, demands, "here");
    return result.verdict == verdict && result.cause == cause;
  };
  CHECK(is({0.001, 0.001}, 2, Verdict::pass, Cause::none));
  CHECK(is({0.001, 0.001, 0.001, -1}, 3, Verdict::warn, Cause::timeout));
  CHECK(is({0.001, -1, -1, -1}, 1, Verdict::fail, Cause::timeout));
  CHECK(is({0.003, 0.003}, 2, Verdict::warn, Cause::latency));
  CHECK(is({0.005, 0.005}, 2, Verdict::fail, Cause::latency));
  CHECK(is({0.0005, 0.0022}, 2, Verdict::warn, Cause::latency));
  CHECK(is({0.0001, 0.0028}, 2, Verdict::fail, Cause::latency));
  CHECK(is({0.001, 0.001, 0.001, 0.001, 0.001, -1}, 0, Verdict::fail, Cause::timeout));
  CHECK(judge(of({0.001}), 1, 1, {}, "here").verdict == Verdict::pass);
}
