// The postgres check: logs in as the application does, asks the server who it is (primary or standby, writable or not,
// how its replication stands), runs a query, compares its answer, writes a row if it is told where, and says goodbye.
// The login is postgres_login's; libpqxx keeps the session of the queries. [worker]
#include <unistd.h>

#include <pqxx/pqxx>

#include "postgres_login.hpp"
#include "postgres_replication.hpp"

namespace vital::check::postgres {
namespace {

// Gives libpqxx the connection that was logged in. It asks again if the connection breaks during a query: a second
// login would hide the first's end.
class Handed final : public pqxx::connectionpolicy {
 public:
  explicit Handed(Connection connection) : connectionpolicy(""), connection_(std::move(connection)) {}
  PGconn* raw() const { return raw_; }

  handle do_startconnect(handle orig) override { return orig; }
  bool is_ready(handle) const noexcept override { return true; }
  handle do_completeconnect(handle orig) override {
    if (orig != nullptr) return orig;
    if (connection_ == nullptr) throw pqxx::broken_connection("the connection broke");
    raw_ = connection_.release();
    return raw_;
  }

 private:
  Connection connection_;
  PGconn* raw_ = nullptr;  // the session's
};

// A libpqxx session over our own login. Its end sends Terminate.
class Session final : public pqxx::connection_base {
 public:
  explicit Session(Handed& handed) : connection_base(handed) { init(); }
  ~Session() { close(); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
};

std::string text_of(const pqxx::field& f) { return f.is_null() ? "NULL" : std::string(f.c_str(), f.size()); }
std::string text_or_empty(const pqxx::field& f) { return f.is_null() ? "" : std::string(f.c_str(), f.size()); }
std::optional<double> number_of(const pqxx::field& f) {
  return f.is_null() ? std::nullopt : std::optional(f.as<double>());
}

// "vitald.canary" as SQL names it. Throws Invalid for what would need more than quotes.
std::string quoted_table(const std::string& name) {
  const auto is_good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$';
  };
  std::string out = "\"";
  for (const char c : name) {
    if (c == '.') {
      out += "\".\"";
    } else if (is_good(c)) {
      out += c;
    } else {
      throw Invalid("write_table", shown(name) + " is no plain name; write TABLE or SCHEMA.TABLE");
    }
  }
  if (out.size() == 1 || out.back() == '"' || out.find("\"\"") != std::string::npos) {
    throw Invalid("write_table", shown(name) + " is no plain name; write TABLE or SCHEMA.TABLE");
  }
  return out + '"';
}

class Postgres final : public Blocking {
 public:
  explicit Postgres(const Options& o)
      : place_(Place::options(o)),
        query_(o.text("query")),
        role_(o.text("role")),
        limits_(ReplicationLimits::options(o)),
        wants_replication_(o.boolean("replication") || limits_.is_any_set()),
        free_connections_(Floors::options(o, "warn_free_connections", "fail_free_connections", false)) {
    if (o.has("expect")) expect_ = o.text("expect");
    if (query_.find_first_not_of(" \t\r\n;") == std::string::npos) {
      throw Invalid("query", "is empty; leave it out for SELECT 1");
    }
    if (o.has("write_table")) write_table_ = quoted_table(o.text("write_table"));
  }

  Result probe(const Attempt& attempt) override {
    Progress progress;
    Result result;
    try {
      const Fuse fuse(give_up_at(attempt));
      Handed handed(log_in(place_, fuse, progress));
      Session session(handed);
      result = ask(session, handed.raw(), progress, fuse);
    } catch (const Stop& stop) {
      result = stop.result;
    }
    return progress.into(result);
  }

