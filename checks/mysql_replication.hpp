// What MariaDB and MySQL say of their replication and of their Galera cluster, and how that is judged. Columns and
// variables are found by name, since their order and some of their names depend on the version. Pure; the file that
// talks to servers is mysql.cpp.
#pragma once

#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "findings.hpp"
#include "words.hpp"

namespace vital::check::mysql {

using Row = std::map<std::string, std::string>;  // NULL is absent

// The first of these columns that the row has and that is not NULL.
inline std::optional<std::string> column(const Row& row, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (const auto at = row.find(name); at != row.end()) return at->second;
  }
  return {};
}

// ---- replication
// -----------------------------------------------------------------------------------------------------

// One source that a replica follows.
struct Source {
  std::string name;  // of the connection or channel; empty for the only one
  std::string host;
  std::string io, sql;  // Yes, No, Connecting
  std::string io_error, sql_error;
  std::optional<double> behind_s;  // empty where the server said NULL: it does not know
  std::string gtid_received, gtid_applied;
  std::string position;  // how far it has received: a GTID, or without GTIDs "binlog.000003:1234"

  static Source of(const Row& row) {
    const auto text = [&](std::initializer_list<const char*> names) { return column(row, names).value_or(""); };
    Source s;
    s.name = text({"Connection_name", "Channel_Name", "Channel_name"});
    s.host = text({"Master_Host", "Source_Host"});
    s.io = text({"Slave_IO_Running", "Replica_IO_Running"});
    s.sql = text({"Slave_SQL_Running", "Replica_SQL_Running"});
    s.io_error = text({"Last_IO_Error"});
    s.sql_error = text({"Last_SQL_Error"});
    const std::string behind = text({"Seconds_Behind_Master", "Seconds_Behind_Source"});
    char* end = nullptr;
    const double seconds = std::strtod(behind.c_str(), &end);
    if (!behind.empty() && *end == '\0') s.behind_s = seconds;
    s.gtid_received = text({"Gtid_IO_Pos"});
    s.gtid_applied = text({"Gtid_Slave_Pos"});
    const std::string file = text({"Master_Log_File", "Source_Log_File"});
    s.position = !s.gtid_received.empty() ? s.gtid_received
                 : file.empty()           ? ""
                                          : file + ":" + text({"Read_Master_Log_Pos", "Read_Source_Log_Pos"});
    return s;
  }
};

// How many transactions of MariaDB's positions "0-1-270,1-2-5" have been received and are not applied; one sequence a
// domain. Empty if a position is none.
inline std::optional<double> waiting_transactions(std::string_view received, std::string_view applied) {
  const auto read = [](std::string_view text) -> std::optional<std::map<unsigned long, unsigned long long>> {
    std::map<unsigned long, unsigned long long> out;
    while (!text.empty()) {
      const std::string one(text.substr(0, text.find(',')));
      text.remove_prefix(std::min(text.size(), one.size() + 1));
      unsigned long domain = 0, server = 0;
      unsigned long long sequence = 0;
      int used = 0;
      if (one.size() > 60 || std::sscanf(one.c_str(), "%lu-%lu-%llu%n", &domain, &server, &sequence, &used) != 3 ||
          static_cast<std::size_t>(used) != one.size()) {
        return {};
      }
      out[domain] = sequence;
    }
    return out;
  };
  const auto have = read(received), done = read(applied);
  if (!have || !done || have->empty()) return {};
  double waiting = 0;
  for (const auto& [domain, sequence] : *have) {
    const auto at = done->find(domain);
    const unsigned long long upto = at == done->end() ? 0 : at->second;
    if (sequence > upto) waiting += static_cast<double>(sequence - upto);
  }
  return waiting;
}

struct ReplicationLimits {
  Limit lag_s;
  static ReplicationLimits options(const Options& o) { return {Limit::seconds(o, "warn_lag", "fail_lag")}; }
};

// `is_wanted` if the server must be a replica.
inline void judge(const std::vector<Source>& sources, bool is_wanted, const ReplicationLimits& limits, Findings& found,
                  Result& result) {
  result.fact("replica", sources.empty() ? "no" : "yes");
  if (sources.empty()) {
    if (is_wanted) found.add(Verdict::fail, Cause::content, "it replicates from nobody");
    return;
  }
  std::optional<double> worst;
  bool is_unknown = false, is_linked = true;
  double waiting = 0;
  std::string hosts, positions;
  for (const Source& s : sources) {
    const std::string from = " from " + s.host + (s.name.empty() ? "" : " (" + tidy(s.name, 60) + ")");
    const auto thread = [&](const char* name, const std::string& state, const std::string& error) {
      return std::string("its ") + name + " thread" + from + " says " + (state.empty() ? "nothing" : state) +
             (error.empty() ? "" : ": " + tidy(error, 200));
    };
    if (s.io != "Yes") {
      is_linked = false;
      found.break_link(Verdict::fail, Cause::content, thread("IO", s.io, s.io_error));
    }
    if (s.sql != "Yes") found.add(Verdict::fail, Cause::content, thread("SQL", s.sql, s.sql_error));
    if (s.behind_s) {
      worst = std::max(worst.value_or(0), *s.behind_s);
      char words[48];
      std::snprintf(words, sizeof words, "it is %.0f s behind", *s.behind_s);
      found.judge(limits.lag_s, *s.behind_s, words + from);
    } else {
      is_unknown = true;
      // Without its source that is no other trouble.
      if (limits.lag_s.is_set() && s.io == "Yes")
        found.add(Verdict::unknown, Cause::content, "its lag" + from + " is unknown");
    }
    waiting += waiting_transactions(s.gtid_received, s.gtid_applied).value_or(0);
    hosts += (hosts.empty() ? "" : ",") + s.host;
    if (!s.position.empty()) positions += (positions.empty() ? "" : ",") + s.position;
  }
  result.fact("source", hosts);
  if (is_linked) result.fact("link", "up");
  if (!positions.empty()) result.fact("position", tidy(positions, 200));
  // Of several sources one that is unknown may be the furthest behind.
  if (worst && !is_unknown) limits.lag_s.measure(result, "lag", *worst, "s");
  if (!sources.front().gtid_received.empty()) result.measure("transactions_waiting", waiting);
}

