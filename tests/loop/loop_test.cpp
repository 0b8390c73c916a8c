#include "loop/loop.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <memory>

#include "base/unique_fd.hpp"

using namespace vital;
using namespace std::chrono_literals;

TEST_CASE("a timer armed twice fires once, at the later time") {
  Loop loop;
  int fired = 0;
  Timer timer(loop, [&] { ++fired; });
  timer.arm_in(0ms);
  timer.arm_in(5ms);
  loop.run_for(50ms);
  CHECK(fired == 1);
}

TEST_CASE("a disarmed or destroyed timer does not fire") {
  Loop loop;
  int fired = 0;
  Timer timer(loop, [&] { ++fired; });
  timer.arm_in(0ms);
  timer.disarm();
  {
    Timer gone(loop, [&] { ++fired; });
    gone.arm_in(0ms);
  }
  loop.run_for(10ms);
  CHECK(fired == 0);
}

TEST_CASE("a timer may destroy itself from its own callback") {
  Loop loop;
  std::unique_ptr<Timer> timer;
  timer = std::make_unique<Timer>(loop, [&] { timer.reset(); });
  timer->arm_in(0ms);
  loop.run_for(10ms);
  CHECK(timer == nullptr);
}

TEST_CASE("a watch is called again while there is something left to read") {
  Loop loop;
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const UniqueFd in(ends[0]);
  const UniqueFd out(ends[1]);
  std::string seen;
  FdWatch watch(loop, in.get(), [&] {
    char c = 0;
    if (read(in.get(), &c, 1) == 1) seen += c;
    if (seen.size() == 3) loop.stop();
  });
  REQUIRE(write(out.get(), "abc", 3) == 3);
  loop.run_for(1s);
  CHECK(seen == "abc");
}

TEST_CASE("a watch that is told not to read stays silent until told again") {
  Loop loop;
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const UniqueFd in(ends[0]);
  const UniqueFd out(ends[1]);
  int calls = 0;
  FdWatch watch(loop, in.get(), [&] {
    ++calls;
    watch.want_read(false);
  });
  REQUIRE(write(out.get(), "abc", 3) == 3);
  loop.run_for(20ms);
  CHECK(calls == 1);
  watch.want_read(true);
  loop.run_for(20ms);
  CHECK(calls == 2);
}
