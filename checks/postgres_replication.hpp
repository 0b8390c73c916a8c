// What PostgreSQL says of its replication, and how that is judged: a standby's lag without the two usual lies (an idle
// primary that seems to lag, a dead receiver that seems to be up to date), a primary's standbys, and slots that keep
// WAL for nobody. Pure; the file that talks to servers is postgres.cpp.
#pragma once

#include <optional>
#include <string>

#include "amount.hpp"
#include "findings.hpp"

namespace vital::check::postgres {

// One row each. Positions are bytes since the beginning of the log. Columns that only pg_monitor may see are NULL for
// others; whatever is in pg_catalog is named so that no search_path can stand in front of it.
inline constexpr const char* standby_query =
    "SELECT w.pid IS NOT NULL, w.status, w.received_tli,"
    " extract(epoch FROM pg_catalog.clock_timestamp() - w.last_msg_receipt_time),"
    " pg_catalog.pg_wal_lsn_diff(GREATEST(w.latest_end_lsn, pg_catalog.pg_last_wal_receive_lsn()), '0/0'),"
    " pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_replay_lsn(), '0/0'),"
    " extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()),"
    " pg_catalog.pg_is_wal_replay_paused(), w.sender_host,"
    " (SELECT count(*) FROM pg_catalog.pg_replication_slots WHERE NOT active),"
    " (SELECT max(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_replay_lsn(), restart_lsn))"
    " FROM pg_catalog.pg_replication_slots WHERE NOT active),"
    " COALESCE(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn())"
    " FROM (SELECT 1) AS one LEFT JOIN pg_catalog.pg_stat_wal_receiver AS w ON true";
inline constexpr const char* may_list_wal_query =
    "SELECT pg_catalog.has_function_privilege('pg_catalog.pg_ls_waldir()', 'EXECUTE')";
inline constexpr const char* newest_wal_query =
    "SELECT max(name) FROM pg_catalog.pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'";
inline constexpr const char* primary_query =
    "SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()),"
    " (SELECT count(*) FROM pg_catalog.pg_stat_replication WHERE state = 'streaming'),"
    " (SELECT count(*) FROM pg_catalog.pg_stat_replication WHERE state IS NULL),"
    " (SELECT count(*) FROM pg_catalog.pg_stat_replication WHERE state = 'streaming' AND sync_state IN ('sync', "
    "'quorum')),"
    " (SELECT max(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), replay_lsn))"
    " FROM pg_catalog.pg_stat_replication WHERE state = 'streaming'),"
    " (SELECT count(*) FROM pg_catalog.pg_replication_slots WHERE NOT active),"
    " (SELECT max(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), restart_lsn))"
    " FROM pg_catalog.pg_replication_slots WHERE NOT active),"
    " pg_catalog.pg_current_wal_lsn()";

// "16/B374D848" as bytes since the beginning of the log; empty if it is none.
inline std::optional<double> bytes_of_lsn(const std::string& lsn) {
  unsigned high = 0, low = 0;
  int used = 0;
  if (std::sscanf(lsn.c_str(), "%8X/%8X%n", &high, &low, &used) != 2 || static_cast<std::size_t>(used) != lsn.size())
    return {};
  return high * 4294967296.0 + low;
}

// How far the log of a server reaches: what a standby has received, what a primary has written.
inline void tell_position(const std::string& lsn, Result& result) {
  if (lsn.empty()) return;
  result.fact("lsn", lsn);
  if (const auto bytes = bytes_of_lsn(lsn)) result.measure("position", *bytes, "B");
}

struct Slots {
  double inactive = 0;
  std::optional<double> kept_bytes;  // by the inactive slot that is furthest behind
};

struct Standby {
  bool has_receiver = false;
  std::string status;                  // "streaming"; empty without the right to see it
  std::string sender, timeline;        // the same
  std::string lsn;                     // how far it has received, or restored from an archive
  std::optional<double> silent_s;      // since the receiver heard from its sender; the same
  std::optional<double> received;      // how far the log is known to reach
  std::optional<double> replayed;      // and how far it has been replayed
  std::optional<double> commit_age_s;  // of the last transaction that was replayed
  bool is_paused = false;
  Slots slots;

  bool is_linked() const { return has_receiver && (status.empty() || status == "streaming"); }
  bool is_caught_up() const { return received && replayed && *replayed >= *received; }
  std::optional<double> lag_bytes() const {
    if (!has_receiver || !received || !replayed) return {};
    return std::max(0.0, *received - *replayed);
  }
  // The age of the last commit is a lag only while something waits to be replayed: on an idle primary it grows for
  // ever. And without a receiver "all that was received has been replayed" is true and says nothing.
  std::optional<double> lag_s() const {
    if (!has_receiver) return {};
    if (is_caught_up()) return 0;
    return commit_age_s;
  }
};

// The lag in seconds, after a second look `apart_s` after the first. The first transaction after a quiet hour is an
// hour younger than the one before it: in the moment between receiving and replaying it the standby seems an hour
// behind. If by the second look all is replayed that the first one knew of, the lag was no more than the time between
// them.
inline std::optional<double> settled_lag_s(const Standby& first, const Standby& second, double apart_s) {
  const std::optional<double> lag = second.lag_s();
  if (!lag || !first.received || !second.replayed || *second.replayed < *first.received) return lag;
  return std::min(*lag, apart_s);
}

struct Primary {
  std::string timeline, lsn;
  double streaming = 0, synchronous = 0;
  bool may_see = true;              // whether we have the right to see the standbys' states
  std::optional<double> lag_bytes;  // of the standby furthest behind
  Slots slots;
};

// The first eight hex digits of a WAL file's name.
inline std::string timeline_of(const std::string& wal_file) {
  if (wal_file.size() != 24) return {};
  return std::to_string(std::strtoul(wal_file.substr(0, 8).c_str(), nullptr, 16));
}

struct ReplicationLimits {
  bool wants_receiver = true;
  Limit lag_s, lag_bytes, standbys, slot_bytes;

