// The load check: how many threads run or wait for a processor or a disk, averaged over 1, 5 and 15 minutes and divided
// by the number of processors, so that one threshold fits small and large hosts. [worker]
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <vitald/check.hpp>

namespace vital::check {
namespace {

struct Span {
  const char *name, *warn_option, *fail_option;
};
constexpr double usual_warn = 4;  // the default of warn_5m
constexpr std::array<Span, 3> spans{
    {{"1m", "warn_1m", "fail_1m"}, {"5m", "warn_5m", "fail_5m"}, {"15m", "warn_15m", "fail_15m"}}};

class Load final : public Blocking {
 public:
  explicit Load(const Options& o) {
    for (std::size_t i = 0; i < spans.size(); ++i) {
      if (o.has(spans[i].warn_option)) warn_[i] = o.number(spans[i].warn_option);
      if (o.has(spans[i].fail_option)) fail_[i] = o.number(spans[i].fail_option);
      if (warn_[i] && fail_[i] && *warn_[i] > *fail_[i]) {
        if (*warn_[i] != usual_warn)
          throw Invalid(spans[i].warn_option, std::string("is above ") + spans[i].fail_option +
                                                  ", so it could never warn; write a smaller value");
        warn_[i].reset();  // nobody wrote it: it gives way
      }
    }
  }

  Result probe(const Attempt&) override {
    std::array<double, 3> load{};
    if (getloadavg(load.data(), 3) != 3) return unknown(Cause::agent, "/proc/loadavg cannot be read");
    const double cores = static_cast<double>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));

    Result result;
    result.verdict = Verdict::pass;
    result.cause = Cause::none;
    std::string why;
    for (std::size_t i = 0; i < spans.size(); ++i) {
      const double per_core = load[i] / cores;
      const bool is_fail = fail_[i] && per_core > *fail_[i];
      const bool is_warn = warn_[i] && per_core > *warn_[i];
      if (is_fail || is_warn) {
        result.verdict = std::max(result.verdict, is_fail ? Verdict::fail : Verdict::warn);
        result.cause = Cause::content;
        why += std::string(", above ") + (is_fail ? spans[i].fail_option : spans[i].warn_option) + " " +
               number(is_fail ? *fail_[i] : *warn_[i]);
      }
      result.measure(std::string("load_") + spans[i].name, per_core, "", warn_[i].value_or(no_threshold),
                     fail_[i].value_or(no_threshold));
    }
    result.text = "load per processor " + number(load[0] / cores) + ", " + number(load[1] / cores) + ", " +
                  number(load[2] / cores) + " over 1, 5 and 15 minutes" + why;
    return result.fact("processors", number(cores));
  }

 private:
  static std::string number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3g", value);
    return text;
  }

  std::array<std::optional<double>, 3> warn_, fail_;
};

constexpr OptionRow options[] = {
    {"warn_1m", Type::number, nullptr, "a load per processor above this, over 1 minute, is a warning; default none",
     nullptr, 0, nullptr, 0, 10000},
    {"fail_1m", Type::number, nullptr, "above this it is a failure; default none", nullptr, 0, nullptr, 0, 10000},
    {"warn_5m", Type::number, "4", "the same over 5 minutes", nullptr, 0, nullptr, 0, 10000},
    {"fail_5m", Type::number, "16", "the same over 5 minutes", nullptr, 0, nullptr, 0, 10000},
    {"warn_15m", Type::number, nullptr, "the same over 15 minutes; default none", nullptr, 0, nullptr, 0, 10000},
    {"fail_15m", Type::number, nullptr, "the same over 15 minutes; default none", nullptr, 0, nullptr, 0, 10000},
};

}  // namespace
}  // namespace vital::check

using vital::check::Load;
using vital::check::options;
VITAL_BLOCKING_MODULE(Load, "load", "1.0", "the load of this host's processors", options)