 private:
  // What the session tells: identity first, then replication, then the user's query; a write last.
  Result ask(Session& session, PGconn* raw, Progress& progress, const Fuse& fuse) const {
    Identity who;
    who.version = session.server_version();
    Findings found;
    Result seen;  // measures and facts that come before the verdict
    std::string doing = "asking " + place_.target() + " for its role";
    Result result;
    try {
      pqxx::nontransaction work(session);
      identify(work.exec(patience(fuse) + identity_query), who);
      if (wants_replication_) {
        doing = "asking " + place_.target() + " for its replication";
        look_at_replication(work, who, fuse, found, seen);
      }
      doing = "query \"" + tidy(query_, 80) + "\" on " + place_.target() + "/" + place_.database;
      const pqxx::result answer = work.exec(patience(fuse) + query_);
      const bool is_empty = answer.empty() || answer.columns() == 0;
      result = judge(who, role_, place_.target(), expect_,
                     is_empty ? std::nullopt : std::optional(text_of(answer[0][0])), doing);
    } catch (const pqxx::failure& e) {
      const std::string text = sqlstate_in(e.what()).empty() && !session.is_open() ? "the connection broke" : e.what();
      if (fuse.has_blown() && sqlstate_in(text).empty()) {
        result = fail(Cause::timeout, doing + ": no answer within " + in_words(progress.watch.elapsed()));
      } else {
        result = query_failure(doing, text);
      }
    }
    judge_headroom(who, found, seen);
    if (!write_table_.empty() && result.verdict <= Verdict::warn && !who.refuses_writes())
      write(raw, fuse, found, seen);
    progress.watch.lap(Phase::exchange);
    result = who.describe(found.into(std::move(result), place_.target()));
    for (Measure& m : seen.measures) result.measures.push_back(std::move(m));
    for (auto& f : seen.facts) result.facts.push_back(std::move(f));
    return result;
  }

  static void identify(const pqxx::result& row, Identity& who) {
    who.is_standby = text_of(row[0][0]) == "t";
    who.is_read_only = text_of(row[0][1]) == "on";
    who.read_only_source = text_of(row[0][2]);
    who.connections = row[0][3].as<double>(0);
    who.max_connections = row[0][4].as<double>(0);
    who.reserved_connections = row[0][5].as<double>(0);
  }

  void look_at_replication(pqxx::nontransaction& work, const Identity& who, const Fuse& fuse, Findings& found,
                           Result& seen) const {
    if (who.version < 100000) {
      return found.add(
          Verdict::unknown, Cause::config,
          "PostgreSQL " + who.version_text() + " is too old to be asked for its replication; 10 is needed");
    }
    if (!who.is_standby)
      return postgres::judge(primary_of(work.exec(patience(fuse) + primary_query)), limits_, found, seen);
    const Duration began = monotonic_now();
    Standby now = standby_of(work.exec(patience(fuse) + standby_query));
    std::optional<double> lag = now.lag_s();
    if (lag && limits_.lag_s.judge(*lag) != Verdict::pass) {
      const timespec pause{
          0, static_cast<long>(
                 std::min<Duration>(std::chrono::milliseconds(200), (fuse.at() - monotonic_now()) / 4).count())};
      if (pause.tv_nsec > 0) nanosleep(&pause, nullptr);
      const Standby before = now;
      now = standby_of(work.exec(patience(fuse) + standby_query));
      lag = settled_lag_s(before, now, std::chrono::duration<double>(monotonic_now() - began).count());
    }
    if (!now.has_receiver && limits_.wants_receiver) now.timeline = timeline_of_wal(work, fuse);
    postgres::judge(now, lag, limits_, found, seen);
  }

  // A standby that receives nothing does not say which timeline it is on; its newest WAL file does, to whoever may
  // look.
  static std::string timeline_of_wal(pqxx::nontransaction& work, const Fuse& fuse) {
    const pqxx::result may = work.exec(patience(fuse) + postgres::may_list_wal_query);
    if (text_of(may[0][0]) != "t") return {};
    return postgres::timeline_of(text_or_empty(work.exec(patience(fuse) + postgres::newest_wal_query)[0][0]));
  }

