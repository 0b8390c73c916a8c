// Tables: the journal's schema and its statements, one noun for one open database. Lives and dies on the journal's
// thread; every method may throw sql::StoreError.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "store/journal.hpp"
#include "store/sqlite.hpp"

namespace vital {

class Tables {
 public:
  // Opens or makes the database; throws StoreError with SQLITE_NOTADB or SQLITE_CORRUPT for a foreign or broken file.
  explicit Tables(const std::string& path);

  void begin() { db_.run("BEGIN IMMEDIATE"); }
  void commit() { db_.run("COMMIT"); }
  void roll_back() noexcept { db_.roll_back(); }

  void insert(const JournalEvent& event);
  void insert(const JournalResult& result);
  std::vector<JournalEvent> select_events(const JournalQuery& query);
  std::vector<JournalResult> select_results(const JournalQuery& query);

  // Removes what is older than `before`; returns how many rows.
  std::uint64_t prune_before(WallTime before);
  // Removes about `rows` of the oldest rows.
  std::uint64_t prune_oldest(std::uint64_t rows);
  // Gives free pages back to the file system and empties the log.
  void shrink();
  // Bytes in use, free pages not counted.
  std::uint64_t used_bytes();

 private:
  std::int64_t check_id(const std::string& name);

  sql::Database db_;
  sql::Statement insert_event_;
  sql::Statement insert_result_;
  sql::Statement insert_check_;
  sql::Statement find_check_;
  std::map<std::string, std::int64_t> check_ids_;
};

}  // namespace vital
