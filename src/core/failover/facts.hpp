// Facts: all that a decision about one topology may look at, at one moment, as plain numbers and ages. Made by the
// policy from what it was told; read by the guards; kept with every decision, so that the same facts give the same
// decision again. No instants: an age means the same tomorrow. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/failover/plan.hpp"

namespace vital::failover {

using Millis = std::int64_t;
inline constexpr Millis never = -1;  // of an age: there is none

struct MemberFact {
  std::string name, zone;
  ServerRole role = ServerRole::unknown;
  bool is_seen = false;     // there is evidence, fresh enough for its check
  bool is_down = false;     // and it failed
  bool is_reached = false;  // though it took a connection: it may be slow rather than dead
  bool is_promotable = false;
  bool is_moving = false;       // its position went on after the primary was down: somebody still feeds it
  bool lost_primary = false;    // a standby: its link to the primary broke with that, not before
  Millis age = never;           // of the evidence
  Millis lost_role = never;     // how long ago a recovery took the role from it
  Millis lag = never;           // milliseconds
  std::int64_t lag_bytes = -1;  // -1 = nobody knows
  std::string timeline;
  std::string why_not;  // a standby that is not promotable
  // Of a standby that is cut off: how long before anybody last saw the primary well it was last seen to follow.
  Millis unfollowed = never;
  bool operator==(const MemberFact&) const = default;
};

struct VoteFact {
  std::string node, member;
  ServerRole role = ServerRole::unknown;
  bool is_down = false;
  bool is_well = false;
  Millis age = 0;
  bool operator==(const VoteFact&) const = default;
};

// How far a recovery is, as the shared record says it. The order is that of its life.
enum class Phase : std::uint8_t { none, fencing, promoting, moving, done, parked, closed };
std::string_view name(Phase phase);

// Where the steps of the current stage stand.
enum class Steps : std::uint8_t {
  idle,      // the next may begin
  running,   // one is under way
  finished,  // all are done and verified
  vetoed,    // one said no
  failed,    // one was tried as often as it may be
};
std::string_view name(Steps steps);

struct Facts {
  std::string node;  // who decides
  Millis in_state = 0;
  TopologyStatus status = TopologyStatus::unknown;
  std::string primary;  // that is, or was last; empty = none ever was
  std::string primary_timeline;
  Millis bad_for = never;     // the primary is down as we see it, without a break
  Millis steady_for = never;  // one is primary and well, without a break
  bool is_endpoint_good = true;
  Millis astray_for = never;  // clients are not led to the primary, though it is well, without a break
  Millis reasserted = never;  // how long ago we tried to lead them there again
  std::vector<MemberFact> members;
  std::vector<VoteFact> votes;

  StoreHealth store = StoreHealth::standalone;
  Millis store_age = never;
  std::string lease_holder;
  bool is_lease_ours = false;
  Millis lease_left = 0;

  Millis doubt_left = 0, grace_left = 0;
  bool was_seen_well = false;  // this primary, by us, once
  bool is_maintenance = false;
  bool is_paused = false;
  bool is_brake_on = false;
  unsigned recoveries = 0;  // other topologies that had one within the brake's window
  Millis cool_down_left = 0;
  std::string other_recovery;     // of this topology, by an owner that still holds the lease
  std::string parked_recovery;    // waits for a human
  std::string orphan, orphan_to;  // begun by an owner that is gone; `to` once it may have been promoted
  unsigned orphan_tries = 0;
  bool is_left_unmoved = false;  // whoever promoted the primary that is now was lost before clients were moved

  std::string planned_to;  // an operator moves the role there, though the primary lives
  // Our own recovery.
  std::string recovery, from, to;
  Millis left = 0;             // until its deadline
  Phase shown = Phase::none;   // in the record, as ours
  bool has_lost_lease = true;  // the one it began with
  Steps steps = Steps::idle;
  bool is_touched = false;  // something may have been done
  bool may_be_promoted = false;
  bool is_old_back = false;  // the old primary said it is primary after the fence was confirmed
  Millis approval_left = 0;  // of an approval for `to`
  bool is_declined = false;
  bool is_acknowledged = false;  // of a parked one, here
  bool operator==(const Facts&) const = default;

  const MemberFact* find(std::string_view member) const {
    for (const MemberFact& m : members) {
      if (m.name == member) return &m;
    }
    return nullptr;
  }
};

// One line, and back; empty if it is not one of ours. Bounded: max_facts bytes.
std::string encode(const Facts& facts);
std::optional<Facts> decode_facts(std::string_view line);
inline constexpr std::size_t max_facts = 32 * std::size_t{1024};

}  // namespace vital::failover
