// Steps with the real worker and real actions: done once, verified, vetoed, killed at their deadline, too late, and
// what the journal makes of an agent that ended in the middle.
#include "failover/actor.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "loop/orphans.hpp"

using namespace vital;
using namespace std::chrono_literals;
using failover::Outcome;
using failover::RunStep;
using failover::StepDone;
using failover::Verb;

namespace {

std::string text_of(const std::string& path) {
  std::ifstream in(path);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

struct Room {
  std::string folder = "/tmp/vitald-actor-" + std::to_string(getpid());
  Loop loop;
  std::vector<StepDone> done;
  std::vector<StepEntry> interrupted;
  std::unique_ptr<Actor> actor;

  explicit Room(ActionPlans plans = {}) {
    std::filesystem::create_directories(folder);
    orphans::adopt();  // as the agent's pool does
    start(std::move(plans));
  }
  ~Room() {
    actor.reset();
    // A child that was killed is watched until it is reaped.
    siginfo_t any{};
    while (waitid(P_ALL, 0, &any, WEXITED | WNOHANG | WNOWAIT) == 0) {
      orphans::sweep();
      loop.run_for(5ms);
    }
    std::filesystem::remove_all(folder);
  }
  void start(ActionPlans plans) {
    actor = std::make_unique<Actor>(
        loop, ActorOptions{TEST_WORKER, folder + "/journal"}, [this](const StepDone& d) { done.push_back(d); },
        [this](const std::vector<StepEntry>& steps, const std::string&) { interrupted = steps; });
    actor->adopt(std::move(plans));
  }
  // What the next answer is.
  StepDone wait(Duration patience = 20s) {
    const std::size_t before = done.size();
    for (const Instant until = Loop::now() + patience; done.size() == before && Loop::now() < until;)
      loop.run_for(20ms);
    REQUIRE(done.size() > before);
    return done.back();
  }
  StepDone run(RunStep step) {
    actor->run(step);
    return wait();
  }
};

ActionPlans exec(std::vector<std::pair<std::string, std::vector<std::string>>> values, bool is_dry = false) {
  auto spec = std::make_shared<CheckSpec>();
  spec->check = "failover.actions.hook";
  spec->module.type = "exec";
  spec->module.path = std::string(TEST_ACTIONS) + "/exec.so";
  spec->values = std::move(values);
  spec->values.push_back({"directory", {"/"}});
  return {{"hook-two", {"hook-two", spec, is_dry}}};
}

std::vector<std::string> shell(const std::string& text) { return {"/bin/sh", "-c", text}; }

RunStep step_of(Verb verb = Verb::perform, std::uint32_t attempt = 0) {
  RunStep out;
  out.recovery = "main-1";
  out.topology = "main";
  out.from = "one";
  out.to = "two";
  out.step = 1;
  out.attempt = attempt;
  out.verb = verb;
  out.action = "hook-{to}";
  out.token = 42;
  out.not_after = Loop::now() + 10s;
  out.deadline = Loop::now() + 10s;
  return out;
}

bool is_alive(const std::string& pid_file) {
  const std::string text = text_of(pid_file);
  if (text.empty()) return false;
  const std::string stat = text_of("/proc/" + std::to_string(std::stoi(text)) + "/stat");
  return !stat.empty() && stat.find(") Z ") == std::string::npos;
}

}  // namespace

TEST_CASE("words in braces are filled in, and what nobody knows stays") {
  const std::map<std::string, std::string> words{{"to", "two"}, {"from", "one"}};
  CHECK(filled_in("promote-{to}", words) == "promote-two");
  CHECK(filled_in("{from}{to}", words) == "onetwo");
  CHECK(filled_in("{x} {to", words) == "{x} {to");
  CHECK(filled_in("", words).empty());
}

TEST_CASE("a command is told what it is about, and nothing of ours") {
  Room room;
  const std::string out = room.folder + "/env";
  room.actor->adopt(exec({{"command", shell("env | sort > " + out)}}));
  const StepDone done = room.run(step_of());
  CHECK(done.outcome == Outcome::done);
  CHECK(done.recovery == "main-1");
  const std::string env = text_of(out);
  for (const char* line : {"VITALD_FROM=one\n", "VITALD_TO=two\n", "VITALD_TOKEN=42\n", "VITALD_TOPOLOGY=main\n",
                           "VITALD_RECOVERY=main-1\n", "VITALD_VERB=perform\n"}) {
    CHECK(env.find(line) != std::string::npos);
  }
  CHECK(std::ranges::count(env, '\n') <= 11);
}

TEST_CASE("a step that is asked for again is not done again") {
  Room room;
  const std::string out = room.folder + "/count";
  room.actor->adopt(exec({{"command", shell("echo x >> " + out)}}));
  const RunStep step = step_of();
  room.actor->run(step);
  room.actor->run(step);
  CHECK(room.wait().outcome == Outcome::done);
  CHECK(room.run(step).outcome == Outcome::done);
  CHECK(text_of(out) == "x\n");
  CHECK(room.run(step_of(Verb::perform, 1)).outcome == Outcome::done);
  CHECK(text_of(out) == "x\nx\n");
}

TEST_CASE("what did not happen is found by reading back, though the command said it did") {
  Room room(exec({{"command", {"/bin/true"}}, {"verify", {"/bin/false"}}}));
  CHECK(room.run(step_of()).outcome == Outcome::done);
  RunStep verify = step_of(Verb::verify);
  verify.deadline = Loop::now() + 4s;  // a loaded machine takes a while to start a worker
  const StepDone done = room.run(verify);
  CHECK(done.outcome == Outcome::unverified);
  CHECK(done.text.find("/bin/false ended with 1") != std::string::npos);
}

TEST_CASE("verify waits for what takes a moment") {
  Room room;
  const std::string sign = room.folder + "/sign";
  room.actor->adopt(exec({{"command", {"/bin/true"}}, {"verify", {"/usr/bin/test", "-e", sign}}}));
  room.actor->run(step_of(Verb::verify));
  room.loop.run_for(700ms);
  CHECK(room.done.empty());
  std::ofstream(sign) << "x";
  CHECK(room.wait().outcome == Outcome::done);
}

TEST_CASE("a veto forbids it, and nothing is done") {
  Room room;
  const std::string out = room.folder + "/acted";
  room.actor->adopt(exec({{"command", shell("touch " + out)}, {"veto", shell("echo not today; exit 3")}}));
  const StepDone done = room.run(step_of());
  CHECK(done.outcome == Outcome::vetoed);
  CHECK(done.text.find("not today") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(out));
}

TEST_CASE("a command that fails, crashes or is not there is a failure") {
  for (const auto& command : {shell("exit 1"), shell("kill -SEGV $$"), std::vector<std::string>{"/no/such/program"}}) {
    Room room(exec({{"command", command}}));
    CHECK(room.run(step_of()).outcome == Outcome::failed);
  }
}

TEST_CASE("a command that hangs is killed at the deadline, with what it started") {
  Room room;
  const std::string pid = room.folder + "/pid";
  room.actor->adopt(exec({{"command", shell("trap '' TERM; setsid sleep 60 & echo $! > " + pid + "; sleep 60")}}));
  RunStep step = step_of();
  step.deadline = Loop::now() + 1500ms;
  const Instant before = Loop::now();
  const StepDone done = room.run(step);
  CHECK(done.outcome == Outcome::timeout);
  CHECK(Loop::now() - before < 8s);
  for (int i = 0; i < 200 && is_alive(pid); ++i) room.loop.run_for(20ms);
  CHECK_FALSE(is_alive(pid));
}

TEST_CASE("a worker that is killed in the middle leaves a step of which nobody knows whether it was done") {
  Room room;
  room.actor->adopt(exec({{"command", shell("kill -9 $PPID; sleep 60")}}));
  const StepDone done = room.run(step_of());
  CHECK(done.outcome == Outcome::timeout);
  CHECK(done.text.find("whether it was done is not known") != std::string::npos);
}

TEST_CASE("what cannot begin in its time is not begun, even if a veto took that long") {
  Room room;
  const std::string out = room.folder + "/acted";
  room.actor->adopt(exec({{"command", shell("touch " + out)}, {"veto", {"/bin/sleep", "1"}}}));
  RunStep step = step_of();
  step.not_after = Loop::now() + 500ms;
  CHECK(room.run(step).outcome == Outcome::too_late);
  CHECK_FALSE(std::filesystem::exists(out));
  step = step_of(Verb::perform, 1);
  step.not_after = Loop::now() - 1ms;
  CHECK(room.run(step).outcome == Outcome::too_late);
  CHECK_FALSE(std::filesystem::exists(out));
}

TEST_CASE("a dry run does nothing and says so") {
  Room room;
  const std::string out = room.folder + "/acted";
  room.actor->adopt(exec({{"command", {"/usr/bin/touch", out}}}, true));
  const StepDone done = room.run(step_of());
  CHECK(done.outcome == Outcome::done);
  CHECK(done.text.find("dry run") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(out));
}

TEST_CASE("an action that is not there, and a journal that cannot be written, fail before anything is done") {
  Room room;
  CHECK(room.run(step_of()).text.find("there is no action hook-{to}") != std::string::npos);
  room.actor.reset();
  const std::string out = room.folder + "/acted";
  room.actor = std::make_unique<Actor>(
      room.loop, ActorOptions{TEST_WORKER, "/proc/no/journal"}, [&](const StepDone& d) { room.done.push_back(d); },
      [](const std::vector<StepEntry>&, const std::string&) {});
  room.actor->adopt(exec({{"command", {"/usr/bin/touch", out}}}));
  const StepDone done = room.run(step_of());
  CHECK(done.outcome == Outcome::failed);
  CHECK(done.text.find("could not be written down") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(out));
}

TEST_CASE("a step that was under way when the agent ended is told as one of which nobody knows") {
  Room room;
  room.actor->adopt(exec({{"command", {"/bin/sleep", "60"}}}));
  room.actor->run(step_of());
  for (int i = 0; i < 200 && text_of(room.folder + "/journal").empty(); ++i) room.loop.run_for(20ms);
  room.loop.run_for(100ms);
  REQUIRE(room.done.empty());
  room.actor.reset();
  const std::string begun = text_of(room.folder + "/journal");
  room.start({});
  const StepDone done = room.wait();
  CHECK(done.outcome == Outcome::timeout);
  CHECK(done.recovery == "main-1");
  CHECK(done.step == 1);
  REQUIRE(room.interrupted.size() == 1);
  CHECK(room.interrupted[0].action == "hook-{to}");
  // That it was told is written down, too, on the journal's own thread.
  for (int i = 0; i < 200 && text_of(room.folder + "/journal") == begun; ++i) room.loop.run_for(20ms);
  room.actor.reset();
  room.interrupted.clear();
  room.start({});
  room.loop.run_for(500ms);
  CHECK(room.interrupted.empty());
}

TEST_CASE("a step that is stopped is killed and not answered") {
  Room room;
  const std::string pid = room.folder + "/pid";
  room.actor->adopt(exec({{"command", shell("echo $$ > " + pid + "; sleep 60")}}));
  room.actor->run(step_of());
  for (int i = 0; i < 500 && !is_alive(pid); ++i) room.loop.run_for(20ms);
  REQUIRE(is_alive(pid));
  room.actor->stop({"main-1", 1, 0});
  for (int i = 0; i < 200 && is_alive(pid); ++i) room.loop.run_for(20ms);
  CHECK_FALSE(is_alive(pid));
  CHECK(room.done.empty());
  CHECK(room.actor->running() == 0);
}

TEST_CASE("a pre-flight asks every action and changes nothing") {
  Room room;
  const std::string out = room.folder + "/acted";
  ActionPlans plans = exec({{"command", {"/usr/bin/touch", out}}, {"verify", {"/bin/true"}}});
  plans.emplace("lost", exec({{"command", {"/no/such/program"}}}).at("hook-two"));
  plans.emplace("dry", exec({{"command", {"/bin/true"}}, {"verify", {"/bin/true"}}}, true).at("hook-two"));
  room.actor->adopt(plans);
  std::vector<failover::Finding> found;
  room.actor->check({{"promote: hook-two", "hook-{to}", "main", "one", "two", {}},
                     {"fence: lost", "lost", "main", "one", "two", {}},
                     {"move: dry", "dry", "main", "one", "two", {}},
                     {"move: nobody", "nobody", "main", "one", "two", {}}},
                    5s, [&](std::vector<failover::Finding> all) { found = std::move(all); });
  for (int i = 0; i < 1000 && found.empty(); ++i) room.loop.run_for(20ms);
  REQUIRE(found.size() == 4);
  CHECK(found[0].level == failover::Finding::Level::good);
  CHECK(found[1].level == failover::Finding::Level::bad);
  CHECK(found[1].text.find("/no/such/program cannot be run") != std::string::npos);
  CHECK(found[2].level == failover::Finding::Level::warning);
  CHECK(found[3].text.find("there is no action nobody") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(out));
}