  static Standby standby_of(const pqxx::result& row) {
    Standby s;
    s.has_receiver = text_of(row[0][0]) == "t";
    s.status = text_or_empty(row[0][1]);
    s.timeline = text_or_empty(row[0][2]);
    s.silent_s = number_of(row[0][3]);
    s.received = number_of(row[0][4]);
    s.replayed = number_of(row[0][5]);
    s.commit_age_s = number_of(row[0][6]);
    s.is_paused = text_of(row[0][7]) == "t";
    s.sender = text_or_empty(row[0][8]);
    s.slots = {row[0][9].as<double>(0), number_of(row[0][10])};
    s.lsn = text_or_empty(row[0][11]);
    return s;
  }

  static Primary primary_of(const pqxx::result& row) {
    Primary p;
    p.timeline = timeline_of(text_or_empty(row[0][0]));
    p.streaming = row[0][1].as<double>(0);
    p.may_see = row[0][2].as<long>(0) == 0;
    p.synchronous = row[0][3].as<double>(0);
    p.lag_bytes = number_of(row[0][4]);
    p.slots = {row[0][5].as<double>(0), number_of(row[0][6])};
    p.lsn = text_or_empty(row[0][7]);
    return p;
  }

  void judge_headroom(const Identity& who, Findings& found, Result& seen) const {
    if (who.max_connections <= 0) return;
    const double free = who.free_connections();
    seen.measure("connections_free", free, "", free_connections_.warn_at(who.max_connections),
                 free_connections_.fail_at(who.max_connections));
    const Floors::Finding finding =
        free_connections_.judge(free, who.max_connections, "warn_free_connections", "fail_free_connections");
    found.add(finding.verdict, Cause::content,
              std::to_string(static_cast<long long>(free)) + " connections are left, " + finding.words);
  }

  // One row of this host in the table, committed: what an application's order needs. Also where the monitor's user is
  // read-only by default. The server's statement_timeout does not reach a commit that waits for a synchronous standby,
  // so we end that ourselves.
  void write(PGconn* raw, const Fuse& fuse, Findings& found, Result& seen) const {
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    struct FreeText {
      void operator()(char* text) const { PQfreemem(text); }
    };
    const std::unique_ptr<char, FreeText> node(PQescapeLiteral(raw, host, std::strlen(host)));
    if (node == nullptr) return found.add(Verdict::unknown, Cause::agent, "this host's name cannot be written");
    const std::string sql = "BEGIN READ WRITE; INSERT INTO " + write_table_ + " (node, written) VALUES (" + node.get() +
                            ", now()) ON CONFLICT (node) DO UPDATE SET written = excluded.written; COMMIT";
    const Duration began = monotonic_now();
    const Duration left = fuse.at() - began;
    const Outcome outcome =
        execute(raw, sql, fuse.at() - std::min<Duration>(left / 4, std::chrono::milliseconds(250)), fuse.at());
    const Duration took = monotonic_now() - began;
    seen.measure("write", std::chrono::duration<double>(took).count(), "s");
    const std::string doing = "write to " + write_table_ + ": ";
    if (outcome.is_late) {
      const std::string& said = outcome.error.empty() ? outcome.notice : outcome.error;
      found.add(Verdict::fail, Cause::timeout,
                doing + "not committed within " + in_words(took) +
                    (said.empty() ? std::string() : ": " + tidy(words_in(said), 120)));
    } else if (!outcome.error.empty()) {
      const Result failed = query_failure(doing.substr(0, doing.size() - 2), outcome.error);
      found.add(failed.verdict, failed.cause, failed.text);
    }
  }

  // The server is told to give up a little before we do, so that it works on for nobody and its own words arrive. SET
  // LOCAL in front of the query costs no round trip, and leaves nothing behind in a pooled connection.
  static std::string patience(const Fuse& fuse) {
    const Duration all = fuse.at() - monotonic_now();
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        all - std::min<Duration>(all / 10, std::chrono::milliseconds(50)));
    return "SET LOCAL statement_timeout = " + std::to_string(std::max<long long>(left.count(), 1)) + "; ";
  }

