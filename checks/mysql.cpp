// The mysql check, for MariaDB and MySQL: logs in as the application does, asks the server whether it takes writes and
// how its replication or its Galera cluster stands, runs a query, compares its answer, writes a row if it is told
// where, and says goodbye (COM_QUIT), so that the server's counters of aborted connections do not grow and it never
// blocks the agent's host. MySQL Connector/C++ 1.1 does the talking. [worker]
//
// The connector connects, does TLS and logs in within one call and shows no descriptor, so the result has one phase for
// all three (auth). It counts its timeouts in whole seconds and anew for each read; the fuse keeps the real deadline.
#include <cppconn/exception.h>
#include <cppconn/resultset.h>
#include <cppconn/statement.h>
#include <mysql_connection.h>
#include <mysql_driver.h>

#include "amount.hpp"
#include "blocking.hpp"
#include "mysql_replication.hpp"
#include "mysql_verdict.hpp"

namespace vital::check::mysql {
namespace {

// For as long as it lives the TLS library finds no system-wide authorities. Without a file of its own libmariadb reads
// all of them for each connection, 30 ms of CPU, even where nothing is verified.
class NoSystemAuthorities {
 public:
  explicit NoSystemAuthorities(bool is_wanted) : is_set_(is_wanted && getenv(name) == nullptr) {
    if (is_set_) setenv(name, "/dev/null", 1);
  }
  ~NoSystemAuthorities() {
    if (is_set_) unsetenv(name);
  }
  NoSystemAuthorities(const NoSystemAuthorities&) = delete;
  NoSystemAuthorities& operator=(const NoSystemAuthorities&) = delete;

 private:
  static constexpr const char* name = "SSL_CERT_FILE";
  const bool is_set_;
};

std::string text_of(const sql::ResultSet& row, unsigned column) {
  return row.isNull(column) ? "NULL" : row.getString(column).asStdString();
}

Row row_of(const sql::ResultSet& rows) {
  sql::ResultSetMetaData* about = rows.getMetaData();
  Row out;
  for (unsigned i = 1; i <= about->getColumnCount(); ++i) {
    if (!rows.isNull(i)) out[about->getColumnLabel(i).asStdString()] = rows.getString(i).asStdString();
  }
  return out;
}

// "`vitald`.`canary`". Throws Invalid for what would need more than quotes.
std::string quoted_table(const std::string& name) {
  const auto is_good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$';
  };
  std::string out = "`";
  for (const char c : name) {
    if (c != '.' && !is_good(c)) {
      throw Invalid("write_table", shown(name) + " is no plain name; write TABLE or DATABASE.TABLE");
    }
    out += c == '.' ? std::string("`.`") : std::string(1, c);
  }
  if (out.size() == 1 || out.back() == '`' || out.find("``") != std::string::npos) {
    throw Invalid("write_table", shown(name) + " is no plain name; write TABLE or DATABASE.TABLE");
  }
  return out + '`';
}

class Mysql final : public Blocking {
 public:
  explicit Mysql(const Options& o)
      : host_(o.text("host")),
        port_(o.integer("port")),
        family_(family_option(o)),
        user_(o.text("user")),
        password_(o.text_or("password", "")),
        database_(o.text_or("database", "")),
        query_(o.text("query")),
        role_(o.text("role")),
        tls_(o.text("tls.mode")),
        ca_(o.text_or("tls.ca", "")),
        certificate_(o.text_or("tls.certificate", "")),
        key_(o.text_or("tls.key", "")),
        replication_(ReplicationLimits::options(o)),
        galera_(GaleraLimits::options(o)),
        wants_replication_(o.boolean("replication") || replication_.lag_s.is_set()),
        wants_galera_(o.boolean("galera") || galera_.size.is_set() || galera_.receive_queue.is_set()),
        free_connections_(Floors::options(o, "warn_free_connections", "fail_free_connections", false)) {
    if (o.has("write_table")) write_table_ = quoted_table(o.text("write_table"));
    if (o.has("expect")) expect_ = o.text("expect");
    if (host_.empty()) throw Invalid("host", "is empty; write a name, an address, or the path of a Unix socket");
    if (query_.find_first_not_of(" \t\r\n;") == std::string::npos) {
      throw Invalid("query", "is empty; leave it out for SELECT 1");
    }
    if (certificate_.empty() != key_.empty()) {
      throw Invalid(key_.empty() ? "tls.key" : "tls.certificate",
                    "tls.certificate and tls.key need each other: write both");
    }
    if (is_unix() && (tls_ == "require" || tls_ == "verify")) {
      throw Invalid("tls.mode", "a Unix socket needs no TLS; write tls: {mode: off}, or a host name");
    }
    if (tls_ == "verify" && ca_.empty()) ca_ = system_authorities;
    // libmariadb verifies as soon as there is an authority's file; the other modes mean encryption alone.
    if (tls_ != "verify") ca_.clear();
    target_ = is_unix() ? host_ : with_port(host_, port_);
  }

