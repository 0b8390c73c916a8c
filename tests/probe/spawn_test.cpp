// "vital.spawn/1" with the real worker: what a command gets, how it ends, and that nothing of it is left.
#include <signal.h>

#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "probe/bench_core.hpp"

using namespace vital;
using namespace vital::test;

namespace {

using Words = std::vector<std::string>;

std::shared_ptr<const CheckSpec> command(const Words& words, std::map<std::string, Words> more = {},
                                         const std::string& check = "c") {
  auto out = std::make_shared<CheckSpec>(*make_spec(check, "spawns", Lane::async));
  more.emplace("limit", Words{"5000000000"});
  more.emplace("keep", Words{"1000"});
  more.emplace("input", Words{"0"});
  out->values.push_back({"command", words});
  for (auto& [name, items] : more) out->values.push_back({name, items});
  return out;
}
std::shared_ptr<const CheckSpec> shell(const std::string& text, std::map<std::string, Words> more = {},
                                       const std::string& check = "c") {
  return command({"/bin/sh", "-c", text}, std::move(more), check);
}

std::string fact(const Outcome& outcome, const std::string& name) {
  for (const auto& [key, value] : outcome.result.facts) {
    if (key == name) return value;
  }
  return "(none)";
}

// Pids of processes in which `mark` stands among the arguments.
std::set<pid_t> processes_with(const std::string& mark) {
  std::set<pid_t> out;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "cmdline", std::ios::binary);
    std::string text;
    std::getline(file, text, '\n');  // sets a bit where it fails: the process may end meanwhile
    if (text.find(mark) != std::string::npos) out.insert(std::atoi(entry.path().filename().c_str()));
  }
  return out;
}

// Of the one worker; what an earlier one left to us may still be there, dead.
pid_t worker_pid() {
  for (const pid_t pid : processes_with("vitald-worker")) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string number, name, state;
    pid_t parent = 0;
    file >> number >> name >> state >> parent;
    if (parent == getpid()) return pid;
  }
  FAIL("there is no worker");
  return -1;
}

}  // namespace

TEST_CASE("a command's end is told with its code, its output and its errors") {
  BenchCore core;
  const Outcome good = core.run(shell("echo out; echo err >&2; exit 3"), 5s);
  CHECK(good.result.text == "/bin/sh exited with code 3");
  CHECK(fact(good, "how") == "exited");
  CHECK(fact(good, "code") == "3");
  CHECK(fact(good, "output") == "out");
  CHECK(fact(good, "errors") == "err");
  CHECK(fact(good, "cut") == "no");
  CHECK(fact(good, "left") == "no");
  const Outcome signalled = core.run(shell("kill -TERM $$"), 5s);
  CHECK(signalled.result.text == "/bin/sh was ended by signal 15");
  CHECK(fact(signalled, "how") == "signalled");
}

TEST_CASE("a command that cannot be started says which step failed, and never before start() has returned") {
  BenchCore core;
  const Outcome nowhere = core.run(command({"/no/such/program"}), 5s);
  CHECK(fact(nowhere, "how") == "not started");
  CHECK(nowhere.result.text == "/no/such/program cannot be started: the program: No such file or directory");
  CHECK(core.run(command({"no-such-name"}), 5s).result.text.find("No such file or directory") != std::string::npos);
  CHECK(core.run(command({"/etc/passwd"}), 5s).result.text.find("Permission denied") != std::string::npos);
  CHECK(core.run(command({"/bin/true"}, {{"directory", {"/no/such/place"}}}), 5s).result.text ==
        "/bin/true cannot be started: its directory: No such file or directory");
  CHECK(word(core.run(command({""}), 5s)) == "unknown/agent");
}

