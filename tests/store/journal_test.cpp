#include "store/journal.hpp"

#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <future>

using namespace vital;
using namespace std::chrono_literals;

namespace {

struct Folder {
  std::filesystem::path path;
  Folder() {
    char name[] = "/tmp/vitald-journal-XXXXXX";
    path = mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string file() const { return path / "journal.db"; }
};

// One that is written whole before the next one opens the file.
struct WrittenJournal : Journal {
  using Journal::Journal;
  ~WrittenJournal() { CHECK(finish(60s)); }
  WrittenJournal(const WrittenJournal&) = delete;
  WrittenJournal& operator=(const WrittenJournal&) = delete;
};

WallTime at(long long ms) { return WallTime(std::chrono::milliseconds(ms)); }

JournalOptions options(const std::string& path) {
  JournalOptions o;
  o.path = path;
  o.bounds.max_age = o.bounds.results_age = 24h * 365 * 100;
  return o;
}

JournalResult result(long long ms, const char* check, Verdict verdict, const char* text = "") {
  return {at(ms), check, verdict, verdict == Verdict::pass ? Cause::none : Cause::timeout, 1500us, text};
}

std::vector<JournalResult> results(Journal& journal, JournalQuery query = {}) {
  std::promise<std::vector<JournalResult>> answer;
  journal.results(std::move(query), [&](std::optional<std::vector<JournalResult>> rows) {
    answer.set_value(std::move(rows).value_or(std::vector<JournalResult>{}));
  });
  return answer.get_future().get();
}

std::vector<JournalEvent> events(Journal& journal, JournalQuery query = {}) {
  std::promise<std::vector<JournalEvent>> answer;
  journal.events(std::move(query), [&](std::optional<std::vector<JournalEvent>> rows) {
    answer.set_value(std::move(rows).value_or(std::vector<JournalEvent>{}));
  });
  return answer.get_future().get();
}

}  // namespace

TEST_CASE("what was added is found again, oldest first, also after a restart") {
  const Folder folder;
  {
    WrittenJournal journal(options(folder.file()), {});
    journal.add(result(1000, "db", Verdict::pass, "all well"));
    journal.add(result(2000, "db", Verdict::fail, "no answer in 5s"));
    journal.add(result(3000, "app", Verdict::pass));
    journal.add(
        JournalEvent{0, at(2000), "warning", "check_state", {{"check", "db"}, {"from", "pass"}, {"to", "fail"}}});
  }
  WrittenJournal journal(options(folder.file()), {});
  const auto all = results(journal);
  REQUIRE(all.size() == 3);
  CHECK(all[0].check == "db");
  CHECK(all[0].text.empty());  // the text of a pass is not worth its bytes
  CHECK(all[1].text == "no answer in 5s");
  CHECK(all[1].cause == Cause::timeout);
  CHECK(all[1].duration == 1500us);
  const auto noted = events(journal);
  REQUIRE(noted.size() == 1);
  CHECK(noted[0].id == 4);
  CHECK(noted[0].fields ==
        std::vector<std::pair<std::string, std::string>>{{"check", "db"}, {"from", "pass"}, {"to", "fail"}});
}

TEST_CASE("a query picks by check, time, kind and number, and keeps the newest") {
  const Folder folder;
  WrittenJournal journal(options(folder.file()), {});
  for (int i = 0; i < 10; ++i) journal.add(result(i * 1000, i % 2 == 0 ? "even" : "odd", Verdict::pass));
  JournalQuery query;
  query.check = "even";
  query.since = at(3000);
  CHECK(results(journal, query).size() == 3);
  query.until = at(4000);
  CHECK(results(journal, query).size() == 1);
  JournalQuery newest;
  newest.limit = 2;
  const auto two = results(journal, newest);
  REQUIRE(two.size() == 2);
  CHECK(two[1].at == at(9000));

  for (const char* name : {"check_state", "reload", "check_state"})
    journal.add(JournalEvent{0, at(1), "info", name, {}});
  JournalQuery following;
  following.after_id = 11;
  following.is_forward = true;
  CHECK(events(journal, following).size() == 2);
  following.events = {"reload"};
  CHECK(events(journal, following).size() == 1);
}

TEST_CASE("the oldest rows go when the journal is too large, and events outlive results") {
  const Folder folder;
  JournalOptions small = options(folder.file());
  small.bounds.max_bytes = 200000;
  small.queue_bound = 100000;
  {
    WrittenJournal journal(small, {});
    journal.add(JournalEvent{0, at(1), "info", "kept", {}});
    for (int i = 0; i < 30000; ++i)
      journal.add(result(i, "db", Verdict::fail, "a text that takes some room on the disk"));
    CHECK(results(journal).size() == 1000);
  }
  WrittenJournal journal(small, {});
  const auto left = results(journal, {{}, {}, "", {}, 0, false, 100000});
  CHECK(left.size() < 30000);
  CHECK(left.size() > 100);
  CHECK(left.back().at == at(29999));
  CHECK(events(journal).size() == 1);
  CHECK(journal.stats().bytes <= small.bounds.max_bytes);
}

TEST_CASE("rows older than the bound go") {
  const Folder folder;
  JournalOptions brief = options(folder.file());
  brief.bounds.max_age = 1h;
  const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  {
    WrittenJournal journal(brief, {});
    journal.add(JournalResult{now - 2h, "db", Verdict::pass, Cause::none, 1ms, ""});
    journal.add(JournalResult{now, "db", Verdict::pass, Cause::none, 1ms, ""});
  }
  WrittenJournal journal(brief, {});
  results(journal);  // the first turn of the thread prunes
  CHECK(results(journal).size() == 1);
}

TEST_CASE("a full queue drops and counts, and never waits") {
  const Folder folder;
  JournalOptions narrow = options(folder.file());
  narrow.queue_bound = 10;
  WrittenJournal journal(narrow, {});
  for (int i = 0; i < 10000; ++i) journal.add(result(i, "db", Verdict::pass));
  results(journal);
  CHECK(journal.stats().dropped_queue > 0);
  CHECK(journal.stats().dropped_queue + journal.stats().written == 10000);
}

TEST_CASE("on a fresh machine the journal makes its folder, and nobody else may read what checks said") {
  const Folder folder;
  const std::string path = folder.file() + ".new/journal.db";
  std::atomic<int> lines{0};
  WrittenJournal journal(options(path), [&](const std::string&) { ++lines; });
  journal.add(result(1, "db", Verdict::pass));
  CHECK(results(journal).size() == 1);
  CHECK(journal.stats().dropped_disk == 0);
  CHECK(lines == 0);
  const auto others = std::filesystem::perms::others_all;
  CHECK((std::filesystem::status(path).permissions() & others) == std::filesystem::perms::none);
  CHECK((std::filesystem::status(path + "-wal").permissions() & others) == std::filesystem::perms::none);
  CHECK((std::filesystem::status(folder.file() + ".new").permissions() & others) == std::filesystem::perms::none);
}

TEST_CASE("a folder that cannot be made costs rows and one line, not the agent") {
  std::atomic<int> lines{0};
  WrittenJournal journal(options("/proc/nonexistent/journal.db"), [&](const std::string&) { ++lines; });
  journal.add(result(1, "db", Verdict::pass));
  CHECK(results(journal).empty());
  journal.add(result(2, "db", Verdict::pass));
  CHECK(results(journal).empty());
  CHECK_FALSE(journal.stats().is_healthy);
  CHECK(journal.stats().dropped_disk == 2);
  CHECK(lines == 1);
}

TEST_CASE("a file that is no journal is moved aside and kept") {
  const Folder folder;
  std::ofstream(folder.file()) << std::string(5000, 'x');
  std::promise<std::string> line;
  WrittenJournal journal(options(folder.file()), [&](const std::string& text) { line.set_value(text); });
  journal.add(result(1, "db", Verdict::pass));
  CHECK(results(journal).size() == 1);
  CHECK(line.get_future().get().find("moved aside") != std::string::npos);
  CHECK(std::filesystem::file_size(folder.file() + ".unreadable-1") == 5000);
}

TEST_CASE("what was acknowledged survives kill -9 in the middle of writing") {
  const Folder folder;
  for (int round = 0; round < 5; ++round) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    const pid_t writer = fork();
    if (writer == 0) {
      Journal journal(options(folder.file()), {});
      for (long long i = 0;; ++i) {
        journal.add(result(round * 1000000LL + i, "db", Verdict::pass));
        if (i % 50 != 0) continue;
        const auto rows = results(journal, {{}, {}, "", {}, 0, false, 1});
        const long long seen = rows.back().at.time_since_epoch().count();
        if (write(ends[1], &seen, sizeof seen) != sizeof seen) _exit(1);
      }
    }
    close(ends[1]);
    long long acknowledged = -1;
    for (int i = 0; i < 20; ++i) REQUIRE(read(ends[0], &acknowledged, sizeof acknowledged) == sizeof acknowledged);
    kill(writer, SIGKILL);
    for (long long more = 0; read(ends[0], &more, sizeof more) == sizeof more;) acknowledged = more;
    waitpid(writer, nullptr, 0);
    close(ends[0]);
    WrittenJournal journal(options(folder.file()), {});
    const auto rows = results(journal, {{}, {}, "", {}, 0, false, 1});
    REQUIRE(rows.size() == 1);
    CHECK(rows.back().at >= at(acknowledged));
  }
}

