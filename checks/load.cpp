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

#include "findings.hpp"

namespace vital::check {
namespace {

struct Span {
  const char *name, *warn_option, *fail_option;
  std::optional<double> usual;  // the default of warn_option
};
constexpr std::array<Span, 3> spans{
    {{"1m", "warn_1m", "fail_1m", {}}, {"5m", "warn_5m", "fail_5m", 4}, {"15m", "warn_15m", "fail_15m", {}}}};

class Load final : public Blocking {
 public:
  explicit Load(const Options& o) {
    for (std::size_t i = 0; i < spans.size(); ++i) {
      const Span& span = spans[i];
      limits_[i] = Limit::option(o, span.warn_option, span.fail_option, Bad::above, Unit::none, span.usual);
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
      const Verdict verdict = limits_[i].judge(per_core);
      if (verdict != Verdict::pass) {
        result.verdict = std::max(result.verdict, verdict);
        result.cause = Cause::content;
        why += ", " + limits_[i].words(verdict);
      }
      limits_[i].measure(result, std::string("load_") + spans[i].name, per_core);
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

  std::array<Limit, 3> limits_;
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
