// ${NAME}, ${NAME:-default} and ${HOSTNAME} in scalars. "$${" is a literal "${". [control]
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "config/problems.hpp"
#include "config/tree.hpp"

namespace vital::config {

using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// The process's own environment, with HOSTNAME from the kernel where the environment has none.
std::optional<std::string> process_environment(const std::string& name);

// Expands every value below `node` in place. Keys stay as they are.
void expand(Node& node, const std::string& path, const Environment& environment, Problems& problems);

}  // namespace vital::config
