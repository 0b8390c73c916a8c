// systemd.start, systemd.stop, systemd.restart: one job for one unit of this host, over the system bus; it is done when
// the unit is what the job makes of it. Built once for each, with VITAL_JOB its name.
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "action.hpp"
#include "checks/unit_bus.hpp"

namespace {

using namespace vital::action;
using vital::check::BusTrouble;
using vital::check::UnitBus;
using namespace std::chrono_literals;

constexpr std::string_view job = VITAL_JOB;

constexpr OptionRow options[] = {
    {"unit", Type::string, nullptr, "the unit's full name", "postgresql.service", VITAL_OPTION_REQUIRED},
    {"min_uptime", Type::duration, "10s",
     "a unit that came up or went down less than this ago is left alone: no restart follows the other at once", "10s",
     0, nullptr, 0, 3600},
    {"bus", Type::string, nullptr, "D-Bus address other than the system bus"},
    VITAL_STEP_ROWS};

struct Seen {
  std::string load, active, sub;
  Duration changed{};  // on CLOCK_MONOTONIC
};

class Job final : public Action {
 public:
  explicit Job(const Options& o)
      : unit_(o.text("unit")), min_uptime_(o.duration("min_uptime")), address_(o.text_or("bus", "")) {
    if (unit_.find('.') == std::string::npos) {
      throw Invalid("unit", "'" + unit_ + "' is no full unit name: write " + unit_ + ".service");
    }
  }

  Result check(const Step&, const Attempt& attempt) override {
    return guarded(attempt, [&](UnitBus& bus) {
      const Seen now = look(bus);
      if (now.load != "loaded") return fail(Cause::config, unit_ + " is " + now.load + ": is the name right?");
      return pass(unit_ + " is " + now.active + " (" + now.sub + ")");
    });
  }

  Result perform(const Step& step, const Attempt& attempt) override {
    return guarded(attempt, [&](UnitBus& bus) {
      const Seen now = look(bus);
      if (now.load != "loaded") veto(unit_ + " is " + now.load);
      if (is_as_wanted(now) && job != "restart") return pass(unit_ + " is " + now.active + " already");
      if (now.changed > Duration{} && monotonic_now() - now.changed < min_uptime_) {
        veto(unit_ + " changed less than min_uptime ago");
      }
      step.begin_effect();
      bus.enqueue(job == "start" ? "StartUnit" : job == "stop" ? "StopUnit" : "RestartUnit");
      return poll_until(stop_at_, 50ms, [&] { return judge(look(bus)); });
    });
  }

  Result verify(const Step&, const Attempt& attempt) override {
    return poll_until(attempt.deadline() - 100ms, 100ms,
                      [&] { return guarded(attempt, [&](UnitBus& bus) { return judge(look(bus)); }); });
  }

 private:
  bool is_as_wanted(const Seen& now) const {
    return job == "stop" ? now.active == "inactive" || now.active == "failed" : now.active == "active";
  }
  Result judge(const Seen& now) const {
    const std::string text = unit_ + " is " + now.active + " (" + now.sub + ")";
    return is_as_wanted(now) ? pass(text) : fail(Cause::content, text);
  }

  template <typename Work>
  Result guarded(const Attempt& attempt, Work work) {
    stop_at_ = attempt.deadline() - std::min<Duration>(100ms, attempt.remaining() / 10);
    try {
      UnitBus bus(unit_, address_, stop_at_);
      return work(bus);
    } catch (const BusTrouble& trouble) {
      return fail(Cause::agent, trouble.text);
    }
  }

  static Seen look(UnitBus& bus) {
    return {bus.text(UnitBus::of_unit, "LoadState"), bus.text(UnitBus::of_unit, "ActiveState"),
            bus.text(UnitBus::of_unit, "SubState"),
            std::chrono::microseconds(
                bus.number_or(std::uint64_t{0}, 't', UnitBus::of_unit, "StateChangeTimestampMonotonic"))};
  }

  std::string unit_;
  Duration min_uptime_;
  std::string address_;
  Duration stop_at_{};
};

}  // namespace

VITAL_ACTION(Job, "systemd." VITAL_JOB, "1.0", "one job for a systemd unit of this host: " VITAL_JOB, options)
