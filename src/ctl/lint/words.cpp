// Cutting configurations into words; see words.hpp.
#include "ctl/lint/words.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <utility>

#include "base/text.hpp"

namespace vital::lint {
namespace {

std::string join_words(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

}  // namespace

bool Line::has(std::string_view word) const { return std::find(words.begin(), words.end(), word) != words.end(); }

std::string Line::after(std::string_view key) const {
  const auto found = std::find(words.begin(), words.end(), key);
  return found == words.end() || found + 1 == words.end() ? "" : *(found + 1);
}

std::vector<Line> lines_of(std::string_view text) {
  std::vector<Line> out;
  int number = 0;
  for (const std::string_view whole : split(text, '\n')) {
    Line line;
    line.number = ++number;
    std::string word;
    char quote = 0;
    bool has_word = false;
    const auto end_word = [&] {
      if (has_word) line.words.push_back(std::exchange(word, {}));
      has_word = false;
    };
    for (std::size_t i = 0; i < whole.size(); ++i) {
      const char c = whole[i];
      if (quote != 0) {
        if (c == quote) {
          quote = 0;
        } else {
          word += c;
        }
      } else if (c == '"' || c == '\'') {
        quote = c;
        has_word = true;
      } else if (c == '\\' && i + 1 < whole.size()) {
        word += whole[++i];
        has_word = true;
      } else if (c == '#' || (c == '!' && !has_word)) {
        break;
      } else if (std::isspace(static_cast<unsigned char>(c)) != 0) {
        end_word();
      } else {
        word += c;
        has_word = true;
      }
    }
    end_word();
    if (!line.words.empty()) out.push_back(std::move(line));
  }
  return out;
}

std::vector<Statement> statements_of(std::string_view text) {
  std::vector<Statement> out;
  std::vector<std::string> blocks;
  Statement now;
  std::string word;
  bool has_word = false;
  int number = 1;
  const auto end_word = [&] {
    if (!has_word) return;
    if (now.words.empty()) now.number = number;
    now.words.push_back(std::exchange(word, {}));
    has_word = false;
  };
  const auto end_statement = [&](bool opens) {
    end_word();
    if (!now.words.empty()) {
      now.blocks = blocks;
      now.opens = opens;
      if (opens) blocks.push_back(join_words(now.words));
      out.push_back(std::exchange(now, {}));
    } else if (opens) {
      blocks.emplace_back();
    }
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const std::string_view rest = text.substr(i);
    if (c == '#' || rest.starts_with("//")) {
      // "http://" is no comment.
      if (c == '/' && has_word && word.ends_with(':')) {
        word += c;
        continue;
      }
      while (i + 1 < text.size() && text[i + 1] != '\n') ++i;
    } else if (rest.starts_with("/*")) {
      const std::size_t end = text.find("*/", i);
      const std::string_view skipped = text.substr(i, end == std::string_view::npos ? end : end - i);
      number += static_cast<int>(std::count(skipped.begin(), skipped.end(), '\n'));
      i = end == std::string_view::npos ? text.size() : end + 1;
    } else if (c == '"' || c == '\'') {
      has_word = true;
      while (++i < text.size() && text[i] != c) {
        if (text[i] == '\n') ++number;
        word += text[i];
      }
    } else if (c == ';') {
      end_statement(false);
    } else if (c == '{') {
      end_statement(true);
    } else if (c == '}') {
      end_statement(false);
      if (!blocks.empty()) blocks.pop_back();
    } else if (std::isspace(static_cast<unsigned char>(c)) != 0) {
      end_word();
      if (c == '\n') ++number;
    } else {
      word += c;
      has_word = true;
    }
  }
  end_statement(false);
  return out;
}

std::optional<Duration> time_of(std::string_view word, Duration unit) {
  double value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || value < 0) return {};
  const std::string_view suffix = word.substr(static_cast<std::size_t>(end - word.data()));
  Duration of = unit;
  if (suffix == "us") of = std::chrono::microseconds(1);
  if (suffix == "ms") of = std::chrono::milliseconds(1);
  if (suffix == "s") of = std::chrono::seconds(1);
  if (suffix == "m") of = std::chrono::minutes(1);
  if (suffix == "h") of = std::chrono::hours(1);
  if (suffix == "d") of = std::chrono::hours(24);
  constexpr std::string_view known[] = {"", "us", "ms", "s", "m", "h", "d"};
  if (std::find(std::begin(known), std::end(known), suffix) == std::end(known)) return {};
  return std::chrono::duration_cast<Duration>(of * value);
}

std::optional<long> number_of(std::string_view word) {
  long value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (word.empty() || error != std::errc{} || end != word.data() + word.size()) return {};
  return value;
}

std::string value_of(std::string_view word, std::string_view key) {
  if (!word.starts_with(key) || word.size() <= key.size() || word[key.size()] != '=') return {};
  return std::string(word.substr(key.size() + 1));
}

}  // namespace vital::lint
