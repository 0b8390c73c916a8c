// Record: what the agents know in common: recoveries under way and past, the brake, pauses. It lives in the store of
// leases as one text, changed by compare-and-swap, so two agents never both believe theirs was written. An Edit is one
// change; applied to whatever the record is now, again and again until it shows. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/failover/facts.hpp"

namespace vital::failover {

struct Entry {
  std::string id, topology;
  std::string node;        // the owner
  std::int64_t token = 0;  // of its lease: another one's lease, and the owner is gone
  std::string from, to;
  Phase phase = Phase::none;
  unsigned tries = 0;        // how often an owner went on with it
  std::int64_t began = 0;    // wall clock of the owner, in milliseconds; for ages see Ages
  std::int64_t since = 0;    // the same, of the phase
  bool is_forgiven = false;  // an operator released the brake since: it does not count for it
  bool is_bound = false;     // `to` may be promoted already: whoever goes on promotes nobody else
  std::string why;
  bool operator==(const Entry&) const = default;
};

struct Paused {
  std::string topology;  // empty = all
  std::string by, reason;
  bool operator==(const Paused&) const = default;
};

// Who was primary when it was last seen well: for people, after all else is gone.
struct LastPrimary {
  std::string topology, member;
  std::string node;      // who saw it
  std::string position;  // how far it was then: LSN, GTID, CSN
  std::int64_t at = 0;   // wall clock of that node, in milliseconds
  bool operator==(const LastPrimary&) const = default;
};

struct Record {
  bool is_brake_on = false;
  std::string brake_why;
  std::vector<Entry> entries;  // oldest first; of each topology at most kept_entries
  std::vector<Paused> pauses;
  std::vector<LastPrimary> primaries;  // one a topology
  bool operator==(const Record&) const = default;

  const Entry* find(std::string_view id) const;
  bool is_paused(std::string_view topology) const;
  const LastPrimary* last_primary(std::string_view topology) const;
};
inline constexpr std::size_t kept_entries = 6;  // of a topology
inline constexpr std::size_t kept_topologies = 64;
inline constexpr std::int64_t primary_told_every = 60'000;  // milliseconds

std::string encode(const Record& record);
// What is not understood is left out: a newer agent's lines are no reason to stop, and nothing in them allows anything.
Record decode_record(std::string_view text);

struct Edit {
  enum class Kind : std::uint8_t {
    begin,    // a new entry in phase fencing; refused if the brake is on or would be, or another is open
    advance,  // the owner's entry to a later phase
    park,     // the same to parked; made if there is none
    close,    // a parked entry
    brake,    // on
    release_brake,
    pause,
    resume,
    primary,  // who is primary; at most once in told_every unless it is another
  };
  Kind kind = Kind::begin;
  Entry entry;            // begin, advance, park; id only: close
  Paused pause;           // pause, resume; `reason` for brake, `by` for release_brake
  std::string continues;  // begin: the orphan it goes on with
  unsigned brake_max = 0;
  LastPrimary primary;               // primary
  std::vector<std::string> expired;  // begin: entries older than the brake's window, which do not count
};

// The record after the edit; empty if it is refused. The same record = it is there already.
std::optional<Record> apply(const Record& record, const Edit& edit);
// Whether an operator or caution says so: needs no lease.
bool needs_lease(Edit::Kind kind);

}  // namespace vital::failover
