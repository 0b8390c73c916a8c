// The overlay spool: what files say, what a look changes, and the folder watched for real.
#include "agent/spool.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "agent/spool_folder.hpp"
#include "base/duration.hpp"
#include "loop/loop.hpp"

using namespace vital;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

const WallTime noon{std::chrono::milliseconds(1795521600000)};

Plan house() {
  Plan p;
  p.services.resize(2);
  p.services[0].name = "web";
  p.services[1].name = "api.v2";
  return p;
}

SpoolFile file(std::string name, std::string text = "", std::uint64_t stamp = 1) {
  SpoolFile f;
  f.name = std::move(name);
  f.text = std::move(text);
  f.user = "alice";
  f.changed = noon;
  f.stamp = stamp;
  return f;
}

std::string complaint(const SpoolFile& f) {
  std::string problem;
  CHECK_FALSE(read_spool_file(f, "/spool/" + f.name, house(), &problem));
  return problem;
}

SpoolListing listing(std::vector<SpoolFile> files) { return {"/spool", "", std::move(files)}; }

// What the agent does with news: the overlays that are there after it.
struct Agent {
  SpoolBook book;
  std::vector<Overlay> laid;
  std::vector<std::string> complaints;
  std::size_t changes = 0;

  void look(const SpoolListing& seen, WallTime now = noon) {
    const auto news = book.take(seen, house(), laid, now);
    for (const Overlay& gone : news.clear) std::erase(laid, gone);
    for (const Overlay& o : news.set) {
      std::erase_if(laid, [&](const Overlay& l) { return l.source == o.source; });
      laid.push_back(o);
    }
    changes += news.clear.size() + news.set.size();
    complaints.insert(complaints.end(), news.complaints.begin(), news.complaints.end());
  }
};

struct Folder {
  Folder() {
    char name[] = "/tmp/vitald-spool-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path = name;
  }
  ~Folder() { fs::remove_all(path); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(path + "/" + name) << text; }
  std::string path;
};

}  // namespace

TEST_CASE("the name of a spool file says what and where, its content why and until when") {
  std::string problem;
  const auto bare = read_spool_file(file("drain"), "/spool/drain", house(), &problem);
  REQUIRE(bare);
  CHECK((bare->kind == OverlayKind::drain && bare->service.empty() && !bare->until));
  CHECK((bare->owner == "alice" && bare->reason.empty() && bare->source == "/spool/drain" && bare->since == noon));

  const auto one_line = read_spool_file(file("api.v2.drain", "kernel update\n"), "p", house(), &problem);
  REQUIRE(one_line);
  CHECK((one_line->service == "api.v2" && one_line->reason == "kernel update"));

  const auto full =
      read_spool_file(file("web.maintenance", "reason: new disk\nowner: bob\nfor: 2h\n"), "p", house(), &problem);
  REQUIRE(full);
  CHECK((full->kind == OverlayKind::maintenance && full->service == "web" && full->owner == "bob"));
  CHECK(full->until == noon + 2h);
  const auto until = read_spool_file(file("drain", R"({"until": "2026-12-01T10:00:00Z"})"), "p", house(), &problem);
  REQUIRE(until);
  CHECK(until->until == parse_wall("2026-12-01T10:00:00Z"));
  CHECK(problem.empty());
}

