// See schedule.hpp.
#include "core/schedule.hpp"

#include <algorithm>

namespace vital::schedule {

namespace {

// splitmix64's finisher: spreads neighbouring inputs over the whole word.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

Duration place_in(std::uint64_t name_hash, Duration span) {
  if (span <= Duration::zero()) return Duration::zero();
  return Duration(static_cast<Duration::rep>(mix(name_hash) % static_cast<std::uint64_t>(span.count())));
}

// The first grid point after t. The grid is laid on the clock's own zero, so a restart finds the same one.
Instant next_on_grid(std::uint64_t name_hash, Instant t, Duration interval) {
  const Duration since_point = (t.time_since_epoch() - place_in(name_hash, interval)) % interval;
  const Duration past = since_point < Duration::zero() ? since_point + interval : since_point;
  return t + (interval - past);
}

}  // namespace

Instant first_look(std::uint64_t name_hash, Instant from, Duration interval) {
  return from + place_in(name_hash, std::min<Duration>(interval, std::chrono::seconds(1)));
}

Instant next_planned(std::uint64_t name_hash, Instant planned, Duration interval, Duration edge_interval,
                     bool change_is_pending) {
  if (interval <= Duration::zero()) interval = std::chrono::seconds(1);
  const Duration edge = edge_interval > Duration::zero() ? std::min(edge_interval, interval) : interval;
  if (change_is_pending) return planned + edge;
  const Instant point = next_on_grid(name_hash, planned, interval);
  return std::max(point, planned + std::min(edge, interval / 2));
}

Duration full_jitter(std::uint64_t name_hash, std::uint64_t cycle, std::uint32_t attempt, Duration bound) {
  if (bound <= Duration::zero()) return Duration::zero();
  const std::uint64_t draw = mix(mix(name_hash ^ mix(cycle)) + attempt);
  return Duration(static_cast<Duration::rep>(draw % (static_cast<std::uint64_t>(bound.count()) + 1)));
}

std::uint64_t missed(Instant planned, Instant now, Duration interval) {
  if (now <= planned || interval <= Duration::zero()) return 0;
  return static_cast<std::uint64_t>((now - planned) / interval);
}

}  // namespace vital::schedule
