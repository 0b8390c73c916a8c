// A kind of action as the config and people see it. Pure.
#pragma once

#include <string>
#include <vector>

#include "modules/option.hpp"

namespace vital {

// Its options without those that the agent says of the step.
inline ModuleInfo without_step(ModuleInfo kind) {
  std::erase_if(kind.options, [](const OptionSpec& o) { return o.name.starts_with("step."); });
  return kind;
}

}  // namespace vital
