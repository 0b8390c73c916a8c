// The pgbouncer check: logs in to PgBouncer's own console and reads its pools: a pool that has no server left accepts
// logins as if nothing were, and its clients wait. Whether a query comes through is for a postgres check on the same
// port. The console speaks the simple protocol alone. [worker]
#include "pgbouncer_verdict.hpp"
#include "postgres_login.hpp"

namespace vital::check::pgbouncer {
namespace {

using postgres::Connection;
using postgres::Outcome;
using postgres::Place;
using postgres::Progress;
using postgres::Table;

double number_at(const Table& table, std::size_t row, const char* column) {
  return std::strtod(table.at(row, column).c_str(), nullptr);
}

class Pgbouncer final : public Blocking {
 public:
  explicit Pgbouncer(const Options& o) : place_(Place::options(o)) {
    limits_.databases = o.list("databases");
    limits_.wait_s = Limit::seconds(o, "warn_wait", "fail_wait", 1);
    limits_.waiting = Limit::option(o, "warn_waiting", "fail_waiting", Bad::above);
  }

  Result probe(const Attempt& attempt) override {
    Progress progress;
    Result result = stoppable([&] { return look(attempt, progress); });
    return progress.into(result);
  }

 private:
  Result look(const Attempt& attempt, Progress& progress) const {
    const Fuse fuse(give_up_at(attempt));
    const Connection console = postgres::log_in(place_, fuse, progress);
    const Table databases = ask(console.get(), "SHOW DATABASES", fuse, progress);
    const Table pools = ask(console.get(), "SHOW POOLS", fuse, progress);
    progress.watch.lap(Phase::exchange);
    std::vector<Database> all;
    for (std::size_t i = 0; i < databases.rows.size(); ++i) {
      all.push_back(
          {databases.at(i, "name"), number_at(databases, i, "paused") != 0, number_at(databases, i, "disabled") != 0});
    }
    std::vector<Pool> seen;
    for (std::size_t i = 0; i < pools.rows.size(); ++i) {
      seen.push_back({pools.at(i, "database"), pools.at(i, "user"), number_at(pools, i, "cl_active"),
                      number_at(pools, i, "cl_waiting"), number_at(pools, i, "sv_active"),
                      number_at(pools, i, "sv_idle"), number_at(pools, i, "sv_login"),
                      number_at(pools, i, "maxwait") + number_at(pools, i, "maxwait_us") / 1e6});
    }
    Result result = judge(all, seen, limits_, place_.target());
    if (const char* version = PQparameterStatus(console.get(), "server_version")) result.fact("version", version);
    return result;
  }

  Table ask(PGconn* console, const std::string& command, const Fuse& fuse, Progress& progress) const {
    const std::string doing = command + " on " + place_.target();
    const Outcome outcome = postgres::execute(console, command, fuse.at(), fuse.at());
    if (outcome.is_late) {
      progress.watch.lap(Phase::exchange);
      throw Stop(fail(Cause::timeout, doing + ": no answer within " + in_words(progress.watch.elapsed())));
    }
    if (!outcome.error.empty()) {
      progress.watch.lap(Phase::exchange);
      // PgBouncer gives nearly all its errors one SQLSTATE.
      if (outcome.error.find("admin access needed") != std::string::npos) {
        throw Stop(unknown(Cause::auth, doing + " refused: name " + place_.user + " in stats_users"));
      }
      throw Stop(postgres::query_failure(doing, outcome.error));
    }
    if (outcome.table.columns.empty() ||
        outcome.table.columns.front() != (command == "SHOW POOLS" ? "database" : "name")) {
      throw Stop(fail(Cause::protocol, doing + ": not the table that PgBouncer would give; is this its console?"));
    }
    return outcome.table;
  }

  Place place_;
  Limits limits_;
};

constexpr const char* tls_modes[] = {"off", "prefer", "require", "verify", nullptr};

constexpr OptionRow options[] = {
    {"host", Type::string, "127.0.0.1", "name or address of PgBouncer, or the directory of its Unix socket",
     "db1.example.jp"},
    {"port", Type::integer, "6432", "its port", nullptr, 0, nullptr, 1, 65535},
    {"family", Type::choice, "any", "IP version a name is resolved to", nullptr, 0, families},
    {"user", Type::string, nullptr, "who logs in: one of its stats_users", "monitor", VITAL_OPTION_REQUIRED},
    {"password", Type::string, nullptr, "the user's password", nullptr, VITAL_OPTION_SECRET},
    {"database", Type::string, "pgbouncer", "the name of its console"},
    {"databases", Type::list, nullptr, "the databases that matter, each of which must be there; default all that are",
     "[app]"},
    {"warn_wait", Type::duration, "1s", "a client that has waited longer than this for a connection is a warning"},
    {"fail_wait", Type::duration, "10s", "one that has waited longer than this is a failure"},
    {"warn_waiting", Type::integer, nullptr, "more clients of a pool waiting than this is a warning", "10", 0, nullptr,
     0, 1000000},
    {"fail_waiting", Type::integer, nullptr, "more than this is a failure", "100", 0, nullptr, 0, 1000000},
    {"tls.mode", Type::choice, "prefer",
     "off; prefer (if it has TLS); require (without looking at the certificate); verify (certificate and name)",
     nullptr, 0, tls_modes},
    {"tls.ca", Type::string, nullptr, "file with the authorities that verify trusts; default the system's",
     "/etc/vitald/ca.pem"},
    {"tls.certificate", Type::string, nullptr, "file with our own certificate"},
    {"tls.key", Type::string, nullptr, "file with its private key"},
    {"tls.server_name", Type::string, nullptr, "the name the certificate must carry; default the host"},
};

}  // namespace
}  // namespace vital::check::pgbouncer

using vital::check::pgbouncer::options;
using vital::check::pgbouncer::Pgbouncer;
VITAL_BLOCKING_MODULE(Pgbouncer, "pgbouncer", "1.0", "PgBouncer: its databases, its pools, and who waits for them",
                      options)
