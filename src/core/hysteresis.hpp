// Hysteresis: one integer from 0 to rise+fall-1 that says whether a check is up (rise and above) and how near it is to
// the other side. Good outcomes climb, bad ones step down; what reaches the border jumps to the far end, so only
// outcomes in a row count. Instead of a row, falling may be "n bad of the last m" over one 64-bit word. Pure.
//
//   Hysteresis h(2, 3);           // rise 2, fall 3
//   h.decide(true);               // the first result decides at once
//   h.add(false); h.add(false);   // still up, 2 of 3
//   h.add(false);                 // down
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

namespace vital {

class Hysteresis {
 public:
  // `window` is {n, m}: down when n of the last m outcomes since it came up were bad; m is at most 64.
  explicit Hysteresis(unsigned rise = 1, unsigned fall = 1,
                      std::optional<std::pair<unsigned, unsigned>> window = std::nullopt);

  bool is_up() const { return value_ >= rise_; }

  // The next outcome. True if it crossed the border.
  bool add(bool good);

  // Forget what was and take this outcome as settled: the first result, or the first after too long a silence.
  void decide(bool good);

  // How far toward the other side: outcomes seen of those needed; empty if the last word is settled.
  struct Progress {
    bool toward_up = false;
    unsigned seen = 0;
    unsigned needed = 0;
  };
  std::optional<Progress> progress() const;

  // For saving and restoring: the integer itself, and the window's word (bit 0 is the newest, 1 is bad).
  unsigned value() const { return value_; }
  std::uint64_t word() const { return bad_; }
  void restore(unsigned value, std::uint64_t word);

 private:
  unsigned top() const { return rise_ + fall_ - 1; }
  unsigned bad_in_window() const;

  unsigned rise_, fall_;
  std::optional<std::pair<unsigned, unsigned>> window_;
  unsigned value_ = 0;
  std::uint64_t bad_ = 0;
};

}  // namespace vital
