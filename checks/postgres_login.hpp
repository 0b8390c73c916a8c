// A session with PostgreSQL or PgBouncer by a deadline: the login driven step by step through libpq, because only so
// does it keep a deadline below two seconds, tell connect from TLS from login, and give the server's SQLSTATE, which is
// the same in every language; and statements whose wait ends when ours does. [worker]
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "blocking.hpp"
#include "postgres_verdict.hpp"

namespace vital::check::postgres {

// Where to log in, and as whom: the options that every check of this protocol has.
struct Place {
  std::string host, user, password, database, sslmode, ca, certificate, key, server_name;
  long long port = 0;
  int family = AF_UNSPEC;

  // Throws Invalid.
  static Place options(const Options& o);

  bool is_unix() const { return host.front() == '/'; }
  std::string target() const { return is_unix() ? host : with_port(host, port); }
};

// Where a login stands, for the phases of the result and for judging what broke.
struct Progress {
  Stopwatch watch;
  LoginStage stage = LoginStage::connect;
  std::string tls;      // "TLSv1.3" once it is in use
  std::string address;  // the one that was tried last

  void reach(LoginStage next);
  // It went no further: the time since counts for the phase it broke in, so a result says whether the port accepted.
  void stop_here();
  // Adds what is known of the session to a result: phases, address, TLS.
  Result& into(Result& result) const;
};

struct Finish {
  void operator()(PGconn* c) const { PQfinish(c); }
};
using Connection = std::unique_ptr<PGconn, Finish>;  // its end sends Terminate

// Resolves the host anew and logs in to the first address that takes connections. Throws Stop with the verdict.
Connection log_in(const Place& place, const Fuse& fuse, Progress& progress);

// The rows of a statement's last result, by column name.
struct Table {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;  // NULL is empty

  std::string at(std::size_t row, const std::string& column) const;
};

// What became of a statement.
struct Outcome {
  bool is_late = false;  // it was cancelled at its deadline, or nothing came
  std::string error;     // libpq's text, with its SQLSTATE; empty if the statement succeeded
  std::string notice;    // what the server remarked
  Table table;
};

// Runs statements by the simple protocol. At `until` the server is asked to cancel, and given until `last` to say so:
// a statement left alone would hold its backend long after we have gone (a commit that waits for a synchronous standby
// does so for ever).
Outcome execute(PGconn* connection, const std::string& sql, Duration until, Duration last);

}  // namespace vital::check::postgres
