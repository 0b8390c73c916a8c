// WorstOfLastMinute: how late the loop turned, the worst of the last sixty seconds, in buckets of five. Pure; one
// thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/time.hpp"

namespace vital {

class WorstOfLastMinute {
 public:
  void add(Instant now, Duration late) {
    Bucket& b = buckets_.at(static_cast<std::size_t>(slot(now)) % buckets_.size());
    if (b.slot != slot(now)) b = {slot(now), Duration{}};
    b.worst = std::max(b.worst, late);
  }
  Duration at(Instant now) const {
    Duration worst{};
    for (const Bucket& b : buckets_) {
      if (b.slot > slot(now) - static_cast<std::int64_t>(buckets_.size())) worst = std::max(worst, b.worst);
    }
    return worst;
  }

 private:
  static constexpr Duration width = std::chrono::seconds(5);
  static std::int64_t slot(Instant t) { return t.time_since_epoch() / width; }
  struct Bucket {
    std::int64_t slot = -1000;
    Duration worst{};
  };
  std::array<Bucket, 12> buckets_{};
};

}  // namespace vital
