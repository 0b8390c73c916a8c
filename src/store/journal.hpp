// Journal: what happened, kept on disk: events (state changes, decisions, overlays, reloads), the result of every
// probe, and now and then the state of everything. SQLite in WAL mode on a thread of its own, which nobody waits for:
// add() copies into a bounded queue and returns. Bounded by age and by size, oldest out first. A full or broken disk
// costs rows, which are counted, and never the agent.
//
//   Journal journal({state_dir + "/journal.db"}, [](const std::string& line) { ... });
//   journal.add(JournalEvent{0, now, "info", "reloading", {}});
//   journal.events({.check = "db"}, [](std::optional<std::vector<JournalEvent>> found) { ... });   // on its thread
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/journal_rows.hpp"

namespace vital {

struct JournalBounds {
  std::uint64_t max_bytes = 256ULL * 1024 * 1024;  // of the database file
  Duration max_age = std::chrono::hours(24 * 366);
  Duration results_age = std::chrono::hours(24 * 8);  // single results and states; their hours stay for max_age
  bool operator==(const JournalBounds&) const = default;
};

struct JournalOptions {
  std::string path;  // of the database file; its folder must exist
  JournalBounds bounds;
  std::size_t queue_bound = 10000;  // rows waiting for the disk; more are dropped and counted
};

struct JournalStats {
  std::uint64_t written = 0;
  std::uint64_t dropped_queue = 0;  // the queue was full
  std::uint64_t dropped_disk = 0;   // the disk refused
  std::uint64_t pruned = 0;         // given up for age or size
  std::uint64_t bytes = 0;          // in use, as of the last look (once a minute)
  std::size_t queued = 0;
  bool is_healthy = true;
  std::string last_error;
};

// The line that tells the end of a trouble.
inline constexpr std::string_view journal_is_well = "the journal can be written again";

// Empty: the journal cannot be read (now), or too many ask.
template <typename Answer>
using JournalAnswer = std::function<void(std::optional<Answer>)>;

class Journal {
 public:
  // Opens (on its own thread) and goes on without a disk if it must. `trouble` gets one line when the journal's health
  // changes, on the journal's thread. A file that is no database of ours is moved aside, not overwritten.
  Journal(JournalOptions options, std::function<void(const std::string& line)> trouble);
  ~Journal();  // leaves what is queued to its thread; see finish()
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  void add(JournalEvent event);    // [any]
  void add(JournalResult result);  // [any]
  void add(JournalState state);    // [any]

  // Takes other bounds from now on. [any]
  void set_bounds(const JournalBounds& bounds);

  // All answer on the journal's thread (or at once, with nothing, when too many ask), after everything added before.
  void events(JournalQuery query, JournalAnswer<std::vector<JournalEvent>> answer);    // [any]
  void results(JournalQuery query, JournalAnswer<std::vector<JournalResult>> answer);  // [any]
  // By hour; `check` must be named.
  void hours(JournalQuery query, JournalAnswer<std::vector<JournalHour>> answer);  // [any]
  void page(JournalPageQuery query, JournalAnswer<JournalPage> answer);            // [any]

  void timeline(WallTime since, JournalAnswer<JournalTimeline> answer);  // [any]

  // The largest id in it, 0 if it is empty; waits for the disk, but not longer than `patience`. [control]
  std::optional<std::int64_t> last_id(Duration patience);

  // Before the process ends: waits until everything is written, but not longer than `patience`. False if its thread is
  // still at it. Nothing is taken in afterwards. [control]
  bool finish(Duration patience);

  JournalStats stats() const;  // [any]

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Reads a journal nobody may be writing: throws std::runtime_error in one line if there is none or it cannot be read.
JournalPage read_journal_page(const std::string& path, const JournalPageQuery& query);

}  // namespace vital