  Result probe(const Attempt& attempt) override {
    Stopwatch watch;
    std::string address;
    Result result = stoppable([&] { return run(attempt, watch, address); });
    if (!address.empty()) result.fact("address", address);
    return watch.into(result);
  }

 private:
  using Connection = std::unique_ptr<sql::Connection>;

  bool is_unix() const { return host_.front() == '/'; }

  Result run(const Attempt& attempt, Stopwatch& watch, std::string& address) const {
    need_readable("tls.ca", ca_);
    need_readable("tls.certificate", certificate_);
    need_readable("tls.key", key_);
    const Fuse fuse(give_up_at(attempt));
    Connection connection;
    if (is_unix()) {
      try {
        connection = log_in("", nullptr, fuse, watch);
      } catch (const Stop& stop) {
        stopped(stop.result, fuse, watch);
        throw;
      }
    } else {
      const std::vector<Address> addresses = resolve(host_, port_, fuse.at(), family_);
      watch.lap(Phase::resolve);
      for (std::size_t i = 0; connection == nullptr; ++i) {
        address = addresses[i].numeric;
        try {
          // The name verified in TLS is the one connected to, so with verify the library resolves it once more itself.
          connection = log_in(tls_ == "verify" ? host_ : addresses[i].numeric, &addresses[i], fuse, watch);
        } catch (const Stop& stop) {
          if (is_nobody_there(stop.result) && i + 1 < addresses.size()) continue;
          stopped(stop.result, fuse, watch);
          throw;
        }
      }
    }
    watch.lap(Phase::auth);
    return ask(*connection, fuse, watch);
  }

  static bool is_nobody_there(const Result& result) {
    return result.cause == Cause::refused || result.cause == Cause::unreachable;
  }

  // The phase in which it stopped says whether the port accepted: who is refused, or waits for that in vain, got no
  // further than connecting.
  static void stopped(const Result& result, const Fuse& fuse, Stopwatch& watch) {
    const bool is_silent = result.cause == Cause::timeout && !fuse.was_accepted();
    watch.lap(is_nobody_there(result) || is_silent ? Phase::connect : Phase::auth);
  }

  // Connects, does TLS, logs in. Throws Stop.
  Connection log_in(const std::string& address, const Address* where, const Fuse& fuse, const Stopwatch& watch) const {
    sql::ConnectOptionsMap options;
    options["userName"] = sql::SQLString(user_);
    options["password"] = sql::SQLString(password_);
    if (!database_.empty()) options["schema"] = sql::SQLString(database_);
    if (where == nullptr) {
      options["hostName"] = sql::SQLString("localhost");
      options["socket"] = sql::SQLString(host_);
    } else {
      options["hostName"] =
          sql::SQLString("tcp://" + (address.find(':') == std::string::npos ? address : "[" + address + "]"));
      options["port"] = static_cast<int>(port_);
    }
    // The library's own timeouts never end before the fuse: cut off to whole seconds they would call answers late that
    // are in time.
    const int patience = static_cast<int>(std::chrono::ceil<std::chrono::seconds>(fuse.at() - monotonic_now()).count());
    for (const char* timeout : {"OPT_CONNECT_TIMEOUT", "OPT_READ_TIMEOUT", "OPT_WRITE_TIMEOUT"}) {
      options[timeout] = std::max(patience, 1);
    }
    if (tls_ != "off" && where != nullptr) options["sslEnforce"] = true;
    if (tls_ == "verify") {
      options["sslVerify"] = true;
      options["sslCA"] = sql::SQLString(ca_);
    }
    if (!certificate_.empty() && tls_ != "off") {
      options["sslCert"] = sql::SQLString(certificate_);
      options["sslKey"] = sql::SQLString(key_);
    }
    const NoSystemAuthorities guard(tls_ != "verify");
    try {
      return Connection(sql::mysql::get_mysql_driver_instance()->connect(options));
    } catch (const sql::SQLException& e) {
      throw Stop(login_failure(e, where, fuse, watch));
    }
  }

