// What PgBouncer's SHOW DATABASES and SHOW POOLS mean for a verdict: paused or disabled databases, clients that wait
// for a server connection and get none. Pure, so that each rule has its case in tests/checks/; the file that talks to
// PgBouncer is pgbouncer.cpp.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include "findings.hpp"
#include "words.hpp"

namespace vital::check::pgbouncer {

// A row of SHOW DATABASES.
struct Database {
  std::string name;
  bool is_paused = false, is_disabled = false;
};

// A row of SHOW POOLS: one database, one user.
struct Pool {
  std::string database, user;
  double clients_active = 0, clients_waiting = 0;
  double servers_active = 0, servers_idle = 0, servers_in_login = 0;
  double wait_s = 0;  // of the client at the head of the queue
};

struct Limits {
  std::vector<std::string> databases;  // those that matter; empty = all
  Limit wait_s, waiting;

  bool wants(const std::string& name) const {
    if (databases.empty()) return name != "pgbouncer";
    return std::find(databases.begin(), databases.end(), name) != databases.end();
  }
};

inline Result judge(const std::vector<Database>& databases, const std::vector<Pool>& pools, const Limits& limits,
                    const std::string& target) {
  Findings found;
  for (const std::string& name : limits.databases) {
    const bool is_there =
        std::any_of(databases.begin(), databases.end(), [&](const Database& d) { return d.name == name; });
    if (!is_there) found.add(Verdict::fail, Cause::content, "it has no database " + shown(name));
  }
  double count = 0;
  for (const Database& d : databases) {
    if (!limits.wants(d.name)) continue;
    ++count;
    if (d.is_disabled) found.add(Verdict::fail, Cause::content, "database " + shown(d.name) + " is disabled");
    if (d.is_paused) found.add(Verdict::fail, Cause::content, "database " + shown(d.name) + " is paused");
  }
  Pool sum;
  for (const Pool& p : pools) {
    if (!limits.wants(p.database)) continue;
    sum.clients_active += p.clients_active;
    sum.clients_waiting += p.clients_waiting;
    sum.servers_active += p.servers_active;
    sum.servers_idle += p.servers_idle;
    sum.servers_in_login += p.servers_in_login;
    sum.wait_s = std::max(sum.wait_s, p.wait_s);
    const std::string whose = tidy(p.database, 60) + "/" + tidy(p.user, 60);
    char words[64];
    std::snprintf(words, sizeof words, " has waited %.1f s for a connection", p.wait_s);
    found.judge(limits.wait_s, p.wait_s, "a client of " + whose + words, Cause::latency);
    std::snprintf(words, sizeof words, "%.0f clients of ", p.clients_waiting);
    found.judge(limits.waiting, p.clients_waiting, words + whose + " wait for a connection");
  }
  char words[64];
  std::snprintf(words, sizeof words, "%.0f databases, %.0f clients are served, %.0f wait", count, sum.clients_active,
                sum.clients_waiting);
  Result result = found.into(pass(target + " is PgBouncer: " + words), target);
  limits.wait_s.measure(result, "wait", sum.wait_s, "s");
  limits.waiting.measure(result, "clients_waiting", sum.clients_waiting);
  return result.measure("clients_active", sum.clients_active)
      .measure("servers_active", sum.servers_active)
      .measure("servers_idle", sum.servers_idle)
      .measure("servers_in_login", sum.servers_in_login);
}

}  // namespace vital::check::pgbouncer
