// How a tcp check reads its options, and how it judges what a peer says.
#include <catch2/catch.hpp>
#include <string>

#include "given.hpp"
#include "net/text.hpp"
#include "tcp/settings.hpp"

using namespace vital;

namespace {
std::string refused(const Given::Values& values) {
  return refusal(values, [](const check::Options& o) { tcp::read_settings(o); });
}
bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }
const Given::Values::value_type plain{"tls.mode", {"off"}};
}  // namespace

TEST_CASE("an address is a host and a port, in brackets where it must be") {
  CHECK(net::parse_endpoint("db.example:5432")->host == "db.example");
  CHECK(net::parse_endpoint("[::1]:80")->host == "::1");
  CHECK(net::parse_endpoint("192.0.2.1:1")->port == 1);
  for (const char* bad : {"", ":80", "host", "host:", "host:0", "host:65536", "host:8o", "::1:80", "[::1]", "[x]:80",
                          "a b:80", "http://x:80"}) {
    INFO(bad);
    CHECK_FALSE(net::parse_endpoint(bad));
  }
  CHECK(net::printed("::1", 80) == "[::1]:80");
}

TEST_CASE("escapes are read, and half of one is an error") {
  CHECK(*net::unescape("PING\\r\\n") == "PING\r\n");
  CHECK(*net::unescape("\\x41\\0\\t\\\\\\~") == std::string("A\0\t\\~", 5));
  CHECK_FALSE(net::unescape("x\\"));
  CHECK_FALSE(net::unescape("\\x4"));
  CHECK_FALSE(net::unescape("\\xzz"));
}

TEST_CASE("what a stranger sent is printed without doing harm") {
  CHECK(net::quoted("a\"b\\\r\n\x1b[2J\xff") == "\"a\\\"b\\\\\\r\\n\\x1b[2J\\xff\"");
  CHECK(net::quoted(std::string(200, 'x'), 10) == "\"xxxxxxxxxx\"...");
}

TEST_CASE("a bad tcp option gets one line that names it and says what to write") {
  CHECK(refused({{"address", {"x:1"}}, plain}) == "");
  CHECK(contains(refused({plain}), "address: is needed"));
  CHECK(contains(refused({{"address", {"x"}}, plain}), "address: is not HOST:PORT"));
  CHECK(contains(refused({{"address", {"x:1"}}, {"port", {"1"}}, plain}), "address: is given beside"));
  CHECK(contains(refused({{"host", {"x"}}, plain}), "port: is needed"));
  CHECK(refused({{"host", {"x"}}, {"port", {"1"}}, plain}) == "");
  CHECK(contains(refused({{"address", {"x:1"}}, {"send", {"x\\"}}, plain}), "send: "));
  CHECK(contains(refused({{"address", {"x:1"}}, {"expect", {""}}, plain}), "expect: is empty"));
  CHECK(contains(refused({{"address", {"x:1"}}, {"expect", {"~["}}, plain}), "expect: the pattern has"));
  CHECK(contains(refused({{"address", {"x:1"}}, {"tls.ca", {"ca.pem"}}, plain}), "tls.mode: is off"));
  CHECK(contains(refused({{"address", {"x:1"}}, {"tls.mode", {"prefer"}}}), "tls.mode: prefer has no meaning here"));
}

TEST_CASE("an answer is found across pieces, up to 16 KiB") {
  const auto text = tcp::parse_expectation("+PONG\\r\\n");
  tcp::AnswerJudge judge(text);
  CHECK_FALSE(judge.feed("+PO"));
  CHECK_FALSE(judge.feed("NG\r"));
  CHECK_FALSE(judge.has_line());
  CHECK(judge.feed("\n+more"));
  CHECK(judge.has_line());
  CHECK(judge.beginning() == "+PONG\r\n+more");

  tcp::AnswerJudge long_one(text);
  for (int i = 0; i < 20; ++i) long_one.feed(std::string(1024, 'x'));
  CHECK(long_one.is_full());
  CHECK_FALSE(long_one.feed("+PONG\r\n"));
  CHECK(long_one.size() == tcp::AnswerJudge::cap);

  const auto tilde = tcp::parse_expectation("\\~x");
  CHECK(tcp::AnswerJudge(tilde).feed("~x"));
  const auto pattern = tcp::parse_expectation("~^220 .*ready$");
  tcp::AnswerJudge at_end(pattern);
  CHECK_FALSE(at_end.feed("220 mail ready"));
  CHECK(at_end.end());
}
