// A result in two words, for tests: outcome(fail(Cause::role, "...")) == "fail/role".
#pragma once

#include <string>
#include <vitald/check.hpp>

namespace vital::check {

inline std::string outcome(const Result& r) {
  static constexpr const char* verdicts[] = {"pass", "warn", "fail", "unknown"};
  static constexpr const char* causes[] = {"none",     "timeout", "refused", "unreachable", "dns",    "tls",  "auth",
                                           "protocol", "content", "role",    "latency",     "config", "agent"};
  return std::string(verdicts[static_cast<int>(r.verdict)]) + "/" + causes[static_cast<int>(r.cause)];
}

// The value of a fact; "" if the result has none.
inline std::string fact_of(const Result& r, const std::string& name) {
  for (const auto& [key, value] : r.facts) {
    if (key == name) return value;
  }
  return {};
}

}  // namespace vital::check