TEST_CASE("a spool file that makes no sense gets a line that says what instead") {
  CHECK(complaint(file("drian")) ==
        "/spool/drian: is named neither drain nor maintenance, nor SERVICE.drain or SERVICE.maintenance: rename it");
  CHECK(complaint(file("wbe.drain")) == "/spool/wbe.drain: there is no service 'wbe': did you mean web?");
  CHECK(complaint(file("drain", "raeson: x")) == "/spool/drain: unknown key 'raeson': did you mean reason?");
  CHECK(complaint(file("drain", "for: 2 hours")).find("write a duration such as 30m") != std::string::npos);
  CHECK(complaint(file("drain", "until: tomorrow")).find("a time in UTC") != std::string::npos);
  CHECK(complaint(file("drain", "for: 1h\nuntil: 2026-12-01T10:00:00Z")).find("leave one out") != std::string::npos);
  CHECK(complaint(file("drain", "{broken")).find("/spool/drain: line 1: ") == 0);
  CHECK(complaint(file("drain", "[a, b]")).find("holds a list") != std::string::npos);
  CHECK(complaint(file("drain", "reason: [a]")).find("reason: write one text") != std::string::npos);
  CHECK(complaint(file("drain", std::string("reason: \x01\n\x02", 11))).find('\n') == std::string::npos);
}

TEST_CASE("a file lays its overlay once, and its end is the overlay's") {
  Agent agent;
  agent.look(listing({file("web.drain", "deploy"), file(".web.drain.swp"), file("drain~")}));
  REQUIRE(agent.laid.size() == 1);
  agent.look(listing({file("web.drain", "deploy")}));
  CHECK(agent.changes == 1);
  agent.look(listing({file("web.drain", "deploy, second half", 2)}));
  REQUIRE(agent.laid.size() == 1);
  CHECK(agent.laid[0].reason == "deploy, second half");
  agent.look(listing({}));
  CHECK(agent.laid.empty());
  CHECK(agent.complaints.empty());
}

TEST_CASE("what an operator laid by request is none of the spool's business") {
  Agent agent;
  Overlay by_hand;
  by_hand.kind = OverlayKind::maintenance;
  agent.laid.push_back(by_hand);
  agent.look(listing({file("drain")}));
  CHECK(agent.laid.size() == 2);
  agent.look(listing({}));
  REQUIRE(agent.laid.size() == 1);
  CHECK(agent.laid[0] == by_hand);
}

TEST_CASE("a file spoiled by an edit is told once, and what it said before stands until it is gone") {
  Agent agent;
  agent.look(listing({file("drain", "reason: x")}));
  const auto spoiled = listing({file("drain", "raeson: x", 2)});
  agent.look(spoiled);
  agent.look(spoiled);
  REQUIRE(agent.complaints.size() == 1);
  CHECK(agent.complaints[0].find("stays") != std::string::npos);
  CHECK(agent.laid.size() == 1);
  CHECK(agent.book.refused() == 1);
  agent.look(listing({file("drain", "reason: y", 3)}));
  CHECK(agent.laid[0].reason == "y");
  CHECK(agent.book.refused() == 0);
}

TEST_CASE("an overlay whose end has come is not laid again by the file that is still there") {
  Agent agent;
  agent.look(listing({file("drain", "for: 1h")}));
  REQUIRE(agent.laid.size() == 1);
  agent.laid.clear();  // it expired
  agent.look(listing({file("drain", "for: 1h")}), noon + 2h);
  CHECK(agent.laid.empty());
  SECTION("nor after a restart") {
    Agent next;
    next.look(listing({file("drain", "for: 1h")}), noon + 2h);
    CHECK(next.laid.empty());
    CHECK(next.complaints.empty());
  }
  SECTION("unless it is touched") {
    SpoolFile touched = file("drain", "for: 1h", 2);
    touched.changed = noon + 2h;
    agent.look(listing({touched}), noon + 2h);
    CHECK(agent.laid.size() == 1);
  }
}

TEST_CASE("a restart takes over what files laid before, without a change, and ends what is gone") {
  Agent first;
  first.look(listing({file("drain"), file("web.drain")}));
  Agent second;
  second.laid = first.laid;
  second.look(listing({file("drain")}));
  CHECK(second.changes == 1);
  REQUIRE(second.laid.size() == 1);
  CHECK(second.laid[0].service.empty());
}

