// OwnTrouble: what the agent and its host cost the probes, added up for /metrics: by this an operator sees whether a
// machine is too busy for its checks before verdicts turn unknown. [loop]
#pragma once

#include <string>

#include "core/engine.hpp"
#include "core/result.hpp"

namespace vital {

class OwnTrouble {
 public:
  // An attempt ended.
  void add(const Evidence& evidence);
  void see(const Pressure& pressure) { pressure_ = pressure; }

  // Families in Prometheus text.
  std::string metrics() const;

 private:
  Evidence lost_;  // sums; the pressure in it is unused
  Pressure pressure_;
};

}  // namespace vital