TEST_CASE("a full disk costs the oldest rows first and heals by itself") {
  if (getuid() != 0) return;  // needs a small file system of its own
  const Folder folder;
  if (mount("tmpfs", folder.path.c_str(), "tmpfs", 0, "size=512k") != 0) return;
  {
    WrittenJournal journal(options(folder.file()), {});
    for (int i = 0; i < 9000; ++i)
      journal.add(result(i, "db", Verdict::fail, "a text that takes quite some room on this small disk"));
    results(journal);
    for (int i = 9000; i < 18000; ++i)
      journal.add(result(i, "db", Verdict::fail, "a text that takes quite some room on this small disk"));
    const auto rows = results(journal, {{}, {}, "", {}, 0, false, 1});
    CHECK(journal.stats().written + journal.stats().dropped_disk == 18000);
    CHECK(journal.stats().pruned + journal.stats().dropped_disk > 0);
    INFO(journal.stats().last_error << " written " << journal.stats().written << " pruned " << journal.stats().pruned);
    CHECK(rows.size() == 1);
    REQUIRE(mount("tmpfs", folder.path.c_str(), "tmpfs", MS_REMOUNT, "size=32m") == 0);
    journal.add(result(20000, "db", Verdict::pass));
    const auto after = results(journal, {{}, {}, "", {}, 0, false, 1});
    INFO("after: " << journal.stats().last_error);
    REQUIRE(after.size() == 1);
    CHECK(after.back().at == at(20000));
    CHECK(journal.stats().is_healthy);
  }
  umount(folder.path.c_str());
}

