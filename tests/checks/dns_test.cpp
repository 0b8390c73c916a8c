// DNS messages and what they mean.
#include <catch2/catch.hpp>

#include "dns/message.hpp"
#include "dns/verdict.hpp"

using namespace vital::dns;
using vital::check::Cause;
using vital::check::Result;
using vital::check::Verdict;
using Status = vital::net::Framing::Status;
using std::string;

namespace {

string word(unsigned n) { return {static_cast<char>(n >> 8), static_cast<char>(n)}; }

// A message with the question a.example TYPE and these records, each as name, type, ttl, data.
struct Given {
  string name;
  unsigned type;
  unsigned ttl;
  string data;
};
string message(unsigned flags, unsigned type, const std::vector<Given>& records) {
  string out = word(7) + word(flags) + word(1) + word(static_cast<unsigned>(records.size())) + word(0) + word(0);
  out += string("\1a\7example\0", 11) + word(type) + word(1);
  for (const Given& r : records) {
    out +=
        r.name + word(r.type) + word(1) + word(0) + word(r.ttl) + word(static_cast<unsigned>(r.data.size())) + r.data;
  }
  return out;
}
const string self("\xc0\x0c", 2);  // a.example, as a pointer

Record record(unsigned type, const char* text, uint32_t ttl = 60) {
  Record r;
  r.type = static_cast<uint16_t>(type);
  r.text = text;
  r.ttl = ttl;
  return r;
}

}  // namespace

TEST_CASE("a question, with and without EDNS") {
  const auto bytes = encode({"www.Example.jp", 28, true, true}, 0x1234);
  REQUIRE(bytes);
  CHECK(bytes->substr(0, 2) == "\x12\x34");
  CHECK((static_cast<unsigned char>((*bytes)[2]) & 1) == 1);     // recursion
  CHECK((static_cast<unsigned char>((*bytes)[3]) & 0x20) != 0);  // tell us whether it is authentic
  CHECK((*bytes)[11] == 1);
  CHECK((*encode({"a", 1, false, false}, 1))[11] == 0);
  CHECK((*encode({"a", 1, false, false}, 1))[2] == 0);
  CHECK_FALSE(encode({"a..b", 1, true, true}, 1));
  CHECK_FALSE(encode({string(64, 'a'), 1, true, true}, 1));
}

TEST_CASE("records in words") {
  struct Case {
    unsigned type;
    string data;
    string text;
  };
  const Case table[] = {
      {1, string("\xc0\0\2\x0a", 4), "192.0.2.10"},
      {28, string("\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16), "2001:db8::1"},
      {5, string("\1B\xc0\x0e", 4), "b.example"},
      {15, word(10) + string("\2mx\xc0\x0e", 5), "10 mx.example"},
      {16, string("\3abc\2de", 7), "abcde"},
      {16, string("\5ab", 3), ""},  // a string longer than its record
      {33, word(1) + word(2) + word(443) + self, "1 2 443 a.example"},
      {1, "abc", ""},
  };
  for (const Case& c : table) {
    CAPTURE(c.text);
    const auto answer = parse(message(0x8180, c.type, {{self, c.type, 60, c.data}}));
    REQUIRE(answer);
    REQUIRE(answer->answers.size() == 1);
    CHECK(answer->answers[0].text == c.text);
    CHECK(answer->answers[0].ttl == 60);
    CHECK(answer->name == "a.example");
  }
  const string numbers =
      word(0) + word(9) + word(0) + word(1) + word(0) + word(2) + word(0) + word(3) + word(0) + word(4);
  const auto soa = parse(message(0x8580, 6, {{self, 6, 60, self + string("\1h\xc0\x0e", 4) + numbers}}));
  REQUIRE(soa);
  CHECK(soa->answers[0].text == "a.example h.example 9 1 2 3 4");
  CHECK(serial_of(*soa) == 9);
  CHECK(soa->is_authoritative);
}

TEST_CASE("what breaks off, or is no answer, is nothing") {
  const string good = message(0x8180, 1, {{self, 1, 60, string("\xc0\0\2\x0a", 4)}});
  CHECK(parse(good));
  for (size_t n = 0; n < good.size(); ++n) CHECK_FALSE(parse(good.substr(0, n)));
  CHECK_FALSE(parse(message(0x0100, 1, {})));  // a question
  CHECK(parse(message(0x8380, 1, {}).substr(0, 20) + string(1, '\0') + word(1))->is_truncated);
  // A name that points at itself, and one that points beyond the end.
  CHECK_FALSE(parse(word(7) + word(0x8180) + word(1) + word(0) + word(0) + word(0) + self + word(1) + word(1)));
  CHECK_FALSE(parse(word(7) + word(0x8180) + word(1) + word(0) + word(0) + word(0) + "\xff\xff" + word(1) + word(1)));
}

TEST_CASE("over TCP the length comes first") {
  CHECK(with_length("").status == Status::more);
  CHECK(with_length(string("\0\x0c"
                           "ab",
                           4))
            .status == Status::more);
  CHECK(with_length(string("\0\1x", 3)).status == Status::broken);
  CHECK(with_length("HTTP/1.1 400").status == Status::broken);
  const string good = message(0x8180, 1, {});
  CHECK(with_length(word(static_cast<unsigned>(good.size())) + good + "x").length == good.size() + 2);
}

TEST_CASE("answers against what is expected") {
  Answer two;
  two.answers = {record(5, "b.example", 30), record(1, "192.0.2.1"), record(1, "192.0.2.2")};
  Answer none;
  Answer refused;
  refused.rcode = 5;
  Demands exact;
  exact.answers = {"192.0.2.1"};
  exact.is_exact = true;
  Demands among = exact;
  among.is_exact = false;
  Demands kept;
  kept.min_ttl = 60;
  Demands nothing;
  nothing.min_answers = 0;
  Demands missing;
  missing.rcode = "REFUSED";
  Demands authoritative;
  authoritative.wants_authoritative = true;
  struct Case {
    Answer answer;
    Demands demands;
    Verdict verdict;
    Cause cause;
  };
  const Case table[] = {
      {two, {}, Verdict::pass, Cause::none},
      {none, {}, Verdict::fail, Cause::content},
      {none, nothing, Verdict::pass, Cause::none},
      {two, among, Verdict::pass, Cause::none},
      {two, exact, Verdict::fail, Cause::content},
      {two, kept, Verdict::fail, Cause::content},
      {refused, {}, Verdict::fail, Cause::content},
      {refused, missing, Verdict::pass, Cause::none},
      {two, authoritative, Verdict::fail, Cause::role},
  };
  for (const Case& c : table) {
    const Result result = judge(c.answer, c.demands, "a.example A");
    CAPTURE(result.text);
    CHECK(result.verdict == c.verdict);
    CHECK(result.cause == c.cause);
  }
}

TEST_CASE("serials count in a circle") {
  CHECK(behind(5, 7) == 2);
  CHECK(behind(7, 5) == -2);
  CHECK(behind(0xffffffff, 1) == 2);
  CHECK(behind(5, 5) == 0);
}

TEST_CASE("names backwards") {
  CHECK(reverse_name("192.0.2.10") == "10.2.0.192.in-addr.arpa");
  CHECK(reverse_name("2001:db8::1").size() == 72);
  CHECK(reverse_name("host.example") == "host.example");
}
