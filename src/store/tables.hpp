// Tables: the journal's schema and its statements, one noun for one open database. Lives and dies on the journal's
// thread; every method may throw sql::StoreError.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "store/journal_rows.hpp"
#include "store/sqlite.hpp"

namespace vital {

class Tables {
 public:
  // Opens or makes the database; throws StoreError with SQLITE_NOTADB or SQLITE_CORRUPT for a foreign or broken file.
  enum class Access : std::uint8_t { write, read };
  explicit Tables(const std::string& path, Access access = Access::write);

  void begin() { db_.run("BEGIN IMMEDIATE"); }
  void commit();
  void roll_back() noexcept;

  // Inserts; results also count into their hour, which is written by the next commit.
  void insert(const JournalEvent& event);
  void insert(const JournalResult& result);
  void insert(const JournalState& state);
  std::vector<JournalEvent> select_events(const JournalQuery& query);
  std::vector<JournalResult> select_results(const JournalQuery& query);
  std::vector<JournalHour> select_hours(const JournalQuery& query);
  JournalPage select_page(const JournalPageQuery& query);
  JournalTimeline select_timeline(WallTime since);
  std::int64_t last_id();

  // Removes some thousands of the oldest rows at most: single results and states from before `results`, hours and
  // events from before `all`. Returns how many; 0 = nothing is that old any more.
  std::uint64_t prune_before(WallTime results, WallTime all);
  // Removes about `rows` of the oldest rows.
  std::uint64_t prune_oldest(std::uint64_t rows);
  // Gives free pages back to the file system and empties the log.
  void shrink();
  // Bytes in use, free pages not counted.
  std::uint64_t used_bytes();

 private:
  using HourKey = std::pair<std::int64_t, std::int64_t>;  // check, hour since the epoch

  std::int64_t check_id(const std::string& name);
  std::int64_t claim(std::int64_t id);
  std::int64_t newest_state();
  WallTime last_before(std::int64_t id);
  void write_hours();
  std::uint64_t remove(const char* text, std::int64_t argument);

  sql::Database db_;
  sql::Statement insert_event_;
  sql::Statement insert_result_;
  sql::Statement insert_state_;
  sql::Statement insert_hour_;
  sql::Statement insert_check_;
  sql::Statement find_check_;
  std::int64_t next_id_ = 1;
  std::map<std::string, std::int64_t> check_ids_;
  std::map<HourKey, JournalHour> hours_;  // since the last commit
};

}  // namespace vital
