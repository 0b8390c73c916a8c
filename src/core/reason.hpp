// Reasons: why something is worse than pass, in one line, first cause first, no secrets beyond what a result's text
// holds. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "core/plan.hpp"
#include "core/snapshot.hpp"

namespace vital::reason {

// "fail/timeout: no answer in 5s", "stale: no evidence for 35s, last unknown/auth: password rejected".
std::string of_check(const CheckView& view, Instant now);

// "db: fail/refused: connection refused; app: fail/content: ... (because of db)"; at most three, then how many more.
std::string of_causes(const Plan& plan, const std::vector<CheckId>& causes, const std::vector<CheckView>& checks,
                      Instant now);

// "maintenance by alice: kernel update".
std::string of_overlay(const Overlay& overlay);

}  // namespace vital::reason
