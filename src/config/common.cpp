// The options every check has: profile, defaults, check, and how they fit together. What a profile says is made to fit;
// what somebody wrote is a demand, and one that cannot be kept is refused with the sum.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "base/duration.hpp"
#include "config/draft.hpp"

namespace vital::config {
namespace {

using namespace std::chrono_literals;

constexpr std::array profiles{
    Profile{"lenient", 10s, 5s, 2, 5s, 2, 3},
    Profile{"standard", 5s, 2s, 1, 2s, 2, 3},
    Profile{"strict", 2s, 1s, 0, 1s, 2, 2},
};

template <typename T, typename U>
std::optional<Written<U>> written(const Section& s, std::string_view key, const std::optional<T>& value, U as) {
  if (!value) return {};
  return Written<U>{as, s.entry(key)->value.mark, s.path_of(key)};
}

template <typename T>
std::optional<Written<T>> written(const Section& s, std::string_view key, const std::optional<T>& value) {
  return written(s, key, value, value.value_or(T{}));
}

std::optional<Written<unsigned>> count(const Section& s, std::string_view key) {
  const auto value = s.integer(key);
  return written(s, key, value, static_cast<unsigned>(value.value_or(0)));
}

void read_fall(const Section& s, CommonOptions& out) {
  const Node* n = s.get("fall");
  if (n == nullptr) return;
  if (n->is_list()) {
    s.complain("fall", "is a list; write a whole number, or {bad: 3, of: 5}");
    return;
  }
  if (!n->is_map()) {
    const auto value = Reader{s.problems(), *n, s.path_of("fall")}.integer(std::pair(1.0, 1000.0));
    out.fall = written(s, "fall", value, static_cast<unsigned>(value.value_or(0)));
    return;
  }
  const Section window = s.section("fall", "check.fall");
  const auto bad = window.integer("bad");
  const auto of = window.integer("of");
  for (const char* key : {"bad", "of"}) {
    if (!window.has(key)) window.complain(key, "is missing; write fall: {bad: 3, of: 5}");
  }
  if (!bad || !of) return;
  if (*bad > *of) {
    window.complain("bad", fmt::format("{} of {} can never be; write at most {}", *bad, *of, *of));
    return;
  }
  out.fall_window = Written<std::pair<unsigned, unsigned>>{
      {static_cast<unsigned>(*bad), static_cast<unsigned>(*of)}, n->mark, s.path_of("fall")};
}

}  // namespace

const Profile& profile_named(std::string_view name) {
  for (const Profile& p : profiles) {
    if (p.name == name) return p;
  }
  return profiles.front();
}

CommonOptions read_common(const Section& s) {
  CommonOptions out;
  out.interval = written(s, "interval", s.duration("interval"));
  out.timeout = written(s, "timeout", s.duration("timeout"));
  out.retries = count(s, "retries");
  out.retry_delay = written(s, "retry_delay", s.duration("retry_delay"));
  out.edge_interval = written(s, "edge_interval", s.duration("edge_interval"));
  out.rise = count(s, "rise");
  read_fall(s, out);
  out.warn_after = written(s, "warn_after", s.duration("warn_after"));
  out.max_age = written(s, "max_age", s.duration("max_age"));
  out.start_delay = written(s, "start_delay", s.duration("start_delay"));
  out.is_critical = written(s, "critical", s.boolean("critical"));
  out.is_enabled = written(s, "enabled", s.boolean("enabled"));
  const auto scope = s.choice("scope");
  out.scope = written(s, "scope", scope, scope == "shared" ? Scope::shared : Scope::local);
  const auto mode = s.choice("mode");
  out.mode = written(s, "mode", mode, mode == "shadow" ? Mode::shadow : Mode::active);
  out.labels = s.labels("labels").value_or(std::vector<std::pair<std::string, std::string>>{});
  if (s.has("flap")) {
    const Section flap = s.section("flap", "check.flap");
    out.flap_suppress = written(flap, "suppress", flap.number("suppress"));
    out.flap_reuse = written(flap, "reuse", flap.number("reuse"));
    out.flap_half_life = written(flap, "half_life", flap.duration("half_life"));
  }
  return out;
}

namespace {

// Picks each option from where it was said, and notes it for `vitald explain`.
class Chooser {
 public:
  Chooser(CheckDraft& check, std::string_view profile) : check_(check), profile_(fmt::format("profile {}", profile)) {}

