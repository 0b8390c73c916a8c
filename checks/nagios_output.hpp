// What a Nagios plugin says, read: the first line, the performance data of all lines, and the exit code's meaning.
// Pure functions on bounded text; used by exec and ocf. Format: Monitoring Plugins Development Guidelines, "Plugin
// Output for Nagios" and "Performance data".
#pragma once

#include <string>
#include <string_view>
#include <vector>
#include <vitald/check.hpp>

namespace vital::check::nagios {

struct Output {
  std::string first_line;  // without the performance data
  std::vector<Measure> measures;
};

// At most 64 measures; what cannot be read is skipped. Seconds and bytes are normalised (ms -> s, KB -> B).
Output parse_output(std::string_view text);

// One threshold range ("10", "10:", "~:10", "5:10", "@5:10") as the number a reader would draw as a line: its upper
// end, or its lower end if there is no upper. NaN if there is neither.
double threshold(std::string_view range);

// 0 pass, 1 warn, 2 fail, 3 unknown; anything else is unknown too, and says so.
Result judge(int exit_code, const Output& output);

}  // namespace vital::check::nagios
