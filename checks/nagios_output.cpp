// Reading Nagios plugin output; see nagios_output.hpp.
#include "nagios_output.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdlib>

namespace vital::check::nagios {
namespace {

constexpr size_t measure_bound = 64;
constexpr size_t range_bound = 16;
constexpr size_t long_output_bound = 500;
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::string_view space = " \t\r";

std::string_view trimmed(std::string_view text) {
  const size_t from = text.find_first_not_of(space);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(space) - from + 1);
}

// A number at the start of `text`, cut off it. A decimal comma is read too: plugins print one under some locales.
bool take_number(std::string_view& text, double& number) {
  std::string digits;
  size_t used = 0;
  for (const char c : text) {
    if (std::isdigit(static_cast<unsigned char>(c)) == 0 && c != '.' && c != ',' && c != '-' && c != '+' && c != 'e' &&
        c != 'E') {
      break;
    }
    digits += c == ',' ? '.' : c;
    ++used;
  }
  if (!digits.empty() && digits[0] == '+') digits.erase(0, 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{} || end != digits.data() + digits.size()) return false;
  text.remove_prefix(used);
  return true;
}

struct Unit {
  std::string_view written;
  std::string_view normal;
  double factor;
};
constexpr std::array<Unit, 9> units{{{"s", "s", 1},
                                     {"ms", "s", 1e-3},
                                     {"us", "s", 1e-6},
                                     {"%", "%", 1},
                                     {"B", "B", 1},
                                     {"KB", "B", 1e3},
                                     {"MB", "B", 1e6},
                                     {"GB", "B", 1e9},
                                     {"TB", "B", 1e12}}};

std::string_view field(std::string_view& rest) {
  const size_t end = rest.find(';');
  const std::string_view out = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  return out;
}

// The number of a range goes beside the value; a range that one number cannot say is kept in full, too.
void take_range(std::string_view text, std::string_view prefix, double factor, const Measure& measure, double& number,
                Output& out) {
  const auto range = parse_range(text);
  if (!range) return;
  number = range->line() * factor;
  if (range->is_plain() || out.ranges.size() >= range_bound) return;
  const bool is_scaled = factor < 1 || factor > 1;
  const auto unit = std::find_if(units.begin(), units.end(), [&](const Unit& u) {
    return u.normal == measure.unit && !(u.factor < factor) && !(u.factor > factor);
  });
  out.ranges.emplace_back(
      std::string(prefix) + measure.name,
      std::string(trimmed(text)) + (is_scaled && unit != units.end() ? " " + std::string(unit->written) : ""));
}

// 'label'=value[unit];[warn];[crit];[min];[max], separated by spaces; '' inside a quoted label is one quote.
void parse_performance(std::string_view text, Output& out) {
  while (out.measures.size() < measure_bound) {
    text = trimmed(text);
    if (text.empty()) return;
    std::string label;
    if (text[0] == '\'') {
      size_t i = 1;
      for (; i < text.size(); ++i) {
        if (text[i] != '\'') {
          label += text[i];
        } else if (i + 1 < text.size() && text[i + 1] == '\'') {
          label += text[++i];
        } else {
          break;
        }
      }
      if (i >= text.size()) return;
      text.remove_prefix(i + 1);
    } else {
      const size_t equals = text.find('=');
      if (equals == std::string_view::npos) return;
      if (const size_t blank = text.substr(0, equals).find_first_of(" \t'"); blank != std::string_view::npos) {
        text.remove_prefix(blank + 1);  // a word that is no label
        continue;
      }
      label = text.substr(0, equals);
      text.remove_prefix(equals);
    }
    if (text.empty() || text[0] != '=') return;
    text.remove_prefix(1);
    const size_t end = std::min(text.find_first_of(" \t"), text.size());
    std::string_view value = text.substr(0, end);
    text.remove_prefix(end);

    std::string_view amount = field(value);
    Measure m;
    m.name = label;
    if (!take_number(amount, m.value)) continue;  // "U": the plugin could not tell
    double factor = 1;
    m.unit = std::string(amount);
    for (const Unit& unit : units) {
      if (amount != unit.written) continue;
      m.unit = std::string(unit.normal);
      factor = unit.factor;
    }
    m.value *= factor;
    take_range(field(value), "warn_range.", factor, m, m.warn, out);
    take_range(field(value), "fail_range.", factor, m, m.fail, out);
    out.measures.push_back(std::move(m));
  }
}

}  // namespace

double Range::line() const {
  if (alerts_inside && low > -infinity) return low;
  if (high < infinity) return high;
  return low > -infinity ? low : no_threshold;
}

std::optional<Range> parse_range(std::string_view text) {
  text = trimmed(text);
  Range range;
  if (!text.empty() && text[0] == '@') {
    range.alerts_inside = true;
    text.remove_prefix(1);
  }
  const size_t colon = text.find(':');
  std::string_view low = colon == std::string_view::npos ? std::string_view() : text.substr(0, colon);
  std::string_view high = colon == std::string_view::npos ? text : text.substr(colon + 1);
  if (low == "~") {
    range.low = -infinity;
  } else if (!low.empty() && (!take_number(low, range.low) || !low.empty())) {
    return {};
  }
  // Only "10:" may leave the upper end out.
  if (high.empty() && colon == std::string_view::npos) return {};
  if (!high.empty() && (!take_number(high, range.high) || !high.empty())) return {};
  if (range.low > range.high) return {};
  return range;
}

Output parse_output(std::string_view text) {
  Output out;
  bool is_first = true;
  bool is_performance = false;  // long output: all lines after a bar belong to the performance data
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t bar = line.find('|');
    if (is_first) {
      out.first_line = std::string(trimmed(line.substr(0, bar)));
      if (bar != std::string_view::npos) parse_performance(line.substr(bar + 1), out);
      is_first = false;
      continue;
    }
    if (is_performance) {
      parse_performance(line, out);
      continue;
    }
    const std::string_view said = trimmed(line.substr(0, bar));
    if (!said.empty() && out.long_output.size() < long_output_bound) {
      if (!out.long_output.empty()) out.long_output += "; ";
      out.long_output += said;
    }
    if (bar != std::string_view::npos) {
      is_performance = true;
      parse_performance(line.substr(bar + 1), out);
    }
  }
  if (out.long_output.size() > long_output_bound) out.long_output.resize(long_output_bound);
  return out;
}

Result judge(int exit_code, const Output& output) {
  const std::string said = output.first_line.empty() ? "no output" : output.first_line;
  Result result;
  switch (exit_code) {
    case 0:
      result = pass(said);
      break;
    case 1:
      result = warn(Cause::content, said);
      break;
    case 2:
      result = fail(Cause::content, said);
      break;
    case 3:
      result = unknown(Cause::agent, said);
      break;
    case 126:
      result = unknown(Cause::config, "exit code 126, the command cannot be executed: " + said);
      break;
    case 127:
      result = unknown(Cause::config, "exit code 127, a command was not found: " + said);
      break;
    default:
      result = unknown(Cause::protocol,
                       "exit code " + std::to_string(exit_code) + " is none of 0, 1, 2, 3 that plugins use: " + said);
  }
  result.measures = output.measures;
  result.facts = output.ranges;
  if (!output.long_output.empty()) result.fact("more", output.long_output);
  return result;
}

}  // namespace vital::check::nagios
