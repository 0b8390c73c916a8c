// The kernel's files about memory, as numbers: /proc/meminfo, and memory.max and its like of a control group. Pure.
// [any]
#pragma once

#include <cstdlib>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

namespace vital::check {

// The bytes of a line "MemAvailable:   23689732 kB" of /proc/meminfo.
inline std::optional<double> meminfo_bytes(const std::string& meminfo, std::string_view name) {
  std::istringstream lines(meminfo);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string key;
    double kib = 0;
    if (fields >> key >> kib && key.size() == name.size() + 1 && key.compare(0, name.size(), name) == 0)
      return kib * 1024;
  }
  return {};
}

// A control group's files as read: empty where a file does not exist (the root group has none of them).
struct GroupFiles {
  std::string max, current, stat;
};

struct GroupMemory {
  double limit = 0, available = 0;
};

// What a control group may still take, where it has a limit. Cached file contents are given back before it runs out.
inline std::optional<GroupMemory> group_memory(const GroupFiles& files) {
  char* end = nullptr;
  const double limit = std::strtod(files.max.c_str(), &end);
  if (end == files.max.c_str() || files.current.empty()) return {};  // "max", or no such file
  double cached = 0;
  std::istringstream lines(files.stat);
  std::string key;
  for (double value = 0; lines >> key >> value;) {
    if (key == "inactive_file" || key == "active_file" || key == "slab_reclaimable") cached += value;
  }
  const double used = std::max(0.0, std::strtod(files.current.c_str(), nullptr) - cached);
  return GroupMemory{limit, std::max(0.0, limit - used)};
}

}  // namespace vital::check
