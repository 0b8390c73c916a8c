// How commands load a configuration, and how they tell what is wrong with it.
#pragma once

#include <string>

#include "config/config.hpp"

namespace vital::cmd {

// Options for load_config() with this installation's worker and modules.
LoadOptions loading(const std::string& file);

// Problems and warnings to standard error, one line each.
void print_problems(const Loaded& loaded);

}  // namespace vital::cmd
