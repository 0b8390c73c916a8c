// What a chain of certificates means, and how TLS is asked for.
#include <openssl/x509_vfy.h>

#include <catch2/catch.hpp>

#include "tls/starttls.hpp"
#include "tls/verdict.hpp"

using namespace vital::tls;
using vital::check::Cause;
using vital::check::Result;
using vital::check::Verdict;
using vital::net::TlsReport;
using Status = vital::net::Framing::Status;

namespace {

constexpr std::time_t now = 1800000000;

vital::net::SeenCertificate certificate(const char* subject, double days) {
  return {subject, "Issuer", "a.example", 0, now + static_cast<std::time_t>(days * 86400)};
}

TlsReport report(std::vector<double> sent, std::vector<double> verified, std::vector<int> errors = {}) {
  TlsReport out;
  out.is_seen = true;
  out.names = "a.example";
  out.all_names = {"a.example", "*.b.example"};
  for (size_t i = 0; i < sent.size(); ++i) out.sent.push_back(certificate(i == 0 ? "own" : "between", sent[i]));
  for (size_t i = 0; i < verified.size(); ++i)
    out.verified.push_back(certificate(i == 0 ? "own" : "root", verified[i]));
  out.not_after = out.sent.front().not_after;
  out.errors = std::move(errors);
  return out;
}

}  // namespace

TEST_CASE("days left of what counts decide, and the trust if it is asked for") {
  Demands lax;
  lax.is_trust_judged = false;
  Demands named;
  named.names = {"x.b.example", "c.example"};
  Demands modern;
  modern.wants_tls13 = true;
  struct Case {
    TlsReport report;
    Demands demands;
    Verdict verdict;
    const char* says;
  };
  const Case table[] = {
      {report({30, 60}, {30, 60, 90}), {}, Verdict::pass, "its certificate ends in 30 days"},
      {report({20.5}, {20.5, 90}), {}, Verdict::warn, "its certificate ends in 20 days"},
      {report({2.5}, {2.5, 90}), {}, Verdict::fail, "its certificate ends in 2 days"},
      {report({60}, {60, 10}), {}, Verdict::warn, "the certificate root of its chain ends in 10 days"},
      // Sent along, not needed, ended long ago: harms nobody.
      {report({30, -400}, {30, 90}), {}, Verdict::pass, "ends in 30 days"},
      {report({30}, {}, {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY}),
       {},
       Verdict::fail,
       "not from an authority we trust; its certificate ends in 30 days"},
      {report({30}, {}, {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY}), lax, Verdict::pass, "ends in 30 days"},
      {report({-5.5}, {}, {X509_V_ERR_CERT_HAS_EXPIRED}), {}, Verdict::fail, "expired 5 days ago"},
      {report({-5.5}, {}, {X509_V_ERR_CERT_HAS_EXPIRED}), lax, Verdict::fail, "ended 5 days ago"},
      {report({30, -5}, {}, {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY}),
       {},
       Verdict::fail,
       "the certificate between of its chain ended 5 days ago"},
      {report({30}, {30}), named, Verdict::fail, "not for c.example"},
      {report({30}, {30}), modern, Verdict::fail, "expected TLSv1.3"},
  };
  for (const Case& c : table) {
    const Result result = judge(c.report, c.demands, "a.example", "TLSv1.2", now);
    CAPTURE(result.text);
    CHECK(result.verdict == c.verdict);
    CHECK(result.cause == (c.verdict == Verdict::pass ? Cause::none : Cause::tls));
    CHECK(result.text.find(c.says) != std::string::npos);
    CHECK(result.measures.front().name == "chain_days_left");
  }
}

TEST_CASE("a star covers one label") {
  const std::vector<std::string> names = {"A.example", "*.b.example"};
  CHECK(covers(names, "a.EXAMPLE"));
  CHECK(covers(names, "x.b.example"));
  CHECK_FALSE(covers(names, "b.example"));
  CHECK_FALSE(covers(names, "x.y.b.example"));
  CHECK_FALSE(covers(names, ".b.example"));
  CHECK_FALSE(covers(names, ""));
}

TEST_CASE("an LDAP message in one byte of length, in four, and in none") {
  const auto is = [](std::string bytes, Status status, size_t length = 0) {
    const auto found = ldap_message(bytes);
    return found.status == status && found.length == length;
  };
  CHECK(is("", Status::more));
  CHECK(is("\x30", Status::more));
  CHECK(
      is("\x30\x02"
         "ab",
         Status::whole, 4));
  CHECK(
      is("\x30\x02"
         "a",
         Status::more));
  CHECK(is(std::string("\x30\x84\0\0\0\x02"
                       "ab",
                       8),
           Status::whole, 8));
  CHECK(is("\x30\x84\x7f\xff\xff\xff", Status::broken));
  CHECK(is("\x30\x80", Status::broken));
  CHECK(is("HTTP", Status::broken));
}

TEST_CASE("only a yes is a yes") {
  const auto last = [](StartTls protocol) { return turns_before(protocol).back(); };
  using std::string;
  CHECK(last(StartTls::postgres).is_yes("S"));
  CHECK_FALSE(last(StartTls::postgres).is_yes("N"));
  CHECK(last(StartTls::ldap).is_yes(string("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00", 14)));
  CHECK_FALSE(last(StartTls::ldap).is_yes(string("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00", 14)));
  CHECK_FALSE(last(StartTls::ldap).is_yes(string("\x30\x02\x0a\x01", 4)));
  CHECK(last(StartTls::imap).is_yes("a OK go\r\n"));
  CHECK_FALSE(last(StartTls::imap).is_yes("* OK go\r\n"));
  CHECK(last(StartTls::pop3).is_yes("+OK\r\n"));
  CHECK_FALSE(last(StartTls::pop3).is_yes("-ERR\r\n"));
  CHECK(last(StartTls::smtp).is_yes("220 go\r\n"));
  CHECK_FALSE(last(StartTls::smtp).is_yes("454 later\r\n"));
  CHECK(turns_before(StartTls::smtp)[1].is_yes("250-x\r\n250-starttls\r\n250 HELP\r\n"));
  CHECK_FALSE(turns_before(StartTls::smtp)[1].is_yes("250-STARTTLS\r\n250 HELP\r\n"));  // the first line is its name
}
