// Lives of several agents that may fail a database over, 10,000 of them (one for ten of VITALD_SIM_RUNS): stories
// in which nothing may be done, stories in which something must be, and chaos in which World holds every act to its
// promises. A failure prints the seed: VITALD_SIM_SEED=N runs it alone, VITALD_SIM_TRACE=1 tells it line by line.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <iostream>

#include "simulation/failover/world.hpp"

namespace vital::failover {

using namespace vital::sim::fail;

namespace {

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

template <typename Body>
void live(unsigned permille, std::uint64_t family, Body body) {
  const std::uint64_t runs = std::max<std::uint64_t>(1, number_from("VITALD_SIM_RUNS", 100'000) / 10 * permille / 1000);
  const std::uint64_t first = family * 1'000'000'000;
  const std::uint64_t only = number_from("VITALD_SIM_SEED", 0);
  for (std::uint64_t seed = only != 0 ? only : first + 1; seed <= (only != 0 ? only : first + runs); ++seed) {
    if (seed / 1'000'000'000 != family) return;
    try {
      body(seed);
    } catch (const Broken& e) {
      FAIL(e.what());
    }
  }
}

Shape shape_of(std::uint64_t seed, Mode mode = Mode::automatic) {
  Shape s;
  s.seed = seed;
  s.agents = 3 + static_cast<unsigned>(seed % 3);
  s.members = 2 + static_cast<unsigned>(seed / 3 % 2);
  s.plan.mode = mode;
  s.plan.hold_down = 5s;
  s.plan.grace = 10s;
  s.plan.max_lag = 30s;
  s.plan.fence = {{"fence", {}, 10s, 2, true}};
  s.plan.promote = {{"promote", {}, 10s, 2, false}};
  s.plan.move = {{"move", {}, 10s, 2, false}};
  return s;
}

void expect_calm(const World& w) {
  if (w.acts() != 0) w.broken("it acted, in a story where nothing may be done");
}

std::string state_of_all(World& w) {
  std::string out;
  for (unsigned n = 0; n < w.shape().agents; ++n) {
    if (w.is_running(n))
      out += " n" + std::to_string(n) + ": " + std::string(name(w.policy(n).state())) + " (" +
             std::string(w.policy(n).reason()) + ")";
  }
  return out;
}

void expect_failed_over(World& w, Duration within) {
  const Duration from = w.now() - (Instant{} + 1000s);
  for (Duration d{}; d <= within; d += 1s) {
    w.run_until(from + d);
    if (w.promotions(0) == 1 && w.is_writable(0)) return;
  }
  w.broken("a dead primary was not replaced:" + state_of_all(w));
}

}  // namespace

TEST_CASE("a primary that is really dead is replaced within a minute where enough agents see it") {
  live(100, 11, [](std::uint64_t seed) {
    World w(shape_of(seed));
    w.run_until(30s + std::chrono::milliseconds(w.draw(3000)));
    if (seed % 2 == 0) {
      w.kill_node(0);
    } else {
      w.member(0, 0).is_up = false;
    }
    expect_failed_over(w, 60s);
    w.run_until(120s);
    if (w.promotions(0) != 1 || !w.is_writable(0)) w.broken("it did not stay so");
    const auto entries = w.record().entries;
    if (entries.empty() || entries.back().phase != Phase::done) w.broken("the record does not say that it is done");
  });
}

TEST_CASE("a partition of 43 seconds moves nothing to another zone") {
  live(60, 12, [](std::uint64_t seed) {
    Shape s = shape_of(seed);
    s.agents = 5;
    s.members = 2;
    s.zones = {"east", "west", "west", "east", "north"};
    World w(s);
    w.run_until(30s);
    w.cut_zone("east", w.draw(2) == 0);
    w.run_until(73s);
    w.heal();
    w.run_until(110s);
    expect_calm(w);
  });
}

TEST_CASE("cut off from the primary alone, an agent does nothing while others see it well") {
  live(60, 13, [](std::uint64_t seed) {
    World w(shape_of(seed));
    w.run_until(30s);
    const auto n = static_cast<unsigned>(1 + w.draw(w.shape().agents - 1));
    w.cut(n, 0);
    if (w.draw(2) == 0) w.cut(0, n);
    w.run_until(120s);
    expect_calm(w);
  });
}

TEST_CASE("agents that stood still do nothing on waking but look again") {
  live(60, 14, [](std::uint64_t seed) {
    World w(shape_of(seed));
    w.run_until(30s);
    for (unsigned n = 0; n < w.shape().agents; ++n) {
      if (w.draw(2) == 0) w.stop_agent(n, std::chrono::seconds(3 + w.draw(40)));
    }
    w.run_until(110s);
    expect_calm(w);
  });
}

TEST_CASE("a store of leases that is away moves nothing, and nothing is done without it") {
  live(50, 15, [](std::uint64_t seed) {
    World w(shape_of(seed));
    w.run_until(30s);
    w.stop_store();
    if (seed % 2 == 0) w.member(0, 0).is_up = false;
    w.run_until(90s);
    expect_calm(w);
    w.start_store();
    if (seed % 2 == 0) return expect_failed_over(w, 60s);
    w.run_until(130s);
    expect_calm(w);
  });
}

TEST_CASE("a primary that is slow is not replaced while its standby is fed") {
  live(50, 16, [](std::uint64_t seed) {
    World w(shape_of(seed));
    w.run_until(30s);
    w.member(0, 0).is_overloaded = true;
    w.run_until(110s);
    expect_calm(w);
  });
}

TEST_CASE("a standby that was cut off while the primary lived is not promoted, whoever saw what") {
  live(40, 25, [](std::uint64_t seed) {
    Shape s = shape_of(seed);
    s.members = 2;
    World w(s);
    w.run_until(30s);
    w.cut(0, 1);
    // One agent is cut off from the primary as well: the others know that it was well long after.
    if (seed % 2 == 0) w.cut(static_cast<unsigned>(2 + w.draw(s.agents - 2)), 0);
    w.run_until(80s + std::chrono::milliseconds(w.draw(20000)));
    w.kill_node(0);
    w.run_until(200s);
    expect_calm(w);
  });
}

TEST_CASE("clients that were led astray are led to the primary again where that is asked for, and nowhere else") {
  live(40, 27, [](std::uint64_t seed) {
    Shape s = shape_of(seed, seed % 4 < 2 ? Mode::automatic : Mode::assist);
    s.plan.is_reasserted = seed % 2 == 0;
    World w(s);
    w.run_until(30s + std::chrono::milliseconds(w.draw(3000)));
    w.lead_clients(0, 1);
    w.run_until(70s);
    if (!s.plan.is_reasserted) return expect_calm(w);
    // An answer of the store that is lost just then costs a minute: it is tried no more often.
    if (!w.is_writable(0)) w.run_until(140s);
    if (!w.is_writable(0)) w.broken("clients were not led back:" + state_of_all(w));
    if (w.promotions(0) != 0) w.broken("somebody was promoted");
    w.run_until(210s);
    if (w.acts() > s.agents) w.broken("it was done again and again");
  });
}

TEST_CASE("an operator's switchover fences before it promotes, and is one") {
  live(40, 28, [](std::uint64_t seed) {
    World w(shape_of(seed, seed % 2 == 0 ? Mode::automatic : Mode::assist));
    w.run_until(40s + std::chrono::milliseconds(w.draw(3000)));
    const auto n = static_cast<unsigned>(w.draw(w.shape().agents));
    // Asked again where it was refused: the store may not answer just then.
    for (int i = 1; i <= 10 && w.promotions(0) == 0; ++i) {
      w.tell(n, Command(Switchover{"t0", "db1", "t0", "kim"}));
      w.run_until(43s + i * 3s);
    }
    expect_failed_over(w, 40s);
    w.run_until(120s);
    if (w.promotions(0) != 1) w.broken("it did not stay so");
  });
}

TEST_CASE("one agent and the broken link of a standby are two witnesses") {
  live(20, 26, [](std::uint64_t seed) {
    Shape s = shape_of(seed);
    s.agents = s.members = 2;
    World w(s);
    w.run_until(30s + std::chrono::milliseconds(w.draw(3000)));
    w.kill_node(0);
    expect_failed_over(w, 60s);
  });
}

TEST_CASE("a primary that takes connections, answers nothing and feeds nobody is replaced after overload_grace") {
  live(10, 17, [](std::uint64_t seed) {
    Shape s = shape_of(seed);
    s.plan.overload_grace = 60s;
    World w(s);
    w.run_until(30s);
    w.member(0, 0).is_overloaded = true;
    w.member(0, 0).is_primary = false;  // it writes no more; nobody can ask it
    w.run_until(80s);
    expect_calm(w);
    expect_failed_over(w, 90s);
  });
}

TEST_CASE("in assist nothing is done before an operator approves, and then it is") {
  live(40, 18, [](std::uint64_t seed) {
    World w(shape_of(seed, Mode::assist));
    w.run_until(30s);
    w.member(0, 0).is_up = false;
    w.run_until(75s);
    expect_calm(w);
    for (unsigned n = 0; n < w.shape().agents; ++n) {
      const Policy::Recovery asked = w.policy(n).recovery();
      if (w.policy(n).state() != State::awaiting) continue;
      w.tell(n, Command(Approve{asked.id, asked.from, "kim"}));
      if (w.policy(n).state() != State::awaiting) w.broken("the wrong name was taken for an approval");
      w.tell(n, Command(Approve{asked.id, asked.to, "kim"}));
      return expect_failed_over(w, 45s);
    }
    w.broken("nobody asked:" + state_of_all(w));
  });
}

TEST_CASE("paused, nothing is done, on any agent; resumed, it is") {
  live(40, 19, [](std::uint64_t seed) {
    World w(shape_of(seed));
    w.run_until(20s);
    w.tell(static_cast<unsigned>(w.draw(w.shape().agents)), Command(Pause{"", "kim", "moving racks"}));
    w.run_until(30s);
    w.member(0, 0).is_up = false;
    w.run_until(90s);
    expect_calm(w);
    w.tell(1, Command(Resume{"", "kim"}));
    expect_failed_over(w, 45s);
  });
}

TEST_CASE("an operator who moves the primary himself is not disturbed") {
  live(40, 20, [](std::uint64_t seed) {
    World w(shape_of(seed));
    w.run_until(30s);
    w.member(0, 0).is_primary = false;
    w.run_until(30s + std::chrono::seconds(w.draw(20)));
    w.member(0, 1).is_primary = true;
    w.run_until(120s);
    expect_calm(w);
  });
}

TEST_CASE("when many fail together the brake lets as many through as it may, and holds until it is released") {
  live(20, 21, [](std::uint64_t seed) {
    Shape s = shape_of(seed);
    s.topologies = 4;
    s.agents = 3;
    World w(s);
    w.run_until(30s);
    for (unsigned t = 0; t < 4; ++t) w.member(t, 0).is_up = false;
    w.run_until(150s);
    const auto done = [&] { return w.promotions(0) + w.promotions(1) + w.promotions(2) + w.promotions(3); };
    if (done() != 2) w.broken(std::to_string(done()) + " of 4 were promoted, not 2");
    if (!w.record().is_brake_on) w.broken("the brake is not on");
    w.tell(1, Command(ReleaseBrake{"kim"}));
    w.run_until(260s);
    if (done() != 4) w.broken(std::to_string(done()) + " of 4 were promoted after the release");
  });
}

TEST_CASE("a fence that says done and did nothing, fails or hangs promotes nobody, and parks") {
  live(40, 22, [](std::uint64_t seed) {
    World w(shape_of(seed));
    w.fence = std::vector{World::Fence::lies, World::Fence::fails, World::Fence::hangs}[seed % 3];
    w.run_until(30s);
    w.member(0, 0).is_up = false;
    w.run_until(200s);
    if (w.promotions(0) != 0) w.broken("promoted without a fence");
    const auto entries = w.record().entries;
    if (entries.empty() || entries.back().phase != Phase::parked) w.broken("it is not parked:" + state_of_all(w));
    // The ways out: somebody repairs it, or acknowledges it.
    if (seed % 2 == 0) {
      w.member(0, 0) = Member{};
      w.member(0, 0).is_primary = true;
    } else {
      w.fence = World::Fence::works;
      w.tell(1, Command(Acknowledge{entries.back().id, "kim"}));
    }
    w.run_until(320s);
    if (!w.is_writable(0)) w.broken("there was no way out:" + state_of_all(w));
  });
}

TEST_CASE("an owner that dies at any moment leaves a recovery that another one ends") {
  live(100, 23, [](std::uint64_t seed) {
    Shape s = shape_of(seed);
    s.agents = 5;
    s.members = 3;
    World w(s);
    w.run_until(30s);
    w.member(0, 0).is_up = false;
    bool has_killed = false;
    for (int i = 0; i < 3000 && !has_killed; ++i) {
      w.run_until(30s + i * 20ms);
      for (unsigned n = 0; n < 5 && !has_killed; ++n) {
        const State state = w.policy(n).state();
        const bool is_owner =
            state == State::registering || is_acting(state) || state == State::confirming || state == State::verifying;
        if (!is_owner || w.draw(8) != 0) continue;
        has_killed = true;
        if (seed % 2 == 0) {
          w.restart_agent(n);
        } else {
          w.stop_agent(n, 60s);
        }
      }
    }
    if (!has_killed) return;
    w.run_until(240s);
    if (!w.is_writable(0) || w.promotions(0) == 0) w.broken("nobody ended it:" + state_of_all(w));
  });
}

TEST_CASE("whatever happens, no act breaks its promises") {
  std::size_t acts = 0, promotions = 0;
  live(430, 24, [&](std::uint64_t seed) {
    Shape s = shape_of(seed, seed % 7 == 0 ? Mode::assist : Mode::automatic);
    s.agents = 2 + static_cast<unsigned>(seed % 4);
    s.plan.witnesses = seed % 5 == 0 ? 1 : 2;
    s.plan.doubt = 10s;
    s.plan.cool_down = 40s;
    s.plan.brake_max = 3;
    s.plan.is_reasserted = seed % 2 == 0;
    World w(s);
    w.run_until(20s);
    Duration at = 20s;
    for (std::uint64_t i = 0; i < 4 + w.draw(6); ++i) {
      const auto n = static_cast<unsigned>(w.draw(s.agents));
      const auto m = static_cast<unsigned>(w.draw(s.members));
      switch (w.draw(16)) {
        case 0:
        case 1:
        case 2:
          w.member(0, 0).is_up = false;
          break;
        case 3:
          w.stop_agent(n, std::chrono::seconds(1 + w.draw(30)));
          break;
        case 4:
          w.restart_agent(n);
          break;
        case 5:
          w.cut(n, m);
          break;
        case 6:
          w.cut_from_store(n, w.draw(2) == 0, w.draw(2) == 0);
          break;
        case 7:
          w.heal();
          w.start_store();
          break;
        case 8:
          w.stop_store();
          break;
        case 9:
          w.skew(n, std::chrono::seconds(w.draw(7200)) - 1h);
          break;
        case 10:
          w.member(0, m).is_overloaded = !w.member(0, m).is_overloaded;
          break;
        case 11:
          w.fence = std::vector{World::Fence::works, World::Fence::works, World::Fence::lies, World::Fence::fails,
                                World::Fence::hangs}[w.draw(5)];
          w.promote_hangs = w.draw(4) == 0;
          break;
        case 12:
          for (unsigned a = 0; a < s.agents; ++a) {
            const auto asked = w.policy(a).recovery();
            if (!asked.id.empty())
              w.tell(a, w.draw(3) == 0 ? Command(Acknowledge{asked.id, "kim"})
                                       : Command(Approve{asked.id, asked.to, "kim"}));
          }
          break;
        case 15:
          w.tell(n, Command(Switchover{"t0", "db" + std::to_string(m), "t0", "kim"}));
          break;
        case 14:
          w.lead_clients(0, m);
          break;
        case 13:
          w.tell(n, w.draw(2) == 0 ? Command(Pause{"", "kim", ""}) : Command(Resume{"", "kim"}));
          break;
      }
      at += std::chrono::milliseconds(100 + w.draw(20000));
      w.run_until(at);
    }
    w.heal();
    w.start_store();
    w.run_until(at + 60s);
    acts += w.acts();
    promotions += w.promotions(0);
    for (const Replayed& r : replay(w.decisions(), s.plan)) {
      if (!r.is_same) w.broken("a decision replays to another: " + r.was.why + " / " + r.now.why);
    }
  });
  if (number_from("VITALD_SIM_SEED", 0) == 0 && number_from("VITALD_SIM_RUNS", 100'000) >= 100'000) {
    CHECK(acts > 500);  // the question was really asked
    CHECK(promotions > 100);
  }
}

}  // namespace vital::failover
