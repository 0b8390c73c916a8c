// Fuzz target: what a command prints, as a Nagios plugin and as a plugin that stays. Whatever it is, what is read of it
// keeps its bounds, and a range that is accepted answers for every number.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "lines/answer.hpp"
#include "nagios_output.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vital;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto output = check::nagios::parse_output(bytes);
  if (output.measures.size() > 64 || output.ranges.size() > 16 || output.long_output.size() > 500) std::abort();
  check::nagios::judge(size > 0 ? data[0] % 8 : 0, output);

  if (const auto range = check::nagios::parse_range(bytes)) {
    if (std::isnan(range->low) || range->low > range->high) std::abort();
    check::nagios::Range other = *range;
    other.alerts_inside = !other.alerts_inside;
    for (const double value : {-1e300, -1.0, 0.0, range->low, range->high, 1e300}) {
      if (range->alerts(value) == other.alerts(value)) std::abort();
    }
  }

  std::string problem;
  const auto answer = lines::parse_answer(bytes, problem);
  if (answer.has_value() != problem.empty()) std::abort();
  if (answer && (answer->result.measures.size() > 64 || answer->result.facts.size() > 64)) std::abort();
  return 0;
}
