// Settings: the options of a tcp check, validated and in the form the probe wants them, and the judge of what a peer
// says. Made once; no I/O.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vitald/check.hpp>

#include "../net/address.hpp"
#include "../net/pattern.hpp"
#include "../net/tls.hpp"

namespace vital::tcp {

struct Expectation {
  std::string text;  // what must be found, unless there is a pattern
  std::shared_ptr<const net::Pattern> pattern;
  std::string written;  // as in the config, for messages
};
// `~PATTERN` is a regular expression, anything else a text with \r \n \t \0 \xHH \\ escapes; `\~` begins a text with ~.
// Throws net::Pattern::Error.
Expectation parse_expectation(const std::string& written);

struct Settings {
  net::Endpoint target;
  std::string send;
  std::optional<Expectation> expect;
  uint32_t family = 0;  // 0, 4, 6
  net::TlsSettings tls;
};
// Throws check::Invalid.
Settings read_settings(const check::Options& options);

// Takes what a peer says, in pieces, up to a cap.
class AnswerJudge {
 public:
  static constexpr size_t cap = 16 * 1024;
  explicit AnswerJudge(const Expectation& expectation);
  // True as soon as what was expected is there.
  bool feed(std::string_view piece);
  // The peer says no more.
  bool end();
  bool is_full() const { return size_ >= cap; }
  bool has_line() const { return has_line_; }
  size_t size() const { return size_; }
  const std::string& beginning() const { return beginning_; }  // for messages

 private:
  const Expectation& expectation_;
  std::optional<net::Pattern::Search> search_;
  std::string tail_;
  std::string beginning_;
  size_t size_ = 0;
  bool has_line_ = false;
  bool is_found_ = false;
};

}  // namespace vital::tcp
