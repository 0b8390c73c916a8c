// ProbeCycle: when one check is probed. A cycle is one planned look: an attempt, and after a failed one retries with a
// jittered wait, as far as they fit before the next interval; its last attempt is its outcome. One probe in flight,
// ever.
//
//   idle --due--> running --failed, retry fits--> waiting --jitter over--> running --> idle, next planned start
//
// Pure; the engine owns one for each active check and performs what it says.
#pragma once

#include <cstdint>
#include <optional>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "core/plan.hpp"
#include "core/result.hpp"

namespace vital {

// The probe in flight.
struct Flight {
  ProbeId id;
  std::uint32_t attempt = 0;
  Instant started{};
  Instant deadline{};
  Duration worker_lag{};      // what its worker lost meanwhile, as far as we were told
  Duration loop_late_then{};  // how late the loop had been by its start, all told
  Duration throttled_then{};  // and for how long our control group had been throttled
  Duration queue_delay{};     // known once a worker took it
  bool is_queued = false;     // no worker has taken it yet
};

class ProbeCycle {
 public:
  // `seed` is the node's own, so that two nodes with the same config do not retry in step.
  ProbeCycle(const CheckPlan& plan, std::uint64_t seed, Instant first_due);

  void replan(const CheckPlan& plan);

  Instant due() const { return due_; }
  const std::optional<Flight>& flight() const { return flight_; }
  Flight* flight() { return flight_ ? &*flight_ : nullptr; }
  bool is_idle() const { return !flight_ && !retry_at_; }
  std::uint32_t attempt() const { return attempt_; }  // of the cycle that runs or ran last, from 0

  // What comes next by itself: the deadline, the retry, or the due time.
  Instant wake() const;

  // Idle and due: begins a cycle. Counts planned starts that passed unused into `skipped`.
  Flight begin(Instant now, ProbeId id, std::uint64_t* skipped);
  // A wish from outside: begins a cycle now, which leaves the planned ones where they are.
  Flight begin_unplanned(Instant now, ProbeId id);
  // Whether a look now would be no nearer to the last one than the plan allows while a change is pending.
  bool may_look_early(Instant now) const { return is_idle() && now >= begun_ + edge(); }
  // The wait before a retry is over.
  Flight begin_retry(Instant now, ProbeId id);

  // The attempt ended. True if a retry will follow; else the cycle is over and finish() must come.
  bool retries_after(Instant now, const ProbeResult& result, bool discounted);
  // The cycle's outcome is in: plans the next one.
  void finish(Instant now, bool change_is_pending);

  // Idle: the planned start is this one now.
  void postpone(Instant due) { due_ = due; }

  // Gives up whatever runs; the caller abandons the probe. The next look comes as first looks do.
  void restart(Instant now);

 private:
  Flight start(Instant now, ProbeId id);
  Duration edge() const;
  Duration nearest() const;  // two planned starts are never nearer than this

  std::uint64_t hash_ = 0, seed_ = 0;
  Duration interval_{}, timeout_{}, retry_delay_{}, edge_interval_{};
  unsigned retries_ = 0;

  Instant due_{};        // planned start of the next cycle
  Instant planned_{};    // planned start of the one that runs, or ran last
  Instant begun_{};      // the start of the last cycle, planned or not
  Instant cycle_end_{};  // retries end by then
  std::uint64_t cycle_ = 0;
  std::uint32_t attempt_ = 0;
  bool is_unplanned_ = false;
  std::optional<Flight> flight_;
  std::optional<Instant> retry_at_;
};

}  // namespace vital