TEST_CASE("ids are one sequence for rows of every kind, also where nobody gave one, and a page has them in order") {
  const Folder folder;
  WrittenJournal journal(options(folder.file()), {});
  journal.add(JournalEvent{5, at(1000), "info", "starting", {}});
  JournalResult r = result(1500, "db", Verdict::fail, "refused");
  r.id = 6;
  r.attempt = 2;
  r.is_outcome = false;
  r.found_ago = 3ms;
  r.lost = 7us;
  journal.add(r);
  auto state = std::make_shared<SavedState>();
  state->saved_at = at(1700);
  journal.add(JournalState{7, at(1700), JournalState::Kind::warm_start, "", state});
  journal.add(JournalEvent{3, at(1800), "info", "late", {}});  // an id from before is given a new one
  std::promise<JournalPage> answer;
  journal.page({0, {}, 3}, [&](std::optional<JournalPage> page) { answer.set_value(page.value()); });
  const JournalPage page = answer.get_future().get();
  REQUIRE(page.rows.size() == 3);
  CHECK(page.has_more);
  CHECK(page.last_id == 7);
  const auto& back = std::get<JournalResult>(page.rows[1]);
  CHECK(back.attempt == 2);
  CHECK_FALSE(back.is_outcome);
  CHECK(back.found_ago == Duration(3ms));
  CHECK(back.lost == Duration(7us));
  CHECK(std::get<JournalState>(page.rows[2]).text.find("vitald-state") == 0);
  const JournalPage rest = read_journal_page(folder.file(), {page.last_id, {}, 10});
  REQUIRE(rest.rows.size() == 1);
  CHECK(id_of(rest.rows[0]) == 8);
  CHECK(journal.last_id(10s) == 8);
  // A replay of the last moments begins at the newest state before them.
  const JournalPage since = read_journal_page(folder.file(), {0, at(1750), 10});
  REQUIRE(since.rows.size() == 2);
  CHECK(id_of(since.rows[0]) == 7);
  CHECK_THROWS_WITH(read_journal_page(folder.file() + ".no", {}), Catch::Contains("journal.db.no"));
}

