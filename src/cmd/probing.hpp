// Probes of a configuration's checks without an agent: each once, in workers as the agent would, with the verdict its
// core would give at the deadline. One thread; waits until all have ended.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "core/result.hpp"

namespace vital::cmd {

// Of these checks at most a few at a time; `done` gets each as it ends. What workers say of themselves goes to standard
// error in the name of `command`.
void probe_each(const std::string& command, const std::string& worker, const Config& config,
                const std::vector<CheckId>& checks, const std::function<void(CheckId, const ProbeResult&)>& done);

}  // namespace vital::cmd
