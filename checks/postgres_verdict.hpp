// What PostgreSQL's words mean for a verdict: SQLSTATEs, libpq's texts, roles. Pure functions on text, so that each
// rule has its case in tests/checks/; the file that talks to servers is postgres.cpp.
#pragma once

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "words.hpp"

namespace vital::check::postgres {

enum class LoginStage { connect, tls, login, done };

// One round trip tells all of it, and every user may ask. pg_settings costs the server 2 ms, so it is only asked for
// where it matters.
inline constexpr const char* identity_query =
    "SELECT pg_catalog.pg_is_in_recovery(), ro, CASE ro WHEN 'on' THEN"
    " (SELECT source FROM pg_catalog.pg_settings WHERE name = 'default_transaction_read_only') END,"
    " (SELECT sum(numbackends) FROM pg_catalog.pg_stat_database), pg_catalog.current_setting('max_connections'),"
    " pg_catalog.current_setting('superuser_reserved_connections')"
    " FROM pg_catalog.current_setting('default_transaction_read_only') AS ro";

// ---- text ----------------------------------------------------------------------------------------------------------

inline std::string first_line(std::string_view text) {
  return std::string(text.substr(0, std::min(text.find('\n'), text.size())));
}

constexpr bool is_sqlstate(std::string_view text) {
  if (text.size() != 5) return false;
  for (const char c : text) {
    if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'))) return false;
  }
  return true;
}

// The first SQLSTATE in a text of libpq, which writes "SEVERITY:  28P01: words" in the server's language. Empty if
// there is none: then the words are libpq's own.
inline std::string sqlstate_in(std::string_view text) {
  for (std::size_t at = text.find(":  "); at != std::string_view::npos; at = text.find(":  ", at + 1)) {
    if (at + 8 < text.size() && text[at + 8] == ':' && is_sqlstate(text.substr(at + 3, 5)))
      return std::string(text.substr(at + 3, 5));
  }
  return {};
}

// What is left of libpq's text without what we say ourselves: the target, the severity and the SQLSTATE.
inline std::string words_in(std::string_view text) {
  std::string line = first_line(text);
  if (const std::string state = sqlstate_in(line); !state.empty()) {
    return tidy(line.substr(line.find(state) + 7)) + " (" + state + ")";
  }
  for (const std::string_view lead : {" failed: ", "ERROR:  "}) {
    if (const auto at = line.find(lead); at != std::string::npos) line.erase(0, at + lead.size());
  }
  return tidy(line);
}

// ---- SQLSTATE
// ---------------------------------------------------------------------------------------------------------

// What an error of the server proves. Rows are looked at from the top; a shorter code stands for its class.
inline Meaning meaning_of(std::string_view sqlstate) {
  struct Row {
    std::string_view code;
    Meaning meaning;
  };
  static constexpr Row table[] = {
      // The monitor's own credentials or rights: says nothing about the service, and trying again locks accounts.
      {"28", {Verdict::unknown, Cause::auth}},
      {"42501", {Verdict::unknown, Cause::auth}},
      // Alive, and so busy that it lets nobody else in.
      {"53300", {Verdict::warn, Cause::protocol}},
      // Starting up, shutting down, recovering from a crash.
      {"57P", {Verdict::fail, Cause::protocol}},
      // statement_timeout, lock_timeout.
      {"57014", {Verdict::fail, Cause::timeout}},
      {"55P03", {Verdict::fail, Cause::timeout}},
      // A write on a server that takes none.
      {"25006", {Verdict::fail, Cause::role}},
      {"08", {Verdict::fail, Cause::protocol}},
      // The query in the config is not SQL.
      {"42601", {Verdict::unknown, Cause::config}},
      // Anything else: the service does not answer what it should, such as a table (42P01) or database (3D000) that is
      // gone.
      {"", {Verdict::fail, Cause::content}},
  };
  for (const Row& row : table) {
    if (sqlstate.substr(0, row.code.size()) == row.code) return row.meaning;
  }
  return {Verdict::fail, Cause::content};
}

// PgBouncer gives one SQLSTATE (08P01) to all its own refusals, always in English.
inline std::optional<Meaning> pgbouncer_meaning(std::string_view text) {
  struct Row {
    std::string_view words;
    Meaning meaning;
  };
  static constexpr Row table[] = {
      {"authentication failed", {Verdict::unknown, Cause::auth}},
      {"no such user", {Verdict::unknown, Cause::auth}},
      {"login rejected", {Verdict::unknown, Cause::auth}},
      {"not allowed", {Verdict::unknown, Cause::auth}},
      {"no more connections allowed", {Verdict::warn, Cause::protocol}},
      {"no such database", {Verdict::fail, Cause::content}},
      {"is disabled", {Verdict::fail, Cause::content}},
      {"query_wait_timeout", {Verdict::fail, Cause::timeout}},
  };
  if (sqlstate_in(text) != "08P01") return {};
  for (const Row& row : table) {
    if (text.find(row.words) != std::string_view::npos) return row.meaning;
  }
  return {};
}

// A query that failed: by the server's SQLSTATE, or without one because the connection broke or carried nonsense.
inline Result query_failure(const std::string& doing, std::string_view text) {
  const std::string state = sqlstate_in(text);
  const Meaning m =
      state.empty() ? Meaning{Verdict::fail, Cause::protocol} : pgbouncer_meaning(text).value_or(meaning_of(state));
  return make_result(m.verdict, m.cause, doing + ": " + words_in(text));
}

// ---- login
// ------------------------------------------------------------------------------------------------------------

inline Result login_timeout(LoginStage stage, const std::string& target, const std::string& after) {
  switch (stage) {
    case LoginStage::connect:
      return fail(Cause::timeout, "connect to " + target + ": no answer within " + after);
    case LoginStage::tls:
      return fail(Cause::timeout, "TLS with " + target + ": connected, but no end of the handshake within " + after);
    case LoginStage::login:
    case LoginStage::done:
      break;
  }
  return fail(Cause::timeout, "login to " + target + ": connected, but no answer to the login within " + after);
}

// A login that failed, by the server's SQLSTATE if it gave one, else by the stage and libpq's words (in English: a
// worker has no locale).
inline Result login_failure(LoginStage stage, const std::string& user, const std::string& target,
                            std::string_view text) {
  const auto says = [&](std::string_view part) { return text.find(part) != std::string_view::npos; };
  const std::string why = words_in(text);
  const std::string login = "login as " + user + " to " + target + ": ";
  if (const std::string state = sqlstate_in(text); !state.empty()) {
    const Meaning m = pgbouncer_meaning(text).value_or(meaning_of(state));
    return make_result(m.verdict, m.cause,
                       (m.cause == Cause::auth ? "login as " + user + " to " + target + " refused: " : login) + why);
  }
  if (stage == LoginStage::connect) {
    for (const int error : {ECONNREFUSED, ENOENT, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, EHOSTDOWN, ENETDOWN, ECONNRESET,
                            ECONNABORTED, EADDRNOTAVAIL, EACCES, EPERM}) {
      if (says(std::strerror(error))) return connect_failure(error, target);
    }
    if (says(std::strerror(EAGAIN))) return connect_failure(ETIMEDOUT, target);  // a Unix socket with a full backlog
    return unknown(Cause::agent, "connect to " + target + ": " + why);
  }
  if (says("no password supplied") || says("authentication method")) {
    return unknown(Cause::auth, "login as " + user + " to " + target + " refused: " + why);
  }
  if (says("could not load") || says("could not read") || says("could not open") || says("private key file")) {
    return unknown(Cause::config, "TLS with " + target + ": " + why);
  }
  const bool is_tls_trouble = says("SSL") || says("certificate") || says("TLS");
  if (is_tls_trouble && !says("invalid response to SSL negotiation"))
    return fail(Cause::tls, "TLS with " + target + ": " + why);
  return fail(Cause::protocol, login + why);
}

// ---- role and answer
// ------------------------------------------------------------------------------------------------------

// What the server said of itself.
struct Identity {
  bool is_standby = false;
  bool is_read_only = false;     // default_transaction_read_only
  std::string read_only_source;  // where that setting comes from
  int version = 0;               // 150018
  double connections = 0, max_connections = 0, reserved_connections = 0;

