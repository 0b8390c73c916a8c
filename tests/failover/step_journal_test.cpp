// What is about to be done is on disk first, and what was under way at the end of the last agent is found.
#include "failover/step_journal.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace vital;
using namespace std::chrono_literals;
using failover::Outcome;
using failover::Verb;

namespace {

StepEntry begin_of(std::uint32_t step, Verb verb = Verb::perform) {
  StepEntry out;
  out.recovery = "main-1";
  out.topology = "main";
  out.from = "one";
  out.to = "two";
  out.action = "promote-{to}";
  out.step = step;
  out.verb = verb;
  out.token = 42;
  out.at = "2026-11-30T05:00:00.000Z";
  return out;
}

StepEntry end_of(StepEntry entry, Outcome outcome = Outcome::done) {
  entry.is_end = true;
  entry.outcome = outcome;
  entry.text = "it is done\nreally";
  return entry;
}

struct Folder {
  std::string path = "/tmp/vitald-step-journal-" + std::to_string(getpid());
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file() const { return path + "/failover.journal"; }
  std::string text() const {
    std::ifstream in(file());
    std::stringstream out;
    out << in.rdbuf();
    return out.str();
  }
};

// Opens it, writes, and gives what was found and the troubles of the writes.
std::pair<std::vector<StepEntry>, std::vector<std::string>> life(const std::string& path,
                                                                 const std::vector<StepEntry>& entries) {
  Loop loop;
  std::vector<StepEntry> found;
  std::vector<std::string> troubles;
  bool is_loaded = false;
  StepJournal journal(loop, path, [&](const std::vector<StepEntry>& interrupted, const std::string& trouble) {
    found = interrupted;
    is_loaded = true;
    if (!trouble.empty()) troubles.push_back(trouble);
  });
  for (const StepEntry& e : entries) {
    journal.write(e, [&](const std::string& trouble) { troubles.push_back(trouble); });
  }
  for (int i = 0; i < 500 && (!is_loaded || troubles.size() < entries.size()); ++i) loop.run_for(20ms);
  return {found, troubles};
}

}  // namespace

TEST_CASE("a line of the journal comes back as it was, and no other line does") {
  const StepEntry begin = begin_of(3, Verb::compensate);
  const std::string line = print(begin);
  CHECK(parse_step(line.substr(0, line.size() - 1)) == begin);
  const auto end = parse_step(print(end_of(begin)).substr(0, print(end_of(begin)).size() - 1));
  REQUIRE(end);
  CHECK(end->outcome == Outcome::done);
  CHECK(end->text == "it is done really");
  for (std::size_t i = 0; i + 1 < line.size(); ++i) {
    std::string broken = line.substr(0, line.size() - 1);
    broken[i] = broken[i] == 'x' ? 'y' : 'x';
    CHECK_FALSE(parse_step(broken));
    CHECK_FALSE(parse_step(line.substr(0, i)));
  }
}

TEST_CASE("what began and did not end is under way, wherever the file was cut off") {
  const std::string text = print(begin_of(1)) + print(end_of(begin_of(1))) + print(begin_of(2));
  const std::string next = print(end_of(begin_of(2)));
  for (std::size_t cut = 0; cut < next.size(); ++cut) {
    std::size_t bad = 0;
    const auto open = interrupted_in(text + next.substr(0, cut), &bad);
    REQUIRE(open.size() == 1);
    CHECK(open[0].step == 2);
    CHECK(bad == (cut == 0 ? 0 : 1));
  }
  std::size_t bad = 0;
  CHECK(interrupted_in(text + next, &bad).empty());
}

TEST_CASE("a step is on disk when its writer is told so, and the next life finds it") {
  const Folder folder;
  auto [found, troubles] = life(folder.file(), {begin_of(1), end_of(begin_of(1)), begin_of(2)});
  CHECK(found.empty());
  CHECK(troubles == std::vector<std::string>(3));
  CHECK(folder.text().find("\"step\":2") != std::string::npos);
  const auto second = life(folder.file(), {});
  REQUIRE(second.first.size() == 1);
  CHECK(second.first[0] == begin_of(2));
  CHECK(folder.text().find("\"step\":1") == std::string::npos);
}

TEST_CASE("where nothing can be written the writer is told why") {
  const auto [found, troubles] = life("/proc/no/such/failover.journal", {begin_of(1)});
  REQUIRE(troubles.size() == 2);
  CHECK(troubles[1].find("No such file") != std::string::npos);
}
