// What a plugin that stays may say on one line, and what ends its credit.
#include <catch2/catch.hpp>

#include "lines/answer.hpp"

using namespace vital;
using check::Cause;
using check::Verdict;

namespace {
std::string problem_of(std::string_view line) {
  std::string problem;
  const auto answer = lines::parse_answer(line, problem);
  CHECK(answer.has_value() == problem.empty());
  return problem;
}
}  // namespace

TEST_CASE("an answer says verdict, cause, text, measures and facts") {
  std::string problem;
  const auto answer = lines::parse_answer(
      R"({"id": 7, "verdict": "fail", "cause": "auth", "text": "no", "facts": {"role": "x"},
          "measures": {"age": 3, "size": {"value": 1.5, "unit": "B", "warn": 2}}, "more": [1]})",
      problem);
  REQUIRE(answer.has_value());
  CHECK(answer->id == 7);
  CHECK(answer->result.verdict == Verdict::fail);
  CHECK(answer->result.cause == Cause::auth);
  CHECK(answer->result.text == "no");
  REQUIRE(answer->result.measures.size() == 2);
  CHECK(answer->result.measures[1].unit == "B");
  CHECK(answer->result.measures[1].warn == 2);
  CHECK(answer->result.facts.size() == 1);
}

TEST_CASE("a cause is filled in where the verdict alone is said") {
  std::string problem;
  CHECK(lines::parse_answer(R"({"id":1,"verdict":"pass","cause":"auth"})", problem)->result.cause == Cause::none);
  CHECK(lines::parse_answer(R"({"id":1,"verdict":"warn"})", problem)->result.cause == Cause::content);
  CHECK(lines::parse_answer(R"({"id":1,"verdict":"unknown"})", problem)->result.cause == Cause::agent);
}

TEST_CASE("what is no answer is garbage, and says which kind") {
  CHECK(problem_of("hello") == "a line that is no JSON object");
  CHECK(problem_of("[1]") == "a line that is no JSON object");
  CHECK(problem_of(R"({"verdict":"pass"})") == "an answer without an id");
  CHECK(problem_of(R"({"id":-1,"verdict":"pass"})") == "an answer without an id");
  CHECK(problem_of(R"({"id":1})").find("without verdict") != std::string::npos);
  CHECK(problem_of(R"({"id":1,"verdict":"ok"})").find("without verdict") != std::string::npos);
  CHECK(problem_of(R"({"id":1,"verdict":"fail","cause":"aliens"})").find("cause") != std::string::npos);
  CHECK(problem_of(R"({"id":1,"verdict":"pass","text":4})").find("text") != std::string::npos);
  CHECK(problem_of(R"({"id":1,"verdict":"pass","measures":{"a":"b"}})").find("measures") != std::string::npos);
  CHECK(problem_of(R"({"id":1,"verdict":"pass","measures":{"a":{"value":"b"}}})").find("measures") !=
        std::string::npos);
  CHECK(problem_of(R"({"id":1,"verdict":"pass","facts":{"a":1}})").find("facts") != std::string::npos);
  CHECK(problem_of(std::string(5000, '[')) == "a line that is no JSON object");
}

TEST_CASE("a request is one line, whatever the arguments hold") {
  const std::string line = lines::request_line(3, std::chrono::milliseconds(1500), 1, {{"q", "a\nb\"\xff"}});
  CHECK(line.find('\n') == line.size() - 1);
  CHECK(line.find("\"deadline_ms\":1500") != std::string::npos);
  CHECK(line.find("\"id\":3") != std::string::npos);
}