TEST_CASE("a folder that cannot be read changes nothing and is told once; another folder is another matter") {
  Agent agent;
  agent.look(listing({file("drain")}));
  const SpoolListing blind{"/spool", "spool /spool cannot be read: Input/output error", {}};
  agent.look(blind);
  agent.look(blind);
  CHECK(agent.laid.size() == 1);
  CHECK(agent.complaints.size() == 1);
  CHECK(agent.book.is_blind());
  agent.look({"/elsewhere", "", {}});
  CHECK(agent.laid.empty());
}

TEST_CASE("a new plan reads every file anew") {
  SpoolBook book;
  const auto seen = listing({file("new.drain")});
  CHECK(book.take(seen, house(), {}, noon).complaints.size() == 1);
  Plan later = house();
  later.services[0].name = "new";
  CHECK(book.take(seen, later, {}, noon).set.empty());  // nothing is read twice by itself
  book.forget();
  CHECK(book.take(seen, later, {}, noon).set.size() == 1);
}

TEST_CASE("only plain files of a folder nobody else may write to are read") {
  const Folder folder;
  folder.write("drain", "why");
  folder.write("web.drain", std::string(5000, 'x'));
  fs::create_symlink("/etc/hostname", folder.path + "/maintenance");
  REQUIRE(mkfifo((folder.path + "/web.maintenance").c_str(), 0600) == 0);
  fs::create_directory(folder.path + "/sub.drain");
  const SpoolListing seen = SpoolFolder::list(folder.path);
  REQUIRE(seen.files.size() == 5);
  CHECK((seen.files[0].name == "drain" && seen.files[0].text == "why" && seen.files[0].problem.empty()));
  CHECK(seen.files[1].problem.find("is a link") == 0);
  CHECK(seen.files[2].problem.find("is no file") == 0);
  CHECK(seen.files[3].problem.find("larger than") != std::string::npos);
  CHECK(seen.files[4].problem.find("is no file") == 0);

  fs::permissions(folder.path, fs::perms::all);
  CHECK(SpoolFolder::list(folder.path).problem.find("can be written by everybody") != std::string::npos);
}

TEST_CASE("too many files are not read at all, and a folder that is not there is made") {
  const Folder folder;
  CHECK(SpoolFolder::list(folder.path + "/spool").problem.empty());
  CHECK(fs::is_directory(folder.path + "/spool"));
  CHECK(SpoolFolder::list(folder.path + "/no/such").problem.find("cannot be made") != std::string::npos);
  for (int i = 0; i < 129; ++i) folder.write("s" + std::to_string(i) + ".drain", "");
  CHECK(SpoolFolder::list(folder.path).problem.find("more than 128") != std::string::npos);
}

TEST_CASE("a change in the folder is heard at once, by whatever way the file came or went") {
  const Folder folder;
  Loop loop;
  auto mail = std::make_shared<Mailbox>(loop);
  std::vector<std::string> names;
  unsigned looks = 0;
  {
    SpoolFolder spool(loop, mail, folder.path, [&](const SpoolListing& seen) {
      ++looks;
      names.clear();
      for (const SpoolFile& f : seen.files) names.push_back(f.name);
      loop.stop();
    });
    // Each look within far less than the five seconds after which somebody looks anyhow.
    const auto until = [&](const std::vector<std::string>& wanted) {
      const Instant end = Loop::now() + 3s;
      while (names != wanted && Loop::now() < end) loop.run_for(end - Loop::now());
      CHECK(names == wanted);
    };
    loop.run_for(3s);
    CHECK(looks >= 1);
    folder.write("drain", "");
    until({"drain"});
    folder.write(".hidden", "");
    fs::rename(folder.path + "/.hidden", folder.path + "/web.drain");
    until({"drain", "web.drain"});
    fs::rename(folder.path + "/web.drain", folder.path + "/.hidden");
    until({"drain"});
    fs::remove(folder.path + "/drain");
    until({});
    fs::create_hard_link(folder.path + "/.hidden", folder.path + "/maintenance");
    until({"maintenance"});
  }
  mail->close();
}
