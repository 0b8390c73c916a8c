// Topology: several servers of which one is primary, and who that is by evidence: what the members' own checks found,
// each fact no older than its check may be. Ignorance is no evidence: a member nobody could look at is neither down nor
// primary. Pure functions of what was seen.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "core/result.hpp"

namespace vital {

struct TopologyPlan {
  struct Member {
    std::string name;
    CheckId check;
    Duration max_age{};  // of its check: older evidence says nothing any more
    bool operator==(const Member&) const = default;
  };
  std::string name;
  std::vector<Member> members;
  std::optional<CheckId> endpoint;  // the way in that clients take: a name or an address that moves
  std::optional<Duration> max_lag;  // a standby further behind is no candidate
  bool operator==(const TopologyPlan&) const = default;
};

enum class ServerRole : std::uint8_t { unknown, primary, standby };
std::string_view name(ServerRole role);

// Whether a standby is fed by its source.
enum class Link : std::uint8_t { unknown, up, down };
std::string_view name(Link link);  // empty for unknown

// What a check's fact `role` means: primary, master, writer, active, leader; standby, replica, slave, reader, passive,
// secondary, follower. Upper case too (DRBD). Anything else is unknown.
ServerRole role_of(std::string_view fact);

// The newest evidence of a member.
struct MemberSeen {
  Instant at{};
  WallTime wall{};
  ServerRole role = ServerRole::unknown;
  std::optional<Instant> primary_since;  // the first sample of those in a row that said primary
  bool is_down = false;                  // it failed, and did not say what it is
  bool is_reached = false;               // though it took the connection: slow or broken rather than gone
  bool is_absent = false;                // refused, or no way there: nobody is there to be slow
  bool is_well = false;                  // pass or warn
  bool is_fit = false;                   // well, or well but for the link to its source
  Link link = Link::unknown;             // of a standby
  std::optional<double> lag;             // seconds behind, as a standby
  std::optional<double> lag_bytes;       // the same in bytes
  std::optional<double> position_bytes;  // how far it is, in bytes since the beginning
  double waiting = 0;                    // transactions that were received and are not applied
  bool is_paused = false;                // a standby that does not replay
  std::string position;                  // how far it is: LSN, GTID, CSN; for people
  std::string timeline;                  // of PostgreSQL
  std::string text;

  // The last sample in which the standby was not cut off from its source: what is known of its lag.
  struct Followed {
    Instant at{};
    std::optional<double> lag, lag_bytes;
    std::string timeline;
  };
  std::optional<Followed> followed;
};

// When the primary was seen well last, and how far it was then: what a standby's lag is measured against.
struct PrimaryGood {
  std::optional<Instant> at;
  std::optional<double> position_bytes;
  std::string timeline;
};

// What one result says of a member; empty if it says nothing: unknown verdicts without a role.
std::optional<MemberSeen> evidence_of(const ProbeResult& result, Instant at, WallTime wall);
// The same, going on from what was known of the member before: a server that took connections and now answers none is
// still one that is slow, until somebody refuses; and a standby keeps what it was when it last followed.
std::optional<MemberSeen> evidence_of(const ProbeResult& result, Instant at, WallTime wall,
                                      const std::optional<MemberSeen>& before);

enum class TopologyStatus : std::uint8_t {
  unknown,        // nobody could be seen, or not the one that was primary
  steady,         // one primary
  no_primary,     // all that could be primary were seen, and none is
  two_primaries,  // more than one says so: writes go both ways
};
std::string_view name(TopologyStatus status);

struct MemberView {
  std::string name;
  std::string check;
  ServerRole role = ServerRole::unknown;
  bool is_seen = false;  // there is evidence, and it is fresh
  bool is_down = false;
  bool is_reached = false;
  bool is_well = false;
  bool is_promotable = false;
  std::string why_not;  // a standby that is not promotable
  Link link = Link::unknown;
  // As it says; or, cut off from its source, how far it can be behind what the primary was when that was last well.
  std::optional<double> lag, lag_bytes;
  std::optional<Instant> followed_at;  // of a standby that is cut off: when it was last seen to follow
  std::optional<double> followed_lag;  // and its lag then
  bool lost_primary = false;           // it was not cut off before the primary was last seen well: a witness
  std::string position, timeline, text;
  std::optional<Duration> age;
  std::optional<Instant> seen_at, primary_since;
};

// The members at this moment, in the order of the plan; `seen` beside plan.members.
std::vector<MemberView> members_of(const TopologyPlan& plan, const std::vector<std::optional<MemberSeen>>& seen,
                                   const PrimaryGood& primary, Instant now);

// `last_primary`: the index of the member that was primary last, if one ever was. Two are primary at once only if each
// was asked again after the other had said so: the word of one that was looked at before its end is no second voice.
TopologyStatus status_of(const std::vector<MemberView>& members, std::optional<std::size_t> last_primary);

}  // namespace vital
