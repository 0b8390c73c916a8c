// View: what the front serves, rendered before anybody asks, and the Board through which the agent's loop hands it
// over. Immutable; made on the agent's loop, read on the front's thread.
//
//   board.view.put(make_view(snapshot, facts));
//   board.valid_until.store(step.valid_until);
//
// The answers load balancers poll for stand here as finished bytes. The long documents (details, API, metrics) are
// made from the snapshot kept here when somebody asks for one, by the functions of pages.hpp, on the front's thread:
// a node with a thousand checks does not render them for nobody at each result. Numbers that change by themselves
// (Age, age_ms) are worked out from the instants kept here when a request comes.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/published.hpp"
#include "base/time.hpp"
#include "core/snapshot.hpp"
#include "publish/tally.hpp"

namespace vital {

// One output (a consumer that is told), as the API shows it.
struct OutputFacts {
  std::string name;
  std::string type;
  std::string service;  // empty = the node
  std::string state;    // ok, pending or failing
  WallTime since{};
  std::string told;  // what it is to know: "pass"; empty before the first word
  bool is_confirmed = false;
  std::string error;  // of the last look, one line
  WallTime last_change{};
  std::uint64_t looks = 0, changes = 0, repairs = 0, failures = 0, timeouts = 0;
  std::uint64_t queued = 0, dropped = 0;
  std::optional<std::uint64_t> users;  // still there, where the target can tell
};

// How the agent's journal on disk is doing.
struct JournalFacts {
  bool is_enabled = false;
  bool is_healthy = true;
  std::string path;
  std::string problem;  // why it is not healthy
  std::uint64_t bytes = 0, max_bytes = 0;
  std::uint64_t written = 0, dropped_queue = 0, dropped_disk = 0, pruned = 0, queued = 0;  // rows
};

// The certificate one of our own listeners shows.
struct ListenerCertificate {
  std::string listener;  // health or grpc
  std::string address;   // as the config writes it
  WallTime not_after{};
  bool operator==(const ListenerCertificate&) const = default;
};

// The processes checks run in.
struct WorkerFacts {
  unsigned idle = 0, busy = 0, starting = 0;
  unsigned unkillable = 0;            // workers SIGKILL does not end
  unsigned unkillable_processes = 0;  // what dead workers left behind and SIGKILL does not end
  std::string kill_method;            // how the end of all a worker started is proven: cgroup, subreaper or group
  std::uint64_t started = 0, killed = 0, crashed = 0;  // since the start
};

// What the agent knows of itself; goes into /metrics, /readyz and the details.
struct AgentFacts {
  std::string version;
  WallTime started{};
  bool is_config_current = true;  // false after a refused reload
  std::string config_problem;     // first line of why
  WallTime config_loaded{};
  Duration loop_lag{};  // worst in the last minute
  std::uint64_t reloads = 0, refused_reloads = 0;
  std::vector<OutputFacts> outputs;
  JournalFacts journal;
  std::vector<ListenerCertificate> certificates;
  WorkerFacts workers;
  // Ready-made lines of Prometheus text for what other rooms count (workers, drops), each family complete with HELP and
  // TYPE.
  std::string metrics;
};

// The answer for the node, or for one service: everything about it but its Age, Date and Connection.
struct Answer {
  Verdict status = Verdict::fail;  // pass, warn or fail
  int code = 503;
  OverlayKind overlay = OverlayKind::none;
  State state = State::pending;  // below the overlay
  std::string headers;           // of this status, each line with its CRLF; for those who may see details
  std::string terse_headers;     // the same, with a reason that names no more than check, verdict and cause
  std::string terse_json;        // {"status":"pass"} and a newline
  std::string text;              // "pass\n"
  std::string haproxy;           // the agent-check line, newline included
  std::optional<Instant> oldest_evidence;
};

struct View {
  std::shared_ptr<const Snapshot> snapshot;  // never null
  AgentFacts facts;
  Answer node;
  std::vector<Answer> services;                            // as snapshot->plan->services
  std::unordered_map<std::string, std::uint32_t> by_name;  // service name -> index
  bool is_ready = false;                                   // /readyz
  std::string ready_reason;                                // why not; names at most the first check that is missing
};

// Pure. `snapshot` must not be null and must have its plan.
std::shared_ptr<const View> make_view(std::shared_ptr<const Snapshot> snapshot, AgentFacts facts);

// What the agent's loop writes and the front's thread reads. Outlives both.
struct Board {
  Published<View> view;
  // How long `view` may be believed; past it the front answers 503 by itself. The epoch (before the first store) is
  // past too.
  std::atomic<Instant> valid_until{Instant{}};
  Tally tally;
};

}  // namespace vital
