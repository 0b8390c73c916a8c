// An agent with one policy, its own checks and a store that says what the test wants, a second at a time.
#pragma once

#include "core/failover/cases.hpp"
#include "core/failover/policies.hpp"

namespace vital::failover::test {

inline constexpr CheckId one{0}, two{1}, in{2};

struct Agent {
  FailoverWatch watch{{"main", {{"one", one, 30s}, {"two", two, 30s}}, in, 10s}};
  bool is_led_there = true;  // what the endpoint's check finds
  Policies policies{"web1"};
  Now now{Instant{} + 1000s, WallTime{} + std::chrono::hours(24 * 365 * 56)};
  ClusterSeen store;
  std::vector<Effect> effects;

  explicit Agent(FailoverPolicyPlan p = plan(), std::string_view saved = {}) {
    policies.adopt(now, {std::move(p)}, saved);
    store.health = StoreHealth::ok;
  }
  void take(std::vector<Effect> more) {
    for (Effect& e : more) effects.push_back(std::move(e));
  }
  ProbeResult says(const char* role) const {
    ProbeResult r;
    r.verdict = role != nullptr ? Verdict::pass : Verdict::fail;
    r.cause = role != nullptr ? Cause::none : Cause::refused;
    if (role != nullptr) r.facts = {{"role", role}, {"lsn", "0/3000060"}};
    r.measures = {{"lag", 0.1, "s", 0, 0}};
    return r;
  }
  // So many seconds, with everybody looked at in each.
  void pass(int how_many, bool is_primary_up, bool do_others_see_it_down = true) {
    for (int i = 0; i < how_many; ++i) {
      now.mono += 1s;
      now.wall += std::chrono::seconds(1);
      (void)watch.observe(now, one, says(is_primary_up ? "primary" : nullptr));
      (void)watch.observe(now, two, says("standby"));
      (void)watch.observe(now, in, says(is_led_there && is_primary_up ? "primary" : nullptr));
      take(policies.saw(now, "main", sight_of(watch, now.mono)));
      store.at = now.mono;
      ++store.revision;
      store.votes.clear();
      if (do_others_see_it_down)
        store.votes = {{"web2", "", "main", "one", ServerRole::unknown, !is_primary_up, is_primary_up, 1s, ""}};
      take(policies.apply(now, store));
      take(policies.apply(now, Tick{}));
    }
  }
  // The store does as it is asked.
  void grant() { store.leases = {{"main", "web1", true, store.revision + 1, now.mono + 60s}}; }
  void write() {
    for (const Effect& e : effects) {
      if (const auto* w = std::get_if<WriteRecord>(&e)) store.record = {w->text, store.revision + 1};
    }
    effects.clear();
  }
  // The primary dies, the lease is given, and the recovery stands in the record.
  void go_on_to_register() {
    pass(70, true);
    pass(12, false);
    grant();
    effects.clear();
    pass(1, false);
    write();
  }
  // How the step that was asked for last ends.
  void answer(Outcome outcome, const std::string& text = "") {
    RunStep step;
    for (const Effect& e : std::exchange(effects, {})) {
      if (const auto* s = std::get_if<RunStep>(&e)) step = *s;
    }
    now.mono += 10ms;
    take(policies.apply(now, StepDone{step.recovery, step.step, step.attempt, step.verb, outcome, text}));
  }
  Record written() const {
    std::string text;
    for (const Effect& e : effects) {
      if (const auto* w = std::get_if<WriteRecord>(&e)) text = w->text;
    }
    return decode_record(text);
  }
  std::string why() const { return std::string(policies.find("main")->reason()); }
  // Ago, as the wall clock of an agent writes it down.
  std::int64_t ago(std::chrono::milliseconds how_long) const {
    return (now.wall - how_long).time_since_epoch().count();
  }
  std::size_t told(std::string_view event) const {
    std::size_t n = 0;
    for (const Effect& e : effects) {
      const auto* note = std::get_if<Note>(&e);
      n += note != nullptr && note->event == event ? 1 : 0;
    }
    return n;
  }
  State state() const { return policies.find("main")->state(); }
  template <typename T>
  std::size_t count() const {
    std::size_t n = 0;
    for (const Effect& e : effects) n += std::holds_alternative<T>(e) ? 1 : 0;
    return n;
  }
};

}  // namespace vital::failover::test
