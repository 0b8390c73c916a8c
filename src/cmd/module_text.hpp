// A module's declaration for readers: on a terminal, as JSON, as the Markdown table of docs/checks/TYPE.md. All of them
// come from the option table the module itself carries, so none can lag behind it. Pure.
#pragma once

#include <string>

#include "cmd/cmd.hpp"
#include "modules/option.hpp"

namespace vital::cmd {

// As a config would say it: a secret is written NAME_file.
std::string written_name(const OptionSpec& option);

std::string module_text(const ModuleInfo& info, const Paint& paint);
std::string module_json(const ModuleInfo& info);  // an object, indented by two
// One row an option, in the order declared; a line of words if there is none.
std::string module_markdown(const ModuleInfo& info);

}  // namespace vital::cmd