  // Whether the server refuses everybody's writes. A read-only setting of the monitor's own user is good practice, and
  // proves nothing about the others.
  bool refuses_writes() const {
    const bool is_our_own = read_only_source == "user" || read_only_source == "database user" ||
                            read_only_source == "session" || read_only_source == "client";
    return is_standby || (is_read_only && !is_our_own);
  }
  // What is left for others than superusers.
  double free_connections() const { return std::max(0.0, max_connections - reserved_connections - connections); }
  std::string role() const { return is_standby ? "standby" : "primary"; }
  std::string version_text() const { return std::to_string(version / 10000) + "." + std::to_string(version % 10000); }

  Result describe(Result result) const {
    result.fact("version", version_text());
    if (max_connections <= 0) return result;  // it never got to say
    result.fact("role", role()).fact("read_only", refuses_writes() ? "on" : "off");
    result.measure("connections", connections).measure("connections_max", max_connections);
    return result;
  }
};

// The verdict on a server that answered everything.
inline Result judge(const Identity& who, const std::string& role, const std::string& target,
                    const std::optional<std::string>& expect, const std::optional<std::string>& value,
                    const std::string& query) {
  if (role != "any" && role != who.role()) return fail(Cause::role, target + " is a " + who.role() + ", not a " + role);
  if (expect && !value) return fail(Cause::content, query + ": no row, expected " + shown(*expect));
  if (expect && *value != *expect)
    return fail(Cause::content, query + ": got " + shown(*value) + ", expected " + shown(*expect));
  if (!who.is_standby && who.refuses_writes()) {
    const std::string text =
        target + " is a primary, but read-only (default_transaction_read_only, from " + who.read_only_source + ")";
    return role == "primary" ? fail(Cause::role, text) : warn(Cause::role, text);
  }
  return pass(target + " is a " + who.role() + " (PostgreSQL " + who.version_text() + ") and answered the query" +
              (value ? " with " + shown(*value) : ""));
}

}  // namespace vital::check::postgres
