// What an http check expects of an answer, and how it reads its options.
#include <catch2/catch.hpp>
#include <string>

#include "given.hpp"
#include "http/expect.hpp"
#include "http/settings.hpp"

using namespace vital;
using http::BodyJudge;
using http::BodyRules;
using http::StatusSet;

namespace {
std::string refused(Given::Values more) {
  Given::Values values{{"url", {"http://127.0.0.1/"}}};
  for (auto& value : more) {
    if (value.first == "url") values.clear();
  }
  values.insert(values.end(), more.begin(), more.end());
  return refusal(values, [](const check::Options& o) { http::read_settings(o); });
}
bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }
}  // namespace

TEST_CASE("statuses are codes, ranges, classes and lists of them") {
  StatusSet set;
  CHECK(set.add("200-204"));
  CHECK(set.add("301, 4xx"));
  CHECK(set.has(200));
  CHECK(set.has(204));
  CHECK_FALSE(set.has(205));
  CHECK(set.has(301));
  CHECK_FALSE(set.has(302));
  CHECK(set.has(404));
  CHECK_FALSE(set.has(500));
  CHECK(set.printed() == "200-204, 301, 400-499");
  for (const char* bad :
       {"", "20", "2000", "abc", "300-200", "200-", "-200", "200;300", "6xx", "99", "600", "200,,300"}) {
    INFO(bad);
    CHECK_FALSE(StatusSet().add(bad));
  }
}

TEST_CASE("a header rule is exact, any, or a pattern") {
  CHECK(http::header_rule("Content-Type", "text/html").accepts(" text/html "));
  CHECK_FALSE(http::header_rule("Content-Type", "text/html").accepts("text/html; charset=utf-8"));
  CHECK(http::header_rule("Content-Type", "~^text/html").accepts("text/html; charset=utf-8"));
  CHECK(http::header_rule("X-Any", "*").accepts(""));
  CHECK(http::header_rule("X-Any", "*").name == "x-any");
}

TEST_CASE("a text is found across pieces, and not beyond the cap") {
  BodyRules rules;
  rules.contains = "needle";
  BodyJudge split(rules, 100);
  for (const char* piece : {"hay nee", "d", "le hay"}) split.feed(piece);
  CHECK(split.is_satisfied());
  CHECK(split.complaint(true).empty());

  BodyJudge beyond(rules, 10);
  beyond.feed("0123456789needle");
  CHECK(beyond.is_full());
  CHECK_FALSE(beyond.is_satisfied());
  CHECK(beyond.complaint(false) == "the body, as far as max_body (10 bytes), does not contain \"needle\"");

  BodyJudge across(rules, 9);
  across.feed("01234need");
  across.feed("le");
  CHECK_FALSE(across.is_satisfied());
}

TEST_CASE("a body that matches only at its end is judged at its end") {
  BodyRules rules;
  rules.matches_text = "done$";
  rules.matches = std::make_shared<net::Pattern>(rules.matches_text);
  BodyJudge judge(rules, 100);
  judge.feed("all done");
  CHECK_FALSE(judge.is_satisfied());
  CHECK(judge.complaint(true).empty());
  BodyJudge cut(rules, 8);
  cut.feed("all done");
  CHECK_FALSE(cut.complaint(false).empty());
}

TEST_CASE("JSON values are looked up by pointer and compared by meaning") {
  const std::string body = R"({"status":"UP","n":3,"f":1.0,"b":true,"z":null,"l":[{"a/b":"x"}],"o":{}})";
  const auto json = [&](const char* pointer, const char* equals) {
    return http::json_complaint(body, pointer, equals);
  };
  CHECK(json("/status", "UP").empty());
  CHECK(json("/status", "DOWN") == R"("/status" is "UP", expected "DOWN")");
  CHECK(json("/n", "3").empty());
  CHECK(json("/n", "3.0").empty());
  CHECK(json("/f", "1").empty());
  CHECK(json("/n", "4") == R"("/n" is 3, expected "4")");
  CHECK(json("/n", "").size() > 0);
  CHECK(json("/b", "true").empty());
  CHECK_FALSE(json("/b", "1").empty());
  CHECK(json("/z", "null").empty());
  CHECK(json("/l/0/a~1b", "x").empty());
  CHECK(json("/l/7/a", "x") == R"(the body has no "/l/7/a")");
  CHECK(json("/l/-", "x") == R"(the body has no "/l/-")");
  CHECK(json("/l/x", "x") == R"(the body has no "/l/x")");
  CHECK(json("/nope", "x") == R"(the body has no "/nope")");
  CHECK(json("/o", "x") == R"("/o" is an object, expected "x")");
  CHECK(http::json_complaint(body, "/z", {}).empty());
  CHECK(http::json_complaint("", "/z", {}) == "the body (0 bytes) is not JSON");
  CHECK(http::json_complaint("{\"a\":", "/a", {}) == "the body (5 bytes) is not JSON");
}

