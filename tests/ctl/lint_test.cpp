// Configurations of the other side, and exactly the warnings they get: tests/data/lint holds both. To write the lines
// anew after changing a message, run this program with VITALD_UPDATE_EXPECTED=1 and read the difference.
#include "ctl/lint/lint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "ctl/lint/words.hpp"

using namespace vital;
using namespace std::chrono_literals;

namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

lint::Warnings look(const std::string& file, const std::string& text, const lint::Options& options) {
  const std::string_view language = lint::language_of(file, text);
  if (language == "haproxy") return lint::haproxy(text, options);
  if (language == "keepalived") return lint::keepalived(text, options);
  if (language == "nginx") return lint::nginx(text, options);
  REQUIRE(language == "varnish");
  return lint::varnish(text, options);
}

}  // namespace

TEST_CASE("each configuration gets exactly the warnings written beside it") {
  std::size_t files = 0;
  for (const auto& entry : fs::directory_iterator(LINT_DATA)) {
    if (entry.path().extension() == ".expected") continue;
    ++files;
    const std::string name = entry.path().filename().string();
    INFO(name);
    lint::Options options;
    options.detect_within = 10s;
    std::string told;
    for (const lint::Warning& w : look(name, read(entry.path()), options)) {
      told += fmt::format("{}:{}: {}\n", name, w.line, w.text());
    }
    const fs::path expected = entry.path().string() + ".expected";
    if (std::getenv("VITALD_UPDATE_EXPECTED") != nullptr) std::ofstream(expected, std::ios::binary) << told;
    CHECK(told == read(expected));
    CHECK(told.empty() == name.starts_with("good"));
  }
  CHECK(files >= 5);
}

TEST_CASE("without a promise no time is complained about") {
  const std::string slow =
      "backend a\n option httpchk GET /health\n server s 10.0.0.1:9180 check inter 60s fall 10 weight 100\n";
  CHECK(lint::haproxy(slow, {}).empty());
}

TEST_CASE("whose configuration it is is told by name, then by content, and not guessed") {
  CHECK(lint::language_of("/etc/haproxy/haproxy.cfg", "") == "haproxy");
  CHECK(lint::language_of("/etc/varnish/default.vcl", "") == "varnish");
  CHECK(lint::language_of("x", "vrrp_script a {\n}\n") == "keepalived");
  CHECK(lint::language_of("x", "server { location / { proxy_pass http://a; } }") == "nginx");
  CHECK(lint::language_of("/home/haproxy/x", "hello") == "");
}

TEST_CASE("whatever is in a file, nothing but warnings comes of it") {
  const std::vector<std::string> odd = {"",
                                        "\n",
                                        "{",
                                        "}}}}",
                                        "\"",
                                        "server",
                                        "server a",
                                        "backend\nserver a b check agent-check agent-send",
                                        "probe p { .url",
                                        "upstream a { server",
                                        "/*",
                                        "url { digest",
                                        "option httpchk",
                                        "http-check expect",
                                        std::string(100000, '{'),
                                        std::string(100000, 'x'),
                                        "a\0b"};
  for (const std::string& text : odd) {
    for (const auto lint : {lint::haproxy, lint::keepalived, lint::nginx, lint::varnish}) CHECK_NOTHROW(lint(text, {}));
  }
}

TEST_CASE("words keep what stands in quotes together, and times know their units") {
  const auto lines = lint::lines_of("  http-check expect rstring \"^a b$\" # why\n! no\nagent-send web\\n");
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].words == std::vector<std::string>{"http-check", "expect", "rstring", "^a b$"});
  CHECK(lines[1].number == 3);
  CHECK(lint::time_of("300", 1ms) == Duration(300ms));
  CHECK(lint::time_of("2s", 1ms) == Duration(2s));
  CHECK_FALSE(lint::time_of("soon", 1ms));
  const auto statements = lint::statements_of("a { b \"x;y\"; // c\n d { e; } }\n");
  REQUIRE(statements.size() == 4);
  CHECK(statements[1].words == std::vector<std::string>{"b", "x;y"});
  CHECK(statements[3].blocks == std::vector<std::string>{"a", "d"});
  CHECK(statements[3].number == 2);
}
