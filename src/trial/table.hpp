// What can be said of a module's declaration without running it. Pure.
#pragma once

#include <string>
#include <vector>

#include "modules/option.hpp"

namespace vital::trial {

// One line for each thing that is wrong with what it says of itself: "option 'port' has no help".
std::vector<std::string> table_remarks(const ModuleInfo& module);

}  // namespace vital::trial
