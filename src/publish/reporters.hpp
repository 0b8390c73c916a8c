// Reporters: who may report a heartbeat through a health listener. It knows which checks have a token, judges a request
// by its path, method, Authorization header and size, and lets so many through in a time that nobody can flood the
// agent's loop. What it refuses never leaves the front's thread. Pure but for what it remembers of the rates; front
// thread.
//
//   Reporters reporters;
//   reporters.set({{"backup", "0123456789abcdef"}});
//   if (reporters.is_asked(path)) verdict = reporters.judge(path, "POST", authorization, body.size(), now);
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.hpp"

namespace vital {

// "Bearer TOKEN" with this token, which is not empty; compared in the same time whatever differs, and wherever.
bool brings_token(std::string_view authorization, std::string_view token);

// So many at once, so many a second in the long run.
class Allowance {
 public:
  Allowance(double at_once, double a_second) : at_once_(at_once), a_second_(a_second), left_(at_once) {}
  bool take(Instant now);

 private:
  double at_once_;
  double a_second_;
  double left_;
  Instant seen_{};
};

class Reporters {
 public:
  static constexpr std::size_t most_body_bytes = 8 * 1024;
  static constexpr std::size_t most_token_bytes = 512;

  enum class Outcome : unsigned char { taken, unauthorized, limited, refused };
  struct Judgement {
    Outcome outcome = Outcome::taken;
    int code = 200;           // of a refusal
    std::string_view why;     // one static line
    std::string_view header;  // a whole header line, or empty
  };

  // Check and token. A check that had a token before keeps what it has used of its rate.
  void set(const std::vector<std::pair<std::string, std::string>>& tokens);

  // Whether the path is that of a report, and anybody may report here at all.
  bool is_asked(std::string_view path) const;
  // For a path that is_asked(). `path` is decoded, `authorization` the header's value, empty if there was none.
  Judgement judge(std::string_view path, std::string_view method, std::string_view authorization,
                  std::size_t body_bytes, Instant now);

 private:
  struct Reporter {
    std::string check;
    std::string token;
    Allowance allowance;
  };
  std::vector<Reporter> reporters_;
  Allowance strangers_{20, 5};
};

}  // namespace vital
