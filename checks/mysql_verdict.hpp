// What the error numbers of MariaDB, MySQL and their client library mean for a verdict, and how a role is judged. Pure,
// so that each rule has its case in tests/checks/; the file that talks to servers is mysql.cpp.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "words.hpp"

namespace vital::check::mysql {

// What an error number proves. Numbers from 2000 to 2999 are the client library's own.
inline Meaning meaning_of(int error) {
  switch (error) {
    // The monitor's own credentials or rights: says nothing about the service, and trying again locks accounts.
    case 1044:  // no right to this database
    case 1045:  // wrong password, or no such user
    case 1130:  // not from this host
    case 1142:  // no right to this table
    case 1143:  // or column
    case 1227:  // a privilege is missing
    case 1251:  // no authentication method in common
    case 1370:  // no right to this routine
    case 1698:  // only through the Unix socket
    case 1820:  // the password must be changed first
    case 1862:  // the password has expired
    case 2058:  // no plugin for the authentication method
    case 2059:
    case 2061:
    case 3118:  // account locked (MySQL)
    case 4151:  // account locked (MariaDB)
      return {Verdict::unknown, Cause::auth};
    // Alive, but lets nobody in, or not us: too many connections, host blocked after errors, the user's own limit.
    case 1040:
    case 1129:
    case 1203:
    case 1226:
      return {Verdict::warn, Cause::protocol};
    // The query in the config is not SQL.
    case 1064:
    case 1065:
      return {Verdict::unknown, Cause::config};
    // A write on a server that takes none.
    case 1290:
    case 1792:
    case 1836:
      return {Verdict::fail, Cause::role};
    // max_statement_time, max_execution_time, lock waits, interrupted.
    case 1205:
    case 1317:
    case 1969:
    case 3024:
      return {Verdict::fail, Cause::timeout};
    // Shutting down; a Galera node that is not part of its cluster; a packet that is none.
    case 1043:
    case 1047:
    case 1053:
    case 1077:
    case 1079:
    case 1152:
    case 1927:
    case 2006:  // gone away
    case 2007:  // speaks another protocol
    case 2012:
    case 2013:  // lost during the query, or the login
    case 2027:  // malformed packet
    case 2055:
      return {Verdict::fail, Cause::protocol};
    case 2026:
      return {Verdict::fail, Cause::tls};
    case 2008:  // the client is out of memory
      return {Verdict::unknown, Cause::agent};
    default:
      // The service does not answer what it should, such as a table (1146) or a database (1049) that is gone.
      return {Verdict::fail, Cause::content};
  }
}

// The errno in the client library's "... on 'db1' (111)" and "..., system error: 110". 0 if there is none, and for
// EINPROGRESS (115), which libmariadb prints whatever the reason was.
inline int errno_in(std::string_view text) {
  const auto number_at = [&](std::size_t at) { return std::atoi(std::string(text.substr(at, 12)).c_str()); };
  constexpr std::string_view lead = "system error: ";
  if (const auto at = text.find(lead); at != std::string_view::npos) return number_at(at + lead.size());
  const auto open = text.rfind('(');
  const int number = open == std::string_view::npos ? 0 : number_at(open + 1);
  return number == 115 ? 0 : number;
}

// The server's error number behind the library's: with TLS wanted, libmariadb wraps what a server says before the
// handshake ("Too many connections", "Host is blocked") into a 2002 of its own.
inline int server_error(int error, std::string_view text) {
  constexpr std::string_view lead = "the following error cannot be verified: ";
  const auto at = text.find(lead);
  const int inner = at == std::string_view::npos ? 0 : std::atoi(std::string(text.substr(at + lead.size(), 6)).c_str());
  return inner != 0 ? inner : error;
}

// What the server said of itself.
struct Identity {
  std::string version;
  std::string read_only;  // @@global.read_only: 0, 1, OFF, ON, and words for more in later versions
  std::string tls;        // "TLSv1.3"; empty without
  double connections = 0, max_connections = 0;

  bool is_read_only() const { return !(read_only == "0" || read_only == "OFF" || read_only.empty()); }
  std::string role() const { return is_read_only() ? "standby" : "primary"; }
  bool is_mariadb() const { return version.find("MariaDB") != std::string::npos; }

  Result describe(Result result) const {
    if (version.empty()) return result;  // it never got to say
    result.fact("version", version).fact("role", role()).fact("read_only", is_read_only() ? "on" : "off");
    if (!tls.empty()) result.fact("tls", tls);
    if (max_connections > 0) result.measure("connections", connections).measure("connections_max", max_connections);
    return result;
  }
};

// The verdict on a server that answered everything.
inline Result judge(const Identity& who, const std::string& role, const std::string& target,
                    const std::optional<std::string>& expect, const std::optional<std::string>& value,
                    const std::string& query) {
  if (role == "primary" && who.is_read_only()) return fail(Cause::role, target + " is read-only, not a primary");
  if (role == "standby" && !who.is_read_only()) return fail(Cause::role, target + " accepts writes, not a standby");
  if (expect && !value) return fail(Cause::content, query + ": no row, expected " + shown(*expect));
  if (expect && *value != *expect) {
    return fail(Cause::content, query + ": got " + shown(*value) + ", expected " + shown(*expect));
  }
  return pass(target + " is a " + who.role() + " (" + (who.is_mariadb() ? "" : "MySQL ") + who.version +
              ") and answered the query" + (value ? " with " + shown(*value) : ""));
}

}  // namespace vital::check::mysql
