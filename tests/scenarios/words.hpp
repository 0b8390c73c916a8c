// Words: the words of one line of a story, taken one after the other. What is not as it should be is thrown as Wrong.
// Pure.
#pragma once

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/duration.hpp"

namespace vital::test {

struct Wrong : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Words {
 public:
  explicit Words(const std::string& line) {
    std::istringstream in(line);
    for (std::string w; in >> w;) words_.push_back(w);
  }
  bool empty() const { return at_ >= words_.size(); }
  std::string peek() const { return empty() ? "" : words_[at_]; }
  std::string next() {
    if (empty()) throw Wrong("the line ends too early");
    return words_[at_++];
  }
  bool eat(const std::string& word) {
    if (peek() != word) return false;
    ++at_;
    return true;
  }
  void need(const std::string& word) {
    if (!eat(word)) throw Wrong("expected '" + word + "' before '" + peek() + "'");
  }
  std::string rest() {
    std::string out;
    while (!empty()) out += (out.empty() ? "" : " ") + next();
    return out;
  }
  Duration duration() {
    const std::string w = next();
    if (w == "0") return Duration::zero();
    const auto d = parse_duration(w);
    if (!d) throw Wrong("'" + w + "' is no duration");
    return *d;
  }
  unsigned number() {
    const std::string w = next();
    if (w.empty() || !std::all_of(w.begin(), w.end(), [](unsigned char c) { return std::isdigit(c); })) {
      throw Wrong("'" + w + "' is no number");
    }
    return static_cast<unsigned>(std::stoul(w));
  }
  std::pair<unsigned, unsigned> n_of_m() {
    const unsigned n = number();
    need("of");
    return {n, number()};
  }

 private:
  std::vector<std::string> words_;
  std::size_t at_ = 0;
};

template <typename E, std::size_t N>
E named(const std::array<std::string_view, N>& names, const std::string& word) {
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] == word) return static_cast<E>(i);
  }
  throw Wrong("'" + word + "' is not a word for this");
}

}  // namespace vital::test
