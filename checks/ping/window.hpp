// The last echoes of a host: how many were lost, how long they took, how much that varied; and what it means. Pure.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <vitald/check.hpp>

namespace vital::ping {

// Warn above the one, fail above the other; NaN = not asked.
struct Limits {
  double warn = check::no_threshold;
  double fail = check::no_threshold;
};

struct Demands {
  Limits loss;    // percent
  Limits rtt;     // seconds, of the mean
  Limits jitter;  // seconds, of the mean difference between one echo and the next
};

struct Echo {
  bool is_lost = false;
  double rtt = 0;  // seconds
};

class Window {
 public:
  explicit Window(size_t most) : most_(most) {}
  void add(Echo echo);
  size_t size() const { return echoes_.size(); }
  double loss() const;  // percent
  double rtt() const;   // mean of those that came back
  double longest() const;
  double jitter() const;  // mean of |rtt - rtt before|, over pairs that both came back

 private:
  size_t most_;
  std::deque<Echo> echoes_;
};

// `sent` and `back` are of this probe, the window is of the last ones.
check::Result judge(const Window& window, int sent, int back, const Demands& demands, const std::string& target);

}  // namespace vital::ping
