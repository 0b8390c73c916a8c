// wait: lets time pass, for what needs some and says nothing when it is ready (a switch that learns addresses, an SBD
// timeout).
#include <cerrno>

#include "action.hpp"

namespace {

using namespace vital::action;

constexpr OptionRow options[] = {
    {"for", Type::duration, nullptr, "how long", "5s", VITAL_OPTION_REQUIRED, nullptr, 0.001, 600}, VITAL_STEP_ROWS};

class Wait final : public Action {
 public:
  explicit Wait(const Options& o) : for_(o.duration("for")) {}

  Result check(const Step&, const Attempt&) override { return pass("needs nothing"); }
  Result perform(const Step& step, const Attempt& attempt) override {
    if (attempt.remaining() < for_) veto("it would take longer than the step may");
    step.begin_effect();
    const Duration until = monotonic_now() + for_;
    const timespec end{std::chrono::duration_cast<std::chrono::seconds>(until).count(),
                       (until % std::chrono::seconds(1)).count()};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, nullptr) == EINTR) {
    }
    return pass("waited");
  }
  Result verify(const Step&, const Attempt&) override { return pass("time has passed"); }
  Result compensate(const Step&, const Attempt&) override { return pass("nothing was done"); }

 private:
  Duration for_;
};

}  // namespace

VITAL_ACTION(Wait, "wait", "1.0", "lets time pass", options)