TEST_CASE("a command gets its words, its environment and three descriptors, and nothing else") {
  BenchCore core;
  CHECK(fact(core.run(command({"echo", "a b", "$HOME", ";"}), 5s), "output") == "a b $HOME ;");
  CHECK(fact(core.run(command({"/usr/bin/env"}), 5s), "output") ==
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8");
  CHECK(fact(core.run(command({"/usr/bin/env"}, {{"env", {"A", "1", "B", "x y"}}}), 5s), "output") == "A=1 B=x y");
  CHECK(fact(core.run(shell("pwd; umask; ulimit -n"), 5s), "output") == "/ 0077 1024");
  CHECK(fact(core.run(shell("pwd", {{"directory", {"/usr"}}}), 5s), "output") == "/usr");
  CHECK(fact(core.run(command({"ls", "/proc/self/fd"}), 5s), "output") == "0 1 2 3");  // 3 is that folder
  // Its group is its own, and no signal is blocked or ignored.
  CHECK(fact(core.run(shell("ps -o pgid= -p $$ | tr -d ' '; echo $$"), 5s), "output").substr(0, 2) != "0 ");
  // Above those lie two of the C library's own, which nobody can set.
  const std::string signals =
      fact(core.run(shell("grep -E 'Sig(Blk|Ign)' /proc/$$/status | tr -d '\n'"), 5s), "output");
  CHECK(signals.find("SigBlk: 0000000000000000") != std::string::npos);
  CHECK(signals.ends_with("0000000"));
}

TEST_CASE("input reaches it whole, and one that does not want it does no harm") {
  BenchCore core;
  CHECK(fact(core.run(command({"wc", "-c"}, {{"input", {"65536"}}}), 5s), "output") == "65536");
  CHECK(fact(core.run(shell("sleep 0.05; wc -c", {{"input", {"65536"}}}), 5s), "output") == "65536");
  CHECK(fact(core.run(command({"/bin/true"}, {{"input", {"65536"}}}), 5s), "code") == "0");
  CHECK(word(core.run(command({"/bin/true"}, {{"input", {"65537"}}}), 5s)) == "unknown/agent");
}

TEST_CASE("output beyond the limit is read and dropped, and 100 MB of it hold nobody up") {
  BenchCore core;
  const Outcome cut = core.run(shell("head -c 100000000 /dev/zero", {{"keep", {"1000"}}}), 20s);
  CHECK(fact(cut, "code") == "0");
  CHECK(fact(cut, "cut") == "yes");
  REQUIRE(cut.result.measures.size() == 1);
  CHECK(cut.result.measures[0].value == 1000);
  CHECK(fact(core.run(shell("head -c 1000 /dev/zero"), 5s), "cut") == "no");
  CHECK(core.notes.empty());
}

TEST_CASE("a command that does not end in time is told so on time and is killed with its group") {
  BenchCore core;
  const Outcome late =
      core.run(shell("trap '' TERM; echo early; sleep 97531 & sleep 97531", {{"limit", {"200000000"}}}), 5s);
  CHECK(fact(late, "how") == "timed out");
  CHECK(fact(late, "output") == "early");
  CHECK(late.result.text == "/bin/sh did not end within 200ms and was killed");
  CHECK(late.took < 2s);
  CHECK(core.turn_until([] { return processes_with("97531").empty(); }, 5s));
}

TEST_CASE("what a command leaves behind is killed, in its group and out of it") {
  BenchCore core;
  const Outcome in_group = core.run(shell("sleep 86421 & exit 0"), 5s);
  CHECK(fact(in_group, "how") == "exited");
  CHECK(fact(in_group, "left") == "yes");
  const Outcome out_of_it = core.run(shell("setsid sleep 86421 & sleep 0.1; exit 0"), 5s);
  CHECK(fact(out_of_it, "left") == "yes");
  core.run(shell("setsid sleep 86421 & sleep 86421", {{"limit", {"200000000"}}}), 5s);
  CHECK(core.turn_until([] { return processes_with("86421").empty(); }, 5s));
  // The worker has no zombie either.
  const std::string list = "/proc/" + std::to_string(worker_pid()) + "/task/" + std::to_string(worker_pid());
  CHECK(core.turn_until(
      [&] {
        std::ifstream file(list + "/children");
        int pid = 0;
        return !(file >> pid);
      },
      5s));
}

TEST_CASE("a helper that left its group lives as long as commands that may need it") {
  BenchCore core;
  const auto slow = core.start(
      shell("(setsid sleep 75319 &); sleep 1; pgrep -fx 'sleep 75319' >/dev/null && echo alive", {}, "slow"), 5s);
  CHECK(core.turn_until([] { return processes_with("75319").size() >= 2; }, 5s));
  core.run(command({"/bin/true"}, {}, "quick"), 5s);
  CHECK(fact(core.wait(slow), "output") == "alive");
  CHECK(core.turn_until([] { return processes_with("75319").empty(); }, 5s));
}

TEST_CASE("giving a probe up kills its command, and killing the worker too") {
  BenchCore core;
  const auto given_up = core.start(command({"sleep", "64208"}), 20s);
  CHECK(core.turn_until([] { return processes_with("64208").size() == 1; }, 5s));
  core.pool().abandon(ProbeId(given_up));
  CHECK(core.turn_until([] { return processes_with("64208").empty(); }, 5s));

  core.start(command({"sleep", "64209"}), 20s);
  CHECK(core.turn_until([] { return processes_with("64209").size() == 1; }, 5s));
  const pid_t orphan = *processes_with("64209").begin();
  adopt_orphans();
  kill(worker_pid(), SIGKILL);
  CHECK(core.turn_until([] { return processes_with("64209").empty(); }, 5s));
  CHECK(waitpid(orphan, nullptr, 0) == orphan);
}

TEST_CASE("not more than 64 commands run at the same time in one worker; the next is told so") {
  BenchCore core;
  std::vector<std::uint64_t> ids;
  for (int n = 0; n < 65; ++n) ids.push_back(core.start(shell("sleep 2", {}, "c" + std::to_string(n)), 20s));
  unsigned started = 0;
  unsigned refused = 0;
  for (const auto id : ids) {
    const Outcome& outcome = core.wait(id);
    started += fact(outcome, "how") == "exited" ? 1 : 0;
    refused += outcome.result.text.find("64 commands run already") != std::string::npos ? 1 : 0;
  }
  CHECK(started == 64);
  CHECK(refused == 1);
  CHECK(word(core.run(command({"/bin/true"}), 5s)) == "pass/none");
}

TEST_CASE("a thousand commands leave no descriptor and no process in the worker") {
  BenchCore core;
  const auto spec = command({"/bin/true"});
  for (int n = 0; n < 50; ++n) core.run(spec, 5s);
  const std::string fds = "/proc/" + std::to_string(worker_pid()) + "/fd";
  const auto count = [&] { return std::distance(std::filesystem::directory_iterator(fds), {}); };
  const auto before = count();
  for (int n = 0; n < 1000; ++n) REQUIRE(word(core.run(spec, 5s)) == "pass/none");
  CHECK(count() == before);
  CHECK(core.pool().stats().started == 1);
}
