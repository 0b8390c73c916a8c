// Lines, for the protocols that speak in them. Pure.
#pragma once

#include <cstddef>
#include <string_view>

#include "framing.hpp"

namespace vital::net {

constexpr size_t longest_line = 8192;

// One line: to CR LF, or a bare LF.
inline Framing line(std::string_view bytes) {
  const size_t end = bytes.find('\n');
  if (end == std::string_view::npos) {
    return bytes.size() > longest_line ? Framing::broken("its line never ends") : Framing{};
  }
  if (end > longest_line) return Framing::broken("its line is too long");
  if (bytes.substr(0, end).find('\0') != std::string_view::npos) return Framing::broken("its line holds a zero byte");
  return Framing::whole(end + 1);
}

// The line without its end.
inline std::string_view without_end(std::string_view line) {
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  return line;
}

// The text up to the next space, which is taken off.
inline std::string_view take_word(std::string_view& text) {
  const size_t end = text.find(' ');
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return word;
}

}  // namespace vital::net
