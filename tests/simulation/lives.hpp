// Lives: seeded random plans and scripts for the simulator, in families that each ask one question.
#pragma once

#include "simulation/world.hpp"

namespace vital::sim {

// Faults, and an agent that is always (or nearly) on time: verdicts must come within the calculator's bounds.
Life clean_life(std::uint64_t seed);

// The same, with one fault that strikes all checks of the service at the same moment.
Life common_fault_life(std::uint64_t seed);

// Targets that are always well, and an agent in all kinds of trouble: no check may ever fail.
Life troubled_life(std::uint64_t seed);

// Faults and trouble together; the trouble ends well before the life does.
Life mixed_life(std::uint64_t seed);

// One check with the numbers of a profile, one fault at a random moment, in its most awkward shape or its plainest.
Life profile_life(std::uint64_t seed, const CheckPlan& profile);

}  // namespace vital::sim
