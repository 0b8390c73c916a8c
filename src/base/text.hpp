// Small text helpers used in every room. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vital {

// The candidate nearest to `word` by edit distance (insert, delete, change, swap), if near enough to be a typing
// mistake: at most a third of the word's length, at least one.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates);

// Makes outside text safe to show on one line: valid UTF-8 (bad bytes become U+FFFD), control characters become spaces,
// runs of spaces become one, at most `limit` bytes with "..." where it was cut.
std::string one_line(std::string_view text, std::size_t limit = 1024);

// FNV-1a, 64 bit: stable over restarts and machines. Not for anything hostile.
constexpr std::uint64_t stable_hash(std::string_view text, std::uint64_t seed = 14695981039346656037ULL) {
  for (const char c : text) seed = (seed ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return seed;
}

std::vector<std::string_view> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);
std::string join(const std::vector<std::string>& parts, std::string_view separator);

// Bytes as people write them: "64KiB", "10MB", "1.5GiB", "512B", "4096" (bytes). Empty if malformed.
std::optional<std::uint64_t> parse_size(std::string_view text);

}  // namespace vital
