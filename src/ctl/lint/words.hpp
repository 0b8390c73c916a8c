// What the four languages have in common: lines cut into words, comments left out, and durations with a default unit.
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"

namespace vital::lint {

struct Line {
  int number = 0;
  std::vector<std::string> words;  // quotes taken off
  bool has(std::string_view word) const;
  // The word after `key`, empty if there is none.
  std::string after(std::string_view key) const;
};

// Lines with at least one word; `#` begins a comment outside of quotes.
std::vector<Line> lines_of(std::string_view text);

// For languages of blocks and semicolons (nginx, VCL): a statement or the head of a block, with the blocks around it.
struct Statement {
  int number = 0;
  std::vector<std::string> words;
  std::vector<std::string> blocks;  // heads of the blocks it stands in, outermost first: {"http", "upstream web"}
  bool opens = false;               // it is the head of a block
};
std::vector<Statement> statements_of(std::string_view text);

// "300ms", "5s", "2m", "1h", "5" in `unit`. Empty if it is none.
std::optional<Duration> time_of(std::string_view word, Duration unit);

std::optional<long> number_of(std::string_view word);

// "a=b" -> "b" for key "a"; empty if it is another.
std::string value_of(std::string_view word, std::string_view key);

}  // namespace vital::lint
