// Outcome: what one health question comes to (of the node, a service, or one check in it), before it takes a form. The
// usual ones stand ready in the View as Answers; ?exclude, ?max_age and a stalled agent make others. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "core/snapshot.hpp"
#include "publish/view.hpp"

namespace vital {

struct Outcome {
  std::string name;                // of the node, the service or the check
  Verdict status = Verdict::fail;  // pass, warn or fail
  State state = State::pending;    // below the overlay
  OverlayKind overlay = OverlayKind::none;
  std::string reason;        // one line; empty on pass
  std::string terse_reason;  // the same without texts that came from servers or people
  int code = 503;
  unsigned weight = 0;     // 0..100
  Duration retry_after{};  // on 503: when another answer is possible
  std::optional<Instant> oldest_evidence;
};

Outcome node_outcome(const Snapshot& snapshot, WallTime now);
Outcome service_outcome(const Snapshot& snapshot, ServiceId id, WallTime now);
// The node or a service (empty = the node) as if these checks did not exist.
Outcome outcome_without(const Snapshot& snapshot, std::optional<ServiceId> service,
                        const std::vector<CheckId>& excluded, Now now);
// `service` decides the codes.
Outcome check_outcome(const Snapshot& snapshot, ServiceId service, CheckId check);
// Past valid_until, and before the first view.
Outcome stalled_outcome(std::string name, Duration since);
Outcome starting_outcome();

// Makes a fail of it, for a cause of the publisher's own: ?max_age, a stalled agent.
void fail_outcome(Outcome& outcome, int code, const std::string& reason);

Answer render_answer(const Outcome& outcome);

// The checks a service (empty = the node) is made of, each once.
std::vector<CheckId> checks_behind(const Plan& plan, std::optional<ServiceId> service);

}  // namespace vital
