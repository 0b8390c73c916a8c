// The lines of mail.
#include <catch2/catch.hpp>

#include "mail/codec.hpp"

using namespace vital::mail;
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
  CHECK(base64("").empty());
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foo") == "Zm9v");
  CHECK(base64(std::string("\0u\0p\xff", 5)) == "AHUAcP8=");
  CHECK(imap_quoted("a\"b\\c") == "\"a\\\"b\\\\c\"");
  CHECK_FALSE(imap_quoted("a\nb"));
}
