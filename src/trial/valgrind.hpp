// A module's probes under valgrind: what it reads or writes that is not its own, and what it loses. Errors that do not
// pass through the module's own code are its libraries' or ours, and are left out. [control]
#pragma once

#include "trial/trial.hpp"

namespace vital::trial {

// Skipped if valgrind is not installed, or does not come to an end within the bound.
Line run_valgrind(const TrialOptions& options, unsigned rounds);

}  // namespace vital::trial
