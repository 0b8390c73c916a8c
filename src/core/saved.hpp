// SavedState: what a restart must not forget, as plain values with ages instead of instants (a clock's zero does not
// survive). The file that carries it belongs to others. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "core/snapshot.hpp"
#include "core/verdict.hpp"

namespace vital {

struct SavedCheck {
  std::string name;
  std::uint64_t fingerprint = 0;  // of the CheckPlan it was judged by
  State state = State::pending;
  WallTime since{};
  unsigned hysteresis = 0;   // the integer
  std::uint64_t window = 0;  // the word of n-of-m
  unsigned streak = 0;
  std::string history;  // as CheckView::history
  Verdict last_good = Verdict::pass;
  double flap_penalty = 0;  // at the moment of saving
  bool is_flapping = false;
  std::optional<Duration> evidence_age;  // empty = no evidence ever
  std::optional<Duration> last_age;      // of the last result
  WallTime last_wall{};
  Verdict last_verdict = Verdict::unknown;
  Cause last_cause = Cause::agent;
  std::string last_text;
  Duration last_duration{};
};

struct SavedService {
  std::string name;
  State state = State::pending;
  Verdict answer = Verdict::fail;
  WallTime since{};
  bool has_started = false;               // had an answer of its own once
  bool is_ejected = false;                // answered fail because its rule failed
  std::optional<Duration> recovered_age;  // since it came back last
  std::optional<Duration> held_for;       // the rest of a hold-down
  std::vector<Duration> ejection_ages;    // within the budget's window, oldest first
};

struct SavedState {
  WallTime saved_at{};
  std::vector<SavedCheck> checks;
  std::vector<SavedService> services;
  std::vector<Overlay> overlays;      // their expiry is wall time already
  std::vector<std::string> failover;  // a line a topology that acts, as failover::Policies::save() gives them
};

}  // namespace vital