  Result login_failure(const sql::SQLException& e, const Address* where, const Fuse& fuse,
                       const Stopwatch& watch) const {
    const int error = server_error(e.getErrorCode(), e.what());
    const std::string login = "login as " + user_ + " to " + target_;
    if (fuse.has_blown()) return fail(Cause::timeout, login + ": no end of it within " + in_words(watch.elapsed()));
    if (error == 2002 || error == 2003) return connect_refused(e.what(), where, fuse);
    if (error == 2005) return unknown(Cause::agent, login + ": " + tidy(e.what()));  // we had just resolved it
    if (errno_in(e.what()) == ETIMEDOUT) return fail(Cause::timeout, login + ": " + tidy(e.what()));
    const Meaning m = meaning_of(error);
    return make_result(
        m.verdict, m.cause,
        login + (m.cause == Cause::auth ? " refused: " : ": ") + tidy(e.what()) + " (" + std::to_string(error) + ")");
  }

  // The library says that it could not connect, but often not why: the kernel is asked once more.
  Result connect_refused(const std::string& text, const Address* where, const Fuse& fuse) const {
    if (const int error = errno_in(text); error != 0) return connect_failure(error, target_);
    if (where == nullptr) return fail(Cause::refused, "connect to " + target_ + ": " + tidy(text));
    try {
      close(connect_to(reinterpret_cast<const sockaddr*>(&where->storage), where->length, fuse.at(), target_));
    } catch (const Stop& stop) {
      return stop.result;
    }
    return fail(Cause::protocol, "connect to " + target_ + ": broken off at once, though the port accepts connections");
  }

  // What the session tells: its cluster and its identity first, then replication, then the user's query; a write last.
  Result ask(sql::Connection& connection, const Fuse& fuse, Stopwatch& watch) const {
    Identity who;
    Findings found;
    Result seen;  // measures and facts that come before the verdict
    std::string doing = "asking " + target_ + " for its role";
    Result result;
    try {
      const std::unique_ptr<sql::Statement> statement(connection.createStatement());
      // A node without its cluster answers SHOW, a query that needs no table, and nothing else.
      const Row wsrep = galera_of(*statement, wants_galera_);
      if (wants_galera_) {
        judge_galera(wsrep, galera_, found, seen);
      } else if (is_galera(wsrep)) {
        judge_serving(wsrep, found);
      }
      if (found.worst() == Verdict::fail) {
        watch.lap(Phase::exchange);
        return with(found.into(pass(target_), target_), seen);
      }
      identify(*statement, who);
      if (tls_ == "require" && who.tls.empty()) {  // libmariadb goes on without, whatever it is told
        return who.describe(fail(Cause::tls, target_ + " offers no TLS, and tls.mode is require"));
      }
      limit(*statement, who, fuse);
      if (wants_replication_) {
        doing = "asking " + target_ + " for its replication";
        const std::vector<Source> sources = sources_of(*statement, who);
        judge(sources, who.is_read_only() || role_ == "standby", replication_, found, seen);
        if (sources.empty()) tell_position(*statement, who, seen);
      }
      doing = "query \"" + tidy(query_, 80) + "\" on " + target_ + (database_.empty() ? "" : "/" + database_);
      std::optional<std::string> value;
      if (statement->execute(query_)) {
        const std::unique_ptr<sql::ResultSet> rows(statement->getResultSet());
        if (rows->next()) value = text_of(*rows, 1);
      }
      result = judge(who, role_, target_, expect_, value, doing);
      if (!write_table_.empty() && result.verdict == Verdict::pass && !who.is_read_only()) {
        doing = "write to " + write_table_ + " on " + target_;
        const Duration began = monotonic_now();
        statement->execute("INSERT INTO " + write_table_ + " (node, written) VALUES ('" + this_host() +
                           "', UTC_TIMESTAMP()) ON DUPLICATE KEY UPDATE written = VALUES(written)");
        seen.measure("write", std::chrono::duration<double>(monotonic_now() - began).count(), "s");
      }
    } catch (const sql::SQLException& e) {
      const Meaning m = meaning_of(e.getErrorCode());
      result = fuse.has_blown()
                   ? fail(Cause::timeout, doing + ": no answer within " + in_words(watch.elapsed()))
                   : make_result(m.verdict, m.cause,
                                 doing + ": " + tidy(e.what()) + " (" + std::to_string(e.getErrorCode()) + ")");
    }
    judge_headroom(who, found, seen);
    watch.lap(Phase::exchange);
    return with(who.describe(found.into(std::move(result), target_)), seen);
  }

