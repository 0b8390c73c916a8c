// The kernel's files as numbers, from recorded text.
#include "host_counters.hpp"

#include <catch2/catch.hpp>

#include "findings.hpp"
#include "given.hpp"

using namespace vital;
using namespace vital::check;

TEST_CASE("pressure is read by kind and span") {
  const auto p =
      pressure_in("some avg10=1.53 avg60=0.87 avg300=0.21 total=58\nfull avg10=0.50 avg60=0.00 avg300=12.00 total=9\n");
  CHECK(p.size() == 6);
  CHECK(p.at("some_avg10") == Approx(1.53));
  CHECK(p.at("full_avg300") == Approx(12));
  CHECK(pressure_in("").empty());
  CHECK(pressure_in("some avg10=x avg60 avg300=\nother avg10=1").size() <= 1);
}

TEST_CASE("a key's value is found by the whole key, at the beginning of a line") {
  const std::string events = "low 0\nhigh 3\nmax 12\noom 2\noom_kill 1\n";
  CHECK(*value_in(events, "oom_kill") == 1);
  CHECK(*value_in(events, "oom") == 2);
  CHECK_FALSE(value_in(events, "oom_"));
  CHECK_FALSE(value_in(events, "kill"));
  CHECK_FALSE(value_in("oom_kill x\n", "oom_kill"));
  CHECK_FALSE(value_in("", "oom"));
  CHECK(*value_in("nr_periods 7", "nr_periods") == 7);
}

TEST_CASE("a number in a file of one or a few; max is none") {
  CHECK(*number_in("4096\n") == 4096);
  CHECK(*number_in("1047\t0\t9223372036854775807\n", 2) > 9e18);
  CHECK_FALSE(number_in("max 100000\n"));
  CHECK(*number_in("max 100000\n", 1) == 100000);
  CHECK_FALSE(number_in(""));
  CHECK_FALSE(number_in("1047", 2));
}

TEST_CASE("what the processors did is split into used, waiting and stolen") {
  const auto t = cpu_ticks_in("cpu  100 10 50 800 20 5 5 10 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n");
  REQUIRE(t);
  CHECK(t->used == 170);
  CHECK(t->waiting == 20);
  CHECK(t->stolen == 10);
  CHECK(t->total == 1000);
  CHECK_FALSE(cpu_ticks_in("cpu  100 10"));
  CHECK_FALSE(cpu_ticks_in("cpu0 1 1 1 1 1 1 1 1 0 0"));
  CHECK_FALSE(cpu_ticks_in(""));
}

TEST_CASE("threads are counted by the load averages' file") {
  CHECK(*threads_in("0.52 0.58 0.59 1/389 12345\n") == 389);
  CHECK_FALSE(threads_in("0.52 0.58 0.59\n"));
}

TEST_CASE("a limit is shown as it was written, and a default that warns gives way") {
  const auto words = [](const char* fail, Unit unit) {
    const Given::Values values = {{"f", {fail}}};
    const Given given(values);
    return Limit::option(given.options(), "w", "f", Bad::above, unit).words(Verdict::fail);
  };
  CHECK(words("500000000", Unit::seconds) == "above f 500ms");
  CHECK(words("30000000000", Unit::seconds) == "above f 30s");
  CHECK(words("90000000000", Unit::seconds) == "above f 90s");
  CHECK(words("600000000000", Unit::seconds) == "above f 10m");
  CHECK(words("3600000000000", Unit::seconds) == "above f 1h");
  CHECK(words("65536", Unit::bytes) == "above f 64KiB");
  const Given both({{"w", {"90"}}, {"f", {"50"}}});
  CHECK_THROWS_AS(Limit::option(both.options(), "w", "f", Bad::above), Invalid);
  CHECK_FALSE(Limit::option(both.options(), "w", "f", Bad::above, Unit::none, 90).warn);
}

TEST_CASE("a limit has two sides and refuses what could never warn") {
  const auto limit = [](const Given::Values& values, Bad bad) {
    const Given given(values);
    return Limit::option(given.options(), "w", "f", bad);
  };
  const Limit above = limit({{"w", {"70"}}, {"f", {"90"}}}, Bad::above);
  CHECK(above.judge(70) == Verdict::pass);
  CHECK(above.judge(70.1) == Verdict::warn);
  CHECK(above.judge(90.1) == Verdict::fail);
  CHECK(above.words(Verdict::fail) == "above f 90");
  const Limit below = limit({{"w", {"3"}}, {"f", {"2"}}}, Bad::below);
  CHECK(below.judge(3) == Verdict::pass);
  CHECK(below.judge(2) == Verdict::warn);
  CHECK(below.judge(1) == Verdict::fail);
  CHECK(limit({}, Bad::above).judge(1e300) == Verdict::pass);
  CHECK(limit({{"w", {"5"}}, {"f", {"5"}}}, Bad::above).judge(6) == Verdict::fail);
  CHECK_THROWS_AS(limit({{"w", {"91"}}, {"f", {"90"}}}, Bad::above), Invalid);
  CHECK_THROWS_AS(limit({{"w", {"1"}}, {"f", {"2"}}}, Bad::below), Invalid);
}
