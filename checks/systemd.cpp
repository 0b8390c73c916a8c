// systemd: the state of one unit, asked over the system bus with a deadline: active and sub-state, result of the last
// run, restarts within a window. A blocking module.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <vitald/check.hpp>

#include "unit_bus.hpp"

namespace {

using namespace vital::check;
using namespace std::chrono_literals;

constexpr OptionRow options[] = {
    {"unit", Type::string, nullptr, "the unit's full name", "nginx.service", VITAL_OPTION_REQUIRED},
    {"max_restarts", Type::integer, nullptr, "more automatic restarts than this within restart_window is warn", "3", 0,
     nullptr, 0, 1000},
    {"restart_window", Type::duration, "10m", "the window of max_restarts", "10m", 0, nullptr, 10, 86400},
    {"allow_inactive", Type::boolean, "false",
     "an inactive unit whose last run succeeded passes (timers, oneshot services)"},
    {"bus", Type::string, nullptr, "D-Bus address other than the system bus", "unix:path=/run/dbus/system_bus_socket"},
};

class Systemd final : public Blocking {
 public:
  explicit Systemd(const Options& o)
      : unit_(o.text("unit")),
        max_restarts_(o.integer_or("max_restarts", -1)),
        window_(o.duration("restart_window")),
        allows_inactive_(o.boolean("allow_inactive")),
        address_(o.text_or("bus", "")) {
    if (unit_.find('.') == std::string::npos) {
      throw Invalid("unit", "'" + unit_ + "' is no full unit name: write " + unit_ + ".service");
    }
  }

  Result probe(const Attempt& attempt) override {
    Stopwatch watch;
    try {
      UnitBus bus(unit_, address_, attempt.deadline() - std::min<Duration>(50ms, attempt.remaining() / 10));
      watch.lap(Phase::connect);
      Result result = ask(bus);
      watch.lap(Phase::exchange);
      return watch.into(result);
    } catch (const BusTrouble& trouble) {
      Result result = unknown(Cause::agent, trouble.text);
      return watch.into(result);
    }
  }

 private:
  Result ask(UnitBus& bus) {
    const std::string load = bus.text(UnitBus::of_unit, "LoadState");
    if (load != "loaded")
      return unknown(Cause::config, unit_ + " is " + load + ": is the name right?").fact("load", load);
    const std::string active = bus.text(UnitBus::of_unit, "ActiveState");
    const std::string sub = bus.text(UnitBus::of_unit, "SubState");
    std::string result = "success";
    std::uint32_t restarts = 0;
    if (unit_.size() > 8 && unit_.compare(unit_.size() - 8, 8, ".service") == 0) {
      result = bus.text(UnitBus::of_service, "Result");
      restarts = bus.number_or(restarts, 'u', UnitBus::of_service, "NRestarts");
    }
    Result answer = judge(active, sub, result, recent_restarts(restarts));
    return answer.fact("active", active).fact("sub", sub).fact("result", result).measure("restarts", restarts);
  }

  // How many of the restarts systemd counts fell into the window, as far as we have watched.
  long long recent_restarts(uint32_t total) {
    const Duration now = monotonic_now();
    if (!seen_.empty() && total < seen_.back().second) seen_.clear();  // the counter was reset
    seen_.emplace_back(now, total);
    while (seen_.size() > 1 && (seen_.front().first < now - window_ || seen_.size() > 4096)) seen_.pop_front();
    return static_cast<long long>(total) - seen_.front().second;
  }

  Result judge(const std::string& active, const std::string& sub, const std::string& result, long long restarts) const {
    const std::string state = unit_ + " is " + active + " (" + sub + ")";
    if (active == "active" || active == "reloading") {
      if (max_restarts_ >= 0 && restarts > max_restarts_) {
        return warn(Cause::content, state + ", restarted " + std::to_string(restarts) + " times lately");
      }
      return pass(state);
    }
    if (active == "inactive" && allows_inactive_ && result == "success") return pass(state);
    // On its way up: not yet there, and not known to be broken.
    if (active == "activating" && sub != "auto-restart") return warn(Cause::content, state);
    return fail(Cause::content, state + (result == "success" ? "" : ", result " + result));
  }

  std::string unit_;
  long long max_restarts_;
  Duration window_;
  bool allows_inactive_;
  std::string address_;
  std::deque<std::pair<Duration, uint32_t>> seen_;
};

}  // namespace

VITAL_BLOCKING_MODULE(Systemd, "systemd", "1.0", "the state of one systemd unit", options)
