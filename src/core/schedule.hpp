// When a check is looked at: everything derives from planned times, never from when something happened to run, so
// nothing drifts and nothing is made up for in a burst. Each check has its own place in the interval, a hash of its
// name: spread without chance, the same after a restart and on every reload. Pure functions of numbers.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/time.hpp"

namespace vital::schedule {

// The first look after a start, a resume or a long stall: within min(interval, 1s), at the name's place in it.
Instant first_look(std::uint64_t name_hash, Instant from, Duration interval);

// The planned start after `planned`. Steady: the name's place on the interval's grid. With a change pending: one edge
// interval later. Starts are never more than an interval apart, nor nearer than min(edge, interval / 2).
Instant next_planned(std::uint64_t name_hash, Instant planned, Duration interval, Duration edge_interval,
                     bool change_is_pending);

// A wait between 0 and `bound`, the same for the same check, cycle and attempt: full jitter without a random source.
Duration full_jitter(std::uint64_t name_hash, std::uint64_t cycle, std::uint32_t attempt, Duration bound);

// How many planned starts lie in (planned, now], were the cadence `interval`.
std::uint64_t missed(Instant planned, Instant now, Duration interval);

}  // namespace vital::schedule
