// The journal's schema and statements; see tables.hpp. Results are compact: a check is a number, times are
// milliseconds, durations microseconds, and the text of a pass is not kept. Fields of events are a JSON-free list:
// name, unit separator, value, record separator, so that no parser is needed to read them back.
#include "store/tables.hpp"

#include <algorithm>

namespace vital {
namespace {

constexpr char unit_separator = '\x1f';
constexpr char record_separator = '\x1e';
constexpr std::int64_t schema_version = 1;

// The version must be looked at before anything is changed: a file of a later version is foreign to us.
sql::Database& prepared(sql::Database& db) {
  db.run("PRAGMA busy_timeout=2000");
  std::int64_t version = 0;
  std::int64_t tables = 0;
  {
    sql::Statement read(db, "PRAGMA user_version");
    if (read.step()) version = read.number(0);
    sql::Statement count(db, "SELECT count(*) FROM sqlite_master");
    if (count.step()) tables = count.number(0);
  }
  if (version > schema_version || (version == 0 && tables > 0)) {
    throw sql::StoreError(SQLITE_NOTADB, "not a journal this version can read");
  }
  if (version == 0) db.run("PRAGMA auto_vacuum=INCREMENTAL");
  db.run("PRAGMA journal_mode=WAL");
  db.run("PRAGMA synchronous=NORMAL");
  db.run("PRAGMA journal_size_limit=4194304");
  db.run("PRAGMA cache_size=-512");
  db.run("CREATE TABLE IF NOT EXISTS checks(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)");
  db.run(
      "CREATE TABLE IF NOT EXISTS results(id INTEGER PRIMARY KEY, at INTEGER NOT NULL, check_id INTEGER NOT NULL,"
      " verdict INTEGER NOT NULL, cause INTEGER NOT NULL, duration INTEGER NOT NULL, text TEXT)");
  db.run("CREATE INDEX IF NOT EXISTS results_by_check ON results(check_id, at)");
  db.run("CREATE INDEX IF NOT EXISTS results_by_time ON results(at)");
  db.run(
      "CREATE TABLE IF NOT EXISTS events(id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, level TEXT NOT "
      "NULL,"
      " event TEXT NOT NULL, check_name TEXT NOT NULL, fields TEXT NOT NULL)");
  db.run("CREATE INDEX IF NOT EXISTS events_by_time ON events(at)");
  if (version == 0) db.run("PRAGMA user_version=1");
  return db;
}

std::int64_t at(WallTime t) { return t.time_since_epoch().count(); }
WallTime wall(std::int64_t ms) { return WallTime(std::chrono::milliseconds(ms)); }

std::string clean(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == unit_separator || c == record_separator; }, ' ');
  return text;
}

std::string pack(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::string out;
  for (const auto& [name, value] : fields) out += clean(name) + unit_separator + clean(value) + record_separator;
  return out;
}

std::vector<std::pair<std::string, std::string>> unpack(const std::string& text) {
  std::vector<std::pair<std::string, std::string>> out;
  std::size_t from = 0;
  while (from < text.size()) {
    const std::size_t end = std::min(text.find(record_separator, from), text.size());
    const std::size_t middle = text.find(unit_separator, from);
    if (middle < end) out.emplace_back(text.substr(from, middle - from), text.substr(middle + 1, end - middle - 1));
    from = end + 1;
  }
  return out;
}

constexpr std::int64_t forever = INT64_MAX;

}  // namespace

Tables::Tables(const std::string& path)
    : db_(path),
      insert_event_(prepared(db_), "INSERT INTO events(at, level, event, check_name, fields) VALUES(?,?,?,?,?)"),
      insert_result_(db_, "INSERT INTO results(at, check_id, verdict, cause, duration, text) VALUES(?,?,?,?,?,?)"),
      insert_check_(db_, "INSERT OR IGNORE INTO checks(name) VALUES(?)"),
      find_check_(db_, "SELECT id FROM checks WHERE name=?") {}

std::int64_t Tables::check_id(const std::string& name) {
  if (const auto known = check_ids_.find(name); known != check_ids_.end()) return known->second;
  insert_check_.bind(1, name).run();
  find_check_.bind(1, name);
  const std::int64_t id = find_check_.step() ? find_check_.number(0) : 0;
  find_check_.reset();
  check_ids_.emplace(name, id);
  return id;
}

