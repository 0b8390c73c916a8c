// What a service's rule makes of its checks. A rule is a tree of all / any / quorum / weighted over checks and
// services; all and any are quorums too, and a quorum of N is the N-th best of its members on the scale pass < warn <
// pending < stale < fail. Leaves first go through the policies: shadow checks do not count, non-critical and shared
// ones do no worse than warn, ignorance is what on_unknown says. Pure functions.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/plan.hpp"
#include "core/snapshot.hpp"

namespace vital::rules {

// What the policies need to know of one check.
struct Leaf {
  State state = State::pending;
  bool is_unproven = false;          // its evidence is older than max_age, though the state still stands
  bool is_explained_shared = false;  // it fails, and a failed shared dependency explains that
  bool is_ignored = false;           // pending, and new in a service that already runs: wait for it without an alarm
  bool is_overdue = false;           // pending for longer than the service's startup_timeout
};

using Checks = std::function<Leaf(CheckId)>;
using Services = std::function<State(ServiceId)>;

// One check under the policies of one service; empty = does not count.
std::optional<State> judge_leaf(const CheckPlan& check, const ServicePlan& service, const Leaf& leaf);

// The whole rule; empty = nothing in it counts.
std::optional<State> evaluate(const Plan& plan, const ServicePlan& service, const Checks& checks,
                              const Services& services);

// 0..100: how much of the rule passes, a warn counts half; weighted by the weights where there are any.
unsigned score(const Plan& plan, const ServicePlan& service, const Checks& checks, const Services& services);

// The checks that make the rule worse than pass, the worst first, each with what it counted as. A member of an any or a
// quorum that is well without it is no cause.
struct Culprit {
  CheckId check;
  State counted_as = State::fail;
};
std::vector<Culprit> causes(const Plan& plan, const ServicePlan& service, const Checks& checks,
                            const Services& services);

// What a consumer is told of a state: ignorance is fail unless the policies made something better of it.
Verdict answer_for(State state);

// Whether failing checks can make the service fail at all: a service whose every check is shared or not critical can
// only warn.
bool can_fail(const Plan& plan, const ServicePlan& service);

// Every check below a rule, nested services included, in the order written, each once.
std::vector<CheckId> checks_of(const Plan& plan, const Rule& rule);

// The rule as text: all(app, any(db, db-replica)), quorum(2 of a, b, c), weighted(a*3, b*1; pass 3, warn 2).
std::string text_of(const Plan& plan, const Rule& rule);

}  // namespace vital::rules
