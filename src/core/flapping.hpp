// FlapPenalty: one more for each fall, halved every half-life. Past `suppress` the check is flapping and is held down
// until the penalty is below `reuse`, however good it looks meanwhile: a check that cannot stay up should stay out.
// The penalty is capped, so the hold is too. Pure.
#pragma once

#include <algorithm>
#include <cmath>

#include "base/time.hpp"
#include "core/plan.hpp"

namespace vital {

class FlapPenalty {
 public:
  static constexpr double cap = 6.0;

  explicit FlapPenalty(const FlapPlan& plan = {}) : plan_(plan) {}

  double at(Instant now) const {
    if (penalty_ <= 0 || plan_.half_life <= Duration::zero()) return 0;
    return penalty_ * std::exp2(-seconds(std::max(now - as_of_, Duration::zero())) / seconds(plan_.half_life));
  }

  void fell(Instant now) {
    if (!is_on()) return;
    penalty_ = std::min(at(now) + 1.0, cap);
    as_of_ = now;
    if (penalty_ >= plan_.suppress) is_flapping_ = true;
  }

  bool is_flapping() const { return is_flapping_; }

  // When it will be over if nothing more happens. Only while flapping.
  Instant over_at() const {
    const double half_lives = std::log2(std::max(penalty_, plan_.reuse) / plan_.reuse);
    // A microsecond more, so that rounding can never leave it a hair above.
    return as_of_ + Duration(static_cast<Duration::rep>(half_lives * static_cast<double>(plan_.half_life.count()))) +
           std::chrono::microseconds(1);
  }

  // True if flapping just ended.
  bool advance(Instant now) {
    if (!is_flapping_ || now < over_at()) return false;
    is_flapping_ = false;
    return true;
  }

  void restore(double penalty, bool is_flapping, Instant now) {
    if (!is_on()) return;
    penalty_ = std::clamp(penalty, 0.0, cap);
    as_of_ = now;
    is_flapping_ = is_flapping;
  }

 private:
  bool is_on() const { return plan_.suppress > 0 && plan_.half_life > Duration::zero(); }

  FlapPlan plan_;
  double penalty_ = 0;
  Instant as_of_{};
  bool is_flapping_ = false;
};

}  // namespace vital
