// The write half of the API, as pure functions: from a request on the admin socket to what is wanted, or to the answer
// that says what was wrong with it. The agent performs. Bodies are JSON objects; an unknown key is an error.
//
//   POST   /api/v1/maintenance          {"kind": "drain"|"maintenance", "service", "for", "reason", "owner"}
//   DELETE /api/v1/maintenance          ?service=NAME or {"service"}; without one, the node's
//   POST   /api/v1/checks/NAME/run
//   POST   /api/v1/checks/NAME/result   {"verdict", "cause", "text", "facts", "measures"}, for checks
//                                       that are reported
//   POST   /api/v1/reload
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/ids.hpp"
#include "core/plan.hpp"
#include "core/result.hpp"
#include "core/snapshot.hpp"
#include "publish/front.hpp"

namespace vital::admin {

struct Lay {
  Overlay overlay;
};
struct Lift {
  std::string service;  // empty = the node's
};
struct Run {
  CheckId check;
};
struct Record {
  CheckId check;
  ProbeResult result;
};
struct Reload {};

// An AdminAnswer: it could not be understood, or asks for something that is not there.
using Wish = std::variant<AdminAnswer, Lay, Lift, Run, Record, Reload>;

Wish parse(const AdminRequest& request, const Plan& plan, WallTime now, std::string_view peer);

// {"error": why}
AdminAnswer refuse(int status, std::string_view why);
// The answer where no request laid anything: a file may have, and only the file's end is the overlay's.
AdminAnswer nothing_lifted(const Lift& lift, const std::vector<Overlay>& overlays);
// An overlay as the API shows it, and whether it would survive a restart.
std::string overlay_text(const Overlay& overlay, bool is_saved, std::string_view trouble);

// The name of a user by /etc/passwd alone, "uid 1000" if it is not there: asking the name service could take for ever.
std::string user_name(uid_t uid);

}  // namespace vital::admin
