#include "core/advice.hpp"

#include <catch2/catch.hpp>

#include "core/stage.hpp"

using namespace vital;
using namespace vital::test;

namespace {

struct Story {
  std::shared_ptr<Plan> plan = std::make_shared<Plan>(all_of({a_check("db")}));
  std::unique_ptr<Advisor> advisor;
  Now at{Instant(100s), WallTime(std::chrono::hours(24 * 365 * 50))};

  void tell(Verdict v, Duration took, Cause cause = Cause::none, std::uint32_t attempt = 0, bool is_outcome = true) {
    if (!advisor) advisor = std::make_unique<Advisor>(plan);
    RecordedResult r{"db", at, {}, {}, attempt, is_outcome};
    r.result.verdict = v;
    r.result.cause = cause;
    r.result.duration = took;
    advisor->take(r);
    at.mono += 5s;
  }
  void good(unsigned n, Duration took) {
    for (unsigned i = 0; i < n; ++i) tell(Verdict::pass, took);
  }
  void bad(unsigned n) {
    for (unsigned i = 0; i < n; ++i) tell(Verdict::fail, 1ms, Cause::refused);
  }
  std::optional<Advice> about(const std::string& option) const {
    for (const Advice& a : advisor->advice()) {
      if (a.option == option) return a;
    }
    return {};
  }
};

}  // namespace

TEST_CASE("a timeout near to the slowest in a thousand is called tight, with the numbers and the price") {
  Story story;
  story.plan->checks[0].timeout = 200ms;
  story.good(995, 20ms);
  story.good(5, 190ms);
  const auto advice = story.about("timeout");
  REQUIRE(advice);
  CHECK(advice->now == "200ms");
  CHECK(advice->instead == "400ms");
  CHECK(advice->why.find("1000 good answers") != std::string::npos);
  CHECK(advice->why.find("190ms") != std::string::npos);
  CHECK(advice->why.find("200ms later") != std::string::npos);
}

TEST_CASE("a timeout far from everything normal gets no advice, and so does one nobody has enough answers for") {
  Story roomy;
  roomy.good(1000, 20ms);
  CHECK_FALSE(roomy.about("timeout"));
  Story young;
  young.plan->checks[0].timeout = 21ms;
  young.good(50, 20ms);
  CHECK_FALSE(young.about("timeout"));
}

TEST_CASE("retries that never helped are said to cost time, those that helped once are left alone") {
  Story story;
  story.plan->checks[0].retries = 1;
  for (int i = 0; i < 25; ++i) {
    story.tell(Verdict::fail, 1s, Cause::refused, 0, false);
    story.tell(Verdict::fail, 1s, Cause::refused, 1);
  }
  const auto advice = story.about("retries");
  REQUIRE(advice);
  CHECK(advice->instead == "0");
  CHECK(advice->why.find("25 cycles") != std::string::npos);
  story.tell(Verdict::fail, 1s, Cause::refused, 0, false);
  story.tell(Verdict::pass, 1s, Cause::none, 1);
  CHECK_FALSE(story.about("retries"));
}

TEST_CASE("the least patience that spares half of the falls is advised, with what it costs") {
  Story story;
  for (int i = 0; i < 4; ++i) {
    story.good(20, 1ms);
    story.bad(4);
  }
  story.good(20, 1ms);
  story.bad(30);
  const auto advice = story.about("fall");
  REQUIRE(advice);
  CHECK(advice->now == "3");
  CHECK(advice->instead == "5");
  CHECK(advice->why.find("it fell 5 times") == 0);
  CHECK(advice->why.find("1 times") != std::string::npos);
  CHECK(advice->why.find("4s later") != std::string::npos);
}

TEST_CASE("a check that is really broken for long gets no advice to look away") {
  Story story;
  story.good(20, 1ms);
  story.bad(100);
  CHECK_FALSE(story.about("fall"));
}
