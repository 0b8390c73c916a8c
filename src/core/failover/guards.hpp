// The guards: each one question about the facts, answered with why. Pure functions; their cases stand beside them in
// tests/core/failover/guards_test.cpp. A guard that holds says what holds; one that does not, says nothing.
#pragma once

#include <string>

#include "core/failover/facts.hpp"

namespace vital::failover {

// What holds, in words; empty = it does not.
using Held = std::string;

struct Candidate {
  std::string name;  // empty = nobody
  bool must_ask = false;
  std::string why;  // why nobody, each member in turn
};
Candidate choose(const Facts& f, const FailoverPolicyPlan& plan);
// Why a member may not be promoted; empty = it may.
std::string unfit(const MemberFact& m, const Facts& f, const FailoverPolicyPlan& plan);

namespace guards {

Held primary_is_bad(const Facts& f, const FailoverPolicyPlan& p);
Held only_demoted(const Facts& f, const FailoverPolicyPlan& p);      // alive, and a standby: no death
Held too_fresh(const Facts& f, const FailoverPolicyPlan& p);         // hold_down
Held overloaded(const Facts& f, const FailoverPolicyPlan& p);        // load is not death
Held contradicted(const Facts& f, const FailoverPolicyPlan& p);      // somebody sees it well
Held uncorroborated(const Facts& f, const FailoverPolicyPlan& p);    // too few see it down
Held stopped_by_human(const Facts& f, const FailoverPolicyPlan& p);  // paused, maintenance
Held doubting(const Facts& f, const FailoverPolicyPlan& p);
Held starting(const Facts& f, const FailoverPolicyPlan& p);
Held storeless(const Facts& f, const FailoverPolicyPlan& p);
Held brake_on(const Facts& f, const FailoverPolicyPlan& p);
Held brake_due(const Facts& f, const FailoverPolicyPlan& p);
Held cooling_down(const Facts& f, const FailoverPolicyPlan& p);
Held others_at_work(const Facts& f, const FailoverPolicyPlan& p);
Held parked_before(const Facts& f, const FailoverPolicyPlan& p);
Held tried_too_often(const Facts& f, const FailoverPolicyPlan& p);
Held nobody_fit(const Facts& f, const FailoverPolicyPlan& p);
Held needs_approval(const Facts& f, const FailoverPolicyPlan& p);
Held planned(const Facts& f, const FailoverPolicyPlan& p);         // an operator moves the role
Held not_planned(const Facts& f, const FailoverPolicyPlan& p);     // why that may not be begun now
Held astray(const Facts& f, const FailoverPolicyPlan& p);          // clients are not led to the primary
Held not_reasserted(const Facts& f, const FailoverPolicyPlan& p);  // and why that is not put right by us, now

}  // namespace guards

}  // namespace vital::failover
