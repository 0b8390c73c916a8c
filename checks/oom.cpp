// The oom check: whether the kernel killed a process because memory ran out, on this host or in one control group,
// within the last minutes. A kill is over in a moment; it is shown for a while, so that it is not gone before anybody
// counts it. [loop]
#include <deque>

#include "findings.hpp"
#include "host_check.hpp"
#include "host_counters.hpp"

namespace vital::check {
namespace {

class Oom final : public HostCheck {
 public:
  Oom(const Host& host, const Options& o)
      : HostCheck(host),
        group_(cgroup_option(o)),
        window_(o.duration("window")),
        kills_(Limit::option(o, "warn_kills", "fail_kills", Bad::above, Unit::none, 0)) {}

 private:
  std::optional<Result> look(Duration now) override {
    const std::optional<double> total =
        value_in(content_of(group_.empty() ? "/proc/vmstat" : group_ + "/memory.events"), "oom_kill");
    if (!total) {
      return group_.empty()
                 ? unknown(Cause::config, "this kernel does not count OOM kills (no oom_kill in /proc/vmstat)")
                 : no_such_group(group_, "memory.events");
    }
    // The first look only begins the count. A count that went back is another group of the same name.
    if (last_ && *total > *last_) seen_.push_back({now, *total - *last_});
    last_ = total;
    while (!seen_.empty() && (now - seen_.front().at > window_ || seen_.size() > most_)) seen_.pop_front();
    double recent = 0;
    for (const Kill& k : seen_) recent += k.count;

    const std::string where = group_.empty() ? "this host" : group_;
    char words[96];
    std::snprintf(words, sizeof words, "the kernel killed %.0f processes for memory within %.0f s", recent,
                  std::chrono::duration<double>(window_).count());
    Findings found;
    found.judge(kills_, recent, words);
    Result result = pass(where + ": no process was killed for memory");
    kills_.measure(result, "kills", recent);
    result.measure("kills_total", *total);
    return found.into(std::move(result), where);
  }

  struct Kill {
    Duration at;
    double count;
  };
  static constexpr std::size_t most_ = 10000;  // of looks that saw one

  std::string group_;
  Duration window_;
  Limit kills_;
  std::optional<double> last_;
  std::deque<Kill> seen_;
};

constexpr OptionRow options[] = {
    {"window", Type::duration, "10m", "how long a kill is remembered; longer than the check needs to change its state",
     nullptr, 0, nullptr, 1, 86400},
    {"warn_kills", Type::integer, "0", "more kills than this within the window is a warning", nullptr, 0, nullptr, 0,
     100000},
    {"fail_kills", Type::integer, nullptr, "more than this is a failure; default none", "5", 0, nullptr, 0, 100000},
    {"cgroup", Type::string, nullptr, "the directory of a control group to look at instead of the whole host",
     "/sys/fs/cgroup/system.slice/app.service"},
};

}  // namespace
}  // namespace vital::check

using vital::check::Oom;
using vital::check::options;
VITAL_ASYNC_MODULE(Oom, "oom", "1.0", "whether the kernel killed processes because memory ran out", options)
