// The memory check: how much memory can still be had (MemAvailable, which counts caches that would be given back), how
// much swap is left, and the same within the limit of a control group: a container's own, or one that is named.
// [worker]
#include <fstream>
#include <iterator>

#include "amount.hpp"
#include "memory_state.hpp"

namespace vital::check {
namespace {

constexpr const char* group_root = "/sys/fs/cgroup";

std::string content_of(const std::string& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

class Memory final : public Blocking {
 public:
  explicit Memory(const Options& o)
      : available_(Floors::options(o, "warn_available", "fail_available", true, "5%")),
        swap_(Floors::options(o, "warn_free_swap", "fail_free_swap")),
        group_(o.text("cgroup")) {
    if (group_ != "auto" && group_ != "off" && (group_.empty() || group_.front() != '/')) {
      throw Invalid(
          "cgroup",
          "\"" + group_ +
              "\" is neither auto, off, nor a directory; write /sys/fs/cgroup/system.slice/app.service, for example");
    }
  }

  Result probe(const Attempt&) override {
    const std::string meminfo = content_of("/proc/meminfo");
    const std::optional<double> total = meminfo_bytes(meminfo, "MemTotal"),
                                available = meminfo_bytes(meminfo, "MemAvailable");
    if (!total || !available) return unknown(Cause::agent, "/proc/meminfo has no MemTotal or no MemAvailable");

    Pool pool{*total, *available, "this host"};
    if (group_ != "off") {
      if (const std::optional<Result> trouble = narrow(pool)) return *trouble;
    }
    Result result;
    result.verdict = Verdict::pass;
    result.cause = Cause::none;
    result.text = bytes_in_words(pool.available) + " available of " + bytes_in_words(pool.total) + " (" +
                  percent_in_words(pool.available, pool.total) + ") in " + pool.where;
    const auto take = [&](const Floors::Finding& finding, const std::string& lead) {
      if (finding.verdict == Verdict::pass) return;
      result.verdict = std::max(result.verdict, finding.verdict);
      result.cause = Cause::content;
      result.text += lead + finding.words;
    };
    take(available_.judge(pool.available, pool.total, "warn_available", "fail_available"), ", ");
    result.measure("available", pool.available, "B", available_.warn_at(pool.total), available_.fail_at(pool.total));
    result.measure("available_percent", pool.available * 100 / pool.total, "%").measure("total", pool.total, "B");

    const double swap = meminfo_bytes(meminfo, "SwapTotal").value_or(0),
                 free_swap = meminfo_bytes(meminfo, "SwapFree").value_or(0);
    if (swap > 0) {
      take(swap_.judge(free_swap, swap, "warn_free_swap", "fail_free_swap"),
           "; " + percent_in_words(free_swap, swap) + " of the swap free, ");
      result.measure("free_swap", free_swap, "B", swap_.warn_at(swap), swap_.fail_at(swap));
    }
    result.fact("limit", pool.where);
    return result;
  }

 private:
  struct Pool {
    double total, available;
    std::string where;
  };

  // Takes the tightest of the group's limits and those above it. `auto` looks only at the root of what we see: in a
  // container that is its own limit. Never at the group of the agent itself, whose limit says nothing about the host.
  std::optional<Result> narrow(Pool& pool) const {
    std::string path = group_ == "auto" ? group_root : group_;
    if (group_ != "auto" && content_of(path + "/memory.current").empty()) {
      return fail(Cause::content, path + ": no such control group, or it does not count memory");
    }
    for (;;) {
      const GroupFiles files{content_of(path + "/memory.max"), content_of(path + "/memory.current"),
                             content_of(path + "/memory.stat")};
      if (files.current.empty()) return {};
      const std::optional<GroupMemory> group = group_memory(files);
      if (group && group->limit < pool.total) {
        pool.total = group->limit;
        pool.where = path;
      }
      if (group) pool.available = std::min(pool.available, group->available);
      const auto slash = path.rfind('/');
      if (slash == std::string::npos || slash == 0) return {};
      path.resize(slash);
    }
  }

  Floors available_, swap_;
  std::string group_;
};

constexpr OptionRow options[] = {
    {"warn_available", Type::size_or_percent, "5%", "less memory available than this is a warning", "200MiB"},
    {"fail_available", Type::size_or_percent, "2%", "less than this is a failure", "50MiB"},
    {"warn_free_swap", Type::size_or_percent, nullptr, "less swap free than this is a warning; default none", "20%"},
    {"fail_free_swap", Type::size_or_percent, nullptr, "less than this is a failure; default none", "5%"},
    {"cgroup", Type::string, "auto",
     "auto: a container's own limit too; off: the host alone; or the directory of a control group to watch",
     "/sys/fs/cgroup/system.slice/app.service"},
};

}  // namespace
}  // namespace vital::check

using vital::check::Memory;
using vital::check::options;
VITAL_BLOCKING_MODULE(Memory, "memory", "1.0", "memory and swap left on this host, or within a control group", options)
