// See lives.hpp.
#include "simulation/lives.hpp"

#include <algorithm>

#include "core/timing.hpp"

namespace vital::sim {

using namespace std::chrono_literals;

namespace {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  std::uint64_t upto(std::uint64_t n) { return random_() % n; }  // 0..n-1
  bool one_in(std::uint64_t n) { return upto(n) == 0; }
  Duration between(Duration a, Duration b) {
    return b <= a ? a : a + Duration(static_cast<Duration::rep>(upto(static_cast<std::uint64_t>((b - a).count()) + 1)));
  }

 private:
  std::mt19937_64 random_;
};

CheckPlan random_check(Dice& dice, std::size_t index) {
  CheckPlan c;
  c.name = "check-" + std::to_string(index) + "-" + std::to_string(dice.upto(1000));
  c.interval = dice.between(300ms, 3s);
  c.timeout = dice.between(c.interval / 10, c.interval);
  c.retries = static_cast<unsigned>(dice.upto(3));
  c.retry_delay = dice.between(0ms, c.timeout / 2);
  c.edge_interval = dice.one_in(3) ? c.interval : dice.between(c.interval / 5, c.interval);
  c.rise = 1 + static_cast<unsigned>(dice.upto(3));
  c.fall = 1 + static_cast<unsigned>(dice.upto(3));
  if (dice.one_in(4)) {
    const auto m = 1 + static_cast<unsigned>(dice.upto(6));
    c.fall_window.emplace(1 + static_cast<unsigned>(dice.upto(m)), m);
  }
  c.max_age = 3 * c.interval + c.timeout;
  if (dice.one_in(3)) c.flap.half_life = 10 * c.interval;
  c.fingerprint = 1;
  return c;
}

Life random_life(Dice& dice, std::uint64_t seed, std::size_t checks) {
  Life life;
  life.seed = seed;
  life.plan.node = "sim";
  ServicePlan service;
  service.name = "web";
  service.startup_timeout = 60s;
  service.rule.kind = dice.one_in(3) ? Rule::Kind::any : dice.one_in(2) ? Rule::Kind::quorum : Rule::Kind::all;
  service.fails_on_shared = dice.one_in(4);
  for (std::size_t i = 0; i < checks; ++i) {
    CheckPlan c = random_check(dice, i);
    c.is_critical = !dice.one_in(6);
    c.scope = dice.one_in(6) ? Scope::shared : Scope::local;
    life.plan.checks.push_back(c);
    Rule leaf;
    leaf.kind = Rule::Kind::check;
    leaf.target = static_cast<std::uint32_t>(i);
    service.rule.members.push_back(leaf);
    TargetScript t;
    t.answers_in = dice.between(0ms, c.timeout / 5);
    life.targets.push_back(t);
  }
  if (service.rule.kind == Rule::Kind::quorum) service.rule.need = 1 + static_cast<unsigned>(dice.upto(checks));
  life.plan.services.push_back(service);
  life.end = World::zero() + 10s;
  return life;
}

void add_fault(Dice& dice, Life& life, std::size_t i, Instant from, bool may_be_short) {
  const CheckPlan& c = life.plan.checks[i];
  const auto bounds = timing::of_check(c);
  TargetScript& t = life.targets[i];
  t.fault_from = from;
  t.fault = std::vector{Health::refuses, Health::hangs, Health::fails_slowly}[dice.upto(3)];
  t.cuts_in_flight = dice.one_in(2);
  const Duration whole = bounds.to_fail.worst + c.interval;
  t.fault_to =
      from + (may_be_short && dice.one_in(2) ? dice.between(1ms, whole) : whole + dice.between(0ms, c.interval));
  life.end = std::max(life.end, t.fault_to + bounds.to_pass.worst + bounds.flap_hold + 2 * c.interval);
}

Duration settle_time(const CheckPlan& c) { return 1s + 4 * c.interval; }

Trouble random_trouble(Dice& dice, Instant at, Duration longest) {
  using Kind = Trouble::Kind;
  Trouble t;
  t.at = at;
  t.kind = std::vector{Kind::stall,       Kind::stall,     Kind::full_pool, Kind::late_worker,
                       Kind::dead_worker, Kind::throttled, Kind::wall_jump, Kind::sleep,
                       Kind::restart,     Kind::reload,    Kind::run_now,   Kind::noise}[dice.upto(12)];
  // Short ones are as interesting as long ones: the exponent is what is drawn.
  t.how_long = dice.between(1ms, longest) / (1 << dice.upto(8));
  t.how_long = std::max<Duration>(t.how_long, 1ms);
  return t;
}

}  // namespace