TEST_CASE("hours outlive the results they were counted from") {
  const Folder folder;
  JournalOptions brief = options(folder.file());
  brief.bounds.results_age = 1h;
  const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const auto hour = std::chrono::floor<std::chrono::hours>(now - 10h);
  {
    WrittenJournal journal(brief, {});
    for (int i = 0; i < 10; ++i) {
      journal.add(JournalResult{hour + i * 1min,
                                "db",
                                i < 8 ? Verdict::pass : Verdict::fail,
                                Cause::none,
                                Duration((i + 1) * 1ms),
                                "",
                                0,
                                {},
                                {},
                                i == 3 ? 1U : 0U});
    }
  }
  WrittenJournal journal(brief, {});
  results(journal);  // the first turn of the thread prunes
  CHECK(results(journal).empty());
  std::promise<std::vector<JournalHour>> answer;
  JournalQuery query;
  query.check = "db";
  journal.hours(query, [&](std::optional<std::vector<JournalHour>> hours) { answer.set_value(hours.value()); });
  const auto hours = answer.get_future().get();
  REQUIRE(hours.size() == 1);
  CHECK(hours[0].from == hour);
  CHECK(hours[0].passes == 8);
  CHECK(hours[0].fails == 2);
  CHECK(hours[0].retries == 1);
  CHECK(hours[0].shortest == Duration(1ms));
  CHECK(hours[0].longest == Duration(8ms));
  CHECK(hours[0].total == Duration(36ms));
}

TEST_CASE("a disk that hangs holds the journal's thread and nobody else") {
  const Folder folder;
  std::promise<void> lets_go;
  const auto hold = lets_go.get_future().share();
  const auto started = std::chrono::steady_clock::now();
  {
    JournalOptions narrow = options(folder.file());
    narrow.queue_bound = 100;
    Journal journal(narrow, {});
    std::promise<void> hangs;
    journal.events({}, [hold, &hangs](const auto&) {
      hangs.set_value();
      hold.wait();  // as a write to a dead NFS server would
    });
    hangs.get_future().wait();
    for (int i = 0; i < 1000; ++i) journal.add(result(i, "db", Verdict::pass));
    CHECK_FALSE(journal.last_id(10ms));
    CHECK(journal.stats().dropped_queue >= 900);
    CHECK_FALSE(journal.finish(10ms));
  }
  CHECK(std::chrono::steady_clock::now() - started < 20s);
  lets_go.set_value();
}