  static ReplicationLimits options(const Options& o) {
    ReplicationLimits limits;
    limits.wants_receiver = o.boolean("wal_receiver");
    limits.lag_s = Limit::seconds(o, "warn_lag", "fail_lag");
    limits.lag_bytes = Limit::bytes(o, "warn_lag_bytes", "fail_lag_bytes");
    limits.standbys = Limit::option(o, "warn_standbys", "fail_standbys", Bad::below);
    limits.slot_bytes = Limit::bytes(o, "warn_slot_wal", "fail_slot_wal");
    if (!limits.wants_receiver && (limits.lag_s.is_set() || limits.lag_bytes.is_set())) {
      throw Invalid("wal_receiver",
                    "is false, but without a receiver no lag can be known; leave out the limits of the lag, or this");
    }
    return limits;
  }
  bool is_any_set() const { return lag_s.is_set() || lag_bytes.is_set() || standbys.is_set() || slot_bytes.is_set(); }
};

inline void judge(const Slots& slots, const ReplicationLimits& limits, Findings& found, Result& result) {
  result.measure("slots_inactive", slots.inactive);
  if (!slots.kept_bytes) return;
  limits.slot_bytes.measure(result, "slot_wal", *slots.kept_bytes, "B");
  found.judge(limits.slot_bytes, *slots.kept_bytes,
              "a replication slot that nobody uses keeps " + bytes_in_words(*slots.kept_bytes) + " of WAL");
}

// `lag_s` is the settled one.
inline void judge(const Standby& standby, std::optional<double> lag_s, const ReplicationLimits& limits, Findings& found,
                  Result& result) {
  if (!standby.timeline.empty()) result.fact("timeline", standby.timeline);
  if (!standby.sender.empty()) result.fact("sender", standby.sender);
  result.fact("wal_receiver", !standby.has_receiver ? "none" : standby.status.empty() ? "running" : standby.status);
  result.fact("replay", standby.is_paused ? "paused" : "running");
  tell_position(standby.lsn, result);
  if (standby.silent_s) result.measure("receiver_silent", *standby.silent_s, "s");
  if (standby.is_linked()) {
    result.fact("link", "up");
  } else if (limits.wants_receiver) {
    found.break_link(standby.has_receiver ? Verdict::pass : Verdict::fail, Cause::content,
                     "no WAL receiver runs, so it gets nothing from its primary");
  }
  if (standby.is_paused) {
    found.add(Verdict::warn, Cause::content, "replay is paused: it falls behind, and a promotion would have to wait");
  }
  if (lag_s) {
    limits.lag_s.measure(result, "lag", *lag_s, "s");
    char words[48];
    std::snprintf(words, sizeof words, "it is %.1f s behind", *lag_s);
    found.judge(limits.lag_s, *lag_s, words);
  } else if (limits.lag_s.is_set() && standby.has_receiver) {
    found.add(Verdict::unknown, Cause::content, "its lag is unknown: it has not replayed a transaction yet");
  }
  if (const std::optional<double> bytes = standby.lag_bytes()) {
    limits.lag_bytes.measure(result, "lag_bytes", *bytes, "B");
    found.judge(limits.lag_bytes, *bytes, bytes_in_words(*bytes) + " wait to be replayed");
  }
  judge(standby.slots, limits, found, result);
}

inline void judge(const Primary& primary, const ReplicationLimits& limits, Findings& found, Result& result) {
  tell_position(primary.lsn, result);
  if (!primary.timeline.empty()) result.fact("timeline", primary.timeline);
  if (primary.may_see) {
    limits.standbys.measure(result, "standbys", primary.streaming);
    result.measure("standbys_synchronous", primary.synchronous);
    const auto count = static_cast<long long>(primary.streaming);
    found.judge(limits.standbys, primary.streaming,
                count == 0 ? "no standby is streaming"
                           : std::to_string(count) + (count == 1 ? " standby is" : " standbys are") + " streaming");
    if (primary.lag_bytes) result.measure("standby_lag_bytes", *primary.lag_bytes, "B");
  } else if (limits.standbys.is_set()) {
    found.add(Verdict::unknown, Cause::auth,
              "who is streaming cannot be seen; GRANT pg_monitor TO the user of this check");
  }
  judge(primary.slots, limits, found, result);
}

}  // namespace vital::check::postgres
