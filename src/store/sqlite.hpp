// A thin, typed shell around the SQLite C API: Database and Statement own what they open, and every failure is a
// StoreError that names what was attempted. Included only inside store/. One thread at a time.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace vital::sql {

struct StoreError : std::runtime_error {
  StoreError(int result_code, const std::string& text) : std::runtime_error(text), code(result_code & 0xFF) {}
  int code;  // primary result code: SQLITE_FULL, SQLITE_CORRUPT, ...
};

class Database {
 public:
  explicit Database(const std::string& path, int access = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) : path_(path) {
    const int code = sqlite3_open_v2(path.c_str(), &db_, access | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
    if (code != SQLITE_OK) {
      const std::string text = db_ != nullptr ? sqlite3_errmsg(db_) : sqlite3_errstr(code);
      sqlite3_close(db_);
      throw StoreError(code, "opening " + path + ": " + text);
    }
  }
  ~Database() { sqlite3_close(db_); }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  void run(const char* text) {
    const int code = sqlite3_exec(db_, text, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) throw error(code, text);
  }
  // Rolls back a transaction that failed half-way; never throws.
  void roll_back() noexcept {
    if (sqlite3_get_autocommit(db_) == 0) sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
  }
  StoreError error(int code, const char* doing) const {
    return {code, std::string(path_) + ": " + sqlite3_errmsg(db_) + " (" + std::string(doing).substr(0, 60) + ")"};
  }
  std::int64_t changes() const { return sqlite3_changes64(db_); }
  sqlite3* raw() { return db_; }

 private:
  std::string path_;
  sqlite3* db_ = nullptr;
};

// One prepared statement. bind() counts from 1, column() from 0.
class Statement {
 public:
  // The text must live as long as the statement.
  Statement(Database& db, const char* text) : db_(db), text_(text) {
    const int code = sqlite3_prepare_v3(db.raw(), text, -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr);
    if (code != SQLITE_OK) throw db.error(code, text);
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(int index, std::int64_t value) {
    sqlite3_bind_int64(statement_, index, value);
    return *this;
  }
  // The text must live until the statement has been stepped.
  Statement& bind(int index, std::string_view value) {
    sqlite3_bind_text64(statement_, index, value.data(), value.size(), nullptr, SQLITE_UTF8);
    return *this;
  }
  // True while there is a row.
  bool step() {
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    const StoreError failure = db_.error(code, text_);
    reset();
    throw failure;
  }
  // For statements that answer no rows: steps once and makes ready for the next.
  void run() {
    step();
    reset();
  }
  void reset() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }
  bool is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  std::int64_t number(int column) const { return sqlite3_column_int64(statement_, column); }
  std::string text(int column) const {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    return bytes == nullptr ? std::string() : std::string(bytes, sqlite3_column_bytes(statement_, column));
  }

 private:
  Database& db_;
  const char* text_;
  sqlite3_stmt* statement_ = nullptr;
};

}  // namespace vital::sql
