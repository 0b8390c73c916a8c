// A session with MariaDB or MySQL for an action: log in by a deadline, ask, and read rows by column name. [worker]
#pragma once

#include <cppconn/exception.h>
#include <cppconn/resultset.h>
#include <cppconn/statement.h>
#include <mysql_connection.h>
#include <mysql_driver.h>

#include <map>
#include <memory>

#include "action.hpp"
#include "checks/blocking.hpp"
#include "checks/mysql_verdict.hpp"

namespace vital::action::sqldb {

inline constexpr const char* tls_modes[] = {"off", "prefer", "require", "verify", nullptr};

#define VITAL_MYSQL_ROWS                                                                                             \
  {"host",           Type::string,         nullptr, "name or address of the server, or the path of its Unix socket", \
   "db2.example.jp", VITAL_OPTION_REQUIRED},                                                                         \
      {"port", Type::integer, "3306", "its port", nullptr, 0, nullptr, 1, 65535},                                    \
      {"user", Type::string, nullptr, "who logs in", "failover", VITAL_OPTION_REQUIRED},                             \
      {"password", Type::string, nullptr, "the user's password", nullptr, VITAL_OPTION_SECRET},                      \
      {"write_table", Type::string, nullptr,                                                                         \
       "verify writes a row of this host into it (node varchar primary key, written datetime)", "vitald.canary"},    \
      {"tls.mode",                                                                                                   \
       Type::choice,                                                                                                 \
       "prefer",                                                                                                     \
       "off; prefer and require: encryption; verify: certificate and name too",                                      \
       nullptr,                                                                                                      \
       0,                                                                                                            \
       ::vital::action::sqldb::tls_modes},                                                                           \
      {"tls.ca", Type::string, nullptr, "file with the authorities that verify trusts; default the system's"},       \
      {"tls.certificate", Type::string, nullptr, "file with our own certificate"}, {                                 \
    "tls.key", Type::string, nullptr, "file with its private key"                                                    \
  }

using Row = std::map<std::string, std::string>;  // by column; NULL is absent

class Session {
 public:
  class Place {
   public:
    explicit Place(const Options& o)
        : host(o.text("host")),
          port(o.integer("port")),
          user(o.text("user")),
          password(o.text_or("password", "")),
          table(o.text_or("write_table", "")),
          tls(o.text("tls.mode")),
          ca(o.text_or("tls.ca", system_authorities)),
          certificate(o.text_or("tls.certificate", "")),
          key(o.text_or("tls.key", "")) {
      if (host.empty()) throw Invalid("host", "is empty; write a name, an address, or the path of a Unix socket");
      for (const char c : table) {
        if (!isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '.') {
          throw Invalid("write_table", shown(table) + " is no plain name; write TABLE or DATABASE.TABLE");
        }
      }
    }
    std::string target() const { return host.front() == '/' ? host : with_port(host, port); }
    std::string host;
    long long port;
    std::string user, password, table, tls, ca, certificate, key;
  };

  // Throws Stop.
  Session(const Place& place, const Fuse& fuse) : place_(place), fuse_(fuse) {
    sql::ConnectOptionsMap options;
    options["userName"] = sql::SQLString(place.user);
    options["password"] = sql::SQLString(place.password);
    if (place.host.front() == '/') {
      options["hostName"] = sql::SQLString("localhost");
      options["socket"] = sql::SQLString(place.host);
    } else {
      const auto addresses = resolve(place.host, place.port, fuse.at());
      const std::string host = place.tls == "verify" ? place.host : addresses.front().numeric;
      options["hostName"] = sql::SQLString("tcp://" + (host.find(':') == std::string::npos ? host : "[" + host + "]"));
      options["port"] = static_cast<int>(place.port);
      if (place.tls != "off") options["sslEnforce"] = true;
      if (place.tls == "verify") {
        options["sslVerify"] = true;
        options["sslCA"] = sql::SQLString(place.ca);
      }
      if (!place.certificate.empty()) {
        options["sslCert"] = sql::SQLString(place.certificate);
        options["sslKey"] = sql::SQLString(place.key);
      }
    }
    const auto patience = std::chrono::ceil<std::chrono::seconds>(fuse.at() - monotonic_now()).count();
    for (const char* timeout : {"OPT_CONNECT_TIMEOUT", "OPT_READ_TIMEOUT", "OPT_WRITE_TIMEOUT"}) {
      options[timeout] = std::max(static_cast<int>(patience), 1);
    }
    guarded("login as " + place.user + " to " + place.target(), [&] {
      connection_.reset(sql::mysql::get_mysql_driver_instance()->connect(options));
      statement_.reset(connection_->createStatement());
    });
  }

  void run(const std::string& sql) {
    guarded(sql + " on " + place_.target(), [&] { statement_->execute(sql); });
  }
  std::vector<Row> ask(const std::string& sql) {
    std::vector<Row> out;
    guarded(sql + " on " + place_.target(), [&] {
      const std::unique_ptr<sql::ResultSet> rows(statement_->executeQuery(sql));
      sql::ResultSetMetaData* about = rows->getMetaData();
      while (rows->next()) {
        Row row;
        for (unsigned i = 1; i <= about->getColumnCount(); ++i) {
          if (!rows->isNull(i)) row[about->getColumnLabel(i).asStdString()] = rows->getString(i).asStdString();
        }
        out.push_back(std::move(row));
      }
    });
    return out;
  }

  bool is_mariadb() { return ask("SELECT VERSION() AS v").at(0)["v"].find("MariaDB") != std::string::npos; }
  bool is_read_only() { return ask("SELECT @@global.read_only AS ro").at(0)["ro"] == "1"; }
  // What it replicates from, if anything.
  std::vector<Row> sources() { return ask(is_mariadb() ? "SHOW ALL SLAVES STATUS" : "SHOW REPLICA STATUS"); }
  void write() {
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    for (char& c : host) {
      if (c == '\'' || c == '\\') c = '_';
    }
    run("INSERT INTO " + place_.table + " (node, written) VALUES ('" + host +
        "', UTC_TIMESTAMP()) ON DUPLICATE KEY UPDATE written = VALUES(written)");
  }

 private:
  template <typename Work>
  void guarded(const std::string& doing, Work work) {
    try {
      work();
    } catch (const sql::SQLException& e) {
      if (fuse_.has_blown()) {
        throw Stop(fail(Cause::timeout, doing + ": no answer in time").fact("outcome", "timeout"));
      }
      const int error = e.getErrorCode();
      throw Stop(fail(check::mysql::meaning_of(error).cause,
                      doing + ": " + tidy(e.what()) + " (" + std::to_string(error) + ")"));
    }
  }
  const Place& place_;
  const Fuse& fuse_;
  std::unique_ptr<sql::Connection> connection_;
  std::unique_ptr<sql::Statement> statement_;
};

// A session for one verb, its troubles made a result.
template <typename Work>
Result with_session(const Session::Place& place, const Attempt& attempt, Work work) {
  try {
    const Fuse fuse(give_up_at(attempt));
    Session session(place, fuse);
    return work(session, fuse);
  } catch (const Stop& stop) {
    return stop.result;
  }
}

// The first of several names a version may use; empty if none is there.
inline std::string first_of(const Row& row, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const auto at = row.find(name);
    if (at != row.end()) return at->second;
  }
  return {};
}

}  // namespace vital::action::sqldb
