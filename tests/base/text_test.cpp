#include "base/text.hpp"

#include <catch2/catch.hpp>

using namespace vital;

TEST_CASE("a typing mistake finds the word that was meant") {
  const std::vector<std::string> keys{"interval", "timeout", "retries", "rise", "fall"};
  CHECK(nearest("intervall", keys) == "interval");
  CHECK(nearest("tiemout", keys) == "timeout");
  CHECK(nearest("rsie", keys) == "rise");
  CHECK_FALSE(nearest("certificate", keys));
  CHECK_FALSE(nearest(std::string(5000, 'a'), keys));
}

TEST_CASE("outside text becomes one safe line") {
  CHECK(one_line("  two\r\n lines\t here ") == "two lines here");
  CHECK(one_line("bad \xff byte") == "bad \xEF\xBF\xBD byte");
  CHECK(one_line("esc \x1b[31m red \x7f") == "esc [31m red");
  CHECK(one_line("c1 \xc2\x9b here") == "c1 here");
  CHECK(one_line("日本語") == "日本語");
  CHECK(one_line("overlong \xc0\xaf") == "overlong \xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST_CASE("a long line is cut at a character, never inside one") {
  CHECK(one_line("abcdefghij", 8) == "abcde...");
  CHECK(one_line("abcdefgh", 8) == "abcdefgh");
  const std::string cut = one_line("日本語日本語", 10);
  CHECK(cut == "日本...");
}

TEST_CASE("sizes know decimal and binary units") {
  CHECK(parse_size("4096") == 4096U);
  CHECK(parse_size("64KiB") == 65536U);
  CHECK(parse_size("10MB") == 10000000U);
  CHECK(parse_size("1.5GiB") == 1610612736U);
  CHECK_FALSE(parse_size("10%"));
  CHECK_FALSE(parse_size("-1"));
  CHECK_FALSE(parse_size("10 parsecs"));
}