// ---- Galera
// ----------------------------------------------------------------------------------------------------------

struct GaleraLimits {
  bool may_donate = false;  // a donor may go on serving
  Limit size, receive_queue;

  static GaleraLimits options(const Options& o) {
    return {o.boolean("galera_donor"), Limit::option(o, "warn_cluster_size", "fail_cluster_size", Bad::below),
            Limit::option(o, "warn_receive_queue", "fail_receive_queue", Bad::above)};
  }
};

// `values` are the wsrep_* status variables, and the variables wsrep_on, wsrep_desync, wsrep_reject_queries,
// pxc_maint_mode.
inline bool is_galera(const Row& values) { return column(values, {"wsrep_on"}).value_or("") == "ON"; }

// Whether a node of Galera serves at all: what nobody has to ask for, since no client gets an answer where it does not.
inline void judge_serving(const Row& values, Findings& found) {
  if (column(values, {"wsrep_ready"}).value_or("") != "ON")
    found.add(Verdict::fail, Cause::role, "it takes no queries (wsrep_ready is not ON)");
  const std::string reject = column(values, {"wsrep_reject_queries"}).value_or("");
  if (!reject.empty() && reject != "NONE")
    found.add(Verdict::fail, Cause::role, "it rejects queries (wsrep_reject_queries)");
}

inline void judge_galera(const Row& values, const GaleraLimits& limits, Findings& found, Result& result) {
  const auto value = [&](const char* name) { return column(values, {name}).value_or(""); };
  if (!is_galera(values)) return found.add(Verdict::fail, Cause::role, "it is no Galera node (wsrep_on is off)");
  const std::string cluster = value("wsrep_cluster_status"), state = value("wsrep_local_state"),
                    comment = tidy(value("wsrep_local_state_comment"), 60);
  result.fact("cluster_status", tidy(cluster, 60)).fact("node_state", comment);
  if (cluster != "Primary") {
    found.add(Verdict::fail, Cause::role,
              "its part of the cluster has no quorum (wsrep_cluster_status " + shown(cluster) + ")");
  }
  if (value("wsrep_connected") != "ON") found.add(Verdict::fail, Cause::role, "it is not connected to its cluster");
  const bool is_donor = state == "2" && limits.may_donate;
  judge_serving(values, found);
  if (state != "4" && !is_donor) {
    found.add(Verdict::fail, Cause::role,
              state == "2" ? "it is a donor and lags on purpose; galera_donor: true lets it serve"
                           : "it is not synced (" + (comment.empty() ? "state " + tidy(state, 10) : comment) + ")");
  }
  if (is_donor) found.add(Verdict::warn, Cause::role, "it is a donor");
  if (value("wsrep_desync") == "ON" && state == "4") {
    found.add(Verdict::warn, Cause::role, "it is desynced (wsrep_desync)");
  }
  const std::string maintenance = value("pxc_maint_mode");
  if (!maintenance.empty() && maintenance != "DISABLED") {
    found.add(Verdict::fail, Cause::role, "it is in maintenance (pxc_maint_mode " + tidy(maintenance, 30) + ")");
  }
  const auto number = [&](const char* name) -> std::optional<double> {
    const std::string text = value(name);
    return text.empty() ? std::nullopt : std::optional(std::strtod(text.c_str(), nullptr));
  };
  if (const auto size = number("wsrep_cluster_size")) {
    limits.size.measure(result, "cluster_size", *size);
    found.judge(limits.size, *size, "its cluster has " + value("wsrep_cluster_size") + " nodes");
  }
  if (const auto queue = number("wsrep_local_recv_queue")) {
    limits.receive_queue.measure(result, "receive_queue", *queue);
    found.judge(limits.receive_queue, *queue, value("wsrep_local_recv_queue") + " write sets wait to be applied");
  }
  if (const auto paused = number("wsrep_flow_control_paused")) result.measure("flow_control_paused", *paused);
}

}  // namespace vital::check::mysql
