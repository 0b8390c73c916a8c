// Lint: reads the other side's configuration (HAProxy, keepalived, nginx, Varnish) and says what in it does not go with
// vitald: what will never be asked, what will be misread, what waits too long. It knows the parts of these languages
// that concern health checks, no more; a file that a linter finds nothing in may still be wrong. Pure.
//
//   for (const lint::Warning& w : lint::haproxy(text, options)) fmt::print("{}:{}: {}\n", file, w.line, w.text());
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"

namespace vital::lint {

struct Warning {
  int line = 0;         // from 1
  std::string what;     // "agent-check with weight 1: ..."
  std::string instead;  // "weight 100"
  std::string text() const { return what + "; write " + instead; }
};

struct Options {
  std::string port = "9180";              // of vitald's health listener
  std::string agent_port = "9181";        // of its agent check
  std::optional<Duration> detect_within;  // what was promised: from vitald's fail to no more traffic
};

using Warnings = std::vector<Warning>;

Warnings haproxy(std::string_view text, const Options& options);
Warnings keepalived(std::string_view text, const Options& options);
Warnings nginx(std::string_view text, const Options& options);
Warnings varnish(std::string_view text, const Options& options);

// Which of them a file is, by its name, then by what is in it; empty if that cannot be told.
std::string_view language_of(std::string_view file, std::string_view text);

}  // namespace vital::lint