  template <typename T>
  T pick(std::string_view name, const std::optional<Written<T>>& own, const std::optional<Written<T>>& defaults,
         const T& otherwise, bool is_of_profile = false) {
    const bool is_written = own || defaults;
    const T value = own ? own->value : defaults ? defaults->value : otherwise;
    note(name, text_of(value),
         own             ? "check"
         : defaults      ? "defaults"
         : is_of_profile ? profile_
                         : "default",
         is_written || is_of_profile);
    return value;
  }

  void note(std::string_view name, std::string value, std::string_view from, bool is_worth_telling = true) {
    if (is_worth_telling) check_.settings.push_back({std::string(name), std::move(value), std::string(from)});
  }

 private:
  static std::string text_of(Duration d) { return format_duration(d); }
  static std::string text_of(unsigned n) { return std::to_string(n); }
  static std::string text_of(double n) { return fmt::format("{}", n); }
  static std::string text_of(bool b) { return b ? "true" : "false"; }
  static std::string text_of(Scope s) { return s == Scope::shared ? "shared" : "local"; }
  static std::string text_of(Mode m) { return m == Mode::shadow ? "shadow" : "active"; }

  CheckDraft& check_;
  std::string profile_;
};

// Where to complain about a combination: at the check's own word if it has one in it, else at the defaults'.
template <typename T>
const Written<T>* speaker(const std::optional<Written<T>>& own, const std::optional<Written<T>>& defaults) {
  if (own) return &*own;
  return defaults ? &*defaults : nullptr;
}

}  // namespace

void apply_common(CheckDraft& check, const CommonOptions& own, const CommonOptions& defaults, const Profile& profile,
                  Problems& problems) {
  CheckPlan& plan = check.plan;
  Chooser choose(check, profile.name);
  plan.interval = choose.pick("interval", own.interval, defaults.interval, profile.interval, true);
  // A check that set its interval is the one to speak to, even if the other half of the sum is a default.
  const auto complain = [&](const auto& mine, const auto& theirs, const std::string& text) {
    const auto* at = speaker(mine, theirs);
    if (!mine && own.interval) {
      problems.add(own.interval->mark, own.interval->path, fmt::format("{} (in {})", text, at->path));
    } else {
      problems.add(at->mark, at->path, text);
    }
  };
  const auto interval = format_duration(plan.interval);

  const bool is_timeout_written = own.timeout || defaults.timeout;
  plan.timeout = choose.pick("timeout", own.timeout, defaults.timeout, std::min(profile.timeout, plan.interval), true);
  if (is_timeout_written && plan.timeout > plan.interval) {
    complain(own.timeout, defaults.timeout,
             fmt::format("the timeout {} is longer than the interval {}; write at most {}, or a longer interval",
                         format_duration(plan.timeout), interval, interval));
  }

  plan.retries = choose.pick("retries", own.retries, defaults.retries, profile.retries, true);
  plan.retry_delay =
      choose.pick("retry_delay", own.retry_delay, defaults.retry_delay, std::min<Duration>(1s, plan.timeout / 4), true);
  if (!own.retry_delay && !defaults.retry_delay) check.settings.back().from = "default";
  const Duration sum = plan.timeout * (plan.retries + 1) + plan.retry_delay * plan.retries;
  if ((own.retries || defaults.retries) && plan.retries > 0 && plan.timeout <= plan.interval && sum > plan.interval) {
    const Duration room = plan.interval - plan.retry_delay * plan.retries;
    std::string ways = fmt::format("interval: {}", format_duration(sum));
    if (room >= 2ms * (plan.retries + 1)) {
      const Duration fits = std::chrono::floor<std::chrono::milliseconds>(room / (plan.retries + 1));
      ways += fmt::format(", timeout: {}", format_duration(fits));
    }
    ways += fmt::format(" or retries: {}", (plan.interval - plan.timeout) / (plan.timeout + plan.retry_delay));
    complain(own.retries, defaults.retries,
             fmt::format("{} not fit into the interval: {} x {} timeout + {} x {} retry_delay = {}, the "
                         "interval is {}; write {}",
                         plan.retries == 1 ? "1 retry does" : fmt::format("{} retries do", plan.retries),
                         plan.retries + 1, format_duration(plan.timeout), plan.retries,
                         format_duration(plan.retry_delay), format_duration(sum), interval, ways));
  }

  plan.edge_interval = choose.pick("edge_interval", own.edge_interval, defaults.edge_interval,
                                   std::min(profile.edge_interval, plan.interval), true);
  if ((own.edge_interval || defaults.edge_interval) && plan.edge_interval > plan.interval) {
    complain(own.edge_interval, defaults.edge_interval,
             fmt::format("{} is longer than the interval {}; write at most {}", format_duration(plan.edge_interval),
                         interval, interval));
  }

  plan.rise = choose.pick("rise", own.rise, defaults.rise, profile.rise, true);
  const auto& window = own.fall_window ? own.fall_window : own.fall ? own.fall_window : defaults.fall_window;
  if (window) {
    plan.fall_window = window->value;
    plan.fall = window->value.first;
    choose.note("fall", fmt::format("{} of {}", window->value.first, window->value.second),
                own.fall_window ? "check" : "defaults");
  } else {
    plan.fall = choose.pick("fall", own.fall, defaults.fall, profile.fall, true);
  }

  if (own.warn_after || defaults.warn_after) {
    plan.warn_after = choose.pick("warn_after", own.warn_after, defaults.warn_after, Duration{});
    if (*plan.warn_after >= plan.timeout) {
      complain(own.warn_after, defaults.warn_after,
               fmt::format("{} is not below the timeout {}, so it could never warn; write less",
                           format_duration(*plan.warn_after), format_duration(plan.timeout)));
    }
  }

  plan.max_age = choose.pick("max_age", own.max_age, defaults.max_age, plan.interval * 3 + plan.timeout, true);
  if (!own.max_age && !defaults.max_age) check.settings.back().from = "default";
  const Duration least = plan.interval + plan.timeout;
  if ((own.max_age || defaults.max_age) && plan.max_age < least) {
    complain(own.max_age, defaults.max_age,
             plan.is_passive
                 ? fmt::format("{} is shorter than the interval {}, so it would fail between two reports; write at "
                               "least {}, or a shorter interval",
                               format_duration(plan.max_age), interval, interval)
                 : fmt::format("{} is shorter than interval + timeout = {}, so the check would go stale between two "
                               "probes; write at least {}",
                               format_duration(plan.max_age), format_duration(least), format_duration(least)));
  }

  plan.start_delay = choose.pick("start_delay", own.start_delay, defaults.start_delay, Duration{});
  plan.is_critical = choose.pick("critical", own.is_critical, defaults.is_critical, true);
  plan.scope = choose.pick("scope", own.scope, defaults.scope, Scope::local);
  plan.mode = choose.pick("mode", own.mode, defaults.mode, Mode::active);
  check.is_enabled = choose.pick("enabled", own.is_enabled, defaults.is_enabled, true);

  plan.flap.suppress = choose.pick("flap.suppress", own.flap_suppress, defaults.flap_suppress, plan.flap.suppress);
  plan.flap.reuse =
      choose.pick("flap.reuse", own.flap_reuse, defaults.flap_reuse, std::min(1.5, plan.flap.suppress / 2));
  plan.flap.half_life = choose.pick("flap.half_life", own.flap_half_life, defaults.flap_half_life, plan.interval * 10);
  if (plan.flap.reuse >= plan.flap.suppress) {
    const auto& mine = own.flap_reuse ? own.flap_reuse : own.flap_suppress;
    const auto& theirs = defaults.flap_reuse ? defaults.flap_reuse : defaults.flap_suppress;
    const auto* at = speaker(mine, theirs);
    problems.add(
        at->mark, at->path,
        fmt::format("reuse {} is not below suppress {}; write a smaller reuse", plan.flap.reuse, plan.flap.suppress));
  }

  for (const auto& [name, value] : defaults.labels) plan.labels.insert_or_assign(name, value);
  for (const auto& [name, value] : own.labels) plan.labels.insert_or_assign(name, value);
}

}  // namespace vital::config
