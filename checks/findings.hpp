// What a probe found wrong beside its main question, and the thresholds it found it by: the lag is above warn_lag,
// there are fewer standbys than fail_standbys. The worst finding makes the verdict and comes first in the text. Pure.
// [any]
//
//   Findings found;
//   found.judge(lag_limit, 34.0, "it is 34 s behind");
//   return found.into(pass("db:5432 is a standby"), "db:5432");
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>
#include <vitald/check.hpp>

#include "amount.hpp"

namespace vital::check {

enum class Bad { above, below };
// What a number counts, which says how its threshold is written.
enum class Unit { none, seconds, bytes };

// Two thresholds of one number. Unset ones never complain.
struct Limit {
  Bad bad = Bad::above;
  std::optional<double> warn, fail;
  std::string warn_name, fail_name;
  Unit counts = Unit::none;

  // The options of these names, of any numeric type; durations become seconds. `usual` is the default of warn_name, if
  // it has one: nobody wrote it, so it gives way to a fail_name beyond it.
  static Limit option(const Options& o, const char* warn_name, const char* fail_name, Bad bad, Unit of = Unit::none,
                      std::optional<double> usual = {}) {
    Limit limit{bad, {}, {}, warn_name, fail_name, of};
    const double scale = of == Unit::seconds ? 1e-9 : 1;
    if (o.has(warn_name)) limit.warn = o.number(warn_name) * scale;
    if (o.has(fail_name)) limit.fail = o.number(fail_name) * scale;
    if (limit.warn && limit.fail && *limit.warn != *limit.fail && limit.is_bad(*limit.warn, *limit.fail)) {
      if (limit.warn != usual)
        throw Invalid(warn_name, std::string("is ") + (bad == Bad::above ? "above " : "below ") + fail_name +
                                     ", so it could never warn; write a " + (bad == Bad::above ? "smaller" : "larger") +
                                     " value");
      limit.warn.reset();
    }
    return limit;
  }
  static Limit seconds(const Options& o, const char* warn_name, const char* fail_name,
                       std::optional<double> usual = {}) {
    return option(o, warn_name, fail_name, Bad::above, Unit::seconds, usual);
  }
  static Limit bytes(const Options& o, const char* warn_name, const char* fail_name, Bad bad = Bad::above) {
    return option(o, warn_name, fail_name, bad, Unit::bytes);
  }

  bool is_set() const { return warn || fail; }
  Verdict judge(double value) const {
    if (fail && is_bad(value, *fail)) return Verdict::fail;
    if (warn && is_bad(value, *warn)) return Verdict::warn;
    return Verdict::pass;
  }
  // "above fail_lag 30s", as it was written.
  std::string words(Verdict verdict) const {
    const bool is_fail = verdict == Verdict::fail;
    return std::string(bad == Bad::above ? "above " : "below ") + (is_fail ? fail_name : warn_name) + " " +
           as_written((is_fail ? fail : warn).value_or(0));
  }
  Result& measure(Result& result, std::string name, double value, std::string unit = "") const {
    return result.measure(std::move(name), value, std::move(unit), warn.value_or(no_threshold),
                          fail.value_or(no_threshold));
  }

 private:
  std::string as_written(double value) const {
    if (counts == Unit::bytes) return size_as_written(value);
    char text[32];
    if (counts == Unit::none) {
      std::snprintf(text, sizeof text, "%.6g", value);
    } else if (value != 0 && value < 1) {
      std::snprintf(text, sizeof text, "%.6gms", value * 1000);
    } else {
      const double whole = std::round(value);
      const bool is_round = std::abs(value - whole) < 1e-6 * value;  // it was nanoseconds
      const bool is_hours = is_round && whole >= 3600 && std::fmod(whole, 3600) == 0;
      const bool is_minutes = is_round && whole >= 60 && std::fmod(whole, 60) == 0;
      std::snprintf(text, sizeof text, "%.6g%s",
                    value / (is_hours     ? 3600
                             : is_minutes ? 60
                                          : 1),
                    is_hours     ? "h"
                    : is_minutes ? "m"
                                 : "s");
    }
    return text;
  }
  bool is_bad(double value, double limit) const { return bad == Bad::above ? value > limit : value < limit; }
};

class Findings {
 public:
  void add(Verdict verdict, Cause cause, std::string words) {
    if (verdict != Verdict::pass) insert({verdict, cause, std::move(words), false});
  }
  // The link of a standby to its source is broken. That may be the end of the source rather than a fault of the
  // standby, so the result says how it stands apart from that: the facts `link`: down and `apart_from_link`: a verdict,
  // `apart` at best.
  void break_link(Verdict verdict, Cause cause, std::string words, Verdict apart = Verdict::pass) {
    is_link_broken_ = true;
    apart_ = apart;
    if (verdict != Verdict::pass) insert({verdict, cause, std::move(words), true});
  }
  // `words` say what the number is, such as "it is 34 s behind".
  void judge(const Limit& limit, double value, const std::string& words, Cause cause = Cause::content) {
    const Verdict verdict = limit.judge(value);
    if (verdict != Verdict::pass) add(verdict, cause, words + ", " + limit.words(verdict));
  }
  bool is_empty() const { return all_.empty(); }
  Verdict worst() const { return all_.empty() ? Verdict::pass : all_.front().verdict; }

  // `well` if there is nothing, or nothing worse than what it says already. `target` may be empty: somebody else names
  // it.
  Result into(Result well, const std::string& target) const {
    if (is_link_broken_) well.fact("link", "down").fact("apart_from_link", name(apart_from_link(well.verdict)));
    if (all_.empty() || well.verdict == Verdict::fail) return well;
    std::string text;
    if (!target.empty()) text = target + ": ";
    for (const Finding& f : all_) text += (&f == &all_.front() ? "" : "; ") + f.words;
    if (well.verdict != Verdict::pass) text += "; " + well.text;
    if (weight(all_.front().verdict) >= weight(well.verdict)) {
      well.verdict = all_.front().verdict;
      well.cause = all_.front().cause;
    }
    well.text = std::move(text);
    return well;
  }

 private:
  struct Finding {
    Verdict verdict;
    Cause cause;
    std::string words;
    bool is_of_link;
  };
  void insert(Finding finding) {
    const auto place = std::upper_bound(all_.begin(), all_.end(), finding, is_worse);
    all_.insert(place, std::move(finding));
  }
  Verdict apart_from_link(Verdict well) const {
    Verdict out = worse_of(well, apart_);
    for (const Finding& f : all_) {
      if (!f.is_of_link) out = worse_of(out, f.verdict);
    }
    return out;
  }
  static Verdict worse_of(Verdict a, Verdict b) { return weight(b) > weight(a) ? b : a; }
  static const char* name(Verdict v) {
    switch (v) {
      case Verdict::pass:
        return "pass";
      case Verdict::warn:
        return "warn";
      case Verdict::unknown:
        return "unknown";
      case Verdict::fail:
        return "fail";
    }
    return "unknown";
  }
  // Evidence before ignorance: what is known to be broken outweighs what could not be seen.
  static int weight(Verdict v) {
    switch (v) {
      case Verdict::pass:
        return 0;
      case Verdict::warn:
        return 1;
      case Verdict::unknown:
        return 2;
      case Verdict::fail:
        return 3;
    }
    return 0;
  }
  static bool is_worse(const Finding& a, const Finding& b) { return weight(a.verdict) > weight(b.verdict); }

  std::vector<Finding> all_;  // the worst first, equals in the order they were found
  bool is_link_broken_ = false;
  Verdict apart_ = Verdict::pass;
};

}  // namespace vital::check
