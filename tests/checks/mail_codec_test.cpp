// The lines of mail.
#include <catch2/catch.hpp>

#include "mail/codec.hpp"
#include "mail/verdict.hpp"

using namespace vital::mail;
using vital::check::Cause;
using vital::check::Verdict;
using Status = vital::net::Framing::Status;

TEST_CASE("an SMTP reply ends with the line that has no hyphen") {
  struct Case {
    std::string bytes;
    Status status;
    size_t length;
  };
  const Case table[] = {
      {"", Status::more, 0},
      {"2", Status::more, 0},
      {"220", Status::more, 0},
      {"220\r\n", Status::whole, 5},
      {"220 x\r\n", Status::whole, 7},
      {"220 x\n", Status::whole, 6},
      {"220 x\r\n221 y\r\n", Status::whole, 7},
      {"220-x\r\n", Status::more, 0},
      {"220-x\r\n220 y\r\n", Status::whole, 14},
      {"220-x\r\n221 y\r\n", Status::broken, 0},
      {"22\r\n", Status::broken, 0},
      {"HTTP/1.1 400\r\n", Status::broken, 0},
      {"220x\r\n", Status::broken, 0},
      {"220 " + std::string(9000, 'x'), Status::broken, 0},
      {std::string("220 \0\r\n", 7), Status::broken, 0},
  };
  for (const Case& c : table) {
    CAPTURE(c.bytes.substr(0, 40));
    CHECK(smtp_reply(c.bytes).status == c.status);
    CHECK(smtp_reply(c.bytes).length == c.length);
  }
  std::string endless;
  for (int i = 0; i < 101; ++i) endless += "220-x\r\n";
  CHECK(smtp_reply(endless).status == Status::broken);
}

TEST_CASE("what an SMTP reply says") {
  const auto reply = parse_smtp("550-5.1.1 no\r\n550 5.1.1 such user\r\n");
  REQUIRE(reply);
  CHECK(reply->code == 550);
  CHECK(reply->enhanced == "5.1.1");
  CHECK(reply->text == "5.1.1 no 5.1.1 such user");
  CHECK(parse_smtp("250 1.2.3.4 is you\r\n")->enhanced.empty());
  CHECK(parse_smtp("450 4.3.0 later\r\n")->is_transient());
  CHECK(parse_smtp("354 go\r\n")->is_good());
  CHECK_FALSE(parse_smtp("250-x\r\n"));
  const char* ehlo = "250-mx.example\r\n250-AUTH PLAIN login\r\n250 STARTTLS\r\n";
  CHECK(smtp_offers(ehlo, "auth") == "PLAIN login");
  CHECK(smtp_offers(ehlo, "STARTTLS") == "");
  CHECK_FALSE(smtp_offers(ehlo, "SIZE"));
  CHECK_FALSE(smtp_offers(ehlo, "mx.example"));
}

TEST_CASE("lines of IMAP and POP3") {
  const auto exists = parse_imap("* 23 EXISTS\r\n");
  CHECK((exists.tag == "*" && exists.word == "23" && exists.rest == "EXISTS"));
  const auto no = parse_imap("a1 no [AUTHENTICATIONFAILED] wrong\r\n");
  CHECK((no.tag == "a1" && no.word == "NO" && no.rest == "[AUTHENTICATIONFAILED] wrong"));
  CHECK(parse_imap("").tag.empty());
  CHECK(parse_pop("+OK ready\r\n")->text == "ready");
  CHECK_FALSE(parse_pop("-ERR [AUTH] no\r\n")->is_ok);
  CHECK_FALSE(parse_pop("+OKAY\r\n"));
  CHECK_FALSE(parse_pop("* OK\r\n"));
  CHECK(line("a\nb").length == 2);
  CHECK(line(std::string(9000, 'x')).status == Status::broken);
}

TEST_CASE("words as mail servers take them") {
  CHECK(imap_quoted("a\"b\\c") == "\"a\\\"b\\\\c\"");
  CHECK_FALSE(imap_quoted("a\nb"));
}

TEST_CASE("what a refusal by SMTP proves depends on where it comes") {
  struct Case {
    const char* reply;
    At at;
    Verdict verdict;
    Cause cause;
  };
  const Case table[] = {
      {"421 4.3.2 shutting down\r\n", At::recipient, Verdict::warn, Cause::protocol},
      {"450 later\r\n", At::greeting, Verdict::warn, Cause::protocol},
      {"554 go away\r\n", At::greeting, Verdict::fail, Cause::protocol},
      {"535 5.7.8 no\r\n", At::login, Verdict::unknown, Cause::auth},
      {"454 4.7.0 Temporary authentication failure\r\n", At::login, Verdict::fail, Cause::content},
      {"530 5.7.0 STARTTLS first\r\n", At::sender, Verdict::unknown, Cause::auth},
      {"452 4.3.1 Insufficient system storage\r\n", At::sender, Verdict::fail, Cause::content},
      {"451 4.3.0 Temporary lookup failure\r\n", At::recipient, Verdict::fail, Cause::content},
      {"550 5.1.1 no such user\r\n", At::recipient, Verdict::fail, Cause::content},
      {"500 what?\r\n", At::reset, Verdict::fail, Cause::protocol},
  };
  for (const Case& c : table) {
    CAPTURE(c.reply);
    const auto result = smtp_refusal(*parse_smtp(c.reply), c.at, "X");
    CHECK(result.verdict == c.verdict);
    CHECK(result.cause == c.cause);
  }
}

TEST_CASE("what a refusal by IMAP or POP3 proves") {
  const auto imap = [](const char* line, const char* doing) {
    const auto result = imap_refusal(parse_imap(line), doing);
    return std::pair(result.verdict, result.cause);
  };
  const auto pop = [](const char* line, const char* doing) {
    const auto result = pop_refusal(*parse_pop(line), doing);
    return std::pair(result.verdict, result.cause);
  };
  CHECK(imap("v1 NO [AUTHENTICATIONFAILED] no", "LOGIN") == std::pair(Verdict::unknown, Cause::auth));
  CHECK(imap("v1 BAD plaintext is forbidden", "LOGIN") == std::pair(Verdict::unknown, Cause::auth));
  CHECK(imap("v1 NO [UNAVAILABLE] later", "LOGIN") == std::pair(Verdict::fail, Cause::content));
  CHECK(imap("* BYE too many", "LOGIN") == std::pair(Verdict::warn, Cause::protocol));
  CHECK(imap("v2 NO [NONEXISTENT] gone", "EXAMINE x") == std::pair(Verdict::fail, Cause::content));
  CHECK(imap("v2 BAD what", "EXAMINE x") == std::pair(Verdict::fail, Cause::protocol));
  CHECK(pop("-ERR [AUTH] no", "PASS") == std::pair(Verdict::unknown, Cause::auth));
  CHECK(pop("-ERR no", "PASS") == std::pair(Verdict::unknown, Cause::auth));
  CHECK(pop("-ERR [AUTH] no", "the list of mails") == std::pair(Verdict::unknown, Cause::auth));
  CHECK(pop("-ERR no", "the list of mails") == std::pair(Verdict::fail, Cause::content));
  CHECK(pop("-ERR [SYS/TEMP] later", "PASS") == std::pair(Verdict::fail, Cause::content));
  CHECK(pop("-ERR [IN-USE] locked", "PASS") == std::pair(Verdict::warn, Cause::content));
  CHECK(pop("-ERR busy", "the greeting") == std::pair(Verdict::warn, Cause::protocol));
}