Life clean_life(std::uint64_t seed) {
  Dice dice(seed);
  Life life = random_life(dice, seed, 1 + dice.upto(2));
  life.jitter = dice.one_in(2) ? 0ms : 2ms;
  for (std::size_t i = 0; i < life.targets.size(); ++i) {
    const CheckPlan& c = life.plan.checks[i];
    add_fault(dice, life, i, World::zero() + settle_time(c) + dice.between(0ms, c.interval), true);
  }
  return life;
}

Life common_fault_life(std::uint64_t seed) {
  Dice dice(seed);
  Life life = random_life(dice, seed, 1 + dice.upto(3));
  Duration settled{};
  Instant last{};
  for (const CheckPlan& c : life.plan.checks) settled = std::max(settled, settle_time(c));
  const Instant from = World::zero() + settled + dice.between(0ms, 1s);
  for (std::size_t i = 0; i < life.targets.size(); ++i) {
    add_fault(dice, life, i, from, false);
    last = std::max(last, life.targets[i].fault_to);
  }
  for (TargetScript& t : life.targets) t.fault_to = last;
  for (const CheckPlan& c : life.plan.checks) {
    const auto bounds = timing::of_check(c);
    life.end = std::max(life.end, last + bounds.to_pass.worst + bounds.flap_hold + 2 * c.interval);
  }
  return life;
}

Life troubled_life(std::uint64_t seed) {
  Dice dice(seed);
  Life life = random_life(dice, seed, dice.one_in(8) ? 10 : 1 + dice.upto(2));
  life.jitter = 2ms;
  life.end = World::zero() + 12s;
  Instant at = World::zero() + dice.between(0ms, 2s);
  while (at < life.end) {
    life.troubles.push_back(random_trouble(dice, at, 20s));
    const Trouble& t = life.troubles.back();
    const bool takes_time = t.kind == Trouble::Kind::stall || t.kind == Trouble::Kind::restart;
    at += dice.between(10ms, 3s) + (takes_time && dice.one_in(2) ? t.how_long : Duration::zero());
    if (takes_time) life.end += t.how_long / 2;
  }
  return life;
}

Life mixed_life(std::uint64_t seed) {
  Dice dice(seed);
  Life life = random_life(dice, seed, 1 + dice.upto(2));
  life.jitter = 2ms;
  Instant at = World::zero() + 2s, over = at;
  for (std::uint64_t i = 0; i < 2 + dice.upto(4); ++i) {
    life.troubles.push_back(random_trouble(dice, at, 5s));
    over = std::max(over, at + life.troubles.back().how_long);
    at += dice.between(10ms, 3s);
  }
  over = std::max(over, at);
  for (std::size_t i = 0; i < life.targets.size(); ++i) {
    const CheckPlan& c = life.plan.checks[i];
    const auto bounds = timing::of_check(c);
    add_fault(dice, life, i, World::zero() + dice.between(3s, 8s), false);
    TargetScript& t = life.targets[i];
    t.fault_to = std::max(t.fault_to, over + bounds.to_fail.worst + 2 * c.interval + 1s);
    life.end = std::max(life.end, t.fault_to + bounds.to_pass.worst + bounds.flap_hold + 2 * c.interval + 1s);
  }
  return life;
}

Life profile_life(std::uint64_t seed, const CheckPlan& profile) {
  Dice dice(seed);
  Life life;
  life.seed = seed;
  CheckPlan c = profile;
  c.name = "check-" + std::to_string(dice.upto(100000));
  c.max_age = 3 * c.interval + c.timeout;
  life.plan.checks = {c};
  ServicePlan service;
  service.name = "web";
  service.startup_timeout = 60s;
  service.rule.kind = Rule::Kind::all;
  Rule leaf;
  leaf.kind = Rule::Kind::check;
  service.rule.members = {leaf};
  life.plan.services = {service};
  TargetScript t;
  t.answers_in = dice.one_in(2) ? dice.between(0ms, 5ms) : dice.between(c.timeout * 8 / 10, c.timeout - 1ms);
  life.targets = {t};
  add_fault(dice, life, 0, World::zero() + settle_time(c) + dice.between(0ms, c.interval), false);
  return life;
}

}  // namespace vital::sim