TEST_CASE("several values of a JSON body are compared, each by its own sign") {
  const std::string body = R"({"s":"green","n":3,"f":2.5,"b":true,"z":null,"o":{},"x":">1","":{"~/":1}})";
  const auto holds = [&](const std::string& pointer, const std::string& condition) {
    return http::json_complaint(body, {http::json_rule(pointer, condition)}).empty();
  };
  struct Row {
    const char* pointer;
    const char* condition;
    bool is_met;
  };
  const Row table[] = {
      {"/s", "green", true},  {"/s", "== green", true}, {"/s", "==green", true}, {"/s", "!= green", false},
      {"/s", "!= red", true}, {"/s", "~^gr", true},     {"/s", "~^r", false},    {"/s", "*", true},
      {"/n", "3.0", true},    {"/n", "> 2", true},      {"/n", "> 3", false},    {"/n", ">= 3", true},
      {"/n", "< 3", false},   {"/n", "<= 3", true},     {"/n", ">= 3.1", false}, {"/f", "<2.6", true},
      {"/b", "true", true},   {"/b", "> 0", false},     {"/z", "null", true},    {"/z", "< 1", false},
      {"/o", "*", true},      {"/o", "x", false},       {"/o", "!= x", true},    {"/o", "~.", false},
      {"/x", "== >1", true},  {"/q", "*", false},       {"/q", "!= 1", false},   {"//~0~1", "1", true},
      {"/s", ">= 3", false},  {"/n", "== ", false},
  };
  for (const Row& row : table) {
    INFO(row.pointer << " " << row.condition);
    CHECK(holds(row.pointer, row.condition) == row.is_met);
  }
  CHECK(http::json_complaint(body, {http::json_rule("/s", "green"), http::json_rule("/n", "> 3")}) ==
        R"("/n" is 3, expected "> 3")");
  CHECK(http::json_complaint("x", {http::json_rule("/s", "*")}) == "the body (1 bytes) is not JSON");
  CHECK_THROWS_AS(http::json_rule("s", "*"), std::invalid_argument);
  CHECK_THROWS_AS(http::json_rule("/s", "> three"), std::invalid_argument);
  CHECK_THROWS_AS(http::json_rule("/s", ">"), std::invalid_argument);
}

TEST_CASE("JSON nested as deep as a body can be does no harm") {
  const std::string deep(64 * 1024, '[');
  CHECK(http::json_complaint(deep, "/0/0", {}) == "the body (65536 bytes) is not JSON");
  const std::string closed = std::string(32 * 1024, '[') + std::string(32 * 1024, ']');
  CHECK(http::json_complaint(closed, "/0/0", "x") == "\"/0/0\" is a list, expected \"x\"");
}

