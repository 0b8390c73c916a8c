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

}  // namespace vital::check
