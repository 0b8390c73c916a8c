// The pressure check: how much of the time work stood still because it waited for a processor, the disk or memory
// (PSI), on this host or in one control group. It sees trouble that use does not: a host can be busy and well, or idle
// because everything waits. [loop]
#include <array>

#include "findings.hpp"
#include "host_check.hpp"
#include "host_counters.hpp"

namespace vital::check {
namespace {

constexpr std::array<const char*, 3> resources = {"cpu", "io", "memory"};

bool is_measure(const std::string& name) {
  for (const char* resource : resources) {
    for (const char* kind : {"some", "full"}) {
      for (const char* span : {"avg10", "avg60", "avg300"}) {
        if (name == std::string(resource) + "_" + kind + "_" + span) return true;
      }
    }
  }
  return false;
}

class Pressure final : public HostCheck {
 public:
  Pressure(const Host& host, const Options& o) : HostCheck(host), group_(cgroup_option(o)) {
    read(o, "warn", &Limit::warn);
    read(o, "fail", &Limit::fail);
    if (limits_.empty()) {  // memory is where waiting ends in standstill
      limits_["memory_full_avg60"].warn = 10;
      limits_["memory_full_avg60"].fail = 40;
    }
    for (auto& [name, limit] : limits_) {
      limit.warn_name = "warn";
      limit.fail_name = "fail";
      if (limit.warn && limit.fail && *limit.warn > *limit.fail) {
        throw Invalid("warn", name + " is above that of fail, so it could never warn; write a smaller value");
      }
    }
  }

 private:
  void read(const Options& o, const char* option, std::optional<double> Limit::*which) {
    for (const auto& [name, text] : o.map(option)) {
      if (!is_measure(name)) {
        throw Invalid(option, "\"" + name +
                                  "\" is no pressure; write memory_full_avg60, for example: cpu, io or memory, then "
                                  "some or full, then avg10, avg60 or avg300");
      }
      char* end = nullptr;
      const double value = std::strtod(text.c_str(), &end);
      if (text.empty() || *end != '\0' || !(value >= 0 && value <= 100)) {
        throw Invalid(option, name + ": \"" + text + "\" is no percentage; write a number from 0 to 100");
      }
      limits_[name].*which = value;
    }
  }

  std::optional<Result> look(Duration) override {
    const std::string where = group_.empty() ? "this host" : group_;
    Findings found;
    Result result;
    std::map<std::string, double> all;
    for (const char* resource : resources) {
      const std::string path =
          group_.empty() ? std::string("/proc/pressure/") + resource : group_ + "/" + resource + ".pressure";
      for (const auto& [name, value] : pressure_in(content_of(path))) all[std::string(resource) + "_" + name] = value;
    }
    if (all.empty()) {
      if (!group_.empty()) return no_such_group(group_, "pressure files");
      return unknown(Cause::config, "this kernel does not tell its pressure; boot it with psi=1");
    }
    for (const auto& [name, value] : all) {
      const auto limit = limits_.find(name);
      if (limit == limits_.end()) {
        result.measure(name, value, "%");
        continue;
      }
      limit->second.measure(result, name, value, "%");
      char words[96];
      std::snprintf(words, sizeof words, "%s is %.1f%%", name.c_str(), value);
      found.judge(limit->second, value, words);
    }
    for (const auto& [name, limit] : limits_) {
      if (all.find(name) == all.end()) {  // cpu_full exists in groups alone, and there only with newer kernels
        found.add(Verdict::unknown, Cause::config, "this kernel does not tell " + name);
      }
    }
    char words[128];
    std::snprintf(words, sizeof words, "work in %s waits %.1f%% for cpu, %.1f%% for io, %.1f%% for memory",
                  where.c_str(), all["cpu_some_avg60"], all["io_some_avg60"], all["memory_some_avg60"]);
    Result well = pass(words);
    well.measures = std::move(result.measures);
    return found.into(std::move(well), where);
  }

  std::string group_;
  std::map<std::string, Limit> limits_;
};

constexpr OptionRow options[] = {
    {"warn", Type::map, nullptr,
     "pressures above which it warns, in percent: RESOURCE_KIND_SPAN with cpu, io or memory, some or full, avg10, "
     "avg60 or "
     "avg300; without warn and fail, memory_full_avg60 above 10 is a warning and above 40 a failure",
     "{memory_full_avg60: 10, io_full_avg60: 50}"},
    {"fail", Type::map, nullptr, "pressures above which it fails", "{memory_full_avg60: 40}"},
    {"cgroup", Type::string, nullptr, "the directory of a control group to look at instead of the whole host",
     "/sys/fs/cgroup/system.slice/app.service"},
};

}  // namespace
}  // namespace vital::check

using vital::check::options;
using vital::check::Pressure;
VITAL_ASYNC_MODULE(Pressure, "pressure", "1.0", "how much of the time work waits for processor, disk or memory (PSI)",
                   options)
