// The whole configuration as a JSON Schema (draft-07, which every editor's YAML plug-in knows), for completion and
// validation while typing. Made from the same tables that validate: config/keys.cpp for the agent's own keys, each
// module's option table for its own. A schema cannot know everything; `vitald check-config` has the last word. Pure.
#pragma once

#include <span>
#include <string>

#include "modules/option.hpp"

namespace vital::cmd {

// A check of a type that is not among `modules`, and an action of one that is not among `actions`, is refused by it.
std::string config_schema(std::span<const ModuleInfo> modules, std::span<const ModuleInfo> actions);

}  // namespace vital::cmd
