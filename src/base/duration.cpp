// Durations and wall times to text and back; see duration.hpp.
#include "base/duration.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <ctime>
#include <utility>

namespace vital {
namespace {

using namespace std::chrono_literals;

constexpr std::array<std::pair<std::string_view, Duration>, 6> units{
    {{"us", 1us}, {"ms", 1ms}, {"s", 1s}, {"m", 1min}, {"h", 1h}, {"d", 24h}}};

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  const size_t split = text.find_first_not_of("0123456789.");
  if (split == 0 || split == std::string_view::npos || split > 18) return {};
  double number = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + split, number);
  if (ec != std::errc{} || end != text.data() + split) return {};
  for (const auto& [name, unit] : units) {
    if (text.substr(split) != name) continue;
    const double ns = number * static_cast<double>(unit.count());
    if (ns > 9e18) return {};
    return Duration(std::llround(ns));
  }
  return {};
}

std::string format_duration(Duration d) {
  if (d == Duration::zero()) return "0s";
  for (auto it = units.rbegin(); it != units.rend(); ++it) {
    if (d % it->second == Duration::zero()) return fmt::format("{}{}", d / it->second, it->first);
  }
  return fmt::format("{}us", d / 1us);
}

std::string friendly_duration(Duration d) {
  if (d < Duration::zero()) return "-" + friendly_duration(-d);
  if (d < 1ms) return fmt::format("{}us", d / 1us);
  if (d < 1s) return fmt::format("{}ms", d / 1ms);
  if (d < 1min) {
    if (d % 1s == Duration::zero()) return fmt::format("{}s", d / 1s);
    return fmt::format("{:.1f}s", seconds(d));
  }
  const auto two = [](long long big, std::string_view big_unit, long long small, std::string_view small_unit) {
    return small == 0 ? fmt::format("{}{}", big, big_unit) : fmt::format("{}{} {}{}", big, big_unit, small, small_unit);
  };
  if (d < 1h) return two(d / 1min, "m", d % 1min / 1s, "s");
  if (d < 24h) return two(d / 1h, "h", d % 1h / 1min, "m");
  return two(d / 24h, "d", d % 24h / 1h, "h");
}

std::string format_wall(WallTime t) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(t);
  const std::time_t when = whole.time_since_epoch().count();
  std::tm parts{};
  gmtime_r(&when, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, (t - whole).count());
}

std::string compact_wall(WallTime t) {
  std::string out;
  for (const char c : format_wall(t)) {
    if (c == '.') break;
    if (c != '-' && c != ':') out += c;
  }
  if (out.empty() || out.back() != 'Z') out += 'Z';
  return out;
}

std::optional<WallTime> parse_wall(std::string_view text) {
  if (text.size() < 20 || text.size() > 30 || text.back() != 'Z') return {};
  std::tm parts{};
  const std::string copy(text);
  const char* rest = strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return {};
  long long ms = 0;
  if (*rest == '.') {
    int scale = 100;
    for (++rest; *rest >= '0' && *rest <= '9'; ++rest, scale /= 10) ms += (*rest - '0') * scale;
  }
  if (*rest != 'Z' || rest[1] != '\0') return {};
  return WallTime(std::chrono::seconds(timegm(&parts)) + std::chrono::milliseconds(ms));
}

}  // namespace vital
