// World: one seeded life of the real engine in virtual time. Targets follow a script of health and faults; the agent
// around the engine follows one of stalls, sleeps, full pools, late workers, restarts and jumping clocks. The world
// knows the truth (what a target did and when it was really looked at) and holds the engine to it at every step:
//
//   - never two probes of one check in flight, never looks nearer than the plan allows, no burst after a stall
//   - a probe has its verdict at its deadline
//   - nothing is answered as pass or warn that was last looked at longer than max_age ago
//   - while a target is well, its check never says fail, whatever happens to the agent
//
// A broken promise throws Broken, with the seed and the moment.
#pragma once

#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/engine.hpp"

namespace vital::sim {

struct Broken : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What a target does from some moment on.
enum class Health { well, refuses, hangs, fails_slowly };

struct TargetScript {
  Duration answers_in{};             // when well
  Instant fault_from{}, fault_to{};  // empty if equal
  Health fault = Health::refuses;
  bool cuts_in_flight = true;  // a probe in flight when the fault strikes fails then and there
};

struct Trouble {
  enum class Kind {
    stall,
    full_pool,
    late_worker,
    dead_worker,
    throttled,
    wall_jump,
    sleep,
    restart,
    reload,
    run_now,
    noise
  };
  Kind kind = Kind::stall;
  Instant at{};
  Duration how_long{};
};

struct Life {
  std::uint64_t seed = 0;
  Plan plan;
  std::vector<TargetScript> targets;  // as plan.checks
  std::vector<Trouble> troubles;      // in order of time
  Duration jitter{};                  // how late the loop usually is, at most
  Instant end{};
};

class World {
 public:
  explicit World(Life life);

  void run();

  // What was seen of a check or a service: when its state or answer became what.
  struct Seen {
    Instant at{};
    State state = State::pending;
    bool is_settled = false;  // at that moment no change was pending
  };
  const std::vector<Seen>& check(std::size_t i) const { return checks_[i].seen; }
  const std::vector<Seen>& service(std::size_t i) const { return services_seen_[i]; }  // fail/pass/warn by answer
  // Whether the check stood still, well and undecided about nothing, when its fault struck; or failed when it ended.
  bool was_settled_at_fault(std::size_t i) const { return checks_[i].settled_at_fault; }
  bool was_settled_at_end(std::size_t i) const { return checks_[i].settled_at_end; }
  std::size_t steps() const { return steps_; }
  std::size_t probes() const { return starts_.size(); }

  static Instant zero() { return Instant(std::chrono::seconds(1'000'000)); }

 private:
  enum class What { reply, trouble, unqueue, worker_lags, worker_died, fault_begins, fault_ends };
  struct Event {
    Instant at;
    std::uint64_t order;
    What what;
    std::uint64_t id = 0;  // probe, or index of the trouble or target
    Instant found{};       // replies: when the target really answered
    std::optional<ProbeResult> result{};
    bool operator<(const Event& o) const { return at != o.at ? at > o.at : order > o.order; }
  };
  struct Probe {
    ProbeId id;
    Instant started, deadline;
    bool is_queued = false;
  };
  struct Check {
    std::vector<Seen> seen;
    std::optional<Probe> flying;
    std::optional<Instant> looked_at;   // the newest evidence that reached the engine, by the target's own clock
    std::optional<Instant> last_cycle;  // start of the last first attempt
    bool settled_at_fault = false, settled_at_end = false;
  };
  struct Start {
    Instant at;
    std::uint32_t check;
  };

  void push(Event e);
  void go_to(Instant when);
  void give(const Input& in);
  void look_at_host();
  void step(const Input& in);
  void perform(const Effect& e);
  void trace(const Effect& e) const;
  void launch(const StartProbe& s);
  void answer_from(std::uint32_t check, Instant begun, const Probe& probe);
  void handle(const Event& e);
  void meet(const Trouble& t);
  std::vector<Event> forget_replies(Instant before);
  void look_at(const Snapshot& s);
  void check_no_stale_pass(const Snapshot& s, Instant at) const;
  void check_burst_after(Instant resumed);
  bool is_well(std::uint32_t check, Instant at) const;
  [[noreturn]] void broken(const std::string& what) const;
  Duration some_jitter();
  std::uint64_t draw(std::uint64_t n) { return random_() % n; }

  Life life_;
  std::shared_ptr<const Plan> plan_;
  std::mt19937_64 random_;
  Now now_;
  Instant wake_at_{}, tick_at_{}, valid_until_{};
  std::unique_ptr<Engine> engine_;
  std::vector<Input> inbox_;
  std::priority_queue<Event> events_;
  std::uint64_t order_ = 0;
  std::vector<Check> checks_;
  std::vector<std::vector<Seen>> services_seen_;
  std::vector<Start> starts_;
  std::vector<Instant> resumed_;
  Instant quiet_from_{};  // spacing of looks is not checked before this (a restart looks at once)
  Instant blocked_until_{};
  Instant pool_full_until_{}, worker_late_until_{}, worker_dead_until_{};
  Instant throttled_from_{}, throttled_until_{};
  Duration throttled_before_{}, throttled_told_{};  // all told, before the one that lasts; and as the engine knows it
  std::size_t steps_ = 0;
  bool is_traced_ = false;
};

}  // namespace vital::sim
