// What one line of a plugin means. Pure, on bounded text.
//   {"id": 7, "verdict": "pass", "cause": "none", "text": "fine", "measures": {"age": 3, "size": {"value": 1, "unit":
//   "B",
//    "warn": 2, "fail": 3}}, "facts": {"role": "primary"}}
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vitald/check.hpp>

namespace vital::lines {

struct Answer {
  uint64_t id = 0;
  check::Result result;
};

// Empty, with why in `problem`, if it is no answer at all: a plugin that says such a thing cannot be believed further.
std::optional<Answer> parse_answer(std::string_view line, std::string& problem);

// A request, with its newline.
std::string request_line(uint64_t id, check::Duration time_left, uint32_t attempt,
                         const std::vector<std::pair<std::string, std::string>>& arguments);

}  // namespace vital::lines
