// Small text helpers; see text.hpp.
#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace vital {
namespace {

// Edit distance with swaps of neighbours (optimal string alignment).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

// How many bytes the UTF-8 sequence at the start of `s` has; 0 if it is not valid.
std::size_t sequence_length(std::string_view s) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80) return 1;
  const std::size_t want = lead >= 0xF0 && lead <= 0xF4  ? 4
                           : lead >= 0xE0 && lead < 0xF0 ? 3
                           : lead >= 0xC2 && lead < 0xE0 ? 2
                                                         : 0;
  if (want == 0 || s.size() < want) return 0;
  for (std::size_t i = 1; i < want; ++i) {
    if ((at(i) & 0xC0U) != 0x80) return 0;
  }
  if ((lead == 0xE0 && at(1) < 0xA0) || (lead == 0xED && at(1) > 0x9F) || (lead == 0xF0 && at(1) < 0x90) ||
      (lead == 0xF4 && at(1) > 0x8F)) {
    return 0;
  }
  return want;
}

}  // namespace

std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates) {
  std::optional<std::string> best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  if (word.size() > 64) return best;
  for (const std::string& c : candidates) {
    if (c.size() > 64) continue;
    if (const std::size_t d = distance(word, c); d < best_distance) {
      best_distance = d;
      best = c;
    }
  }
  return best;
}

std::string one_line(std::string_view text, std::size_t limit) {
  std::string out;
  out.reserve(std::min(text.size(), limit));
  while (!text.empty()) {
    const std::size_t n = sequence_length(text);
    std::string_view piece = n == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(0, n);
    const auto first = static_cast<unsigned char>(piece[0]);
    // C0, DEL, and the C1 controls, which terminals obey too.
    const bool is_control =
        first < 0x20 || first == 0x7F || (n == 2 && first == 0xC2 && static_cast<unsigned char>(piece[1]) < 0xA0);
    if (is_control) piece = " ";
    text.remove_prefix(n == 0 ? 1 : n);
    if (piece == " " && (out.empty() || out.back() == ' ')) continue;
    if (out.size() + piece.size() > limit) {
      while (limit >= 3 && out.size() > limit - 3) {
        // Never cut inside a sequence: drop whole characters from the end.
        do {
          const bool is_continuation = (static_cast<unsigned char>(out.back()) & 0xC0U) == 0x80;
          out.pop_back();
          if (!is_continuation) break;
        } while (!out.empty());
      }
      if (limit >= 3) out += "...";
      return out;
    }
    out += piece;
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  while (true) {
    const std::size_t at = text.find(separator);
    out.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at + 1);
  }
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view space = " \t\r\n\v\f";
  const std::size_t from = text.find_first_not_of(space);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(space) - from + 1);
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (const std::string& part : parts) {
    if (!out.empty()) out += separator;
    out += part;
  }
  return out;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, double>, 11> units{{{"", 1},
                                                                              {"B", 1},
                                                                              {"kB", 1e3},
                                                                              {"KB", 1e3},
                                                                              {"MB", 1e6},
                                                                              {"GB", 1e9},
                                                                              {"TB", 1e12},
                                                                              {"KiB", 1024.0},
                                                                              {"MiB", 1048576.0},
                                                                              {"GiB", 1073741824.0},
                                                                              {"TiB", 1099511627776.0}}};
  const std::size_t split_at = std::min(text.find_first_not_of("0123456789."), text.size());
  if (split_at == 0 || split_at > 20) return {};
  double number = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + split_at, number);
  if (ec != std::errc{} || end != text.data() + split_at) return {};
  for (const auto& [name, factor] : units) {
    if (trim(text.substr(split_at)) != name) continue;
    const double bytes = number * factor;
    if (bytes > 9e18) return {};
    return static_cast<std::uint64_t>(std::llround(bytes));
  }
  return {};
}

}  // namespace vital
