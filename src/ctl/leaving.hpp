// Who has not left yet: after a drain, from what the agent knows of its consumers. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/time.hpp"

namespace vital::ctl {

// One line for each consumer that may still send users to the node, or to `service` if it is not empty; none when it is
// safe to stop. `status` is /api/v1/status, `consumers` /api/v1/consumers, `drained_for` how long the drain has been
// told. A balancer that asks is believed to have left after its declared reaction (`lb:` of the service); one that was
// observed when it says so itself (HAProxy's server state), else after it had time to ask three times; an output when
// it holds the drain and reports no sessions.
std::vector<std::string> who_is_left(const nlohmann::ordered_json& status, const nlohmann::ordered_json& consumers,
                                     const std::string& service, Duration drained_for);

}  // namespace vital::ctl
