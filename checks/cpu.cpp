// The cpu check: how much of the processors was used, and how much was stolen by the hypervisor, between this probe and
// the one before; in a control group, how much of its quota it used, and how often it was held back. [loop]
#include <unistd.h>

#include "findings.hpp"
#include "host_check.hpp"
#include "host_counters.hpp"

namespace vital::check {
namespace {

class Cpu final : public HostCheck {
 public:
  Cpu(const Host& host, const Options& o)
      : HostCheck(host),
        group_(cgroup_option(o)),
        used_(Limit::option(o, "warn_used", "fail_used", Bad::above, Unit::none, 90)),
        stolen_(Limit::option(o, "warn_stolen", "fail_stolen", Bad::above, Unit::none, 10)),
        throttled_(Limit::option(o, "warn_throttled", "fail_throttled", Bad::above)) {
    if (group_.empty() && throttled_.is_set()) {
      throw Invalid(o.has("warn_throttled") ? "warn_throttled" : "fail_throttled",
                    "is for a control group; write cgroup as well, or leave it out");
    }
  }

 private:
  std::optional<Result> look(Duration now) override { return group_.empty() ? look_at_host(now) : look_at_group(now); }

  std::optional<Result> look_at_host(Duration now) {
    const std::optional<CpuTicks> ticks = cpu_ticks_in(content_of("/proc/stat"));
    if (!ticks) return unknown(Cause::agent, "/proc/stat cannot be read");
    const std::optional<CpuTicks> before = std::exchange(ticks_, ticks);
    const Duration span = now - std::exchange(at_, now);
    const double total = before ? ticks->total - before->total : 0;
    if (total <= 0) return {};
    const auto percent = [&](double CpuTicks::*part) {
      return std::max(0.0, ticks.value().*part - before.value().*part) * 100 / total;
    };
    const double used = percent(&CpuTicks::used), stolen = percent(&CpuTicks::stolen);
    Findings found;
    char words[96];
    std::snprintf(words, sizeof words, "%.0f%% of the processors are used", used);
    Result result = pass("this host: " + over(words, span));
    found.judge(used_, used, words);
    used_.measure(result, "used", used, "%");
    std::snprintf(words, sizeof words, "%.0f%% of the processors' time is stolen by the hypervisor", stolen);
    found.judge(stolen_, stolen, words);
    stolen_.measure(result, "stolen", stolen, "%");
    result.measure("waiting_for_io", percent(&CpuTicks::waiting), "%");
    result.measure("processors", static_cast<double>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN))));
    return found.into(std::move(result), "this host");
  }

  // What the group may use is its quota, or else all of the host's processors.
  std::optional<Result> look_at_group(Duration now) {
    const std::string stat = content_of(group_ + "/cpu.stat"), max = content_of(group_ + "/cpu.max");
    const std::optional<double> usage = value_in(stat, "usage_usec");
    if (!usage) return no_such_group(group_, "cpu.stat");
    const Group seen{*usage, value_in(stat, "nr_periods").value_or(0), value_in(stat, "nr_throttled").value_or(0)};
    const std::optional<Group> before = std::exchange(group_seen_, seen);
    const Duration span = now - std::exchange(at_, now);
    if (!before || span <= Duration::zero()) return {};
    const std::optional<double> quota = number_in(max), period = number_in(max, 1);
    const double processors = quota && period && *period > 0
                                  ? *quota / *period
                                  : static_cast<double>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
    const double seconds = std::chrono::duration<double>(span).count();
    const double used = std::max(0.0, seen.usage_us - before->usage_us) / 1e6 / seconds / processors * 100;
    const double periods = seen.periods - before->periods;
    const double throttled = periods > 0 ? std::max(0.0, seen.throttled - before->throttled) * 100 / periods : 0;
    Findings found;
    char words[96];
    std::snprintf(words, sizeof words, "%.0f%% of %.3g processors are used", used, processors);
    Result result = pass(group_ + ": " + over(words, span));
    found.judge(used_, used, words);
    used_.measure(result, "used", used, "%");
    std::snprintf(words, sizeof words, "it was held back in %.0f%% of the periods", throttled);
    found.judge(throttled_, throttled, words);
    throttled_.measure(result, "throttled", throttled, "%");
    result.measure("processors", processors);
    return found.into(std::move(result), group_);
  }

  static std::string over(const char* words, Duration span) {
    char text[160];
    std::snprintf(text, sizeof text, "%s, over %.0f s", words, std::chrono::duration<double>(span).count());
    return text;
  }

  struct Group {
    double usage_us = 0, periods = 0, throttled = 0;
  };

  std::string group_;
  Limit used_, stolen_, throttled_;
  std::optional<CpuTicks> ticks_;
  std::optional<Group> group_seen_;
  Duration at_{};
};

constexpr OptionRow options[] = {
    {"warn_used", Type::number, "90", "more than this used since the last probe, in percent, is a warning", "70", 0,
     nullptr, 0, 100},
    {"fail_used", Type::number, nullptr, "more than this is a failure; default none", nullptr, 0, nullptr, 0, 100},
    {"warn_stolen", Type::number, "10", "more than this stolen by the hypervisor is a warning", nullptr, 0, nullptr, 0,
     100},
    {"fail_stolen", Type::number, nullptr, "more than this is a failure; default none", nullptr, 0, nullptr, 0, 100},
    {"warn_throttled", Type::number, nullptr,
     "with cgroup: held back in more than this share of its periods, in percent, is a warning", "10", 0, nullptr, 0,
     100},
    {"fail_throttled", Type::number, nullptr, "more than this is a failure", nullptr, 0, nullptr, 0, 100},
    {"cgroup", Type::string, nullptr, "the directory of a control group to look at instead of the whole host",
     "/sys/fs/cgroup/system.slice/app.service"},
};

}  // namespace
}  // namespace vital::check

using vital::check::Cpu;
using vital::check::options;
VITAL_ASYNC_MODULE(Cpu, "cpu", "1.0", "how much of the processors is used, stolen, or held back", options)
