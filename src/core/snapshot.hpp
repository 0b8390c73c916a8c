// Snapshot: everything the world may read, at one moment, immutable. The engine makes one whenever something changed;
// views are rendered from it and nothing else. Past valid_until whoever reads it must say that it is stale. Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "core/plan.hpp"
#include "core/result.hpp"

namespace vital {

// What an operator laid over a node or a service. The worst one wins: maintenance > drain > none.
enum class OverlayKind : std::uint8_t { none, drain, maintenance };
constexpr std::string_view name(OverlayKind k) {
  switch (k) {
    case OverlayKind::none:
      return "none";
    case OverlayKind::drain:
      return "drain";
    case OverlayKind::maintenance:
      return "maintenance";
  }
  return "none";
}

struct Overlay {
  OverlayKind kind = OverlayKind::none;
  std::string service;  // empty = the whole node
  std::string reason;
  std::string owner;
  WallTime since{};
  std::optional<WallTime> until;  // empty = forever
  std::string source;             // the spool file it comes from; empty = an operator's request

  bool operator==(const Overlay&) const = default;
};

// How far a check is toward another state: 2 of 3 bad results seen.
struct PendingChange {
  State to = State::pass;
  unsigned seen = 0;
  unsigned needed = 0;
};

struct CheckView {
  State state = State::pending;
  bool is_flapping = false;
  WallTime since{};                 // of the state
  unsigned streak = 0;              // equal outcomes in a row, the last one included
  std::optional<ProbeResult> last;  // the last result, unknown ones included
  std::optional<Instant> last_at;   // when it came
  WallTime last_wall{};
  std::optional<Instant> evidence_at;  // the last result that was evidence (not unknown)
  std::string history;                 // up to 64 outcomes, oldest first: '.' pass 'w' warn 'F' fail '?' unknown
  std::optional<PendingChange> pending_change;
  std::optional<CheckId> suppressed_by;  // the failed dependency that explains this failure
  std::optional<Instant> next_due;
  std::optional<Instant> running_since;  // a probe is in flight
  bool is_unproven = false;  // the evidence is older than max_age, though nobody could look since: counts as unknown
};

struct ServiceView {
  State state = State::pending;    // by its rule, before overlays
  Verdict answer = Verdict::fail;  // what consumers are told: pass, warn or fail; overlays included
  OverlayKind overlay = OverlayKind::none;
  WallTime since{};
  std::string reason;           // one line, first cause first: "db: fail/timeout: no answer in 5s"; empty on pass
  std::vector<CheckId> causes;  // the checks that make it worse than pass, root cause first
  std::optional<Instant> oldest_evidence;  // of the checks that count; empty = none yet
  unsigned weight = 100;                   // 0..100, for balancers
  unsigned score = 100;                    // 0..100: how much of its rule passes, a warn counts half
  bool is_withheld = false;                // would fail, but the ejection budget is spent
  bool is_held_down = false;               // would answer better, but it fell too often lately
  std::uint64_t withheld = 0;              // how often a fall was withheld since start
};

// Counters of the core since start; only ever grow.
struct CoreCounters {
  std::uint64_t late_results = 0;
  std::uint64_t duplicate_results = 0;
  std::uint64_t unknown_ids = 0;
  std::uint64_t discounted_timeouts = 0;  // our own starvation, not the target's
  std::uint64_t skipped_cycles = 0;       // planned starts that passed while one was in flight or we slept
  std::uint64_t withheld_ejections = 0;
  std::uint64_t stalls = 0;  // the agent itself stood still: stopped, suspended, starved
};

struct Snapshot {
  std::uint64_t seq = 0;
  Instant made_at{};
  WallTime made_wall{};
  Instant valid_until{};
  std::shared_ptr<const Plan> plan;
  std::vector<CheckView> checks;      // as plan->checks
  std::vector<ServiceView> services;  // as plan->services
  ServiceView node;                   // the worst of its services
  std::vector<Overlay> overlays;
  CoreCounters counters;
  bool is_stopping = false;

  const CheckView& at(CheckId id) const { return checks.at(id.value); }
  const ServiceView& at(ServiceId id) const { return services.at(id.value); }
};

}  // namespace vital
