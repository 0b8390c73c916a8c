// What PostgreSQL's words mean: SQLSTATEs, libpq's texts, roles.
#include "postgres_verdict.hpp"

#include <catch2/catch.hpp>

#include "outcome.hpp"

using namespace vital::check;
using namespace vital::check::postgres;

namespace {

std::string failed_login(LoginStage stage, const std::string& text) {
  return outcome(login_failure(stage, "app", "db:5432", text));
}

Identity primary() {
  Identity who;
  who.version = 150018;
  who.max_connections = 100;
  return who;
}

Result judged(const Identity& who, const std::string& role) { return judge(who, role, "db:5432", {}, "1", "query"); }

}  // namespace

TEST_CASE("a login is judged by the server's SQLSTATE in any language") {
  const std::string lead = "connection to server at \"db\" (10.0.0.1), port 5432 failed: ";
  CHECK(failed_login(LoginStage::login,
                     lead + "FATAL:  28P01: password authentication failed for user \"app\"\nLOCATION:  x") ==
        "unknown/auth");
  CHECK(failed_login(LoginStage::login,
                     lead + "致命的エラー:  28P01: ユーザー\"app\"のパスワード認証に失敗しました\n") == "unknown/auth");
  CHECK(failed_login(LoginStage::login, lead + "FATAL:  28000: no pg_hba.conf entry for host") == "unknown/auth");
  CHECK(failed_login(LoginStage::login, lead + "FATAL:  53300: sorry, too many clients already") == "warn/protocol");
  CHECK(failed_login(LoginStage::login, lead + "FATAL:  57P03: the database system is starting up") == "fail/protocol");
  CHECK(failed_login(LoginStage::login, lead + "FATAL:  3D000: database \"app\" does not exist") == "fail/content");
}

TEST_CASE("the text of a refused login names the user, the server and the reason, once") {
  const Result r =
      login_failure(LoginStage::login, "app", "db:5432",
                    "connection to server at \"db\", port 5432 failed: FATAL:  28P01: password authentication "
                    "failed for user \"app\"\nLOCATION:  auth_failed, auth.c:326\n");
  CHECK(r.text == "login as app to db:5432 refused: password authentication failed for user \"app\" (28P01)");
}

TEST_CASE("what PgBouncer refuses is judged by its words, since it has one SQLSTATE for everything") {
  const auto said = [](const std::string& words) { return failed_login(LoginStage::login, "FATAL:  08P01: " + words); };
  CHECK(said("SASL authentication failed") == "unknown/auth");
  CHECK(said("password authentication failed") == "unknown/auth");
  CHECK(said("no such user: app") == "unknown/auth");
  CHECK(said("no more connections allowed (max_client_conn)") == "warn/protocol");
  CHECK(said("no such database: app") == "fail/content");
  CHECK(said("database \"app\" is disabled") == "fail/content");
  CHECK(said("query_wait_timeout") == "fail/timeout");
  CHECK(said("broken client packet") == "fail/protocol");
  CHECK(failed_login(LoginStage::login, "FATAL:  57P03: no such user") == "fail/protocol");
}

TEST_CASE("a connection that failed is judged by its errno") {
  const std::string lead = "connection to server at \"10.0.0.1\", port 5432 failed: ";
  CHECK(failed_login(LoginStage::connect, lead + std::strerror(ECONNREFUSED) + "\n\tIs the server running?") ==
        "fail/refused");
  CHECK(failed_login(LoginStage::connect, lead + std::strerror(EHOSTUNREACH)) == "fail/unreachable");
  CHECK(failed_login(LoginStage::connect, lead + std::strerror(ENETUNREACH)) == "fail/unreachable");
  CHECK(failed_login(LoginStage::connect, lead + std::strerror(ETIMEDOUT)) == "fail/timeout");
  CHECK(failed_login(LoginStage::connect, lead + std::strerror(EMFILE)) == "unknown/agent");
}

TEST_CASE("TLS trouble, rejected monitors and misplaced files are told apart") {
  CHECK(failed_login(LoginStage::tls, "server does not support SSL, but SSL was required") == "fail/tls");
  CHECK(failed_login(LoginStage::tls, "SSL error: certificate verify failed") == "fail/tls");
  CHECK(failed_login(LoginStage::login, "server certificate for \"a\" does not match host name \"b\"") == "fail/tls");
  CHECK(failed_login(LoginStage::tls, "received invalid response to SSL negotiation: H") == "fail/protocol");
  CHECK(failed_login(LoginStage::tls, "private key file \"/k\" has group or world access") == "unknown/config");
  CHECK(failed_login(LoginStage::login, "fe_sendauth: no password supplied") == "unknown/auth");
  CHECK(failed_login(LoginStage::login, "server closed the connection unexpectedly") == "fail/protocol");
}

