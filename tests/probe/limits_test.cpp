// Other limits for workers, as a reload brings them: who has the old ones goes, and loses no answer.
#include <catch2/catch.hpp>
#include <fstream>
#include <string>

#include "probe/bench_core.hpp"

using namespace vital;
using namespace vital::test;

namespace {

// The soft limit of processes a worker has; 0 once it is gone.
unsigned long processes_bound(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/limits");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("Max processes")) return std::strtoul(line.c_str() + 26, nullptr, 10);
  }
  return 0;
}

bool all_have(unsigned long bound) {
  for (const auto& pid : children()) {
    if (processes_bound(pid) != bound) return false;
  }
  return !children().empty();
}

}  // namespace

TEST_CASE("idle workers with other limits go at once, and the next probe finds one with the new limits") {
  adopt_orphans();
  BenchCore core({.processes = 4000});
  CHECK(word(core.run(answers(), 5s)) == "pass/none");
  CHECK(word(core.run(async("answer"), 5s)) == "pass/none");
  REQUIRE(children().size() == 2);
  REQUIRE(all_have(4000));
  core.pool().set_limits(512, 3000, "off");
  CHECK(core.turn_until([] { return children().empty(); }, 5s));
  CHECK(word(core.run(answers(), 5s)) == "pass/none");
  CHECK(word(core.run(async("answer"), 5s)) == "pass/none");
  CHECK(children().size() == 2);
  CHECK(all_have(3000));
  CHECK(core.pool().stats().killed == 0);
}

TEST_CASE("busy workers with other limits go after their probes, which are not lost") {
  adopt_orphans();
  BenchCore core({.max_blocking = 1, .processes = 4000});
  const auto slow = make_spec("slow", "misbehaves", Lane::blocking, {{"how", "sleep"}, {"time", "700000000"}});
  const auto shared = core.start(async("answer", "late", "700000000"), 10s);
  const auto alone = core.start(slow, 10s);
  CHECK(core.turn_until([&] { return core.pool().stats().busy == 2; }, 5s));
  core.pool().set_limits(512, 3000, "off");
  // Meanwhile others are served by a successor where probes share a worker, and wait where each has one to itself.
  CHECK(word(core.run(async("answer", "other", "1000"), 5s)) == "pass/none");
  CHECK(children().size() == 3);
  const auto next = core.start(answers(), 10s);
  CHECK(word(core.wait(shared)) == "pass/none");
  CHECK(word(core.wait(alone)) == "pass/none");
  CHECK(word(core.wait(next)) == "pass/none");
  CHECK(core.turn_until([] { return children().size() == 2; }, 5s));
  CHECK(all_have(3000));
  CHECK(core.pool().stats().killed == 0);
}

TEST_CASE("the same limits again change nothing") {
  BenchCore core({.processes = 4000});
  CHECK(word(core.run(answers(), 5s)) == "pass/none");
  core.pool().set_limits(512, 4000, "off");
  CHECK(core.pool().stats().idle == 1);
  CHECK(word(core.run(answers(), 5s)) == "pass/none");
  CHECK(core.pool().stats().started == 1);
}
