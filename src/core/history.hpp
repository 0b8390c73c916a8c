// History: the last 64 outcomes of a check, two bits each, printable one character each. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/verdict.hpp"

namespace vital {

class History {
 public:
  static constexpr unsigned capacity = 64;

  void add(Verdict v) {
    const auto bits = static_cast<std::uint64_t>(v);
    low_ = (low_ << 1) | (bits & 1);
    high_ = (high_ << 1) | (bits >> 1);
    count_ = std::min(count_ + 1, capacity);
  }

  // Oldest first: '.' pass, 'w' warn, 'F' fail, '?' unknown.
  std::string print() const {
    constexpr std::string_view letters = ".wF?";
    std::string out(count_, '.');
    for (unsigned i = 0; i < count_; ++i) {
      const std::uint64_t bit = count_ - 1 - i;
      out[i] = letters[((high_ >> bit) & 1) * 2 + ((low_ >> bit) & 1)];
    }
    return out;
  }

  // The inverse of print(); characters it does not know are left out.
  static History parse(std::string_view text) {
    History h;
    for (const char c : text) {
      const auto at = std::string_view(".wF?").find(c);
      if (at != std::string_view::npos) h.add(static_cast<Verdict>(at));
    }
    return h;
  }

 private:
  std::uint64_t low_ = 0, high_ = 0;
  unsigned count_ = 0;
};

}  // namespace vital
