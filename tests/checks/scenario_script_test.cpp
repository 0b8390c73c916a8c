// The steps of a scenario: what parses, what its values become, what is captured.
#include <catch2/catch.hpp>

#include "scenario/script.hpp"

using namespace vital::scenario;

namespace {

std::vector<Step> steps(const std::string& text) { return read_script(text, {"user", "password"}); }

std::string refused(const std::string& text) {
  try {
    steps(text);
    return {};
  } catch (const Mistake& m) {
    return std::to_string(m.line) + ": " + m.what();
  }
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string fill(const std::string& text, const Values& values, Encoding encoding = Encoding::none) {
  std::string missing;
  const auto out = filled(text, values, encoding, &missing);
  return out ? *out : "missing " + missing;
}

}  // namespace

TEST_CASE("a script is steps, and what is indented belongs to the step above") {
  const auto s = steps(
      "# log in\n"
      "POST /login\n"
      "  form user: {{user}}\n"
      "  form password: {{password}}\n"
      "  header X-Probe: yes: no\n"
      "  expect: 302\n"
      "  capture where: header Location\n"
      "\n"
      "GET {{where}}\n"
      "\tcontains: Welcome {{user}}\n"
      "  lacks: error\n"
      "  matches: <b>\\d+</b>\n"
      "  capture csrf: between value=\"...\"\n"
      "  capture id: json /a/0\n"
      "POST /logout?t={{csrf}}\n"
      "  json: {\"id\": \"{{id}}\"}\n"
      "  always\n");
  REQUIRE(s.size() == 3);
  CHECK(s[0].method == "POST");
  CHECK(s[0].line == 2);
  CHECK(s[0].form.size() == 2);
  CHECK(s[0].headers[0].second == "yes: no");
  CHECK(s[0].status.has(302));
  CHECK_FALSE(s[0].status.has(200));
  CHECK(s[0].captures[0].a == "location");
  CHECK(s[1].status.has(204));
  CHECK(s[1].captures[0].a == "value=\"");
  CHECK(s[1].captures[0].b == "\"");
  CHECK(s[2].is_always);
  CHECK(s[2].body_encoding == Encoding::json);
}

TEST_CASE("mistakes in a script are told with their line") {
  CHECK(has(refused(""), "has no step"));
  CHECK(has(refused("  expect: 200\nGET /"), "1: is indented, but there is no step"));
  CHECK(has(refused("FETCH /"), "no method"));
  CHECK(has(refused("GET"), "METHOD and URL"));
  CHECK(has(refused("GET http://elsewhere/"), "should begin with /"));
  CHECK(has(refused("GET /\n  expect: many"), "2: \"many\" is no status"));
  CHECK(has(refused("GET /\n  expects: 200"), "is not known"));
  CHECK(has(refused("GET /\n  expect 200"), "has no colon"));
  CHECK(has(refused("GET /{{token}}"), "1: no step before this one captures {{token}}"));
  CHECK(has(refused("GET /{{token"), "{{ without }}"));
  CHECK(has(refused("GET /\n  capture a: json /x\n  contains: {{a}}"), "no step before this one"));
  CHECK(has(refused("GET /\n  capture a-b: json /x"), "is no name"));
  CHECK(has(refused("GET /\n  capture a: json x"), "JSON pointer"));
  CHECK(has(refused("GET /\n  capture a: between x"), "what stands before and after"));
  CHECK(has(refused("GET /\n  capture a: between ...x"), "before and after the three dots"));
  CHECK(has(refused("GET /\n  capture a: cookie x"), "is not known"));
  CHECK(has(refused("GET /\n  matches: ("), "matches: "));
  CHECK(has(refused("POST /\n  body: x\n  form a: b\n"), "leave out one"));
  CHECK(has(refused("POST /\n  body: x\n  json: {}\n"), "a body already"));
  CHECK(has(refused(std::string(70000, 'x')), "64 KiB"));
  std::string many;
  for (int i = 0; i < 51; ++i) many += "GET /\n";
  CHECK(has(refused(many), "51: has more than 50"));
}

TEST_CASE("values are put in as the place wants them") {
  const Values values = {{"v", "a b&\"<\n"}};
  CHECK(fill("x={{v}}", values) == "x=a b&\"<\n");
  CHECK(fill("x={{ v }}", values, Encoding::url) == "x=a%20b%26%22%3C%0A");
  CHECK(fill("{\"x\": \"{{v}}\"}", values, Encoding::json) == "{\"x\": \"a b&\\\"<\\n\"}");
  CHECK(fill("{{w}}", values) == "missing w");
  CHECK(url_encoded("a+b=c") == "a%2Bb%3Dc");
}

TEST_CASE("captures find their value or nothing") {
  const std::map<std::string, std::string> headers = {{"location", "/home"}};
  const auto find = [&](Capture::From from, const std::string& a, const std::string& b, const std::string& body) {
    return captured({"x", from, a, b}, body, headers).value_or("nothing");
  };
  CHECK(find(Capture::From::header, "location", "", "") == "/home");
  CHECK(find(Capture::From::header, "etag", "", "") == "nothing");
  CHECK(find(Capture::From::between, "v=\"", "\"", "a v=\"12\" v=\"13\"") == "12");
  CHECK(find(Capture::From::between, "v=\"", "\"", "v=\"12") == "nothing");
  CHECK(find(Capture::From::json, "/a/0", "", "{\"a\": [\"t\"]}") == "t");
  CHECK(find(Capture::From::json, "/a", "", "{\"a\": 12}") == "12");
  CHECK(find(Capture::From::json, "/a", "", "{\"a\": [1]}") == "nothing");
  CHECK(find(Capture::From::json, "/b", "", "{\"a\": 1}") == "nothing");
  CHECK(find(Capture::From::json, "/a", "", "no json") == "nothing");
  // What would break out of a header is no value.
  CHECK(find(Capture::From::between, "<", ">", "<a\r\nEvil: x>") == "nothing");
  CHECK(find(Capture::From::between, "<", ">", "<" + std::string(20000, 'x') + ">") == "nothing");
}
