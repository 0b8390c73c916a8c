// Availability: of a stretch of time, how much something was up, down, deliberately out, or unknown because nobody
// looked. Pure.
//
//   Timeline line;                                    // what was shown from when on
//   line.said = {{t0, "pass"}, {t1, "fail"}, {t2, "pass"}};
//   line.away = {{t3, t4}};                           // the agent did not run
//   const Availability a = availability(line, now - 24h, now);
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/time.hpp"

namespace vital {

using Stretch = std::pair<WallTime, WallTime>;  // from, to

struct Timeline {
  // "pass" and "warn" are up, "fail" is down, anything else is not known. In order of time.
  std::vector<std::pair<WallTime, std::string>> said;
  std::vector<Stretch> away;     // nobody looked
  std::vector<Stretch> planned;  // drain or maintenance: neither up nor down
};

struct Availability {
  Duration up{}, down{}, planned{}, unknown{};
  // Up, of the time that is known and not planned; 1 where there is none.
  double share() const {
    const double known = seconds(up) + seconds(down);
    return known > 0 ? seconds(up) / known : 1.0;
  }
};

Availability availability(const Timeline& line, WallTime from, WallTime to);

}  // namespace vital
