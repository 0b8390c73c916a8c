// See life.hpp. Bounds are generous: on a busy machine a good module must pass, and a bad one is bad by more than that.
#include "trial/life.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "loop/loop.hpp"
#include "trial/subject.hpp"

namespace vital::trial {
namespace {

using namespace std::chrono_literals;

constexpr Duration patience = 10s;  // for what must be quick
constexpr Duration grace = 1s;      // after a deadline
constexpr Duration worst_turn = 500ms;
constexpr long most_growth_kib = 1024;
constexpr std::size_t most_lines = 10;  // of one worker, which ran a hundred probes or more: what the host lets through

// What the host says of a module that breaks its word; what the module itself logs has other beginnings.
constexpr std::array<std::string_view, 5> complaint_beginnings{"called finish() ", "gave ", "finished without a result",
                                                               "probe() returned without a result", "the module threw"};

constexpr std::string_view debug_advice = "debug it: gdb --args vitald-worker --probe FILE.so ...";

std::string growth(const Footprint& a, const Footprint& b) {
  std::vector<std::string> out;
  if (b.resident_kib - a.resident_kib > most_growth_kib)
    out.push_back(fmt::format("memory from {} to {} KiB", a.resident_kib, b.resident_kib));
  if (b.descriptors > a.descriptors)
    out.push_back(fmt::format("descriptors from {} to {}", a.descriptors, b.descriptors));
  if (b.threads > a.threads) out.push_back(fmt::format("threads from {} to {}", a.threads, b.threads));
  return join(out, ", ");
}

std::string word(const ProbeResult& r) { return fmt::format("{}/{}: {}", name(r.verdict), name(r.cause), r.text); }

}  // namespace

void Life::remember(const Subject& subject) {
  std::size_t ours = 0;  // what the host itself says of the module
  for (const std::string& line : subject.lines()) {
    const bool is_complaint = std::any_of(complaint_beginnings.begin(), complaint_beginnings.end(),
                                          [&](std::string_view b) { return line.starts_with(b); });
    if (!is_complaint) continue;
    ++ours;
    complaints_.push_back(line);
  }
  logged_ = std::max(logged_, subject.logged() - ours);
}

bool Life::creates() {
  Subject subject(options_.worker, is_async());
  Footprint warm;
  for (unsigned round = 0; round < options_.rounds; ++round) {
    subject.prepare(1, *spec_);
    const auto made = subject.create(1, patience);
    if (!made) {
      fail("create", subject.death(), "create() must be quick and may not end the worker");
      return false;
    }
    if (!made->is_ok) {
      fail("create",
           fmt::format("refuses these options: {}{}{}", made->option, made->option.empty() ? "" : ": ", made->text),
           "give options it takes, as option=value");
      return false;
    }
    subject.forget(1);
    if (!subject.ping(patience)) {
      fail("create", subject.death(), "destroy() must free the instance, quickly, and return");
      return false;
    }
    if (round == options_.rounds / 5) warm = subject.footprint();
  }
  remember(subject);
  if (const std::string grown = growth(warm, subject.footprint()); !grown.empty()) {
    fail("create", fmt::format("{} instances made and ended: {}", options_.rounds, grown),
         "destroy() must give back all that create() took");
    return true;
  }
  pass("create", fmt::format("{} instances made and ended", options_.rounds));
  return true;
}

bool Life::probes() {
  Subject subject(options_.worker, is_async());
  subject.prepare(1, *spec_);
  const Instant deadline = Loop::now() + options_.timeout;
  const auto probe = subject.start(1, deadline);
  bool does_turn = true;
  if (is_async()) does_turn = subject.ping(std::min(worst_turn, options_.timeout));
  const auto result = subject.result(probe, deadline - Loop::now() + grace);
  if (is_async() && !result && subject.is_alive()) does_turn = subject.ping(worst_turn);
  remember(subject);
  if (!subject.is_alive()) {
    fail("probe", subject.death(), std::string(debug_advice));
    return false;
  }
  if (is_async() && (!does_turn || (result && result->worst_lag > worst_turn))) {
    fail("loop", "its worker's loop stood still while it probed",
         "probe() and callbacks must return at once: use vital.loop/1, or make it a blocking module");
    return false;
  }
  if (!result) {
    fail("probe", fmt::format("no result by the deadline, after {}", friendly_duration(options_.timeout)),
         is_async() ? "call finish() once for each probe, a little before its deadline_ns at the latest"
                    : "probe() must call finish() and return before its deadline_ns: give each wait a timeout");
    return false;
  }
  const ProbeResult& r = result->result;
  if (r.verdict == Verdict::unknown && (r.cause == Cause::agent || r.cause == Cause::config)) {
    fail("probe", word(r),
         "give options with which it can tell something; an exception or a broken result ends here too");
    return true;
  }
  if (r.text.empty()) {
    fail("probe", fmt::format("{}/{} without a text", name(r.verdict), name(r.cause)),
         "say in one line what was attempted, on what, and what happened");
    return true;
  }
  pass("probe", fmt::format("{} ({})", word(r), friendly_duration(r.duration)));
  if (is_async()) pass("loop", "it turned while the module probed");
  return true;
}

void Life::keeps_deadlines() {
  Subject subject(options_.worker, is_async());
  subject.prepare(1, *spec_);
  if (!subject.create(1, patience)) return fail("deadline", subject.death(), std::string(debug_advice));
  unsigned given_up = 0;
  const std::array<Duration, 6> times{1ms, 5ms, 20ms, 50ms, 100ms, 200ms};
  for (const Duration time : times) {
    const auto probe = subject.start(1, Loop::now() + time);
    if (subject.result(probe, time + (is_async() ? 0ms : grace))) continue;
    ++given_up;
    // What the agent does with an async probe that is late; a blocking one has had its grace.
    if (!is_async() || !subject.cancel(probe, patience)) {
      remember(subject);
      return fail("deadline",
                  fmt::format("with {} to go it {}", friendly_duration(time),
                              is_async() ? subject.death() : "did not return in time"),
                  "bound each wait by what is left until deadline_ns");
    }
  }
  remember(subject);
  pass("deadline", fmt::format("{} probes with 1 to 200 ms{}", times.size(),
                               given_up > 0 ? fmt::format(", {} given up", given_up) : std::string()));
}

void Life::is_cancelled() {
  if (!is_async()) return tell_({"cancel", Outcome::skipped, "a blocking module is killed instead", {}});
  Subject subject(options_.worker, true);
  constexpr unsigned rounds = 200;
  for (unsigned round = 0; round < rounds; ++round) {
    subject.prepare(1, *spec_);
    const auto probe = subject.start(1, Loop::now() + options_.timeout);
    if (round % 4 != 0) subject.turn(std::chrono::microseconds(50 * (round % 40)));
    const bool ends_instance = round % 5 == 4;
    if (!ends_instance && !subject.cancel(probe, patience)) {
      remember(subject);
      return fail("cancel", subject.death(), "cancel() must let go of what the probe holds and return at once");
    }
    subject.forget(1);
    if (!subject.ping(patience)) {
      remember(subject);
      return fail("cancel", subject.death(),
                  "after cancel() nothing of the probe may be touched; then destroy() comes");
    }
  }
  subject.turn(100ms);  // for callbacks that come after all
  remember(subject);
  if (!subject.is_alive())
    return fail("cancel", subject.death(), "unwatch, disarm, withdraw and give up in cancel(): a callback came later");
  pass("cancel", fmt::format("{} probes given up at any moment", rounds));
}

void Life::lasts() {
  Subject subject(options_.worker, is_async());
  subject.prepare(1, *spec_);
  const Instant until = Loop::now() + options_.patience;
  Footprint warm;
  unsigned done = 0;
  unsigned left_children = 0;
  bool is_warm = false;
  for (; done < options_.rounds && Loop::now() < until; ++done) {
    const auto probe = subject.start(1, Loop::now() + options_.timeout);
    const auto result = subject.result(probe, options_.timeout + grace);
    if (!subject.is_alive())
      return fail("rounds", fmt::format("round {}: {}", done + 1, subject.death()), std::string(debug_advice));
    if (!result && !(is_async() && subject.cancel(probe, patience)))
      return fail("rounds", fmt::format("round {}: no result by the deadline", done + 1),
                  "a later probe must be like the first: look for state that is kept");
    if (result && result->left_children) ++left_children;
    if (!is_warm && (done + 1 >= options_.rounds / 5 || Loop::now() > until - options_.patience / 2)) {
      warm = subject.footprint();
      is_warm = true;
    }
  }
  subject.turn(50ms);
  const Footprint end = subject.footprint();
  remember(subject);
  const std::string rounds = fmt::format("{} probes", done);
  if (!is_warm || done < 2)
    return tell_({"leaks", Outcome::skipped, rounds + " only: give a target that answers faster", {}});
  if (const std::string grown = growth(warm, end); !grown.empty()) {
    fail("leaks", fmt::format("{}: {}", rounds, grown), "free what each probe takes; valgrind names the place");
  } else {
    pass("leaks", fmt::format("{}: memory {} -> {} KiB, descriptors {}, threads {}", rounds, warm.resident_kib,
                              end.resident_kib, end.descriptors, end.threads));
  }
  // An async module may keep a helper; that is one it has from the beginning, not one more for each probe.
  if (left_children > 0 || end.children > warm.children) {
    fail("processes",
         fmt::format("{} of {} left processes behind, {} are still there", left_children, rounds, end.children),
         "wait for each child, or kill it, before the probe is finished; vital.spawn/1 does that for you");
  } else {
    pass("processes", end.children > 0 ? fmt::format("{} kept from the beginning", end.children) : "none left behind");
  }
}

void Life::hands_in_well() {
  if (logged_ >= most_lines) {
    fail("log", "a line, or more, for each probe", "log what changes; what a probe found goes into its result");
  } else {
    pass("log", "quiet");
  }
  if (complaints_.empty())
    return pass("results", "each probe was finished once, from its own thread, with a sound result");
  std::vector<std::string> distinct;
  for (const std::string& c : complaints_) {
    if (std::find(distinct.begin(), distinct.end(), c) == distinct.end()) distinct.push_back(c);
  }
  if (distinct.size() > 5) distinct.resize(5);
  fail("results", fmt::format("{} times: {}", complaints_.size(), join(distinct, "; ")),
       "finish() once for each probe, from the worker's thread, before cancel(), with sizes and strides of your own "
       "header");
}

}  // namespace vital::trial
