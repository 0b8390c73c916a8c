// The pattern matcher: the same answers as other engines give, in bounded time, whatever the text.
#include "net/pattern.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <random>
#include <regex>
#include <string>

using vital::net::Pattern;

namespace {
bool matches(const char* pattern, const std::string& text) { return Pattern(pattern).matches(text); }
std::string complaint(const std::string& pattern) {
  try {
    const Pattern made(pattern);
    return {};
  } catch (const Pattern::Error& e) {
    return e.what();
  }
}
}  // namespace

TEST_CASE("a pattern is found anywhere in a text unless it is anchored") {
  CHECK(matches("ok", "all is ok here"));
  CHECK_FALSE(matches("^ok", "all is ok"));
  CHECK(matches("^all", "all is ok"));
  CHECK(matches("ok$", "all is ok"));
  CHECK_FALSE(matches("ok$", "ok\n"));
  CHECK(matches("(?m)^ok$", "first\nok\nlast"));
  CHECK_FALSE(matches("^ok$", "first\nok\nlast"));
  CHECK(matches("", ""));
  CHECK(matches("^$", ""));
  CHECK_FALSE(matches("^$", "x"));
}

TEST_CASE("classes, repetitions, groups and flags mean what they mean elsewhere") {
  CHECK(matches("^status: (ok|fine)$", "status: fine"));
  CHECK(matches(R"(^HTTP/1\.\d 2\d\d\b)", "HTTP/1.1 200 OK"));
  CHECK_FALSE(matches(R"(\b200\b)", "x2000"));
  CHECK(matches(R"(\B00)", "200"));
  CHECK(matches("^a{2,3}$", "aaa"));
  CHECK_FALSE(matches("^a{2,3}$", "aaaa"));
  CHECK(matches("^a{2,}$", "aaaaaa"));
  CHECK(matches("^a{0}b$", "b"));
  CHECK(matches("^a{x}$", "a{x}"));
  CHECK(matches("^[a-c]+[^a-c]$", "abcd"));
  CHECK(matches("^[]x-]+$", "]-x"));
  CHECK(matches("^[[:alpha:]]+$", "abc"));
  CHECK(matches(R"(^[\d.]+$)", "1.2.3"));
  CHECK(matches("(?i)^HELLO$", "hElLo"));
  CHECK_FALSE(matches("(?i)[^a]", "A"));
  CHECK_FALSE(matches("a.b", "a\nb"));
  CHECK(matches("(?s)a.b", "a\nb"));
  CHECK(matches("^(?:ab|cd)*?$", "abcdab"));
  CHECK(matches("(?P<name>x)", "x"));
  CHECK(matches(R"(\x41\t\\)", "A\t\\"));
  CHECK(matches("(a*)*b", "b"));
  CHECK(matches("(a|b|)+c", "abc"));
  CHECK(matches("(^|x)(y|$)", "xy"));
  CHECK(matches("gr\xc3\xbc\xc3\x9f", "ein gr\xc3\xbc\xc3\x9f"));
}

TEST_CASE("a pattern that cannot be understood is refused with the place") {
  CHECK(complaint("(") == "the pattern has a ( without its ) at position 2");
  CHECK(complaint("a)").find("a ) without its (") != std::string::npos);
  CHECK(complaint("[a").find("a [ without its ]") != std::string::npos);
  CHECK(complaint("*a").find("nothing to repeat") != std::string::npos);
  CHECK(complaint("a{5,2}").find("second number") != std::string::npos);
  CHECK(complaint("(a)\\1").find("back reference") != std::string::npos);
  CHECK(complaint("(?=a)").find("look-around") != std::string::npos);
  CHECK(complaint("(?<=a)").find("look-around") != std::string::npos);
  CHECK(complaint("\\q").find("unknown escape") != std::string::npos);
  CHECK(complaint("a\\").find("nothing behind it") != std::string::npos);
  CHECK(complaint("[z-a]").find("range") != std::string::npos);
  CHECK(complaint("((a{100}){100}){100}").find("too large") != std::string::npos);
  CHECK(complaint(std::string(60, '(') + std::string(60, ')')).find("nested") != std::string::npos);
}

TEST_CASE("a match is told as soon as it is certain, whatever the pieces") {
  const Pattern pong("\\+PONG\\r\\n");
  Pattern::Search search(pong);
  CHECK_FALSE(search.feed("+PO"));
  CHECK_FALSE(search.feed("NG\r"));
  CHECK(search.feed("\n"));

  const Pattern end("ok$");
  Pattern::Search waiting(end);
  CHECK_FALSE(waiting.feed("ok"));
  CHECK(waiting.end());
}

TEST_CASE("patterns agree with std::regex on random texts") {
  const char* patterns[] = {"a",        "a*b",          "(a|b)*c", "^a+b?c$",       "a{2,3}b", "[ab]c[^ab]",
                            "(ab|ba)+", "^(a|b|c){3}$", "a.c",     "^[^a]*$",       "b$",      "^$",
                            "(a?){3}a", "(a*)(b*)c",    "a|^b|c$", "((a|b)(c|a))*b"};
  std::mt19937 random(7);  // NOLINT: the same texts every time
  for (const char* written : patterns) {
    const Pattern ours(written);
    const std::regex theirs(written);
    for (int i = 0; i < 3000; ++i) {
      std::string text(random() % 9, ' ');
      for (char& c : text) c = static_cast<char>('a' + random() % 4);
      INFO(written << " on \"" << text << "\"");
      REQUIRE(ours.matches(text) == std::regex_search(text, theirs));
    }
  }
}

TEST_CASE("no text makes a pattern slow or deep") {
  // Each of these ends std::regex by stack overflow or holds a backtracking engine for years.
  std::string text(1024 * 1024, 'a');
  const auto began = std::chrono::steady_clock::now();
  CHECK_FALSE(matches("(a*)*b", text));
  CHECK_FALSE(matches("(.|x)*b", text));
  CHECK_FALSE(matches("(a|aa)+$b", text));
  CHECK(matches("^(a+)+$", text));
  CHECK_FALSE(matches("(.*)(.*)(.*)(.*)(.*)b", text));
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(20));  // seconds under sanitizers, never years
}
