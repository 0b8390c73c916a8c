// See badge.hpp.
#include "publish/badge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

#include "base/text.hpp"

namespace vital {
namespace {

constexpr std::size_t longest_label = 64;  // characters
constexpr std::size_t letter = 7;          // pixels, in the mean of Verdana at 11 pixels
constexpr std::size_t padding = 6;         // pixels, on each side

// All of them dark enough for white letters (WCAG 2.1, contrast of 4.5).
std::string_view colour_of(std::string_view word) {
  if (word == "pass") return "#1a7f37";
  if (word == "warn") return "#8a5a00";
  if (word == "drain" || word == "maintenance") return "#0550ae";
  if (word == "fail" || word == "stale" || word == "stalled") return "#b4231a";
  return "#57606a";
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; }));
}

}  // namespace

std::string_view badge_word(const Answer& answer) {
  if (answer.overlay != OverlayKind::none) return name(answer.overlay);
  const bool is_ignorance = answer.state == State::pending || answer.state == State::stale;
  return answer.status == Verdict::fail && is_ignorance ? name(answer.state) : name(answer.status);
}

std::string badge_svg(std::string_view label, std::string_view word) {
  const std::string shown = one_line(label, longest_label);
  const std::string text = escaped(shown);
  const std::size_t left = characters(shown) * letter + 2 * padding;
  const std::size_t right = word.size() * letter + 2 * padding;
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"20\" role=\"img\" aria-label=\"{1}: {2}\">"
      "<title>{1}: {2}</title><rect width=\"{3}\" height=\"20\" fill=\"#444c56\"/>"
      "<rect x=\"{3}\" width=\"{4}\" height=\"20\" fill=\"{5}\"/>"
      "<g fill=\"#fff\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\" text-anchor=\"middle\">"
      "<text x=\"{6}\" y=\"14\">{1}</text><text x=\"{7}\" y=\"14\">{2}</text></g></svg>\n",
      left + right, text, word, left, right, colour_of(word), left / 2, left + right / 2);
}

}  // namespace vital
