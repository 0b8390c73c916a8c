// Values for a module from KEY=VALUE words, for the command-line driver only (the agent's come from config/, which
// knows positions and nearest keys). Normalised as module.h says, defaults filled in. Pure but for NAME_file, which is
// read.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "modules/option.hpp"

namespace vital::worker {

using Values = std::vector<std::pair<std::string, std::vector<std::string>>>;

// One line for each thing that is wrong.
std::vector<std::string> read_values(const ModuleInfo& module, const std::vector<std::string>& words, Values& out);

}  // namespace vital::worker
