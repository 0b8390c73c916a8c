// postgres.promote: a streaming standby becomes the primary. Refuses what cannot be promoted in peace (replay paused,
// another cluster), and believes it only when the server has left recovery and takes a write.
#include "action.hpp"
#include "checks/postgres_login.hpp"

namespace {

using namespace vital::action;
namespace pg = vital::check::postgres;

constexpr const char* tls_modes[] = {"off", "prefer", "require", "verify", nullptr};

constexpr OptionRow options[] = {
    {"host", Type::string, nullptr, "name or address of the standby, or the directory of its Unix socket",
     "db2.example.jp", VITAL_OPTION_REQUIRED},
    {"port", Type::integer, "5432", "its port", nullptr, 0, nullptr, 1, 65535},
    {"family", Type::choice, "any", "IP version a name is resolved to", nullptr, 0, families},
    {"user", Type::string, nullptr, "who logs in: a superuser, or one with EXECUTE on pg_promote", "failover",
     VITAL_OPTION_REQUIRED},
    {"password", Type::string, nullptr, "the user's password", nullptr, VITAL_OPTION_SECRET},
    {"database", Type::string, "postgres", "the database to log in to"},
    {"system_identifier", Type::string, nullptr,
     "of the cluster, as pg_controldata shows it: a server of another is not touched", "7312345678901234567"},
    {"write_table", Type::string, nullptr,
     "verify writes a row of this host into it (node text primary key, written timestamptz); default: a message in the "
     "WAL",
     "vitald.canary"},
    {"tls.mode", Type::choice, "prefer",
     "off; prefer (if the server has it); require (without looking at the certificate); verify (certificate and name)",
     nullptr, 0, tls_modes},
    {"tls.ca", Type::string, nullptr, "file with the authorities that verify trusts; default the system's"},
    {"tls.certificate", Type::string, nullptr, "file with our own certificate"},
    {"tls.key", Type::string, nullptr, "file with its private key"},
    {"tls.server_name", Type::string, nullptr, "the name the certificate must carry; default the host"},
    VITAL_STEP_ROWS};

constexpr const char* question =
    "SELECT pg_catalog.pg_is_in_recovery() AS standby,"
    " CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_is_wal_replay_paused() ELSE false END AS paused,"
    " pg_catalog.has_function_privilege('pg_catalog.pg_promote(boolean,integer)', 'execute') AS may";

struct State {
  bool is_standby = false, is_paused = false, may_promote = false;
  std::string system;
};

class Promote final : public Action {
 public:
  explicit Promote(const Options& o)
      : place_(pg::Place::options(o)),
        system_(o.text_or("system_identifier", "")),
        table_(o.text_or("write_table", "")) {
    if (system_.find_first_not_of("0123456789") != std::string::npos)
      throw Invalid("system_identifier", shown(system_) + " is no number; pg_controldata shows it");
    for (const char c : table_) {
      if (!isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '.') {
        throw Invalid("write_table", shown(table_) + " is no plain name; write TABLE or SCHEMA.TABLE");
      }
    }
  }

  Result check(const Step&, const Attempt& attempt) override {
    return guarded(attempt, [&](PGconn* db, const Fuse& fuse) {
      const State now = state(db, fuse);
      if (!now.is_standby) return warn(Cause::role, place_.target() + " is a primary");
      if (now.is_paused) return fail(Cause::role, place_.target() + ": replay is paused, so it cannot be promoted");
      if (!now.may_promote) {
        return fail(Cause::auth, place_.user + " may not promote " + place_.target() +
                                     ": GRANT EXECUTE ON FUNCTION pg_promote TO " + place_.user);
      }
      return pass(place_.target() + " is a standby, and " + place_.user + " may promote it");
    });
  }

  Result perform(const Step& step, const Attempt& attempt) override {
    return guarded(attempt, [&](PGconn* db, const Fuse& fuse) {
      const State now = state(db, fuse);
      if (!now.is_standby) return pass(place_.target() + " is a primary already");
      // A promotion asked for now would happen whenever somebody resumes it.
      if (now.is_paused) veto(place_.target() + ": replay is paused");
      if (!now.may_promote) veto(place_.user + " may not promote " + place_.target());
      const auto wait = std::chrono::duration_cast<std::chrono::seconds>(fuse.at() - monotonic_now()).count();
      step.begin_effect();
      const pg::Table answer =
          ask(db, fuse, "SELECT pg_catalog.pg_promote(true, " + std::to_string(std::max(wait, 1L)) + ") AS promoted");
      if (answer.at(0, "promoted") != "t") {
        return fail(Cause::timeout, place_.target() + " was told to promote, and is not done")
            .fact("outcome", "timeout");
      }
      return pass(place_.target() + " was promoted");
    });
  }

  Result verify(const Step&, const Attempt& attempt) override {
    return poll_until(attempt.deadline() - std::chrono::milliseconds(300), std::chrono::milliseconds(200), [&] {
      return guarded(attempt, [&](PGconn* db, const Fuse& fuse) {
        if (state(db, fuse).is_standby) return fail(Cause::role, place_.target() + " is still a standby");
        write(db, fuse);
        return pass(place_.target() + " is a primary and took a write");
      });
    });
  }

 private:
  template <typename Work>
  Result guarded(const Attempt& attempt, Work work) const {
    pg::Progress progress;
    try {
      const Fuse fuse(give_up_at(attempt));
      const pg::Connection db = pg::log_in(place_, fuse, progress);
      return work(db.get(), fuse);
    } catch (const Stop& stop) {
      return stop.result;
    }
  }

  pg::Table ask(PGconn* db, const Fuse& fuse, const std::string& sql) const {
    const pg::Outcome outcome = pg::execute(db, sql, fuse.at() - std::chrono::milliseconds(50), fuse.at());
    if (outcome.is_late) {
      throw Stop(fail(Cause::timeout, place_.target() + " did not answer in time").fact("outcome", "timeout"));
    }
    if (!outcome.error.empty()) throw Stop(fail(Cause::protocol, place_.target() + ": " + pg::words_in(outcome.error)));
    return outcome.table;
  }

  State state(PGconn* db, const Fuse& fuse) const {
    const pg::Table row = ask(db, fuse, question);
    State out;
    out.is_standby = row.at(0, "standby") == "t";
    out.is_paused = row.at(0, "paused") == "t";
    out.may_promote = row.at(0, "may") == "t";
    if (!system_.empty()) {
      const std::string found =
          ask(db, fuse, "SELECT system_identifier FROM pg_catalog.pg_control_system()").at(0, "system_identifier");
      if (found != system_) veto(place_.target() + " is of the cluster " + found + ", not of " + system_);
    }
    return out;
  }

  void write(PGconn* db, const Fuse& fuse) const {
    if (table_.empty()) {
      ask(db, fuse, "SELECT pg_catalog.pg_logical_emit_message(true, 'vitald', 'is it writable?')");
      return;
    }
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    for (char& c : host) {
      if (c == '\'' || c == '\\') c = '_';
    }
    ask(db, fuse,
        "INSERT INTO " + table_ + " (node, written) VALUES ('" + host +
            "', pg_catalog.now()) ON CONFLICT (node) DO UPDATE SET written = EXCLUDED.written");
  }

  pg::Place place_;
  std::string system_, table_;
};

}  // namespace

VITAL_ACTION(Promote, "postgres.promote", "1.0", "promotes a PostgreSQL standby", options)
