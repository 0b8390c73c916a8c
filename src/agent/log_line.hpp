// One event as one line: logfmt for people, JSON for shippers. Whatever a value holds, it stays one line and one value:
// control characters become spaces, quotes are escaped, and the length is bounded. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "core/engine.hpp"

namespace vital {

using Fields = std::vector<std::pair<std::string, std::string>>;

// What happened, when, and how bad it is. The agent's own events and the notes of the core look the same.
struct Event {
  WallTime at{};
  Note::Level level = Note::Level::info;
  std::string event;  // check_state, config_refused
  Fields fields;
};

std::string_view name(Note::Level level);

// A line, newline included, is never longer: what fits into a pipe at once, so that lines of several writers never mix.
constexpr std::size_t max_log_line = 4096;

// ts=2026-11-21T10:03:00.123Z level=info event=check_state check=db from=pass to=fail
std::string logfmt_line(const Event& event);
// {"ts":"...","level":"info","node":"web-1","event":"check_state","check":"db"}
std::string json_line(const Event& event, std::string_view node);

}  // namespace vital
