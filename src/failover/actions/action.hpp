// What every kind of failover action is: a module like a check (one file TYPE.so, run by vitald-worker, killed at its
// deadline with all it started), with four verbs instead of a probe.
//
//   check       would it work now? Reaches the target, looks at rights and at its state; changes nothing
//   perform     refuses where a precondition does not hold; does it; doing what is done already is done
//   verify      reads back, from where clients would see it, whether it is so; changes nothing but a test row
//   compensate  takes it back, where that is possible
//
//   class Promote final : public Action { ... };
//   constexpr OptionRow options[] = {{"host", ...}, VITAL_STEP_ROWS};
//   VITAL_ACTION(Promote, "postgres.promote", "1.0", "promotes a standby", options)
//
// What the agent says of the step comes as options named step.*, which no config may write. [worker]
#pragma once

#include <time.h>

#include <stdexcept>
#include <string>
#include <vitald/check.hpp>

namespace vital::action {

using namespace vital::check;

enum class Verb { check, perform, verify, compensate };
inline constexpr const char* verbs[] = {"check", "perform", "verify", "compensate", nullptr};

// The rows of step.*, the last of each table.
#define VITAL_STEP_ROWS                                                                                              \
  {"step.verb", ::vital::check::Type::choice, "check", "what to do", nullptr, 0, ::vital::action::verbs},            \
      {"step.topology", ::vital::check::Type::string, "", "the topology"},                                           \
      {"step.recovery", ::vital::check::Type::string, "", "the recovery this is a step of"},                         \
      {"step.number", ::vital::check::Type::string, "0", "which step of it"},                                        \
      {"step.from", ::vital::check::Type::string, "", "the member that was primary"},                                \
      {"step.to", ::vital::check::Type::string, "", "the member that is to be"},                                     \
      {"step.token", ::vital::check::Type::string, "0", "fencing token: rises with each holder of the lease"},       \
      {"step.not_after", ::vital::check::Type::string, "0",                                                          \
       "CLOCK_MONOTONIC in ns, before which an effect must begin; 0 = no matter when"},                              \
      {"step.slept", ::vital::check::Type::string, "0", "ns the host had slept in all when the step was decided"}, { \
    "step.dry_run", ::vital::check::Type::boolean, "false", "say what would be done"                                 \
  }

// Why nothing was done: thrown before the effect.
struct NotDone : std::runtime_error {
  NotDone(std::string outcome_name, const std::string& text)
      : std::runtime_error(text), outcome(std::move(outcome_name)) {}
  std::string outcome;
};
[[noreturn]] inline void veto(const std::string& text) { throw NotDone("vetoed", text); }

class Step {
 public:
  explicit Step(const Options& o)
      : topology(o.text("step.topology")),
        recovery(o.text("step.recovery")),
        number(o.text("step.number")),
        from(o.text("step.from")),
        to(o.text("step.to")),
        token(o.text("step.token")),
        is_dry(o.boolean("step.dry_run")),
        not_after_(o.integer("step.not_after")),
        slept_(o.integer("step.slept")) {
    for (const char* const* v = verbs; *v != nullptr; ++v) {
      if (o.text("step.verb") == *v) verb = static_cast<Verb>(v - verbs);
    }
  }

  // Immediately before each effect, after everything that may have blocked: the lease this step was decided under may
  // have ended meanwhile, and then another may be acting.
  void begin_effect() const {
    if (not_after_ == Duration::zero()) return;
    if (monotonic_now() >= not_after_) throw NotDone("too_late", "the time in which it could begin was over");
    if (slept() > slept_ + std::chrono::milliseconds(20)) throw NotDone("too_late", "the host has slept meanwhile");
  }

  std::string topology, recovery, number, from, to, token;
  Verb verb = Verb::check;
  bool is_dry;

 private:
  static Duration slept() {
    timespec boot{};
    clock_gettime(CLOCK_BOOTTIME, &boot);
    return std::chrono::seconds(boot.tv_sec) + Duration(boot.tv_nsec) - monotonic_now();
  }
  Duration not_after_;
  Duration slept_;
};

// One configured action; made anew for each step.
class Action {
 public:
  virtual ~Action() = default;
  virtual Result check(const Step& step, const Attempt& attempt) = 0;
  virtual Result perform(const Step& step, const Attempt& attempt) = 0;
  virtual Result verify(const Step& step, const Attempt& attempt) = 0;
  virtual Result compensate(const Step&, const Attempt&) { return fail(Cause::config, "this has no way back"); }
};

// ---- the glue

template <typename Kind>
class Performed final : public Blocking {
 public:
  explicit Performed(const Options& o) : step_(o), action_(o) {}

  Result probe(const Attempt& attempt) override {
    try {
      switch (step_.verb) {
        case Verb::check:
          return action_.check(step_, attempt);
        case Verb::verify:
          return action_.verify(step_, attempt);
        case Verb::perform:
          return step_.is_dry ? rehearse(attempt) : action_.perform(step_, attempt);
        case Verb::compensate:
          return step_.is_dry ? rehearse(attempt) : action_.compensate(step_, attempt);
      }
    } catch (const NotDone& e) {
      return fail(Cause::config, e.what()).fact("outcome", e.outcome);
    }
    return unknown(Cause::agent, "no such verb");
  }

 private:
  Result rehearse(const Attempt& attempt) {
    Result found = action_.check(step_, attempt);
    found.text = "not done, since this is a dry run; " + found.text;
    return found.fact("dry_run", "true");
  }
  Step step_;
  Kind action_;
};

#define VITAL_ACTION(Class, type, version, summary, rows) \
  VITAL_BLOCKING_MODULE(::vital::action::Performed<Class>, type, version, summary, rows)

// Calls `look` until it passes or `until` comes; the last result that is more than "there was no time for an answer".
template <typename Look>
Result poll_until(Duration until, Duration pause, Look look) {
  Result seen;
  for (bool is_first = true;; is_first = false) {
    Result now = look();
    if (is_first || now.cause != Cause::timeout) seen = std::move(now);
    if (seen.verdict == Verdict::pass || monotonic_now() + pause >= until) return seen;
    const timespec ts{std::chrono::duration_cast<std::chrono::seconds>(pause).count(),
                      (pause % std::chrono::seconds(1)).count()};
    nanosleep(&ts, nullptr);
  }
}

}  // namespace vital::action
