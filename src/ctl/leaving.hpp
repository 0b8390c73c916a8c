// Who has not left yet, from the agent's documents; the rules are in core/leaving.hpp. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/time.hpp"

namespace vital::ctl {

// `status` is /api/v1/status, `consumers` /api/v1/consumers (an empty object from an older agent); one line for each
// that may still send users to the node, or to `service` if it is not empty.
std::vector<std::string> who_is_left(const nlohmann::ordered_json& status, const nlohmann::ordered_json& consumers,
                                     const std::string& service, Duration drained_for);

}  // namespace vital::ctl
