// See availability.hpp.
#include "core/availability.hpp"

#include <algorithm>
#include <string_view>

namespace vital {

Availability availability(const Timeline& line, WallTime from, WallTime to) {
  std::vector<WallTime> moments{from, to};
  const auto mark = [&](WallTime t) {
    if (t > from && t < to) moments.push_back(t);
  };
  for (const auto& [at, what] : line.said) mark(at);
  for (const auto* stretches : {&line.away, &line.planned}) {
    for (const auto& [begin, end] : *stretches) {
      mark(begin);
      mark(end);
    }
  }
  std::sort(moments.begin(), moments.end());

  const auto is_within = [](const std::vector<Stretch>& stretches, WallTime t) {
    return std::any_of(stretches.begin(), stretches.end(),
                       [&](const Stretch& s) { return s.first <= t && t < s.second; });
  };
  Availability out;
  std::size_t next = 0;
  std::string_view said;
  for (std::size_t i = 0; i + 1 < moments.size(); ++i) {
    const WallTime begin = moments[i];
    const Duration how_long = moments[i + 1] - begin;
    while (next < line.said.size() && line.said[next].first <= begin) said = line.said[next++].second;
    if (is_within(line.planned, begin)) {
      out.planned += how_long;
    } else if (is_within(line.away, begin)) {
      out.unknown += how_long;
    } else if (said == "pass" || said == "warn") {
      out.up += how_long;
    } else if (said == "fail") {
      out.down += how_long;
    } else {
      out.unknown += how_long;
    }
  }
  return out;
}

}  // namespace vital
