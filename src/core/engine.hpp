// Engine: the pure heart. It is fed inputs with the time they happened and answers with effects for the agent to
// perform. It reads no clock, opens nothing, logs nothing. One thread (the agent's loop) owns it.
//
//   Engine engine(plan, now);
//   Step step = engine.apply(now, ProbeDone{id, result});
//   for (const Effect& e : step.effects) perform(e);
//   timer.arm(step.wake_at);             // then apply(now, Tick{})
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "core/plan.hpp"
#include "core/result.hpp"
#include "core/saved.hpp"
#include "core/snapshot.hpp"

namespace vital {

// ---- inputs
// ----------------------------------------------------------------------------------------------------------

// The passing of time, after all that was waiting: only this passes deadlines. Also shows how late the loop is.
struct Tick {};

struct ProbeDone {
  ProbeId id;
  ProbeResult result;
};

// A reload: checks of the same name and fingerprint keep state, counters, phase and the probe in flight.
struct PlanChanged {
  std::shared_ptr<const Plan> plan;
};

// Probe this check now (an operator asked). Ignored while one is in flight: its result will do.
struct RunNow {
  CheckId check;
};

// Somebody reported for a passive check; in a replay, what a probe of any check found once.
struct Report {
  CheckId check;
  ProbeResult result;
  Duration found_ago{};    // it was found this long before now
  bool is_outcome = true;  // replay only: false if a retry followed
};

// No worker was free for this probe; it waits. Until ProbeTaken a deadline proves nothing about the target.
struct ProbeQueued {
  ProbeId id;
};

// A worker took a probe that had to wait.
struct ProbeTaken {
  ProbeId id;
};

// The worker that runs this probe stood still or was kept from running for this long: that time was lost by us, not by
// the target.
struct ProbeDelayed {
  ProbeId id;
  Duration lost{};
};

// The host slept this long and the monotonic clock did not count it (CLOCK_BOOTTIME moved further than it did).
struct Slept {
  Duration how_long{};
  Duration stalled{};  // replay only: not the host slept but our own loop stood still
};

// How hard CPUs are fought for, whenever it is read: the host's pressure in percent (PSI "some avg10"), and for how
// long our own control group was held back by its CPU quota, all told.
struct Pressure {
  double cpu = 0;
  Duration throttled{};
  bool operator==(const Pressure&) const = default;
};

struct SetOverlay {
  Overlay overlay;
};
struct ClearOverlay {
  std::string service;      // empty = the node's
  std::string source = {};  // as Overlay::source: each ends its own
};

// SIGTERM came: show drain from now on.
struct Stop {};

using Input = std::variant<Tick, ProbeDone, PlanChanged, RunNow, Report, SetOverlay, ClearOverlay, Stop, ProbeQueued,
                           ProbeTaken, ProbeDelayed, Slept, Pressure>;

// ---- effects
// ---------------------------------------------------------------------------------------------------------

struct StartProbe {
  ProbeId id;
  CheckId check;
  std::uint32_t attempt = 0;
  Instant deadline;  // the core has its verdict then, in every case
};

// Give this probe up and reclaim what it holds; its result is not wanted any more.
struct AbandonProbe {
  ProbeId id;
  CheckId check;
};

struct Publish {
  std::shared_ptr<const Snapshot> snapshot;
};

// An event worth a line in the log and the journal: "check_state check=db from=pass to=fail cause=timeout".
struct Note {
  enum class Level : std::uint8_t { info, warning, error };
  Level level = Level::info;
  std::string event;
  std::vector<std::pair<std::string, std::string>> fields;
};

// An attempt ended, as judged: retries, our own timeouts and reports of passive checks included. For counting and for
// the journal: fed back as Reports these give the same states again. The core needs no answer.
struct ProbeEnded {
  CheckId check;
  ProbeResult result;
  std::uint32_t attempt = 0;   // 0 is the first of its cycle
  bool is_outcome = true;      // false: a retry follows
  bool is_discounted = false;  // a timeout taken back: our own trouble
  Duration found_ago{};        // it was found this long before now
};

using Effect = std::variant<StartProbe, AbandonProbe, Publish, Note, ProbeEnded>;

struct Step {
  std::vector<Effect> effects;
  Instant wake_at;      // apply a Tick no later than this; never more than a second ahead
  Instant valid_until;  // what is published may be believed until then; past it the front answers for itself
};

class Engine {
 public:
  // The first apply(now, Tick{}) plans the first probes.
  Engine(std::shared_ptr<const Plan> plan, Now now);
  // A warm restart: goes on from what save() gave, `elapsed` ago. What is older than its max_age keeps its state but
  // counts as unknown until a fresh look.
  Engine(std::shared_ptr<const Plan> plan, Now now, const SavedState& saved, Duration elapsed);
  // Probes nothing: every check's outcomes come as Reports, as they were recorded once. See replay.hpp.
  static Engine for_replay(std::shared_ptr<const Plan> plan, Now now);
  // The same, going on from a saved state. `is_restart`: the agent itself was away (nothing turns stale before a fresh
  // look); else the state was only looked at in passing.
  static Engine for_replay(std::shared_ptr<const Plan> plan, Now now, const SavedState& saved, Duration elapsed,
                           bool is_restart);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  Step apply(Now now, const Input& input);

  // The newest snapshot, never null.
  std::shared_ptr<const Snapshot> snapshot() const;

  // What a restart must not forget, as of `now`.
  SavedState save(Now now) const;

 private:
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vital
