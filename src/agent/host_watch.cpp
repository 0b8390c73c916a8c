// Reading pressure and the two clocks; see host_watch.hpp.
#include "agent/host_watch.hpp"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/unique_fd.hpp"

namespace vital {
namespace {

Duration read_clock(clockid_t which) {
  timespec t{};
  clock_gettime(which, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

}  // namespace

std::optional<double> parse_cpu_pressure(std::string_view text) {
  constexpr std::string_view before = "some avg10=";
  const auto at = text.find(before);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + before.size());
  double percent = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
  if (error != std::errc{} || !(percent >= 0 && percent <= 100)) return {};
  return percent;
}

std::optional<double> HostWatch::cpu_pressure() {
  const UniqueFd file(open("/proc/pressure/cpu", O_RDONLY | O_CLOEXEC));
  if (!file) return {};
  std::array<char, 256> text{};
  const ssize_t n = read(file.get(), text.data(), text.size());
  if (n <= 0) return {};
  return parse_cpu_pressure({text.data(), static_cast<std::size_t>(n)});
}

Duration HostWatch::slept() {
  const Duration ahead = read_clock(CLOCK_BOOTTIME) - read_clock(CLOCK_MONOTONIC);
  const Duration before = std::exchange(ahead_, ahead).value_or(ahead);
  // The clocks are not read at the same moment; only a real sleep is this long.
  return ahead - before > std::chrono::milliseconds(500) ? ahead - before : Duration{};
}

}  // namespace vital