TEST_CASE("a timeout says how far the login came") {
  CHECK(login_timeout(LoginStage::connect, "db:5432", "950 ms").text == "connect to db:5432: no answer within 950 ms");
  CHECK(login_timeout(LoginStage::tls, "db:5432", "1.9 s").text.find("TLS with db:5432: connected") == 0);
  CHECK(login_timeout(LoginStage::login, "db:5432", "1.9 s").text.find("login to db:5432: connected") == 0);
}

TEST_CASE("what a failed query proves") {
  const auto query = [](const std::string& text) { return outcome(query_failure("query", text)); };
  CHECK(query("ERROR:  42P01: relation \"x\" does not exist") == "fail/content");
  CHECK(query("ERROR:  42601: syntax error at or near \"selec\"") == "unknown/config");
  CHECK(query("ERROR:  42501: permission denied for table x") == "unknown/auth");
  CHECK(query("ERROR:  25006: cannot execute INSERT in a read-only transaction") == "fail/role");
  CHECK(query("ERROR:  57014: canceling statement due to statement timeout") == "fail/timeout");
  CHECK(query("FATAL:  57P01: terminating connection due to administrator command") == "fail/protocol");
  CHECK(query("ERROR:  XX001: invalid page in block 0") == "fail/content");
  CHECK(query("the connection broke") == "fail/protocol");
}

TEST_CASE("a SQLSTATE is five capitals or digits between a severity and the words, and nothing else") {
  CHECK(sqlstate_in("FATAL:  28P01: words") == "28P01");
  CHECK(sqlstate_in("first line\nFATAL:  57P03: words") == "57P03");
  CHECK(sqlstate_in("FATAL:  words: more") == "");
  CHECK(sqlstate_in("FATAL:  28p01: lower") == "");
  CHECK(sqlstate_in("FATAL:  28P01") == "");
  CHECK(sqlstate_in(":  ") == "");
  CHECK(sqlstate_in("") == "");
}

TEST_CASE("roles are judged by recovery, and a primary must take writes") {
  Identity who = primary();
  CHECK(outcome(judged(who, "any")) == "pass/none");
  CHECK(outcome(judged(who, "primary")) == "pass/none");
  CHECK(outcome(judged(who, "standby")) == "fail/role");

  who.is_read_only = true;
  who.read_only_source = "configuration file";
  CHECK(outcome(judged(who, "any")) == "warn/role");
  CHECK(outcome(judged(who, "primary")) == "fail/role");

  who.is_standby = true;
  CHECK(outcome(judged(who, "any")) == "pass/none");
  CHECK(outcome(judged(who, "standby")) == "pass/none");
  CHECK(outcome(judged(who, "primary")) == "fail/role");
}

TEST_CASE("a monitor that is read-only by itself does not make the server read-only") {
  Identity who = primary();
  who.is_read_only = true;
  for (const char* source : {"user", "database user", "session", "client"}) {
    who.read_only_source = source;
    CHECK(outcome(judged(who, "primary")) == "pass/none");
  }
  for (const char* source : {"configuration file", "database", "command line", "override"}) {
    who.read_only_source = source;
    CHECK(outcome(judged(who, "primary")) == "fail/role");
  }
}

TEST_CASE("the answer of a query is compared byte for byte with what is expected") {
  const auto with = [](std::optional<std::string> expect, std::optional<std::string> value) {
    return outcome(judge(primary(), "any", "db", expect, value, "query"));
  };
  CHECK(with({}, {}) == "pass/none");
  CHECK(with("1", "1") == "pass/none");
  CHECK(with("1", "2") == "fail/content");
  CHECK(with("1", "1 ") == "fail/content");
  CHECK(with("1", {}) == "fail/content");
  CHECK(with("", "") == "pass/none");
}

TEST_CASE("a long or strange answer is shown short and on one line") {
  const Result r = judge(primary(), "any", "db", "x", std::string(5000, 'y') + "\n", "query");
  CHECK(r.text.size() < 200);
  CHECK(judge(primary(), "any", "db", "x", "a\nb\x1b[31m", "query").text.find('\n') == std::string::npos);
}
