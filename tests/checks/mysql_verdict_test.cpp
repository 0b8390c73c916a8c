// What the error numbers of MariaDB, MySQL and libmariadb mean.
#include "mysql_verdict.hpp"

#include <catch2/catch.hpp>

using namespace vital::check;
using namespace vital::check::mysql;

namespace {
bool is(int error, Verdict verdict, Cause cause) {
  const Meaning m = meaning_of(error);
  return m.verdict == verdict && m.cause == cause;
}
}  // namespace

TEST_CASE("a rejected monitor says nothing about the service") {
  for (const int error : {1044, 1045, 1130, 1142, 1227, 1698, 1820, 1862, 2059, 3118, 4151}) {
    CHECK(is(error, Verdict::unknown, Cause::auth));
  }
}

TEST_CASE("a server that is full or has blocked us is alive") {
  for (const int error : {1040, 1129, 1203, 1226}) CHECK(is(error, Verdict::warn, Cause::protocol));
}

TEST_CASE("what is gone, read-only, late or broken fails with its own cause") {
  CHECK(is(1049, Verdict::fail, Cause::content));
  CHECK(is(1146, Verdict::fail, Cause::content));
  CHECK(is(1290, Verdict::fail, Cause::role));
  CHECK(is(1969, Verdict::fail, Cause::timeout));
  CHECK(is(3024, Verdict::fail, Cause::timeout));
  CHECK(is(1047, Verdict::fail, Cause::protocol));
  CHECK(is(2013, Verdict::fail, Cause::protocol));
  CHECK(is(2026, Verdict::fail, Cause::tls));
  CHECK(is(1064, Verdict::unknown, Cause::config));
}

TEST_CASE("the errno in the library's text is found, and EINPROGRESS is none") {
  CHECK(errno_in("Can't connect to server on '10.0.0.1' (111)") == 111);
  CHECK(errno_in("Can't connect to server on '10.0.0.1' (115)") == 0);
  CHECK(errno_in("Lost connection to server at 'handshake: reading initial communication packet', system error: 110") ==
        110);
  CHECK(errno_in("no number here") == 0);
  CHECK(errno_in("(") == 0);
  CHECK(errno_in("") == 0);
}

TEST_CASE("what the server said before TLS is heard behind the library's own error") {
  CHECK(
      server_error(2002,
                   "Received error packet before completion of TLS handshake. The authenticity of the following error "
                   "cannot be verified: 1040 - Too many connections") == 1040);
  CHECK(server_error(2002, "Can't connect to server on '10.0.0.1' (111)") == 2002);
}

TEST_CASE("the role follows read_only, in every spelling") {
  Identity who;
  who.version = "10.11.6-MariaDB";
  const auto verdict = [&](const char* role) { return judge(who, role, "db", {}, "1", "query").verdict; };
  for (const char* off : {"0", "OFF"}) {
    who.read_only = off;
    CHECK(verdict("primary") == Verdict::pass);
    CHECK(verdict("standby") == Verdict::fail);
    CHECK(verdict("any") == Verdict::pass);
  }
  for (const char* on : {"1", "ON", "NO_LOCK_NO_ADMIN"}) {
    who.read_only = on;
    CHECK(verdict("primary") == Verdict::fail);
    CHECK(verdict("standby") == Verdict::pass);
    CHECK(verdict("any") == Verdict::pass);
  }
}

TEST_CASE("a query's answer must be the expected one") {
  Identity who;
  who.version = "8.0.36";
  who.read_only = "0";
  CHECK(judge(who, "any", "db", "1", "1", "query").verdict == Verdict::pass);
  CHECK(judge(who, "any", "db", "1", "2", "query").cause == Cause::content);
  CHECK(judge(who, "any", "db", "1", {}, "query").cause == Cause::content);
}
