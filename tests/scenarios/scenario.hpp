// Scenario: a story an operator can read, as a text file: checks, services, then what happens when and what is
// expected. README.md in this folder lists the words. The story is played by the real engine in virtual time.
#pragma once

#include <string>
#include <vector>

namespace vital::test {

// Every line that did not come true, as "line N: expected ..., found ...", or why the file cannot be read. Empty if the
// story came true.
std::vector<std::string> play_scenario(const std::string& text);

}  // namespace vital::test
