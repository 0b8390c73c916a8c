// The kernel's files about this host and its control groups, as numbers. Pure: text in, values out; what is missing or
// not understood is absent. [any]
#pragma once

#include <cstdlib>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

namespace vital::check {

// Lines of "key value": memory.events, cpu.stat, /proc/vmstat.
inline std::optional<double> value_in(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.size() > key.size() && line.substr(0, key.size()) == key && line[key.size()] == ' ') {
      const std::string number(line.substr(key.size() + 1));
      char* end = nullptr;
      const double value = std::strtod(number.c_str(), &end);
      if (end != number.c_str()) return value;
    }
  }
  return {};
}

// The first number of a file that holds nothing but one, or a few. Empty for "max".
inline std::optional<double> number_in(const std::string& text, int which = 0) {
  std::istringstream words(text);
  std::string word;
  for (int i = 0; i <= which; ++i) {
    if (!(words >> word)) return {};
  }
  char* end = nullptr;
  const double value = std::strtod(word.c_str(), &end);
  return *end == '\0' ? std::optional(value) : std::nullopt;
}

// "some avg10=1.53 avg60=0.87 avg300=0.21 total=58" as {"some_avg10": 1.53, ...}, without the totals.
inline std::map<std::string, double> pressure_in(const std::string& text) {
  std::map<std::string, double> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string kind, word;
    words >> kind;
    if (kind != "some" && kind != "full") continue;
    while (words >> word) {
      const auto equals = word.find('=');
      if (equals == std::string::npos || word.substr(0, 3) != "avg") continue;
      char* end = nullptr;
      const double value = std::strtod(word.c_str() + equals + 1, &end);
      if (*end == '\0') out[kind + "_" + word.substr(0, equals)] = value;
    }
  }
  return out;
}

// The processors' time since boot, in ticks, by the first line of /proc/stat.
struct CpuTicks {
  double used = 0, waiting = 0, stolen = 0, total = 0;
};
inline std::optional<CpuTicks> cpu_ticks_in(const std::string& stat) {
  std::istringstream words(stat.substr(0, stat.find('\n')));
  std::string name;
  double user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0;
  if (!(words >> name >> user >> nice >> system >> idle >> iowait >> irq >> softirq >> steal) || name != "cpu")
    return {};
  CpuTicks t;
  t.used = user + nice + system + irq + softirq;
  t.waiting = iowait;
  t.stolen = steal;
  t.total = t.used + idle + iowait + steal;
  return t;
}

// How many of the threads there may be there are: "0.52 0.58 0.59 1/389 12345" of /proc/loadavg.
inline std::optional<double> threads_in(const std::string& loadavg) {
  const auto slash = loadavg.find('/');
  if (slash == std::string::npos) return {};
  return number_in(loadavg.substr(slash + 1));
}

}  // namespace vital::check
