// The words of a result: verdict, cause, phase, and the state a check is in. Names as the contract prints them. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace vital {

// What one probe says. The numbers are those of the module ABI and of Nagios exit codes.
enum class Verdict : std::uint8_t { pass = 0, warn = 1, fail = 2, unknown = 3 };

// Why. The numbers are those of the module ABI.
enum class Cause : std::uint8_t {
  none = 0,
  timeout,
  refused,
  unreachable,
  dns,
  tls,
  auth,
  protocol,
  content,
  role,
  latency,
  config,
  agent
};

enum class Phase : std::uint8_t { resolve = 0, connect, tls, auth, exchange };

// Where a check or a service stands after hysteresis and age.
enum class State : std::uint8_t { pending, pass, warn, fail, stale };

namespace detail {
inline constexpr std::array<std::string_view, 4> verdict_names{"pass", "warn", "fail", "unknown"};
inline constexpr std::array<std::string_view, 13> cause_names{"none",    "timeout", "refused",  "unreachable", "dns",
                                                              "tls",     "auth",    "protocol", "content",     "role",
                                                              "latency", "config",  "agent"};
inline constexpr std::array<std::string_view, 5> phase_names{"resolve", "connect", "tls", "auth", "exchange"};
inline constexpr std::array<std::string_view, 5> state_names{"pending", "pass", "warn", "fail", "stale"};
}  // namespace detail

constexpr std::string_view name(Verdict v) { return detail::verdict_names[static_cast<std::size_t>(v)]; }
constexpr std::string_view name(Cause c) { return detail::cause_names[static_cast<std::size_t>(c)]; }
constexpr std::string_view name(Phase p) { return detail::phase_names[static_cast<std::size_t>(p)]; }
constexpr std::string_view name(State s) { return detail::state_names[static_cast<std::size_t>(s)]; }

}  // namespace vital