  Place place_;
  std::string query_, role_;
  std::optional<std::string> expect_;
  ReplicationLimits limits_;
  bool wants_replication_;
  Floors free_connections_;
  std::string write_table_;  // quoted; empty = no write
};

constexpr const char* roles[] = {"primary", "standby", "any", nullptr};
constexpr const char* tls_modes[] = {"off", "prefer", "require", "verify", nullptr};

constexpr OptionRow options[] = {
    {"host", Type::string, "127.0.0.1", "name or address of the server, or the directory of its Unix socket",
     "db1.example.jp"},
    {"port", Type::integer, "5432", "port of the server, or of PgBouncer", nullptr, 0, nullptr, 1, 65535},
    {"family", Type::choice, "any", "IP version a name is resolved to", nullptr, 0, families},
    {"user", Type::string, nullptr, "who logs in", "monitor", VITAL_OPTION_REQUIRED},
    {"password", Type::string, nullptr, "the user's password", nullptr, VITAL_OPTION_SECRET},
    {"database", Type::string, nullptr, "the database to log in to; default the user's name", "app"},
    {"query", Type::string, "SELECT 1", "runs after the login; should be quick and return one row"},
    {"expect", Type::string, nullptr, "what the first column of the query's first row must be", "1"},
    {"role", Type::choice, "any", "what the server must be; a primary must also accept writes", "primary", 0, roles},
    {"replication", Type::boolean, "false",
     "ask for replication too: a standby's receiver and lag, a primary's standbys, slots; any limit of it does so as "
     "well"},
    {"wal_receiver", Type::boolean, "true",
     "with replication, a standby must have a WAL receiver; false for one that restores from an archive"},
    {"warn_lag", Type::duration, nullptr, "a standby further behind than this is a warning", "30s"},
    {"fail_lag", Type::duration, nullptr, "a standby further behind than this is a failure", "5m"},
    {"warn_lag_bytes", Type::size, nullptr, "more WAL than this waiting to be replayed is a warning", "64MiB"},
    {"fail_lag_bytes", Type::size, nullptr, "more than this is a failure", "1GiB"},
    {"warn_standbys", Type::integer, nullptr, "fewer standbys streaming from a primary than this is a warning", "1", 0,
     nullptr, 1, 1000},
    {"fail_standbys", Type::integer, nullptr, "fewer than this is a failure", nullptr, 0, nullptr, 1, 1000},
    {"warn_slot_wal", Type::size, nullptr, "a slot that nobody uses and that keeps more WAL than this is a warning",
     "1GiB"},
    {"fail_slot_wal", Type::size, nullptr, "one that keeps more than this is a failure", "10GiB"},
    {"warn_free_connections", Type::size_or_percent, nullptr, "fewer connections than this left is a warning", "10%"},
    {"fail_free_connections", Type::size_or_percent, nullptr, "fewer than this is a failure", "2"},
    {"write_table", Type::string, nullptr,
     "a table (node text primary key, written timestamptz) into which a row of this host is written and committed",
     "vitald.canary"},
    {"tls.mode", Type::choice, "prefer",
     "off; prefer (if the server has it); require (without looking at the certificate); verify (certificate and name)",
     nullptr, 0, tls_modes},
    {"tls.ca", Type::string, nullptr, "file with the authorities that verify trusts; default the system's",
     "/etc/vitald/ca.pem"},
    {"tls.certificate", Type::string, nullptr, "file with our own certificate"},
    {"tls.key", Type::string, nullptr, "file with its private key"},
    {"tls.server_name", Type::string, nullptr, "the name the certificate must carry; default the host"},
};

}  // namespace
}  // namespace vital::check::postgres

using vital::check::postgres::options;
using vital::check::postgres::Postgres;
VITAL_BLOCKING_MODULE(Postgres, "postgres", "1.0", "PostgreSQL: login, role, replication, a query, and a write",
                      options)
