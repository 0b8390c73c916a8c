// What an HTTP answer must be like: status, header, body. Parsed once when the check is set up; judged piece by piece
// while an answer arrives. Pure: no libcurl, no clock. Strings in, one line of complaint out.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../net/pattern.hpp"

namespace vital::http {

// "200-299", "204", "2xx", or several with commas between.
class StatusSet {
 public:
  // Adds what `text` says; false if it cannot be read.
  bool add(std::string_view text);
  bool has(long status) const;
  std::string printed() const;

 private:
  std::vector<std::pair<int, int>> ranges_;
};

// One header that must be there: `*` any value, `~PATTERN` a pattern, otherwise exactly this value.
struct HeaderRule {
  std::string name;  // in lower case
  std::string value;
  std::shared_ptr<const net::Pattern> pattern;
  bool accepts(std::string_view seen) const;
};
// Throws net::Pattern::Error.
HeaderRule header_rule(std::string_view name, const std::string& value);

// What one value of a JSON body must be: `*` there at all, `~PATTERN`, `== X`, `!= X`, `< N`, `<= N`, `> N`, `>= N`,
// otherwise exactly this value.
struct JsonRule {
  enum class Is { there, matching, equal, different, less, at_most, more, at_least };
  std::string pointer;  // RFC 6901
  std::string written;
  Is is = Is::equal;
  std::string value;
  double number = 0;  // of the last four
  std::shared_ptr<const net::Pattern> pattern = nullptr;
};
// Throws std::invalid_argument or net::Pattern::Error, with what to write instead.
JsonRule json_rule(const std::string& pointer, const std::string& condition);

struct BodyRules {
  std::string contains;
  std::shared_ptr<const net::Pattern> matches;
  std::string matches_text;  // as written
  std::optional<std::string> json_pointer;
  std::optional<std::string> json_equals;
  std::vector<JsonRule> json_values;
  bool is_read_whole = false;  // somebody looks at text() afterwards
  bool want_json() const { return json_pointer.has_value() || !json_values.empty() || is_read_whole; }
  bool any() const { return !contains.empty() || matches != nullptr || want_json(); }
};

// Reads at most `cap` bytes of a body and says whether the rules are met.
class BodyJudge {
 public:
  BodyJudge(const BodyRules& rules, size_t cap);
  // Takes a piece; bytes beyond the cap are ignored.
  void feed(std::string_view piece);
  // No more is needed to say yes: all that was asked for has been found.
  bool is_satisfied() const;
  bool is_full() const { return size_ >= cap_; }
  // At the end of the body, or of our patience with it: why not, or empty. `is_complete`: the body ended by itself.
  std::string complaint(bool is_complete);
  // The body as far as it came, if rules.want_json().
  const std::string& text() const { return kept_; }

 private:
  const BodyRules& rules_;
  const size_t cap_;
  size_t size_ = 0;
  std::string kept_;  // only what a rule has to look at again
  bool has_text_;
  std::optional<net::Pattern::Search> search_;
};

// Empty if `pointer` is a valid JSON pointer, else what to write.
std::string pointer_complaint(const std::string& pointer);
// Why the JSON text does not have `equals` (or anything, if empty) at `pointer`; empty if it has.
std::string json_complaint(const std::string& body, const std::string& pointer,
                           const std::optional<std::string>& equals);
// The same for a rule: the first that is broken.
std::string json_complaint(const std::string& body, const std::vector<JsonRule>& rules);

}  // namespace vital::http