  // The row is ours alone, so that agents do not wait for each other. What a host's name may not have becomes '_'.
  static std::string this_host() {
    char name[256] = "";
    gethostname(name, sizeof name - 1);
    std::string out;
    for (const char c : std::string_view(name)) {
      const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
      out += is_plain || c == '-' || c == '.' ? c : '_';
    }
    return out;
  }

  static Result with(Result result, Result& seen) {
    for (Measure& m : seen.measures) result.measures.push_back(std::move(m));
    for (auto& f : seen.facts) result.facts.push_back(std::move(f));
    return result;
  }

  void judge_headroom(const Identity& who, Findings& found, Result& seen) const {
    if (who.max_connections <= 0) return;
    const double free = std::max(0.0, who.max_connections - who.connections);
    seen.measure("connections_free", free, "", free_connections_.warn_at(who.max_connections),
                 free_connections_.fail_at(who.max_connections));
    const Floors::Finding finding =
        free_connections_.judge(free, who.max_connections, "warn_free_connections", "fail_free_connections");
    found.add(finding.verdict, Cause::content,
              std::to_string(static_cast<long long>(free)) + " connections are left, " + finding.words);
  }

  // Of a server that is no node of Galera, little, unless `all` is asked for.
  static Row galera_of(sql::Statement& statement, bool all) {
    Row out;
    const auto ask = [&](const char* query) {
      const std::unique_ptr<sql::ResultSet> rows(statement.executeQuery(query));
      while (rows->next()) out[text_of(*rows, 1)] = text_of(*rows, 2);
    };
    ask("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('wsrep_on', 'wsrep_desync', 'wsrep_reject_queries', "
        "'pxc_maint_mode')");
    if (all || is_galera(out)) ask("SHOW GLOBAL STATUS LIKE 'wsrep\\_%'");
    return out;
  }

  // MariaDB shows all its sources at once, MySQL all its channels; servers before 8.0.22 know only the old word.
  static std::vector<Source> sources_of(sql::Statement& statement, const Identity& who) {
    std::unique_ptr<sql::ResultSet> rows;
    if (who.is_mariadb()) {
      rows.reset(statement.executeQuery("SHOW ALL SLAVES STATUS"));
    } else {
      try {
        rows.reset(statement.executeQuery("SHOW REPLICA STATUS"));
      } catch (const sql::SQLException& e) {
        if (e.getErrorCode() != 1064) throw;
        rows.reset(statement.executeQuery("SHOW SLAVE STATUS"));
      }
    }
    std::vector<Source> out;
    while (rows->next()) out.push_back(Source::of(row_of(*rows)));
    return out;
  }

  // How far a server that follows nobody has written, if it writes GTIDs.
  static void tell_position(sql::Statement& statement, const Identity& who, Result& seen) {
    const std::unique_ptr<sql::ResultSet> row(
        statement.executeQuery(who.is_mariadb() ? "SELECT @@global.gtid_binlog_pos" : "SELECT @@global.gtid_executed"));
    if (row->next() && !row->isNull(1) && row->getString(1).length() > 0)
      seen.fact("position", tidy(text_of(*row, 1), 200));
  }

  static void identify(sql::Statement& statement, Identity& who) {
    std::unique_ptr<sql::ResultSet> row(
        statement.executeQuery("SELECT VERSION(), @@global.read_only, @@global.max_connections"));
    if (!row->next()) throw sql::SQLException("no row", "HY000", 2027);
    who.version = text_of(*row, 1);
    who.read_only = text_of(*row, 2);
    who.max_connections = static_cast<double>(row->getInt64(3));
    row.reset(statement.executeQuery("SHOW STATUS WHERE Variable_name IN ('Ssl_version', 'Threads_connected')"));
    while (row->next()) {
      if (text_of(*row, 1) == "Ssl_version") who.tls = text_of(*row, 2);
      if (text_of(*row, 1) == "Threads_connected") who.connections = static_cast<double>(row->getInt64(2));
    }
  }

