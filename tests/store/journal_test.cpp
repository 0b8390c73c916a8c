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

WallTime at(long long ms) { return WallTime(std::chrono::milliseconds(ms)); }

JournalOptions options(const std::string& path) {
  JournalOptions o;
  o.path = path;
  o.max_age = 24h * 365 * 100;
  return o;
}

JournalResult result(long long ms, const char* check, Verdict verdict, const char* text = "") {
  return {at(ms), check, verdict, verdict == Verdict::pass ? Cause::none : Cause::timeout, 1500us, text};
}

std::vector<JournalResult> results(Journal& journal, JournalQuery query = {}) {
  std::promise<std::vector<JournalResult>> answer;
  journal.results(std::move(query), [&](std::vector<JournalResult> rows) { answer.set_value(std::move(rows)); });
  return answer.get_future().get();
}

std::vector<JournalEvent> events(Journal& journal, JournalQuery query = {}) {
  std::promise<std::vector<JournalEvent>> answer;
  journal.events(std::move(query), [&](std::vector<JournalEvent> rows) { answer.set_value(std::move(rows)); });
  return answer.get_future().get();
}

}  // namespace

TEST_CASE("what was added is found again, oldest first, also after a restart") {
  const Folder folder;
  {
    Journal journal(options(folder.file()), {});
    journal.add(result(1000, "db", Verdict::pass, "all well"));
    journal.add(result(2000, "db", Verdict::fail, "no answer in 5s"));
    journal.add(result(3000, "app", Verdict::pass));
    journal.add(
        JournalEvent{0, at(2000), "warning", "check_state", {{"check", "db"}, {"from", "pass"}, {"to", "fail"}}});
  }
  Journal journal(options(folder.file()), {});
  const auto all = results(journal);
  REQUIRE(all.size() == 3);
  CHECK(all[0].check == "db");
  CHECK(all[0].text.empty());  // the text of a pass is not worth its bytes
  CHECK(all[1].text == "no answer in 5s");
  CHECK(all[1].cause == Cause::timeout);
  CHECK(all[1].duration == 1500us);
  const auto noted = events(journal);
  REQUIRE(noted.size() == 1);
  CHECK(noted[0].id == 1);
  CHECK(noted[0].fields ==
        std::vector<std::pair<std::string, std::string>>{{"check", "db"}, {"from", "pass"}, {"to", "fail"}});
}

TEST_CASE("a query picks by check, time, kind and number, and keeps the newest") {
  const Folder folder;
  Journal journal(options(folder.file()), {});
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
  following.after_id = 1;
  CHECK(events(journal, following).size() == 2);
  following.event = "reload";
  CHECK(events(journal, following).size() == 1);
}

TEST_CASE("the oldest rows go when the journal is too large, and events outlive results") {
  const Folder folder;
  JournalOptions small = options(folder.file());
  small.max_bytes = 200000;
  small.queue_bound = 100000;
  {
    Journal journal(small, {});
    journal.add(JournalEvent{0, at(1), "info", "kept", {}});
    for (int i = 0; i < 30000; ++i)
      journal.add(result(i, "db", Verdict::fail, "a text that takes some room on the disk"));
    CHECK(results(journal).size() == 1000);
  }
  Journal journal(small, {});
  const auto left = results(journal, {{}, {}, "", "", 0, 100000});
  CHECK(left.size() < 30000);
  CHECK(left.size() > 100);
  CHECK(left.back().at == at(29999));
  CHECK(events(journal).size() == 1);
  CHECK(journal.stats().bytes <= small.max_bytes);
}

TEST_CASE("rows older than the bound go") {
  const Folder folder;
  JournalOptions brief = options(folder.file());
  brief.max_age = 1h;
  const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  {
    Journal journal(brief, {});
    journal.add(JournalResult{now - 2h, "db", Verdict::pass, Cause::none, 1ms, ""});
    journal.add(JournalResult{now, "db", Verdict::pass, Cause::none, 1ms, ""});
  }
  Journal journal(brief, {});
  results(journal);  // the first turn of the thread prunes
  CHECK(results(journal).size() == 1);
}

TEST_CASE("a full queue drops and counts, and never waits") {
  const Folder folder;
  JournalOptions narrow = options(folder.file());
  narrow.queue_bound = 10;
  Journal journal(narrow, {});
  for (int i = 0; i < 10000; ++i) journal.add(result(i, "db", Verdict::pass));
  results(journal);
  CHECK(journal.stats().dropped_queue > 0);
  CHECK(journal.stats().dropped_queue + journal.stats().written == 10000);
}

TEST_CASE("a folder that is not there costs rows and one line, not the agent") {
  std::atomic<int> lines{0};
  Journal journal(options("/nonexistent/journal.db"), [&](const std::string&) { ++lines; });
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
  Journal journal(options(folder.file()), [&](const std::string& text) { line.set_value(text); });
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
        const auto rows = results(journal, {{}, {}, "", "", 0, 1});
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
    Journal journal(options(folder.file()), {});
    const auto rows = results(journal, {{}, {}, "", "", 0, 1});
    REQUIRE(rows.size() == 1);
    CHECK(rows.back().at >= at(acknowledged));
  }
}

TEST_CASE("a full disk costs the oldest rows first and heals by itself") {
  if (getuid() != 0) return;  // needs a small file system of its own
  const Folder folder;
  if (mount("tmpfs", folder.path.c_str(), "tmpfs", 0, "size=512k") != 0) return;
  {
    Journal journal(options(folder.file()), {});
    for (int i = 0; i < 9000; ++i)
      journal.add(result(i, "db", Verdict::fail, "a text that takes quite some room on this small disk"));
    results(journal);
    for (int i = 9000; i < 18000; ++i)
      journal.add(result(i, "db", Verdict::fail, "a text that takes quite some room on this small disk"));
    const auto rows = results(journal, {{}, {}, "", "", 0, 1});
    CHECK(journal.stats().written + journal.stats().dropped_disk == 18000);
    CHECK(journal.stats().pruned + journal.stats().dropped_disk > 0);
    INFO(journal.stats().last_error << " written " << journal.stats().written << " pruned " << journal.stats().pruned);
    CHECK(rows.size() == 1);
    REQUIRE(mount("tmpfs", folder.path.c_str(), "tmpfs", MS_REMOUNT, "size=32m") == 0);
    journal.add(result(20000, "db", Verdict::pass));
    const auto after = results(journal, {{}, {}, "", "", 0, 1});
    INFO("after: " << journal.stats().last_error);
    REQUIRE(after.size() == 1);
    CHECK(after.back().at == at(20000));
    CHECK(journal.stats().is_healthy);
  }
  umount(folder.path.c_str());
}
