// What LDAP result codes mean, and what libldap says of a certificate.
#include "ldap_verdict.hpp"

#include <catch2/catch.hpp>

using namespace vital::check;
using namespace vital::check::ldap;

namespace {
bool is(int code, Verdict verdict, Cause cause) {
  const Meaning m = meaning_of(code);
  return m.verdict == verdict && m.cause == cause;
}
}  // namespace

TEST_CASE("a rejected bind is never the directory's fault") {
  for (const int code : {LDAP_INVALID_CREDENTIALS, LDAP_INAPPROPRIATE_AUTH, LDAP_INSUFFICIENT_ACCESS,
                         LDAP_STRONG_AUTH_REQUIRED, LDAP_CONFIDENTIALITY_REQUIRED}) {
    CHECK(is(code, Verdict::unknown, Cause::auth));
  }
}

TEST_CASE("busy, unavailable and unwilling are warnings") {
  for (const int code : {LDAP_BUSY, LDAP_UNAVAILABLE, LDAP_UNWILLING_TO_PERFORM})
    CHECK(is(code, Verdict::warn, Cause::protocol));
}

TEST_CASE("a base that is not there means an empty directory, and the text says what else it could be") {
  CHECK(is(LDAP_NO_SUCH_OBJECT, Verdict::fail, Cause::content));
  CHECK(words_for(LDAP_NO_SUCH_OBJECT, "") == "No such object (32); the directory is empty, or search.base is wrong");
}

TEST_CASE("a lost connection, nonsense and lateness fail; a wrong DN or filter is ours") {
  CHECK(is(LDAP_SERVER_DOWN, Verdict::fail, Cause::protocol));
  CHECK(is(LDAP_DECODING_ERROR, Verdict::fail, Cause::protocol));
  CHECK(is(LDAP_OTHER, Verdict::fail, Cause::protocol));
  CHECK(is(LDAP_TIMELIMIT_EXCEEDED, Verdict::fail, Cause::timeout));
  CHECK(is(LDAP_CONNECT_ERROR, Verdict::fail, Cause::tls));
  CHECK(is(LDAP_INVALID_DN_SYNTAX, Verdict::unknown, Cause::config));
  CHECK(is(LDAP_FILTER_ERROR, Verdict::unknown, Cause::config));
}

TEST_CASE("GnuTLS's bits become words, the most telling first") {
  CHECK(tls_words("peer cert untrusted or revoked (0x402)\n") == "the certificate has expired");
  CHECK(tls_words("peer cert untrusted or revoked (0x42)\n") ==
        "the certificate is signed by an authority that tls.ca does not know");
  CHECK(tls_words("peer cert untrusted or revoked (0x2)\n") == "the certificate is not trusted");
  CHECK(tls_words("hostname (a) does not match common name in certificate (b).\n") ==
        "hostname (a) does not match common name in certificate (b)");
  CHECK(tls_words("something\ncan't connect: A TLS fatal alert has been received..\n") ==
        "can't connect: A TLS fatal alert has been received");
  CHECK(tls_words("").empty());
}
