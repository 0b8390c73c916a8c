// ModuleSource: where check types come from, as this room sees it: the Registry, or a table in a test. [control]
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "modules/option.hpp"
#include "modules/registry.hpp"

namespace vital::config {

class ModuleSource {
 public:
  virtual ~ModuleSource() = default;
  virtual std::shared_ptr<const ModuleInfo> describe(std::string_view type, std::string* why) = 0;
  // A kind of failover action; as describe().
  virtual std::shared_ptr<const ModuleInfo> describe_action(std::string_view, std::string* why) {
    *why = "there are no kinds of action here";
    return nullptr;
  }
  virtual std::vector<SpecProblem> validate(std::span<const std::shared_ptr<const CheckSpec>> specs) = 0;
  // What was wrong with the directories.
  virtual std::vector<std::string> problems() const = 0;
};

// Makes the source once the config's own module_path is known.
using MakeSource = std::function<std::unique_ptr<ModuleSource>(const std::vector<std::string>& module_path)>;

// load_config() with modules from anywhere; `registry` of the result is left to the caller.
Loaded load_with(const LoadOptions& options, const MakeSource& make_source);

}  // namespace vital::config
