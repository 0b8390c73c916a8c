// The seam between the deciding half of failover (pure, in this room) and the acting half: the store of leases
// (src/cluster) and the actions (src/failover). What the policy is told, and what it asks for. Plain values only.
//
//   ClusterSeen, StepDone, SelfSeen, Command, ...  ->  policy  ->  WantLease, PublishVote, WriteRecord, RunStep, ...
//
// The store is level-triggered: each ClusterSeen says all that is known now, and the policy believes nothing else of
// it. What was asked for and has not shown up there has not happened. One thread, the agent's loop.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/time.hpp"
#include "core/topology.hpp"

namespace vital::failover {

// ---- what the policy is told

// How the store of leases answers. Anything it says that is not understood is `refused`, never `ok`.
enum class StoreHealth : std::uint8_t {
  standalone,   // none is configured: no lease is ever held
  ok,           // a quorum answered a linearizable read
  unreachable,  // nobody answered in time
  refused,      // it answered with an error: no leader, wrong password, no space, garbage
};
std::string_view name(StoreHealth health);

// The lease of one topology, of whoever holds it. Only the holder acts on the topology.
struct LeaseSeen {
  std::string topology;
  std::string holder;      // a node's name; empty = nobody
  bool is_ours = false;    // held by this agent, in this life
  std::int64_t token = 0;  // rises with each new holder (etcd: create_revision); 0 = nobody
  Instant until{};         // ours: to be given up then. Send time of the last keepalive that succeeded + ttl - margin
};

// What another agent said of one member.
struct PeerVote {
  std::string node, zone;
  std::string topology, member;
  ServerRole role = ServerRole::unknown;
  bool is_down = false;  // looked at, and failed without saying what it is
  bool is_well = false;
  Duration age{};  // at ClusterSeen::at: of the evidence at its sender plus the longest it can have been under way
  std::string text;
  std::optional<Duration> good_age{};  // the same, of when it last saw the member well as the primary
};

// A small text the agents share, changed by compare-and-swap only.
struct SharedRecord {
  std::string text;           // empty = there is none yet
  std::int64_t revision = 0;  // of the last change (etcd: mod_revision); 0 = there is none
};

struct ClusterSeen {
  Instant at{};
  StoreHealth health = StoreHealth::standalone;
  std::int64_t revision = 0;  // of the store at the read: never goes back
  std::vector<LeaseSeen> leases;
  std::vector<PeerVote> votes;  // of others, not our own; at most max_votes
  SharedRecord record;
  std::string text;  // of a health other than ok: what was asked, and the answer
};
inline constexpr std::size_t max_votes = 1024;
inline constexpr std::size_t max_record = 64 * std::size_t{1024};  // bytes

// What an action is asked to do. `verify` changes nothing: it reads back from the data path.
enum class Verb : std::uint8_t { perform, verify, compensate };
std::string_view name(Verb verb);

enum class Outcome : std::uint8_t {
  done,        // perform: it was done; verify: it is so
  failed,      // it was not done, or verify found it is not so
  vetoed,      // a precondition or a hook said no; nothing was done
  timeout,     // the deadline came; whether it was done is not known
  unverified,  // it said it was done, and reading back says otherwise
  too_late,    // `not_after` had passed before the effect could begin; nothing was done
};
std::string_view name(Outcome outcome);

struct StepDone {
  std::string recovery;
  std::uint32_t step = 0;
  std::uint32_t attempt = 0;
  Verb verb = Verb::perform;
  Outcome outcome = Outcome::failed;
  std::string text;  // one line, no secrets
};

// What the agent noticed of itself since the last one. Any of them makes it doubt itself for a while.
struct SelfSeen {
  Duration loop_late{};          // the loop turned so much later than planned
  Duration slept{};              // the host slept and the monotonic clock did not count it: leases seen before are void
  Duration clock_jump{};         // the wall clock moved so much against the monotonic one, either way
  double share_of_bad_checks{};  // 0..1: of its checks that have to do with no topology, how many turned bad of late
  unsigned unrelated_checks = 0;  // how many those are: a share of one is no share
};

// A service or the node is drained or in maintenance by an operator; level-triggered.
struct MaintenanceSeen {
  std::string topology;  // empty = all
  bool is_on = false;
};

// One line of a pre-flight: would this work now?
struct Finding {
  enum class Level : std::uint8_t { good, warning, bad };
  Level level = Level::good;
  std::string topology;  // empty = all
  std::string what;      // "fence: systemd.stop", "candidate", "store"
  std::string text;      // what was found, and for a bad one what to do
};
struct Preflight {
  Instant at{};
  std::vector<Finding> findings;
};

// What an operator says. `by` is who.
struct Approve {
  std::string recovery;
  std::string echo;  // the name of the member that will be written to from now on, typed again
  std::string by;
};
struct Decline {
  std::string recovery, by;
};
// Planned: the primary lives, and another one is to be it.
struct Switchover {
  std::string topology, to;
  std::string echo;  // the topology's name, typed again
  std::string by;
};
struct Pause {
  std::string topology;  // empty = all
  std::string by, reason;
};
struct Resume {
  std::string topology;  // empty = all
  std::string by;
};
struct ReleaseBrake {
  std::string by;
};
// Somebody has looked at a parked recovery: the topology may be acted on again.
struct Acknowledge {
  std::string recovery, by;
};
using Command = std::variant<Approve, Decline, Switchover, Pause, Resume, ReleaseBrake, Acknowledge>;

// ---- what the policy asks for

// Try to hold the lease of the topology and keep it alive until GiveUpLease; asked again whenever it does not show up.
// Never acquired for longer than one keepalive in advance.
struct WantLease {
  std::string topology;
};
struct GiveUpLease {
  std::string topology;
};

// What we see of a member, for the others; kept under a lease of this agent, so it ends with us.
struct PublishVote {
  std::string topology, member;
  ServerRole role = ServerRole::unknown;
  bool is_down = false;
  bool is_well = false;
  Instant seen_at{};  // of the evidence
  std::string text;
  std::optional<Instant> good_at{};  // of the primary: when it was last seen well
};

// Replace the shared record if its revision is still `expected` (0 = create it) and, with a token, if the topology's
// lease is still the one with this token: one transaction.
struct WriteRecord {
  std::string topology;    // whose lease guards the write; empty = none (an operator's word)
  std::int64_t token = 0;  // 0 = none
  std::int64_t expected = 0;
  std::string text;
};

struct RunStep {
  std::string recovery;
  std::string topology;
  std::string from, to;  // members: the old primary and the new one
  std::uint32_t step = 0;
  std::uint32_t attempt = 0;
  Verb verb = Verb::perform;
  std::string action;  // "postgres.promote"
  std::map<std::string, std::string> parameters;
  std::int64_t token = 0;
  Instant not_after{};  // the effect must begin before: checked last, after all that may block; else `too_late`
  Instant deadline{};   // the step is killed then, with all it started, and answers `timeout`
};

// Kill the step, with all it started; its StepDone is not wanted any more.
struct StopStep {
  std::string recovery;
  std::uint32_t step = 0;
  std::uint32_t attempt = 0;
};

}  // namespace vital::failover
