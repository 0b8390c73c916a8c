// What a Nagios plugin says, read: the first line, the long output, the performance data of all lines with their
// ranges, and the exit code's meaning. Pure functions on bounded text; used by exec and ocf. Format: Monitoring Plugins
// Development Guidelines, "Plugin Output for Nagios", "Performance data" and "Threshold and Ranges".
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
#include <vitald/check.hpp>

namespace vital::check::nagios {

// A threshold: which values alert. "10" alerts outside 0 to 10, "10:" below 10, "~:10" above 10, "10:20" outside 10 to
// 20, "@10:20" inside it, ends included.
struct Range {
  double low = 0;
  double high = std::numeric_limits<double>::infinity();
  bool alerts_inside = false;
  bool alerts(double value) const {
    const bool is_inside = value >= low && value <= high;
    return is_inside == alerts_inside;
  }
  // The end a reader would draw as a line: the upper one, or the lower if there is no upper; of an inverted range the
  // end at which the alert begins when values grow. NaN if it has no end.
  double line() const;
  // More than "above this number": one number alone would not say what it means.
  bool is_plain() const { return low == 0 && !alerts_inside && high < std::numeric_limits<double>::infinity(); }
};

// Empty if it is no range, which an empty text is not either.
std::optional<Range> parse_range(std::string_view text);

struct Output {
  std::string first_line;   // without the performance data
  std::string long_output;  // the lines after it, joined by "; ", at most 500 bytes
  std::vector<Measure> measures;
  // Ranges that are not plain, as the plugin wrote them: {"warn_range.time", "@5:10"}. At most 16.
  std::vector<std::pair<std::string, std::string>> ranges;
};

// At most 64 measures; what cannot be read is skipped. Seconds and bytes are normalised (ms -> s, KB -> B).
Output parse_output(std::string_view text);

// 0 pass, 1 warn, 2 fail, 3 unknown; anything else is unknown too, and says so.
Result judge(int exit_code, const Output& output);

}  // namespace vital::check::nagios
