// A hundred thousand lives of the real engine (a million with VITALD_SIM_RUNS=1000000). World holds each to what must
// always be true; here each family is asked its own question. A failure prints the seed: VITALD_SIM_SEED=N runs it
// alone.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>

#include "core/rules.hpp"
#include "core/timing.hpp"
#include "simulation/lives.hpp"

using namespace vital;
using namespace vital::sim;
using namespace std::chrono_literals;

namespace {

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

// Runs this share of all lives, from seeds of its own.
template <typename Body>
void live(unsigned percent, std::uint64_t family, Body body) {
  const std::uint64_t runs = number_from("VITALD_SIM_RUNS", 100'000) * percent / 100;
  const std::uint64_t first = family * 1'000'000'000;
  const std::uint64_t only = number_from("VITALD_SIM_SEED", 0);
  if (only != 0) {
    if (only / 1'000'000'000 == family) body(only);
    return;
  }
  for (std::uint64_t seed = first + 1; seed <= first + runs; ++seed) {
    try {
      body(seed);
    } catch (const Broken& e) {
      FAIL(e.what());
    }
  }
}

std::optional<Instant> first_after(const std::vector<World::Seen>& seen, Instant from, bool failed) {
  for (const auto& s : seen) {
    const bool is_failed = s.state == State::fail || s.state == State::stale || s.state == State::pending;
    if (s.at >= from && is_failed == failed) return s.at;
  }
  return {};
}

// How much later than computed a verdict may come for the loop's own jitter: a little at every attempt of every cycle.
Duration slack_of(const Life& life, const CheckPlan& c) {
  const unsigned outcomes = std::max(c.rise, c.fall_window ? c.fall_window->first : c.fall) + 1;
  return 2 * life.jitter * static_cast<int>(outcomes * (c.retries + 2));
}

struct Measured {
  std::optional<Duration> to_fail, to_pass;
};

Measured hold_to_bounds(const Life& life, const World& world, std::size_t i) {
  Measured out;
  const CheckPlan& c = life.plan.checks[i];
  const TargetScript& t = life.targets[i];
  const auto bounds = timing::of_check(c);
  const Duration slack = slack_of(life, c);
  const auto say = [&](const char* what, Duration found, const timing::Range& r) {
    FAIL("seed " << life.seed << " " << c.name << ": " << what << " " << seconds(found) << " s after, not within "
                 << seconds(r.best) << ".." << seconds(r.worst));
  };
  if (world.was_settled_at_fault(i)) {
    const auto failed = first_after(world.check(i), t.fault_from, true);
    if (failed && *failed < t.fault_to) {
      out.to_fail = *failed - t.fault_from;
      if (*out.to_fail < bounds.to_fail.best - slack || *out.to_fail > bounds.to_fail.worst + slack) {
        say("fail", *out.to_fail, bounds.to_fail);
      }
    } else if (t.fault_to - t.fault_from > bounds.to_fail.worst + slack) {
      say("no fail", t.fault_to - t.fault_from, bounds.to_fail);
    }
  }
  if (world.was_settled_at_end(i)) {
    const auto passed = first_after(world.check(i), t.fault_to, false);
    if (!passed) say("no pass", life.end - t.fault_to, bounds.to_pass);
    out.to_pass = *passed - t.fault_to;
    if (*out.to_pass < bounds.to_pass.best - slack || *out.to_pass > bounds.to_pass.worst + bounds.flap_hold + slack) {
      say("pass", *out.to_pass, bounds.to_pass);
    }
  }
  return out;
}

CheckPlan profile(Duration interval, Duration timeout, unsigned retries, Duration edge, unsigned rise, unsigned fall) {
  CheckPlan c;
  c.interval = interval;
  c.timeout = timeout;
  c.retries = retries;
  c.retry_delay = std::min<Duration>(1s, timeout / 4);
  c.edge_interval = edge;
  c.rise = rise;
  c.fall = fall;
  c.fingerprint = 1;
  return c;
}

}  // namespace

TEST_CASE("no verdict comes earlier or later than the calculator says") {
  std::size_t fails = 0, passes = 0;
  live(40, 1, [&](std::uint64_t seed) {
    const Life life = clean_life(seed);
    World world(life);
    world.run();
    for (std::size_t i = 0; i < life.targets.size(); ++i) {
      const Measured m = hold_to_bounds(life, world, i);
      fails += m.to_fail ? 1 : 0;
      passes += m.to_pass ? 1 : 0;
    }
  });
  if (number_from("VITALD_SIM_SEED", 0) == 0) {
    CHECK(fails > 1000);  // the question was really asked
    CHECK(passes > 1000);
  }
}

TEST_CASE("a service falls and comes back within its own bounds") {
  std::size_t asked = 0;
  live(15, 2, [&](std::uint64_t seed) {
    const Life life = common_fault_life(seed);
    World world(life);
    world.run();
    const auto bounds = timing::of_service(life.plan, ServiceId(0));
    Duration slack{}, hold{};
    bool all_settled = true;
    for (std::size_t i = 0; i < life.targets.size(); ++i) {
      slack = std::max(slack, slack_of(life, life.plan.checks[i]));
      hold = std::max(hold, timing::of_check(life.plan.checks[i]).flap_hold);
      all_settled = all_settled && world.was_settled_at_fault(i);
    }
    const Instant from = life.targets[0].fault_from, to = life.targets[0].fault_to;
    const auto failed = first_after(world.service(0), from, true);
    if (!bounds.to_fail) {
      if (failed) FAIL("seed " << seed << ": a service that cannot fail did");
      return;
    }
    if (!all_settled) return;
    ++asked;
    if (!failed) FAIL("seed " << seed << ": the service never failed");
    const Duration down = *failed - from;
    if (down < bounds.to_fail->best - slack || down > bounds.to_fail->worst + slack) {
      FAIL("seed " << seed << ": service down after " << seconds(down) << ", not within "
                   << seconds(bounds.to_fail->best) << ".." << seconds(bounds.to_fail->worst));
    }
    const auto passed = first_after(world.service(0), to, false);
    if (!passed || *passed - to > bounds.to_pass->worst + hold + slack || *passed - to < bounds.to_pass->best - slack) {
      FAIL("seed " << seed << ": service back after " << (passed ? seconds(*passed - to) : -1.0));
    }
  });
  if (number_from("VITALD_SIM_SEED", 0) == 0) CHECK(asked > 1000);
}

TEST_CASE("the agent's own trouble never makes a check fail, never makes a burst, never answers what is stale") {
  live(35, 3, [&](std::uint64_t seed) {
    const Life life = troubled_life(seed);
    World world(life);
    world.run();  // World itself holds it to that
  });
}

TEST_CASE("a real fault is found in spite of trouble, within the bound from the trouble's end, and so is its end") {
  live(10, 4, [&](std::uint64_t seed) {
    const Life life = mixed_life(seed);
    World world(life);
    world.run();
    for (std::size_t i = 0; i < life.targets.size(); ++i) {
      const auto state_at = [&](Instant at) {
        State s = State::pending;
        for (const auto& seen : world.check(i)) {
          if (seen.at <= at) s = seen.state;
        }
        return s;
      };
      if (const State s = state_at(life.targets[i].fault_to); s != State::fail) {
        FAIL("seed " << seed << ": the fault of " << life.plan.checks[i].name << " was not found, it says " << name(s));
      }
      if (const State s = state_at(life.end); s != State::pass) {
        FAIL("seed " << seed << ": " << life.plan.checks[i].name << " did not come back, it says " << name(s));
      }
    }
  });
}

TEST_CASE("the bounds are not only kept but nearly reached: they promise no more and no less") {
  const std::pair<const char*, CheckPlan> profiles[] = {{"lenient", profile(10s, 5s, 2, 5s, 2, 3)},
                                                        {"standard", profile(5s, 2s, 1, 2s, 2, 3)},
                                                        {"strict", profile(2s, 1s, 0, 1s, 2, 2)}};
  std::uint64_t family = 5;
  for (const auto& [what, plan] : profiles) {
    INFO(what);
    Duration quickest = 1h, slowest = 0s, back_slowest = 0s;
    for (std::uint64_t seed = family * 1'000'000'000 + 1; seed <= family * 1'000'000'000 + 1000; ++seed) {
      const Life life = profile_life(seed, plan);
      World world(life);
      world.run();
      const Measured m = hold_to_bounds(life, world, 0);
      if (m.to_fail) quickest = std::min(quickest, *m.to_fail);
      if (m.to_fail) slowest = std::max(slowest, *m.to_fail);
      if (m.to_pass) back_slowest = std::max(back_slowest, *m.to_pass);
    }
    const auto bounds = timing::of_check(plan);
    CHECK(quickest <= bounds.to_fail.best + plan.timeout / 2);
    CHECK(slowest >= bounds.to_fail.worst * 9 / 10);
    CHECK(back_slowest >= bounds.to_pass.worst * 8 / 10);
    ++family;
  }
}
