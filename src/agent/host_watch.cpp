// Reading pressure, throttling and the two clocks; see host_watch.hpp.
#include "agent/host_watch.hpp"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/text.hpp"

namespace vital {
namespace {

using namespace std::chrono_literals;

constexpr Duration psi_changes_every = 2s;         // the kernel averages no more often
constexpr Duration throttling_read_every = 100ms;  // the period of a quota, if nobody chose another
constexpr std::size_t largest_proc_file = 256U << 10U;
constexpr std::size_t most_places = 16;

Duration read_clock(clockid_t which) {
  timespec t{};
  clock_gettime(which, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

std::string read_small(int fd) {
  std::array<char, 1024> text{};
  const ssize_t n = pread(fd, text.data(), text.size(), 0);
  return {text.data(), n > 0 ? static_cast<std::size_t>(n) : 0};
}

std::string read_whole(const char* path) {
  std::string out;
  const UniqueFd file(open(path, O_RDONLY | O_CLOEXEC));
  std::array<char, 4096> part{};
  ssize_t n = 0;
  while (file && out.size() < largest_proc_file && (n = read(file.get(), part.data(), part.size())) > 0) {
    out.append(part.data(), static_cast<std::size_t>(n));
  }
  return out;
}

std::optional<std::int64_t> number_after(std::string_view text, std::string_view name) {
  for (const std::string_view line : split(text, '\n')) {
    if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ' ') continue;
    const std::string_view digits = line.substr(name.size() + 1);
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error == std::errc{} && end == digits.data() + digits.size() && number >= 0) return number;
  }
  return {};
}

bool has_word(std::string_view list, std::string_view word) {
  const auto words = split(list, ',');
  return std::find(words.begin(), words.end(), word) != words.end();
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

std::optional<Duration> parse_throttled(std::string_view cpu_stat) {
  constexpr std::int64_t most_microseconds = std::int64_t{1} << 52;
  if (const auto us = number_after(cpu_stat, "throttled_usec"); us && *us < most_microseconds) {
    return std::chrono::microseconds(*us);
  }
  if (const auto ns = number_after(cpu_stat, "throttled_time")) return std::chrono::nanoseconds(*ns);
  return {};
}

std::vector<std::string> cpu_stat_places(std::string_view cgroup, std::string_view mountinfo) {
  // "4:cpu,cpuacct:/system.slice/vitald.service" (v1) and "0::/system.slice/vitald.service" (v2)
  std::string_view v1, v2;
  for (const std::string_view line : split(cgroup, '\n')) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    if (controllers.empty()) v2 = line.substr(second + 1);
    if (has_word(controllers, "cpu")) v1 = line.substr(second + 1);
  }
  std::vector<std::string> v1_places, v2_places;
  for (const std::string_view line : split(mountinfo, '\n')) {
    // "30 24 0:26 /root-of-the-mount /where rw,... shared:9 - cgroup2 cgroup2 rw,..."
    const auto dash = line.find(" - ");
    const auto before = split(line.substr(0, dash), ' ');
    if (dash == std::string_view::npos || before.size() < 5) continue;
    const auto after = split(line.substr(dash + 3), ' ');
    const bool is_v2 = after[0] == "cgroup2";
    const bool is_v1 = after[0] == "cgroup" && after.size() > 2 && has_word(after[2], "cpu");
    std::string_view group = is_v2 ? v2 : v1;
    if ((!is_v1 && !is_v2) || group.empty()) continue;
    // In a container the mount's root is our own group.
    if (before[3] != "/" && group.starts_with(before[3])) group.remove_prefix(before[3].size());
    // A quota of a slice above us holds us back, too, and is counted there.
    auto& places = is_v2 ? v2_places : v1_places;
    if (group == "/") group = {};
    while (places.size() < most_places) {
      places.push_back(std::string(before[4]) + std::string(group));
      if (group.empty()) break;
      group = group.substr(0, group.rfind('/'));
    }
  }
  // Where v1 has the cpu controller, v2 does not.
  v1_places.insert(v1_places.end(), v2_places.begin(), v2_places.end());
  return v1_places;
}

HostWatch::HostWatch() : psi_(open("/proc/pressure/cpu", O_RDONLY | O_CLOEXEC)) {
  for (const std::string& place :
       cpu_stat_places(read_whole("/proc/self/cgroup"), read_whole("/proc/self/mountinfo"))) {
    UniqueFd file(open((place + "/cpu.stat").c_str(), O_RDONLY | O_CLOEXEC));
    const auto throttled = file ? parse_throttled(read_small(file.get())) : std::nullopt;
    if (throttled) groups_.push_back({std::move(file), *throttled});
  }
}

Pressure HostWatch::pressure(Instant now) {
  if (psi_ && (!psi_read_at_ || now - *psi_read_at_ >= psi_changes_every)) {
    psi_read_at_ = now;
    last_.cpu = parse_cpu_pressure(read_small(psi_.get())).value_or(0);
  }
  if (!groups_read_at_ || now - *groups_read_at_ >= throttling_read_every) {
    groups_read_at_ = now;
    for (const Group& group : groups_) {
      const auto throttled = parse_throttled(read_small(group.cpu_stat.get()));
      if (throttled) last_.throttled = std::max(last_.throttled, *throttled - group.throttled_before);
    }
  }
  return last_;
}

Duration HostWatch::slept() {
  const Duration ahead = read_clock(CLOCK_BOOTTIME) - read_clock(CLOCK_MONOTONIC);
  const Duration before = std::exchange(ahead_, ahead).value_or(ahead);
  // The clocks are not read at the same moment; only a real sleep is this long.
  return ahead - before > std::chrono::milliseconds(500) ? ahead - before : Duration{};
}

}  // namespace vital