  // The server is told to give up a little before we do, so that it works on for nobody and its own words arrive.
  void limit(sql::Statement& statement, const Identity& who, const Fuse& fuse) const {
    const Duration all = fuse.at() - monotonic_now();
    const Duration left = all - std::min<Duration>(all / 10, std::chrono::milliseconds(50));
    const double seconds = std::max(std::chrono::duration<double>(left).count(), 0.001);
    const std::string set =
        who.is_mariadb() ? "SET SESSION max_statement_time = " + std::to_string(seconds)
                         : "SET SESSION max_execution_time = " + std::to_string(static_cast<long long>(seconds * 1000));
    try {
      statement.execute(set);
      if (who.is_mariadb() || write_table_.empty()) return;
      // MySQL's limit is for SELECT alone; a write that waits for a lock has these.
      const std::string whole = std::to_string(std::max(1LL, static_cast<long long>(seconds)));
      statement.execute("SET SESSION lock_wait_timeout = " + whole + ", innodb_lock_wait_timeout = " + whole);
    } catch (const sql::SQLException& e) {
      if (e.getErrorCode() != 1193) throw;  // a server too old to know the variable; the fuse is enough
    }
  }

  std::string host_;
  long long port_;
  int family_;
  std::string user_, password_, database_, query_, role_, tls_, ca_, certificate_, key_, target_;
  std::optional<std::string> expect_;
  ReplicationLimits replication_;
  GaleraLimits galera_;
  bool wants_replication_, wants_galera_;
  Floors free_connections_;
  std::string write_table_;  // quoted; empty = no write
};

constexpr const char* roles[] = {"primary", "standby", "any", nullptr};
constexpr const char* tls_modes[] = {"off", "prefer", "require", "verify", nullptr};

constexpr OptionRow options[] = {
    {"host", Type::string, "127.0.0.1", "name or address of the server, or the path of its Unix socket",
     "db1.example.jp"},
    {"port", Type::integer, "3306", "port of the server", nullptr, 0, nullptr, 1, 65535},
    {"family", Type::choice, "any", "IP version a name is resolved to", nullptr, 0, families},
    {"user", Type::string, nullptr, "who logs in", "monitor", VITAL_OPTION_REQUIRED},
    {"password", Type::string, nullptr, "the user's password", nullptr, VITAL_OPTION_SECRET},
    {"database", Type::string, nullptr, "the database to use; default none", "app"},
    {"query", Type::string, "SELECT 1", "runs after the login; should be quick and return one row"},
    {"expect", Type::string, nullptr, "what the first column of the query's first row must be", "1"},
    {"role", Type::choice, "any",
     "what the server must be, by @@read_only: a primary accepts writes, a standby does not", "primary", 0, roles},
    {"replication", Type::boolean, "false",
     "ask for replication too: whether both threads run, the lag, GTID positions; a limit of the lag does so as well"},
    {"warn_lag", Type::duration, nullptr, "a replica further behind than this is a warning", "30s"},
    {"fail_lag", Type::duration, nullptr, "a replica further behind than this is a failure", "5m"},
    {"galera", Type::boolean, "false", "the server must be a synced node of a Galera cluster that has quorum"},
    {"galera_donor", Type::boolean, "false", "a node that is a donor may go on serving: a warning, no failure"},
    {"warn_cluster_size", Type::integer, nullptr, "fewer nodes than this in the cluster is a warning", "3", 0, nullptr,
     1, 1000},
    {"fail_cluster_size", Type::integer, nullptr, "fewer than this is a failure", nullptr, 0, nullptr, 1, 1000},
    {"warn_receive_queue", Type::integer, nullptr, "more write sets than this waiting to be applied is a warning",
     "100", 0, nullptr, 0, 1000000},
    {"fail_receive_queue", Type::integer, nullptr, "more than this is a failure", nullptr, 0, nullptr, 0, 1000000},
    {"warn_free_connections", Type::size_or_percent, nullptr, "fewer connections than this left is a warning", "10%"},
    {"fail_free_connections", Type::size_or_percent, nullptr, "fewer than this is a failure", "2"},
    {"write_table", Type::string, nullptr,
     "a table (node varchar(255) primary key, written datetime) into which a row of this host is written",
     "vitald.canary"},
    {"tls.mode", Type::choice, "prefer",
     "off; prefer (if the server has it); require (without looking at the certificate); verify (certificate and host)",
     nullptr, 0, tls_modes},
    {"tls.ca", Type::string, nullptr, "file with the authorities that verify trusts; default the system's",
     "/etc/vitald/ca.pem"},
    {"tls.certificate", Type::string, nullptr, "file with our own certificate"},
    {"tls.key", Type::string, nullptr, "file with its private key"},
};

}  // namespace
}  // namespace vital::check::mysql

using vital::check::mysql::Mysql;
using vital::check::mysql::options;
VITAL_BLOCKING_MODULE(Mysql, "mysql", "1.0",
                      "MariaDB and MySQL: login, role, replication, Galera, a query, and a write", options)
