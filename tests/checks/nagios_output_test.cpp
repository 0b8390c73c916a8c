// What plugins print: exit codes, lines, performance data and the whole grammar of ranges.
#include "nagios_output.hpp"

#include <catch2/catch.hpp>

using namespace vital::check;
using namespace vital::check::nagios;

TEST_CASE("each form of a range alerts where the guidelines say") {
  struct Row {
    const char* range;
    double value;
    bool alerts;
  };
  const Row rows[] = {
      {"10", 0, false},     {"10", 10, false},    {"10", 10.5, true},    {"10", -0.1, true},    {"10:", 10, false},
      {"10:", 1e9, false},  {"10:", 9.9, true},   {"~:10", 10, false},   {"~:10", -1e9, false}, {"~:10", 10.1, true},
      {"10:20", 9, true},   {"10:20", 10, false}, {"10:20", 20, false},  {"10:20", 21, true},   {"@10:20", 9, false},
      {"@10:20", 10, true}, {"@10:20", 20, true}, {"@10:20", 21, false}, {"@10", 5, true},      {"@~:5", -7, true},
      {"@~:5", 6, false},   {"-5:-1", -3, false}, {"-5:-1", 0, true},    {"0.5:1.5", 1, false}, {"0:0", 0, false},
      {"0:0", 1, true},     {"1e3", 999, false},
  };
  for (const Row& row : rows) {
    INFO(row.range << " " << row.value);
    const auto range = parse_range(row.range);
    REQUIRE(range.has_value());
    CHECK(range->alerts(row.value) == row.alerts);
  }
}

TEST_CASE("what is no range is none") {
  for (const char* text : {"", " ", "@", "x", "10:x", "x:10", "20:10", "10:20:30", "~", "10 20", "1.2.3"}) {
    INFO(text);
    CHECK_FALSE(parse_range(text).has_value());
  }
}

TEST_CASE("a range becomes the number a reader would draw, and is kept in full where one number cannot say it") {
  const Output out = parse_output("OK | a=1;10;20 b=1;10:;5: c=1;~:7;@10:20 d=250ms;100:500;1000 'e f'=3;;");
  REQUIRE(out.measures.size() == 5);
  CHECK(out.measures[0].warn == 10);
  CHECK(out.measures[0].fail == 20);
  CHECK(out.measures[1].warn == 10);
  CHECK(out.measures[2].warn == 7);
  CHECK(out.measures[2].fail == 10);
  CHECK(out.measures[3].value == Approx(0.25));
  CHECK(out.measures[3].warn == Approx(0.5));
  CHECK(out.measures[3].fail == Approx(1));
  CHECK(std::isnan(out.measures[4].warn));
  using Facts = std::vector<std::pair<std::string, std::string>>;
  CHECK(out.ranges == Facts{{"warn_range.b", "10:"},
                            {"fail_range.b", "5:"},
                            {"warn_range.c", "~:7"},
                            {"fail_range.c", "@10:20"},
                            {"warn_range.d", "100:500 ms"}});
}

TEST_CASE("long output is kept beside the first line, its performance data too") {
  const Output out =
      parse_output("DISK OK - free | /=2643MB;5948\n/ 15272 MB\n/boot 68 MB\n/home | /boot=68MB;88\n/home=69MB\n");
  CHECK(out.first_line == "DISK OK - free");
  CHECK(out.long_output == "/ 15272 MB; /boot 68 MB; /home");
  REQUIRE(out.measures.size() == 3);
  CHECK(out.measures[1].name == "/boot");
  CHECK(out.measures[2].value == 69e6);
  const Result result = judge(0, out);
  REQUIRE_FALSE(result.facts.empty());
  CHECK(result.facts.back().second == out.long_output);
  CHECK(parse_output("x\n" + std::string(2000, 'y')).long_output.size() == 500);
}

TEST_CASE("performance data that is broken costs itself alone") {
  const Output out = parse_output("OK | good=1 broken= nothing 'open=3");
  REQUIRE(out.measures.size() == 1);
  CHECK(out.measures[0].name == "good");
  CHECK(parse_output("OK |").measures.empty());
  CHECK(parse_output("").first_line.empty());
  std::string many = "OK |";
  for (int i = 0; i < 200; ++i) many += " m" + std::to_string(i) + "=1;@1:2";
  CHECK(parse_output(many).measures.size() == 64);
  CHECK(parse_output(many).ranges.size() == 16);
}