void Tables::insert(const JournalEvent& event) {
  std::string check;
  for (const auto& [name, value] : event.fields) {
    if (name == "check") check = value;
  }
  const std::string fields = pack(event.fields);
  insert_event_.bind(1, at(event.at)).bind(2, event.level).bind(3, event.event).bind(4, check).bind(5, fields).run();
}

void Tables::insert(const JournalResult& result) {
  insert_result_.bind(1, at(result.at))
      .bind(2, check_id(result.check))
      .bind(3, static_cast<std::int64_t>(result.verdict))
      .bind(4, static_cast<std::int64_t>(result.cause))
      .bind(5, std::chrono::duration_cast<std::chrono::microseconds>(result.duration).count());
  if (result.verdict != Verdict::pass) insert_result_.bind(6, result.text);
  insert_result_.run();
}

std::vector<JournalEvent> Tables::select_events(const JournalQuery& query) {
  sql::Statement select(db_,
                        "SELECT id, at, level, event, fields FROM events WHERE at>=? AND at<=? AND id>? AND"
                        " (?4='' OR check_name=?4) AND (?5='' OR event=?5) ORDER BY id DESC LIMIT ?6");
  select.bind(1, query.since ? at(*query.since) : 0)
      .bind(2, query.until ? at(*query.until) : forever)
      .bind(3, query.after_id)
      .bind(4, query.check)
      .bind(5, query.event)
      .bind(6, static_cast<std::int64_t>(query.limit));
  std::vector<JournalEvent> out;
  while (select.step()) {
    out.push_back({select.number(0), wall(select.number(1)), select.text(2), select.text(3), unpack(select.text(4))});
  }
  std::reverse(out.begin(), out.end());
  return out;
}

std::vector<JournalResult> Tables::select_results(const JournalQuery& query) {
  sql::Statement select(
      db_,
      "SELECT results.at, checks.name, verdict, cause, duration, text FROM results JOIN checks ON"
      " checks.id=results.check_id WHERE results.at>=? AND results.at<=? AND (?3='' OR checks.name=?3)"
      " ORDER BY results.at DESC, results.id DESC LIMIT ?4");
  select.bind(1, query.since ? at(*query.since) : 0)
      .bind(2, query.until ? at(*query.until) : forever)
      .bind(3, query.check)
      .bind(4, static_cast<std::int64_t>(query.limit));
  std::vector<JournalResult> out;
  while (select.step()) {
    const auto verdict = std::clamp<std::int64_t>(select.number(2), 0, 3);
    const auto cause = std::clamp<std::int64_t>(select.number(3), 0, 12);
    out.push_back({wall(select.number(0)), select.text(1), static_cast<Verdict>(verdict), static_cast<Cause>(cause),
                   std::chrono::microseconds(select.number(4)), select.text(5)});
  }
  std::reverse(out.begin(), out.end());
  return out;
}

std::uint64_t Tables::prune_before(WallTime before) {
  std::uint64_t removed = 0;
  for (const char* text : {"DELETE FROM results WHERE at<?", "DELETE FROM events WHERE at<?"}) {
    sql::Statement(db_, text).bind(1, at(before)).run();
    removed += static_cast<std::uint64_t>(db_.changes());
  }
  return removed;
}

std::uint64_t Tables::prune_oldest(std::uint64_t rows) {
  // Results first: they are many, and events tell the story.
  sql::Statement(db_, "DELETE FROM results WHERE id IN (SELECT id FROM results ORDER BY id LIMIT ?)")
      .bind(1, static_cast<std::int64_t>(rows))
      .run();
  auto removed = static_cast<std::uint64_t>(db_.changes());
  if (removed < rows) {
    sql::Statement(db_, "DELETE FROM events WHERE id IN (SELECT id FROM events ORDER BY id LIMIT ?)")
        .bind(1, static_cast<std::int64_t>(rows - removed))
        .run();
    removed += static_cast<std::uint64_t>(db_.changes());
  }
  return removed;
}

void Tables::shrink() {
  db_.run("PRAGMA incremental_vacuum");
  db_.run("PRAGMA wal_checkpoint(TRUNCATE)");
}

std::uint64_t Tables::used_bytes() {
  const auto pragma = [&](const char* text) {
    sql::Statement read(db_, text);
    return read.step() ? static_cast<std::uint64_t>(read.number(0)) : 0;
  };
  return (pragma("PRAGMA page_count") - pragma("PRAGMA freelist_count")) * pragma("PRAGMA page_size");
}

}  // namespace vital
