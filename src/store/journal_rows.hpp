// What a journal holds and what it can be asked: rows and queries as plain values. Ids are one sequence for rows of
// every kind, so their order is the order in which things happened, whatever the wall clock did. Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/time.hpp"
#include "core/saved.hpp"
#include "core/verdict.hpp"

namespace vital {

struct JournalEvent {
  std::int64_t id = 0;  // 0: the journal gives one
  WallTime at{};
  std::string level;  // info, warning, error
  std::string event;
  std::vector<std::pair<std::string, std::string>> fields;
};

// One attempt of one probe, as it was judged.
struct JournalResult {
  WallTime at{};
  std::string check;
  Verdict verdict = Verdict::unknown;
  Cause cause = Cause::none;
  Duration duration{};
  std::string text;  // kept only where the verdict is not pass
  std::int64_t id = 0;
  Duration found_ago{};        // it was found this long before `at`
  Duration lost{};             // of its time, by the agent itself
  std::uint32_t attempt = 0;   // 0 is the first of its cycle
  bool is_outcome = true;      // false: a retry followed
  bool is_discounted = false;  // a timeout taken back
};

// The state of everything at one moment: given as it is, kept and read back as saved_text prints it.
struct JournalState {
  enum class Kind : std::uint8_t { passing, cold_start, warm_start };
  std::int64_t id = 0;
  WallTime at{};
  Kind kind = Kind::passing;
  std::string text;
  std::shared_ptr<const SavedState> state;
};

// An hour of one check: outcomes by verdict and the durations of those that were no timeout of ours.
struct JournalHour {
  WallTime from{};
  std::uint64_t passes = 0, warns = 0, fails = 0, unknowns = 0;
  std::uint64_t retries = 0;  // attempts that were not the first of their cycle
  Duration shortest{}, longest{}, total{};
  std::uint64_t outcomes() const { return passes + warns + fails + unknowns; }
};

struct JournalQuery {
  std::optional<WallTime> since;
  std::optional<WallTime> until;
  std::string check;                // empty = all; for events: those with a field check=NAME
  std::vector<std::string> events;  // empty = all
  std::int64_t after_id = 0;        // only what comes after it
  bool is_forward = false;          // the oldest `limit` instead of the newest
  std::size_t limit = 1000;         // at most 100,000; answered oldest first in every case
};

// Everything in the order of ids, for replays and copies.
struct JournalPageQuery {
  std::int64_t after_id = 0;      // 0 = from `since`
  std::optional<WallTime> since;  // from the newest state at or before it; without one from the beginning
  std::size_t limit = 10000;
};

// What availability is worked out from.
struct JournalTimeline {
  std::vector<JournalEvent> events;                 // changes of states, overlays, starts and stops; in order
  std::vector<std::pair<WallTime, WallTime>> away;  // the agent did not run
  WallTime begins{};                                // nothing is known from before
};

using JournalRow = std::variant<JournalEvent, JournalResult, JournalState>;

struct JournalPage {
  std::vector<JournalRow> rows;
  std::int64_t last_id = 0;  // of the last row; go on after it
  bool has_more = false;
};

std::int64_t id_of(const JournalRow& row);
WallTime at_of(const JournalRow& row);

}  // namespace vital
