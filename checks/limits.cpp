// The limits check: how much is left of what the kernel has only so much of: open files, processes and threads, tracked
// connections. Each of them runs out without a sign before, and then nothing can be opened, started or connected.
// [loop]
#include "amount.hpp"
#include "findings.hpp"
#include "host_check.hpp"
#include "host_counters.hpp"

namespace vital::check {
namespace {

// One thing there is only so much of.
struct Supply {
  std::string name, words;
  std::optional<double> used, most;
};

class Limits final : public HostCheck {
 public:
  Limits(const Host& host, const Options& o)
      : HostCheck(host),
        group_(cgroup_option(o)),
        files_(Floors::options(o, "warn_free_files", "fail_free_files", false, "20%")),
        pids_(Floors::options(o, "warn_free_pids", "fail_free_pids", false, "20%")),
        conntrack_(Floors::options(o, "warn_free_conntrack", "fail_free_conntrack", false, "20%")) {}

 private:
  std::optional<Result> look(Duration) override {
    Findings found;
    Result result = pass("");
    std::string text;
    const auto judge = [&](const Supply& s, const Floors& floors) {
      if (!s.used || !s.most || *s.most <= 0) return;
      const double left = std::max(0.0, *s.most - *s.used);
      const std::string words = percent_in_words(left, *s.most) + " of the " + s.words + " are left";
      text += (text.empty() ? "" : ", ") + words;
      const std::string warn = "warn_free_" + s.name, fail = "fail_free_" + s.name;
      const Floors::Finding finding = floors.judge(left, *s.most, warn.c_str(), fail.c_str());
      found.add(finding.verdict, Cause::content, words + ", " + finding.words);
      result.measure("free_" + s.name, left, "", floors.warn_at(*s.most), floors.fail_at(*s.most));
      result.measure("used_" + s.name, *s.used);
    };
    if (!group_.empty()) {
      const Supply pids{"pids", "processes", number_in(content_of(group_ + "/pids.current")),
                        number_in(content_of(group_ + "/pids.max"))};
      if (!pids.used) return no_such_group(group_, "pids.current");
      judge(pids, pids_);
      result.text = group_ + ": " + (text.empty() ? "no limit of processes" : text);
      return found.into(std::move(result), group_);
    }
    const std::string file_nr = content_of("/proc/sys/fs/file-nr");
    judge({"files", "open files", number_in(file_nr), number_in(file_nr, 2)}, files_);
    const std::optional<double> threads_max = number_in(content_of("/proc/sys/kernel/threads-max")),
                                pid_max = number_in(content_of("/proc/sys/kernel/pid_max"));
    judge({"pids", "processes", threads_in(content_of("/proc/loadavg")),
           threads_max && pid_max ? std::optional(std::min(*threads_max, *pid_max)) : std::nullopt},
          pids_);
    judge({"conntrack", "tracked connections", number_in(content_of("/proc/sys/net/netfilter/nf_conntrack_count")),
           number_in(content_of("/proc/sys/net/netfilter/nf_conntrack_max"))},
          conntrack_);
    if (text.empty()) return unknown(Cause::agent, "/proc/sys tells no limit");
    result.text = "this host: " + text;
    return found.into(std::move(result), "this host");
  }

  std::string group_;
  Floors files_, pids_, conntrack_;
};

constexpr OptionRow options[] = {
    {"warn_free_files", Type::size_or_percent, "20%",
     "fewer open files than this left, for the whole host, is a warning", "10000"},
    {"fail_free_files", Type::size_or_percent, "5%", "fewer than this is a failure"},
    {"warn_free_pids", Type::size_or_percent, "20%", "fewer processes and threads than this left is a warning"},
    {"fail_free_pids", Type::size_or_percent, "5%", "fewer than this is a failure"},
    {"warn_free_conntrack", Type::size_or_percent, "20%",
     "fewer tracked connections than this left is a warning, where the kernel tracks them"},
    {"fail_free_conntrack", Type::size_or_percent, "5%", "fewer than this is a failure"},
    {"cgroup", Type::string, nullptr, "the directory of a control group whose processes to count instead",
     "/sys/fs/cgroup/system.slice/app.service"},
};

}  // namespace
}  // namespace vital::check

using vital::check::Limits;
using vital::check::options;
VITAL_ASYNC_MODULE(Limits, "limits", "1.0", "how many open files, processes and tracked connections are left", options)
