// See advice.hpp.
#include "core/advice.hpp"

#include <algorithm>
#include <utility>

#include "base/duration.hpp"
#include "core/hysteresis.hpp"

namespace vital {

using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t enough_answers = 200;  // fewer say nothing about the thousandth
constexpr std::uint64_t enough_retries = 20;
constexpr unsigned most_patience = 10;  // more than this beyond `fall` is not patience

std::string text_of(std::uint64_t n) { return std::to_string(n); }

Duration percentile(std::vector<std::int64_t> sorted_us, double share) {
  if (sorted_us.empty()) return {};
  const auto at = static_cast<std::size_t>(share * static_cast<double>(sorted_us.size() - 1));
  return std::chrono::microseconds(sorted_us[at]);
}

// A number a person would write: 180ms, 1300ms, 2s.
Duration rounded_up(Duration d) {
  for (const Duration step : {10ms, 100ms, 1000ms}) {
    if (d <= step * 20) return ((d + step - 1ns) / step) * step;
  }
  return std::chrono::ceil<std::chrono::seconds>(d);
}

// Falls of the same outcomes with another `fall`.
unsigned falls(const CheckPlan& check, const std::vector<bool>& outcomes, unsigned fall) {
  Hysteresis h(check.rise, fall, {});
  unsigned count = 0;
  bool is_first = true;
  for (const bool good : outcomes) {
    const bool was_up = !is_first && h.is_up();
    if (std::exchange(is_first, false)) {
      h.decide(good);
    } else {
      h.add(good);
    }
    if (was_up && !h.is_up()) ++count;
  }
  return count;
}

}  // namespace

void Advisor::take(const RecordedResult& r) {
  if (!plan_->find_check(r.check)) return;
  Record& record = records_[r.check];
  const bool is_good = r.result.verdict == Verdict::pass || r.result.verdict == Verdict::warn;
  if (is_good) {
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(r.result.duration).count();
    if (record.good_us.size() < most_kept) {
      record.good_us.push_back(us);
    } else {
      record.good_us[record.next++ % most_kept] = us;
    }
  }
  if (r.attempt > 0) record.spent_on_retries += r.result.duration;
  if (!r.is_outcome || r.result.verdict == Verdict::unknown) return;
  if (r.attempt > 0) {
    ++record.retried;
    if (is_good) ++record.helped;
  }
  const bool was_good = !record.outcomes.empty() && record.outcomes.back();
  if (is_good && record.was_lone) ++record.lone_timeouts;
  record.was_lone = !is_good && r.result.cause == Cause::timeout && was_good;
  if (record.outcomes.size() < most_kept) record.outcomes.push_back(is_good);
}

AnswerTimes Advisor::times(const std::string& check) const {
  AnswerTimes out;
  const auto found = records_.find(check);
  if (found == records_.end()) return out;
  std::vector<std::int64_t> sorted = found->second.good_us;
  std::sort(sorted.begin(), sorted.end());
  out.count = sorted.size();
  out.median = percentile(sorted, 0.5);
  out.p99 = percentile(sorted, 0.99);
  out.p999 = percentile(sorted, 0.999);
  out.longest = percentile(sorted, 1.0);
  return out;
}

void Advisor::advise_timeout(const CheckPlan& check, const Record& record, std::vector<Advice>& out) const {
  const AnswerTimes t = times(check.name);
  if (t.count < enough_answers || check.timeout <= Duration::zero()) return;
  // Answers that came too late are not among the good ones, so the real tail is longer than what is seen.
  const bool is_tight = t.p999 > check.timeout * 7 / 10;
  const bool has_blips = record.lone_timeouts >= 3 && record.lone_timeouts * 1000 > t.count;
  if (!is_tight && !has_blips) return;
  const Duration instead = rounded_up(std::max(t.p999 * 2, check.timeout * 3 / 2));
  std::string why = "of " + text_of(t.count) + " good answers the slowest in a thousand took " +
                    friendly_duration(t.p999) + " and the median " + friendly_duration(t.median);
  if (record.lone_timeouts > 0) {
    why += "; " + text_of(record.lone_timeouts) + " single timeouts were followed by a good answer";
  }
  why += "; a hang is found " + friendly_duration(instead - check.timeout) + " later";
  out.push_back({check.name, "timeout", format_duration(check.timeout), format_duration(instead), std::move(why)});
}

void Advisor::advise_retries(const CheckPlan& check, const Record& record, std::vector<Advice>& out) {
  if (check.retries == 0 || record.retried < enough_retries || record.helped > 0) return;
  out.push_back({check.name, "retries", text_of(check.retries), "0",
                 "retries were made in " + text_of(record.retried) + " cycles and never helped; they took " +
                     friendly_duration(record.spent_on_retries / static_cast<std::int64_t>(record.retried)) +
                     " each time, by which a fault is found later"});
}

void Advisor::advise_fall(const CheckPlan& check, const Record& record, std::vector<Advice>& out) {
  if (check.fall_window) return;
  const unsigned now = falls(check, record.outcomes, check.fall);
  if (now == 0) return;
  // The least patience that spares at least half of the falls.
  for (unsigned fall = check.fall + 1; fall <= check.fall + most_patience; ++fall) {
    const unsigned left = falls(check, record.outcomes, fall);
    if (left * 2 > now) continue;
    const Duration step = check.edge_interval > Duration::zero() ? check.edge_interval : check.interval;
    out.push_back({check.name, "fall", text_of(check.fall), text_of(fall),
                   "it fell " + text_of(now) + " times in " + text_of(record.outcomes.size()) +
                       " outcomes, and would have " +
                       (left == 0 ? std::string("not at all") : text_of(left) + " times") +
                       "; a real fault is found about " + friendly_duration(step * (fall - check.fall)) + " later"});
    return;
  }
}

std::vector<Advice> Advisor::advice() const {
  std::vector<Advice> out;
  for (const CheckPlan& check : plan_->checks) {
    const auto found = records_.find(check.name);
    if (found == records_.end() || check.is_passive) continue;
    advise_timeout(check, found->second, out);
    advise_retries(check, found->second, out);
    advise_fall(check, found->second, out);
  }
  return out;
}

}  // namespace vital
