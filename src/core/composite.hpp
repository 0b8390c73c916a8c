// A composite check is not probed: its result is what its rules make of the newest results of other checks. Pure; the
// engine judges one when it is due, and when a check it looks at changes its state.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "core/expression.hpp"
#include "core/result.hpp"
#include "core/snapshot.hpp"

namespace vital {

// One rule, with the checks its references name, as Expression::references().
struct CompositeRule {
  std::string text;
  Expression condition;
  std::vector<CheckId> checks;
};

struct CompositePlan {
  CompositeRule rule;                      // must hold, or it is a failure
  std::optional<CompositeRule> warn_rule;  // should hold, or it is a warning
};

namespace composite {

// What a check's field is worth at `now`: a measure or a fact of its newest result, or verdict, cause, text, state,
// duration, result_age. A check that is stale, or whose state is older than its max_age, has only its state.
Expression::Value value_of(const CheckView& check, const std::string& field, Instant now);

// pass, warn, fail, or unknown where the values that would decide are not known.
ProbeResult judge(const CompositePlan& plan, const std::function<CheckView(CheckId)>& view, Instant now);

}  // namespace composite
}  // namespace vital
