// Tally: how many probes each check had, how they ended and how long they took, for /metrics. The agent's loop adds
// each result; the front's thread copies the numbers when it is scraped. Both hold the lock for moments only.
//
//   board.tally.add("db", Verdict::fail, Cause::timeout, 5s);      // [loop]
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "core/verdict.hpp"

namespace vital {

class Tally {
 public:
  // Upper bounds of the histogram in seconds; one more bucket holds the rest.
  static constexpr std::array<double, 14> bounds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                 0.25,  0.5,    1,     2.5,  5,     10,   30};

  struct Row {
    std::array<std::array<std::uint64_t, 13>, 4> ends{};  // [verdict][cause]
    std::array<std::uint64_t, bounds.size() + 1> buckets{};
    double seconds_sum = 0;
    std::uint64_t count = 0;
  };

  // Every attempt counts, retries and unknown ones included. [any]
  void add(std::string_view check, Verdict verdict, Cause cause, Duration took);
  // After a reload: forget the checks that are not in this list. [any]
  void keep_only(const std::vector<std::string>& checks);
  // [any]
  std::map<std::string, Row, std::less<>> copy() const;

 private:
  mutable std::mutex m_;
  std::map<std::string, Row, std::less<>> rows_;  // guarded by m_
};

}  // namespace vital
