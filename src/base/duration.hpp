// Durations as people write them: 250ms, 5s, 10m, 1h, 2d. One number and one unit; a bare number is refused, since
// nobody remembers which unit it was. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace vital {

// Units us, ms, s, m, h, d; a fraction is allowed ("1.5s"). Empty for anything else, negatives and overflow included.
std::optional<Duration> parse_duration(std::string_view text);

// The shortest exact way to write it: 250ms, 5s, 1h; 1500ms rather than 1.5s. "0s" for zero.
std::string format_duration(Duration d);

// For people, rounded to two units at most: "1h 5m", "2.3s", "840ms".
std::string friendly_duration(Duration d);

// RFC 3339 in UTC with milliseconds: 2026-11-21T10:03:00.123Z.
std::string format_wall(WallTime t);

// ISO 8601's basic form, whole seconds, for names and ids: 20261121T100300Z.
std::string compact_wall(WallTime t);

// The inverse of format_wall; fraction optional, only "Z". Empty if malformed.
std::optional<WallTime> parse_wall(std::string_view text);

}  // namespace vital
