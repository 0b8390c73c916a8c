// What GET /patroni of a Patroni member says, and what that means. Pure: bodies in, verdicts out; the reader takes
// whatever a stranger may have sent. The fields are those of Patroni's documentation ("Patroni REST API"). [any]
#pragma once

#include <optional>
#include <string>

#include "../findings.hpp"

namespace vital::http {

struct PatroniMember {
  std::string scope;  // the cluster's name; empty if it is not said
  std::string state;  // of its PostgreSQL: running, starting, stopped, crashed, ...
  std::string role;   // primary, standby, or another word of Patroni's
  std::string timeline, position, system;
  bool is_leaderless = false;  // the cluster has no leader now
  bool is_paused = false;      // the cluster makes no failover by itself
  bool is_replay_paused = false;
  bool needs_restart = false;
};

// Where a member at this path answers: the path itself if it names the API already, else below it as a prefix.
std::string patroni_path(const std::string& path);
// Nothing if the body is not a member's own word.
std::optional<PatroniMember> read_patroni(const std::string& body);

void judge_patroni(const PatroniMember& member, check::Findings& found);
// What every result about this member carries: the role, for a topology, among it.
void describe_patroni(const PatroniMember& member, check::Result& result);

}  // namespace vital::http
