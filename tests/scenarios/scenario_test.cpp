// Plays every story of this folder. VITALD_SCENARIO=name plays one.
#include "scenarios/scenario.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

using vital::test::play_scenario;

TEST_CASE("every story comes true") {
  const char* only = std::getenv("VITALD_SCENARIO");
  std::vector<std::filesystem::path> stories;
  for (const auto& entry : std::filesystem::directory_iterator(SCENARIO_DIR)) {
    if (entry.path().extension() == ".txt" && (only == nullptr || entry.path().stem() == only)) {
      stories.push_back(entry.path());
    }
  }
  std::sort(stories.begin(), stories.end());
  REQUIRE_FALSE(stories.empty());
  for (const auto& story : stories) {
    std::ifstream in(story);
    std::stringstream text;
    text << in.rdbuf();
    for (const std::string& problem : play_scenario(text.str())) {
      FAIL_CHECK(story.filename().string() << ": " << problem);
    }
  }
}

TEST_CASE("a story that is not true, or makes no sense, says so with its line") {
  const std::string db = "check db interval 5s timeout 1s edge 1s fall 1\n";
  const std::pair<std::string, std::string> rows[] = {
      {db + "at 0s db refuses\nat 2s expect db pass\n", "line 3: expected db pass, found fail"},
      {db + "at 0s expect db green\n", "line 2: expected db green, found pending"},
      {db + "at 0s dbb hangs\n", "line 2: no check dbb"},
      {db + "at 0s db explodes\n", "line 2: a target is well, refuses, hangs or says something, not 'explodes'"},
      {db + "at 5s db well\nat 4s db well\n", "line 3: time goes backwards"},
      {"check db intervall 5s\n", "line 1: a check has no 'intervall'"},
      {db + "at 5 db well\n", "line 2: '5' is no duration"},
      {db + "service web all(db\nat 0s db well", "line 2: the line ends too early"},
      {db, "the story has no 'at' line"},
      {db + "at 3s db well\nat 10s expect no change since 0s\n", "line 3: expected no change, but at 0us check_state"},
  };
  for (const auto& [text, problem] : rows) {
    const auto problems = play_scenario(text);
    REQUIRE(problems.size() == 1);
    if (problem.find("expected no change") != std::string::npos) {
      CHECK(problems[0].find("line 3: expected no change, but at") == 0);
    } else {
      CHECK(problems[0] == problem);
    }
  }
}
