// The journal's schema and statements; see tables.hpp. Results are compact: a check is a number, times are
// milliseconds, durations microseconds, and the text of a pass is not kept. Hours are counted as results come, so that
// a year of one check is some thousand rows, whatever became of its results. Fields of events are a JSON-free list:
// name, unit separator, value, record separator, so that no parser is needed to read them back.
#include "store/tables.hpp"

#include <algorithm>

#include "store/saved_text.hpp"

namespace vital {
namespace {

constexpr char unit_separator = '\x1f';
constexpr char record_separator = '\x1e';
constexpr std::int64_t schema_version = 2;
constexpr std::int64_t slice = 5000;  // rows removed at once
constexpr std::int64_t hour_ms = 3600000;
constexpr std::int64_t forever = INT64_MAX;

// The version must be looked at before anything is changed: a file of another version is foreign to us.
sql::Database& prepared(sql::Database& db, Tables::Access access) {
  db.run("PRAGMA busy_timeout=2000");
  std::int64_t version = 0;
  std::int64_t tables = 0;
  {
    sql::Statement read(db, "PRAGMA user_version");
    if (read.step()) version = read.number(0);
    sql::Statement count(db, "SELECT count(*) FROM sqlite_master");
    if (count.step()) tables = count.number(0);
  }
  const bool is_new = version == 0 && tables == 0;
  if (version != schema_version && (!is_new || access == Tables::Access::read)) {
    throw sql::StoreError(SQLITE_NOTADB, "not a journal this version can read");
  }
  if (access == Tables::Access::read) return db;
  if (is_new) db.run("PRAGMA auto_vacuum=INCREMENTAL");
  db.run("PRAGMA journal_mode=WAL");
  db.run("PRAGMA synchronous=NORMAL");
  db.run("PRAGMA journal_size_limit=4194304");
  db.run("PRAGMA cache_size=-1024");
  if (!is_new) return db;
  // All of it or nothing: a crash in the middle must not leave half a schema.
  db.run("BEGIN IMMEDIATE");
  try {
    db.run("CREATE TABLE checks(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)");
    db.run(
        "CREATE TABLE results(id INTEGER PRIMARY KEY, at INTEGER NOT NULL, check_id INTEGER NOT NULL, verdict INTEGER"
        " NOT NULL, cause INTEGER NOT NULL, duration INTEGER NOT NULL, found_ago INTEGER NOT NULL, lost INTEGER NOT"
        " NULL, flags INTEGER NOT NULL, text TEXT)");
    db.run("CREATE INDEX results_by_check ON results(check_id, at)");
    db.run(
        "CREATE TABLE hours(check_id INTEGER, hour INTEGER, passes INTEGER NOT NULL, warns INTEGER NOT NULL, fails"
        " INTEGER NOT NULL, unknowns INTEGER NOT NULL, retries INTEGER NOT NULL, shortest INTEGER NOT NULL, longest"
        " INTEGER NOT NULL, total INTEGER NOT NULL, PRIMARY KEY(check_id, hour)) WITHOUT ROWID");
    db.run(
        "CREATE TABLE events(id INTEGER PRIMARY KEY, at INTEGER NOT NULL, level TEXT NOT NULL, event TEXT NOT NULL,"
        " check_name TEXT NOT NULL, fields TEXT NOT NULL)");
    db.run("CREATE INDEX events_by_time ON events(at)");
    db.run(
        "CREATE TABLE states(id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind INTEGER NOT NULL, text TEXT NOT NULL)");
    db.run("PRAGMA user_version=2");
    db.run("COMMIT");
  } catch (const sql::StoreError&) {
    db.roll_back();
    throw;
  }
  return db;
}

int open_flags(Tables::Access access) {
  return access == Tables::Access::write ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READWRITE;
}

std::int64_t at(WallTime t) { return t.time_since_epoch().count(); }
WallTime wall(std::int64_t ms) { return WallTime(std::chrono::milliseconds(ms)); }
std::int64_t micros(Duration d) { return std::chrono::duration_cast<std::chrono::microseconds>(d).count(); }
// Rounded up: what was longer than a limit must not come back as equal to it.
std::int64_t micros_up(Duration d) { return std::chrono::ceil<std::chrono::microseconds>(d).count(); }

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

// flags: bit 0 outcome, bit 1 discounted, the rest the attempt.
std::int64_t flags_of(const JournalResult& r) {
  return (r.is_outcome ? 1 : 0) | (r.is_discounted ? 2 : 0) | (static_cast<std::int64_t>(r.attempt) << 2);
}

JournalResult read_result(const sql::Statement& row) {
  JournalResult r;
  r.id = row.number(0);
  r.at = wall(row.number(1));
  r.check = row.text(2);
  r.verdict = static_cast<Verdict>(std::clamp<std::int64_t>(row.number(3), 0, 3));
  r.cause = static_cast<Cause>(std::clamp<std::int64_t>(row.number(4), 0, 12));
  r.duration = std::chrono::microseconds(row.number(5));
  r.found_ago = std::chrono::microseconds(row.number(6));
  r.lost = std::chrono::microseconds(row.number(7));
  const std::int64_t flags = row.number(8);
  r.is_outcome = (flags & 1) != 0;
  r.is_discounted = (flags & 2) != 0;
  r.attempt = static_cast<std::uint32_t>(std::clamp<std::int64_t>(flags >> 2, 0, 1000));
  r.text = row.text(9);
  return r;
}
constexpr const char* result_columns =
    "SELECT results.id, results.at, checks.name, verdict, cause, duration, found_ago, lost, flags, text FROM results"
    " JOIN checks ON checks.id=results.check_id ";

JournalEvent read_event(const sql::Statement& row) {
  return {row.number(0), wall(row.number(1)), row.text(2), row.text(3), unpack(row.text(4))};
}

JournalState read_state(const sql::Statement& row) {
  const auto kind = std::clamp<std::int64_t>(row.number(2), 0, 2);
  return {row.number(0), wall(row.number(1)), static_cast<JournalState::Kind>(kind), row.text(3), nullptr};
}

}  // namespace

std::int64_t id_of(const JournalRow& row) {
  return std::visit([](const auto& r) { return r.id; }, row);
}
WallTime at_of(const JournalRow& row) {
  return std::visit([](const auto& r) { return r.at; }, row);
}

Tables::Tables(const std::string& path, Access access)
    : db_(path, open_flags(access)),
      insert_event_(prepared(db_, access),
                    "INSERT INTO events(id, at, level, event, check_name, fields) VALUES(?,?,?,?,?,?)"),
      insert_result_(db_,
                     "INSERT INTO results(id, at, check_id, verdict, cause, duration, found_ago, lost, flags, text)"
                     " VALUES(?,?,?,?,?,?,?,?,?,?)"),
      insert_state_(db_, "INSERT INTO states(id, at, kind, text) VALUES(?,?,?,?)"),
      insert_hour_(
          db_,
          "INSERT INTO hours VALUES(?,?,?,?,?,?,?,?,?,?) ON CONFLICT(check_id, hour) DO UPDATE SET"
          " shortest=CASE WHEN passes+warns=0 THEN excluded.shortest WHEN excluded.passes+excluded.warns=0 THEN"
          " shortest ELSE min(shortest, excluded.shortest) END, longest=max(longest, excluded.longest),"
          " total=total+excluded.total, passes=passes+excluded.passes, warns=warns+excluded.warns,"
          " fails=fails+excluded.fails, unknowns=unknowns+excluded.unknowns,"
          " retries=retries+excluded.retries"),
      insert_check_(db_, "INSERT OR IGNORE INTO checks(name) VALUES(?)"),
      find_check_(db_, "SELECT id FROM checks WHERE name=?"),
      next_id_(last_id() + 1) {}

std::int64_t Tables::check_id(const std::string& name) {
  if (const auto known = check_ids_.find(name); known != check_ids_.end()) return known->second;
  insert_check_.bind(1, name).run();
  find_check_.bind(1, name);
  const std::int64_t id = find_check_.step() ? find_check_.number(0) : 0;
  find_check_.reset();
  check_ids_.emplace(name, id);
  return id;
}

// Ids only grow, also where whoever gave one had not seen the journal yet.
std::int64_t Tables::claim(std::int64_t id) {
  id = std::max(id, next_id_);
  next_id_ = id + 1;
  return id;
}

void Tables::commit() {
  write_hours();
  db_.run("COMMIT");
}

void Tables::roll_back() noexcept {
  db_.roll_back();
  hours_.clear();
  check_ids_.clear();  // some of them are gone again
}

void Tables::insert(const JournalEvent& event) {
  std::string check;
  for (const auto& [name, value] : event.fields) {
    if (name == "check") check = value;
  }
  const std::string fields = pack(event.fields);
  insert_event_.bind(1, claim(event.id))
      .bind(2, at(event.at))
      .bind(3, event.level)
      .bind(4, event.event)
      .bind(5, check)
      .bind(6, fields)
      .run();
}

void Tables::insert(const JournalResult& result) {
  const std::int64_t check = check_id(result.check);
  insert_result_.bind(1, claim(result.id))
      .bind(2, at(result.at))
      .bind(3, check)
      .bind(4, static_cast<std::int64_t>(result.verdict))
      .bind(5, static_cast<std::int64_t>(result.cause))
      .bind(6, micros_up(result.duration))
      .bind(7, micros(result.found_ago))
      .bind(8, micros(result.lost))
      .bind(9, flags_of(result));
  if (result.verdict != Verdict::pass) insert_result_.bind(10, result.text);
  insert_result_.run();

  JournalHour& hour = hours_[{check, at(result.at) / hour_ms}];
  if (result.attempt > 0) ++hour.retries;
  if (!result.is_outcome) return;
  switch (result.verdict) {
    case Verdict::pass:
      ++hour.passes;
      break;
    case Verdict::warn:
      ++hour.warns;
      break;
    case Verdict::fail:
      ++hour.fails;
      return;
    case Verdict::unknown:
      ++hour.unknowns;
      return;
  }
  hour.shortest = hour.passes + hour.warns == 1 ? result.duration : std::min(hour.shortest, result.duration);
  hour.longest = std::max(hour.longest, result.duration);
  hour.total += result.duration;
}

void Tables::write_hours() {
  const auto count = [](std::uint64_t n) { return static_cast<std::int64_t>(n); };
  for (const auto& [key, hour] : hours_) {
    insert_hour_.bind(1, key.first)
        .bind(2, key.second)
        .bind(3, count(hour.passes))
        .bind(4, count(hour.warns))
        .bind(5, count(hour.fails))
        .bind(6, count(hour.unknowns))
        .bind(7, count(hour.retries))
        .bind(8, micros(hour.shortest))
        .bind(9, micros(hour.longest))
        .bind(10, micros(hour.total))
        .run();
  }
  hours_.clear();
}

void Tables::insert(const JournalState& state) {
  const std::string text = state.state ? print_saved(*state.state) : state.text;
  insert_state_.bind(1, claim(state.id))
      .bind(2, at(state.at))
      .bind(3, static_cast<std::int64_t>(state.kind))
      .bind(4, text)
      .run();
}

std::vector<JournalEvent> Tables::select_events(const JournalQuery& query) {
  std::string text =
      "SELECT id, at, level, event, fields FROM events WHERE at>=?1 AND at<=?2 AND id>?3 AND (?4='' OR check_name=?4)";
  if (!query.events.empty()) {
    text += " AND event IN (";
    for (std::size_t i = 0; i < query.events.size(); ++i) text += (i == 0 ? "?" : ",?") + std::to_string(i + 6);
    text += ")";
  }
  text += query.is_forward ? " ORDER BY id LIMIT ?5" : " ORDER BY id DESC LIMIT ?5";
  sql::Statement select(db_, text.c_str());
  select.bind(1, query.since ? at(*query.since) : 0)
      .bind(2, query.until ? at(*query.until) : forever)
      .bind(3, query.after_id)
      .bind(4, query.check)
      .bind(5, static_cast<std::int64_t>(query.limit));
  for (std::size_t i = 0; i < query.events.size(); ++i) select.bind(static_cast<int>(i) + 6, query.events[i]);
  std::vector<JournalEvent> out;
  while (select.step()) out.push_back(read_event(select));
  if (!query.is_forward) std::reverse(out.begin(), out.end());
  return out;
}

std::vector<JournalResult> Tables::select_results(const JournalQuery& query) {
  // One check is found by its index, all of them by their ids.
  std::string text = result_columns;
  text += query.check.empty() ? "WHERE results.at>=?1 AND results.at<=?2 AND results.id>?3"
                              : "WHERE results.check_id=(SELECT id FROM checks WHERE name=?4) AND results.at>=?1 AND"
                                " results.at<=?2 AND results.id>?3";
  if (query.is_forward) {
    text += " ORDER BY results.id LIMIT ?5";
  } else {
    text += query.check.empty() ? " ORDER BY results.id DESC LIMIT ?5"
                                : " ORDER BY results.at DESC, results.id DESC LIMIT ?5";
  }
  sql::Statement select(db_, text.c_str());
  select.bind(1, query.since ? at(*query.since) : 0)
      .bind(2, query.until ? at(*query.until) : forever)
      .bind(3, query.after_id)
      .bind(5, static_cast<std::int64_t>(query.limit));
  if (!query.check.empty()) select.bind(4, query.check);
  std::vector<JournalResult> out;
  while (select.step()) out.push_back(read_result(select));
  if (!query.is_forward) std::reverse(out.begin(), out.end());
  return out;
}

std::vector<JournalHour> Tables::select_hours(const JournalQuery& query) {
  sql::Statement select(
      db_,
      "SELECT hour, passes, warns, fails, unknowns, retries, shortest, longest, total FROM hours WHERE"
      " check_id=(SELECT id FROM checks WHERE name=?1) AND hour>=?2 AND hour<=?3 ORDER BY hour DESC"
      " LIMIT ?4");
  select.bind(1, query.check)
      .bind(2, query.since ? at(*query.since) / hour_ms : 0)
      .bind(3, query.until ? at(*query.until) / hour_ms : forever)
      .bind(4, static_cast<std::int64_t>(query.limit));
  std::vector<JournalHour> out;
  const auto count = [&](int column) { return static_cast<std::uint64_t>(select.number(column)); };
  const auto time = [&](int column) { return Duration(std::chrono::microseconds(select.number(column))); };
  while (select.step()) {
    out.push_back({wall(select.number(0) * hour_ms), count(1), count(2), count(3), count(4), count(5), time(6), time(7),
                   time(8)});
  }
  std::reverse(out.begin(), out.end());
  return out;
}

JournalPage Tables::select_page(const JournalPageQuery& query) {
  JournalPage page;
  std::int64_t after = query.after_id;
  if (after == 0 && query.since) {
    sql::Statement start(db_, "SELECT max(id) FROM states WHERE at<=?");
    start.bind(1, at(*query.since));
    if (start.step() && !start.is_null(0)) after = start.number(0) - 1;
  }
  const auto limit = static_cast<std::int64_t>(query.limit) + 1;  // one more shows whether there is more
  const auto take = [&](const std::string& text, auto read) {
    sql::Statement select(db_, text.c_str());
    select.bind(1, after).bind(2, limit);
    while (select.step()) page.rows.emplace_back(read(select));
  };
  take(std::string(result_columns) + "WHERE results.id>? ORDER BY results.id LIMIT ?", read_result);
  take("SELECT id, at, level, event, fields FROM events WHERE id>? ORDER BY id LIMIT ?", read_event);
  take("SELECT id, at, kind, text FROM states WHERE id>? ORDER BY id LIMIT ?", read_state);
  std::sort(page.rows.begin(), page.rows.end(),
            [](const JournalRow& a, const JournalRow& b) { return id_of(a) < id_of(b); });
  page.has_more = page.rows.size() > query.limit;
  if (page.has_more) page.rows.resize(query.limit);
  page.last_id = page.rows.empty() ? after : id_of(page.rows.back());
  return page;
}

// When the last row before that id was written.
WallTime Tables::last_before(std::int64_t id) {
  std::int64_t last = 0;
  for (const char* text : {"SELECT at FROM results WHERE id<? ORDER BY id DESC LIMIT 1",
                           "SELECT at FROM events WHERE id<? ORDER BY id DESC LIMIT 1"}) {
    sql::Statement row(db_, text);
    row.bind(1, id);
    if (row.step()) last = std::max(last, row.number(0));
  }
  return wall(last);
}

JournalTimeline Tables::select_timeline(WallTime since) {
  JournalTimeline out;
  sql::Statement first(db_, "SELECT min(at) FROM (SELECT at FROM events ORDER BY id LIMIT 1)");
  if (first.step() && !first.is_null(0)) out.begins = wall(first.number(0));
  JournalQuery query;
  query.since = since;
  query.is_forward = true;
  query.limit = 100000;
  query.events = {"check_state",     "service_state",   "ejection_withheld", "overlay_set",
                  "overlay_cleared", "overlay_expired", "starting",          "stopping"};
  out.events = select_events(query);
  std::optional<WallTime> stopped;
  for (const JournalEvent& e : out.events) {
    if (e.event == "stopping") stopped = e.at;
    if (e.event != "starting") continue;
    const WallTime end = stopped ? *stopped : last_before(e.id);  // killed: it lived until the last it wrote
    if (end > WallTime{} && end < e.at) out.away.emplace_back(end, e.at);
    stopped.reset();
  }
  return out;
}

std::int64_t Tables::last_id() {
  std::int64_t last = 0;
  for (const char* text : {"SELECT max(id) FROM results", "SELECT max(id) FROM events", "SELECT max(id) FROM states"}) {
    sql::Statement newest(db_, text);
    if (newest.step() && !newest.is_null(0)) last = std::max(last, newest.number(0));
  }
  return last;
}

std::uint64_t Tables::remove(const char* text, std::int64_t argument) {
  sql::Statement(db_, text).bind(1, argument).bind(2, slice).run();
  return static_cast<std::uint64_t>(db_.changes());
}

// Only the oldest slice is looked at: the rows are in the order of time, and there may be millions.
std::uint64_t Tables::prune_before(WallTime results, WallTime all) {
  std::uint64_t removed = remove(
      "DELETE FROM results WHERE id<=(SELECT max(id) FROM (SELECT id, at FROM results ORDER BY id LIMIT ?2) WHERE "
      "at<?1)",
      at(results));
  removed += remove("DELETE FROM states WHERE id IN (SELECT id FROM states WHERE at<?1 LIMIT ?2)", at(results));
  // After a day one state in six hours is kept: a replay has to begin somewhere.
  removed += remove(
      "DELETE FROM states WHERE id IN (SELECT id FROM states WHERE kind=0 AND at<?1 AND id NOT IN (SELECT min(id) FROM"
      " states GROUP BY at/21600000) LIMIT ?2)",
      std::max(at(results), newest_state() - 24 * hour_ms));
  removed += remove(
      "DELETE FROM events WHERE id<=(SELECT max(id) FROM (SELECT id, at FROM events ORDER BY id LIMIT ?2)"
      " WHERE at<?1)",
      at(all));
  removed +=
      remove("DELETE FROM hours WHERE (check_id, hour) IN (SELECT check_id, hour FROM hours WHERE hour<?1 LIMIT ?2)",
             at(all) / hour_ms);
  return removed;
}

std::int64_t Tables::newest_state() {
  sql::Statement newest(db_, "SELECT max(at) FROM states");
  return newest.step() && !newest.is_null(0) ? newest.number(0) : 0;
}

std::uint64_t Tables::prune_oldest(std::uint64_t rows) {
  // Single results first: they are many, and their hours and the events tell the story.
  constexpr const char* oldest_first[] = {
      "DELETE FROM results WHERE id IN (SELECT id FROM results ORDER BY id LIMIT ?)",
      "DELETE FROM states WHERE id IN (SELECT id FROM states ORDER BY id LIMIT ?)",
      "DELETE FROM hours WHERE (check_id, hour) IN (SELECT check_id, hour FROM hours ORDER BY hour LIMIT ?)",
      "DELETE FROM events WHERE id IN (SELECT id FROM events ORDER BY id LIMIT ?)",
  };
  std::uint64_t removed = 0;
  for (const char* text : oldest_first) {
    if (removed >= rows) break;
    sql::Statement(db_, text).bind(1, static_cast<std::int64_t>(rows - removed)).run();
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
