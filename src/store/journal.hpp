// Journal: what happened, kept on disk: events (state changes, decisions, overlays, reloads) and the result of every
// probe. SQLite in WAL mode on a thread of its own, which nobody waits for: add() copies into a bounded queue and
// returns. Bounded by age and by size, oldest out first. A full or broken disk costs rows, which are counted, and never
// the agent.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "core/verdict.hpp"

namespace vital {

struct JournalOptions {
  std::string path;                                // of the database file; its folder must exist
  std::uint64_t max_bytes = 256ULL * 1024 * 1024;  // of the database file
  Duration max_age = std::chrono::hours(24 * 30);
  std::size_t queue_bound = 10000;  // rows waiting for the disk; more are dropped and counted
};

struct JournalEvent {
  std::int64_t id = 0;  // given by the journal, only ever grows
  WallTime at{};
  std::string level;  // info, warning, error
  std::string event;
  std::vector<std::pair<std::string, std::string>> fields;
};

struct JournalResult {
  WallTime at{};
  std::string check;
  Verdict verdict = Verdict::unknown;
  Cause cause = Cause::none;
  Duration duration{};
  std::string text;  // kept only where the verdict is not pass
};

struct JournalQuery {
  std::optional<WallTime> since;
  std::optional<WallTime> until;
  std::string check;          // empty = all; for events: those with a field check=NAME
  std::string event;          // empty = all
  std::int64_t after_id = 0;  // events only: for following
  std::size_t limit = 1000;   // the newest so many, at most 100,000; answered oldest first
};

struct JournalStats {
  std::uint64_t written = 0;
  std::uint64_t dropped_queue = 0;  // the queue was full
  std::uint64_t dropped_disk = 0;   // the disk refused
  std::uint64_t pruned = 0;
  std::uint64_t bytes = 0;
  bool is_healthy = true;
  std::string last_error;
};

class Journal {
 public:
  // Opens (on its own thread) and goes on without a disk if it must. `trouble` gets one line when the journal's health
  // changes, on the journal's thread. A file that is no database of ours is moved aside, not overwritten.
  Journal(JournalOptions options, std::function<void(const std::string& line)> trouble);
  ~Journal();  // writes what is queued, at most 2 s
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  void add(JournalEvent event);    // [any]
  void add(JournalResult result);  // [any]

  // Answers on the journal's thread, after everything added before. An unreadable journal answers with what it has:
  // nothing.
  void events(JournalQuery query, std::function<void(std::vector<JournalEvent>)> answer);    // [any]
  void results(JournalQuery query, std::function<void(std::vector<JournalResult>)> answer);  // [any]

  JournalStats stats() const;  // [any]

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vital