TEST_CASE("a bad http option gets one line that names it and says what to write") {
  CHECK(refused({}) == "");
  CHECK(contains(refused({{"url", {"127.0.0.1:80"}}}), "url: "));
  CHECK(contains(refused({{"url", {"ftp://x/"}}}), "url: speaks ftp"));
  CHECK(contains(refused({{"url", {"http://u:secret@x/"}}}), "url: holds a user or password"));
  CHECK_FALSE(contains(refused({{"url", {"http://u:secret@x/"}}}), "secret@"));
  CHECK(contains(refused({{"url", {"http://x:99999/"}}}), "url: "));
  CHECK(contains(refused({{"method", {"get"}}}), "method: "));
  CHECK(contains(refused({{"method", {"GET /"}}}), "method: "));
  CHECK(contains(refused({{"headers", {"X-A", "b\r\nX-Evil: 1"}}}),
                 "headers: the value of X-A holds a control character"));
  CHECK(contains(refused({{"headers", {"X A", "b"}}}), "headers: "));
  CHECK(contains(refused({{"headers", {"Content-Length", "5"}}}), "headers: "));
  CHECK(contains(refused({{"expect.status", {"2oo"}}}), "expect.status: \"2oo\" is no status"));
  CHECK(contains(refused({{"expect.header", {"X", "~("}}}), "expect.header: X: the pattern has"));
  CHECK(contains(refused({{"expect.body.matches", {"("}}}), "expect.body.matches: the pattern has"));
  CHECK(contains(refused({{"expect.body.contains", {""}}}), "expect.body.contains: is empty"));
  CHECK(
      contains(refused({{"expect.body.json.pointer", {"status"}}}), "expect.body.json.pointer: is not a JSON pointer"));
  CHECK(contains(refused({{"expect.body.json.equals", {"UP"}}}), "expect.body.json.pointer: is needed"));
  CHECK(contains(refused({{"method", {"HEAD"}}, {"expect.body.contains", {"x"}}}), "method: "));
  CHECK(contains(refused({{"password", {"x"}}}), "user: is needed"));
  CHECK(refused({{"token", {"t0ken"}}}) == "");
  CHECK(contains(refused({{"token", {"two words"}}}), "token: must be visible ASCII"));
  CHECK(contains(refused({{"token", {"t0ken"}}, {"user", {"u"}}}), "token: and user are two ways"));
  CHECK(contains(refused({{"token", {"t0ken"}},
                          {"aws.region", {"r"}},
                          {"aws.service", {"s"}},
                          {"aws.access_key", {"a"}},
                          {"aws.secret_key", {"k"}}}),
                 "token: and aws are two ways"));
  CHECK(contains(refused({{"token", {"t0ken"}}, {"headers", {"authorization", "Basic x"}}}),
                 "headers: authorization is written by token_file"));
  CHECK(contains(refused({{"resolve", {"x.example"}}}), "resolve: "));
  CHECK(contains(refused({{"resolve", {"x.example:80:y"}}}), "resolve: "));
  CHECK(refused({{"resolve", {"x.example:80:[::1]", "192.0.2.1"}}}) == "");
  CHECK(contains(refused({{"tls.ca", {"/ca.pem"}}}), "url: says http://"));
  CHECK(contains(refused({{"url", {"https://x/"}}, {"tls.mode", {"off"}}}), "tls.mode: "));
  CHECK(contains(refused({{"url", {"https://x/"}}, {"tls.mode", {"prefer"}}}), "tls.mode: "));
  CHECK(contains(refused({{"url", {"https://x/"}}, {"tls.key", {"k"}}}), "tls.key: "));
}

TEST_CASE("a URL is normalised, and printed without what may be secret") {
  const Given given(Given::Values{{"url", {"HTTP://EXAMPLE.com:80/a b?token=s3cret#x"}}});
  CHECK_THROWS_AS(http::read_settings(given.options()), check::Invalid);
  const Given good(Given::Values{{"url", {"https://EXAMPLE.com/a?token=s3cret#x"}}});
  const http::Settings s = http::read_settings(good.options());
  CHECK(s.url.host == "example.com");
  CHECK(s.url.port == 443);
  CHECK(contains(s.url.text, "token=s3cret"));
  CHECK_FALSE(contains(s.url.text, "#"));
  CHECK(contains(s.url.printable(), "/a"));
  CHECK_FALSE(contains(s.url.printable(), "s3cret"));

  http::Url next;
  std::string why;
  CHECK(http::parse_url("/login", &s.url, next, why));
  CHECK(next.same_origin(s.url));
  CHECK(http::parse_url("http://example.com/", &s.url, next, why));
  CHECK_FALSE(next.same_origin(s.url));
  CHECK_FALSE(http::parse_url("file:///etc/passwd", &s.url, next, why));
  CHECK(http::parse_url("http://[2001:db8::1]:8080/", nullptr, next, why));
  CHECK(next.host == "2001:db8::1");
  CHECK(next.port == 8080);
}
