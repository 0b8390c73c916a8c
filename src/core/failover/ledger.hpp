// The ledger: every decision with the facts it was made of, so that it can be explained to a human and replayed to the
// same answer, also through another plan, or without one of the observers. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/failover/table.hpp"

namespace vital::failover {

struct Decision {
  WallTime at{};
  std::string topology;
  State from = State::observing, to = State::observing;
  When when = When::always;
  Do effect = Do::nothing;
  std::string why;
  Facts facts;
  Mode mode = Mode::observe;  // in effect then: auto acts as assist until its pre-flight is green
  bool operator==(const Decision&) const = default;
};

// One line, at most max_facts and a little; and back. Empty if it is none of ours.
std::string encode(const Decision& decision);
std::optional<Decision> decode_decision(std::string_view line);

struct Replayed {
  Decision was;
  Decision now;
  bool is_same = false;
};
// Each decision once more from its own facts. `without`: a node whose word is taken out of them; empty = nobody.
std::vector<Replayed> replay(const std::vector<Decision>& ledger, const FailoverPolicyPlan& plan,
                             std::string_view without = {});

// A decision in sentences: what was seen, by whom, what was decided and by which row.
std::string explain(const Decision& decision, const FailoverPolicyPlan& plan);

}  // namespace vital::failover
