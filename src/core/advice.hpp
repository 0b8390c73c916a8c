// Advice: what the results of one check say about its settings: timeouts nearer to what is normal than they should be,
// retries that never helped, falls that more patience would have spared, and what that patience costs. Only what the
// record shows, with its numbers; replay proves it. Pure.
//
//   Advisor advisor(plan);
//   for (const RecordedResult& r : results) advisor.take(r);
//   for (const Advice& a : advisor.advice()) ...
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/plan.hpp"
#include "core/replay.hpp"

namespace vital {

struct Advice {
  std::string check;
  std::string option;   // timeout, retries, fall
  std::string now;      // as it is written
  std::string instead;  // as it could be written
  std::string why;      // one line with the numbers
};

// How long good answers of one check took.
struct AnswerTimes {
  std::uint64_t count = 0;
  Duration median{}, p99{}, p999{}, longest{};
};

class Advisor {
 public:
  explicit Advisor(std::shared_ptr<const Plan> plan) : plan_(std::move(plan)) {}

  void take(const RecordedResult& result);
  // By check, in the order of the plan.
  std::vector<Advice> advice() const;
  AnswerTimes times(const std::string& check) const;

 private:
  static constexpr std::size_t most_kept = 200000;  // of each check; the oldest gives way
  struct Record {
    std::vector<std::int64_t> good_us;  // a ring
    std::size_t next = 0;
    std::vector<bool> outcomes;  // good or bad; unknown ones are no outcome
    std::uint64_t retried = 0, helped = 0;
    Duration spent_on_retries{};
    std::uint64_t lone_timeouts = 0;  // timeouts with a good outcome before and after
    bool was_lone = false;
  };
  void advise_timeout(const CheckPlan& check, const Record& record, std::vector<Advice>& out) const;
  static void advise_retries(const CheckPlan& check, const Record& record, std::vector<Advice>& out);
  static void advise_fall(const CheckPlan& check, const Record& record, std::vector<Advice>& out);

  std::shared_ptr<const Plan> plan_;
  std::map<std::string, Record, std::less<>> records_;
};

}  // namespace vital
