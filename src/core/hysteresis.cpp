// See hysteresis.hpp. With a window the integer knows only two places on the up side's end: the word counts instead.
#include "core/hysteresis.hpp"

#include <algorithm>
#include <bit>

namespace vital {

Hysteresis::Hysteresis(unsigned rise, unsigned fall, std::optional<std::pair<unsigned, unsigned>> window)
    : rise_(std::max(rise, 1U)), fall_(std::max(fall, 1U)), window_(window) {
  if (window_) {
    window_->second = std::clamp(window_->second, 1U, 64U);
    window_->first = std::clamp(window_->first, 1U, window_->second);
  }
}

unsigned Hysteresis::bad_in_window() const {
  const unsigned m = window_->second;
  const std::uint64_t mask = m == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << m) - 1;
  return static_cast<unsigned>(std::popcount(bad_ & mask));
}

bool Hysteresis::add(bool good) {
  const bool was_up = is_up();
  bad_ = (bad_ << 1) | (good ? 0U : 1U);
  if (good) {
    if (!was_up) ++value_;
    if (value_ >= rise_) value_ = top();
    if (!was_up && is_up()) bad_ = 0;  // a recovery starts a new window: old trouble must not fell it again
  } else if (!was_up) {
    value_ = 0;
  } else if (window_) {
    if (bad_in_window() >= window_->first) value_ = 0;
  } else {
    value_ = value_ > rise_ ? value_ - 1 : 0;
  }
  return was_up != is_up();
}

void Hysteresis::decide(bool good) {
  value_ = good ? top() : 0;
  bad_ = 0;
}

std::optional<Hysteresis::Progress> Hysteresis::progress() const {
  if (!is_up()) {
    if (value_ == 0) return {};
    return Progress{true, value_, rise_};
  }
  if (window_) {
    const unsigned bad = bad_in_window();
    if (bad == 0) return {};
    return Progress{false, bad, window_->first};
  }
  if (value_ == top()) return {};
  return Progress{false, top() - value_, fall_};
}

void Hysteresis::restore(unsigned value, std::uint64_t word) {
  value_ = std::min(value, top());
  bad_ = word;
}

}  // namespace vital
