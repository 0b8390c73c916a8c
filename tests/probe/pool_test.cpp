// The pool with the real worker and modules that do everything wrong: each probe gets its verdict on time, and nobody
// else notices.
#include "probe/pool.hpp"

#include <signal.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <set>

#include "probe/bench_core.hpp"
#include "probe/hanging_file.hpp"
#include "probe/worker/sanitized.hpp"

using namespace vital;
using namespace vital::test;

namespace {

struct Case {
  const char* name;
  std::shared_ptr<const CheckSpec> spec;
  const char* expected;
  const char* text;
  Duration timeout = 5s;  // short only where the module hangs
};
constexpr Duration short_time = 700ms;

const Case cases[] = {
    {"answers", answers("c"), "pass/none", "it is 42"},
    {"sleeps within its time", blocking("sleep"), "pass/none", "done: sleep"},
    {"crashes", blocking("crash"), "unknown/agent", "the module crashed (signal 11)"},
    {"aborts", blocking("abort"), "unknown/agent", "the module crashed (signal 6)"},
    {"exits", blocking("exit"), "unknown/agent", "the module exited (code 0)"},
    {"throws", blocking("throw"), "unknown/agent", "the check threw: it is raining"},
    {"throws a number", blocking("throw a number"), "unknown/agent", "the check threw something unknown"},
    {"spins", blocking("spin"), "fail/timeout", "no answer", short_time},
    {"stops itself", blocking("stop"), "fail/timeout", "no answer", short_time},
    {"hangs with a child", blocking("hang with a child"), "fail/timeout", "no answer", short_time},
    {"throws through C", blocking("throw through C"), "unknown/agent", "the check threw: it is raining"},
    {"recurses", blocking("recurse"), "unknown/agent", "the module crashed (signal 11)"},
    {"ignores signals", blocking("ignore signals"), "fail/timeout", "no answer", short_time},
    {"forks twice and calls setsid", blocking("fork and setsid"), "fail/timeout", "no answer", short_time},
    {"forks a thousand", blocking("fork a thousand"), "pass/none", "done: fork a thousand"},
    {"leaves a child", blocking("leave a child"), "pass/none", "done: leave a child"},
    {"forks and both return", blocking("fork and return"), "pass/none", "from the parent"},
#ifndef VITALD_SANITIZED  // which knows no limit
    {"leaks until it gets no more", blocking("leak"), "unknown/agent", "the check threw: std::bad_alloc"},
#endif
    {"floods its output", blocking("flood"), "pass/none", "done: flood"},
    {"closes every descriptor", blocking("close"), "unknown/agent", "the module exited (code 0)"},
    {"closes descriptor 3", blocking("close 3"), "pass/none", "done: close 3"},
    {"crashes at create", blocking("crash at create"), "unknown/agent",
     "the module crashed (signal 11) while it was being set up"},
    {"hangs at create", blocking("hang at create"), "unknown/agent", "a module in its worker was still being set up",
     short_time},
    {"throws at create", blocking("throw at create"), "unknown/config",
     "the module threw something unknown while it was set up"},
    {"crashes at load", make_spec("c", "crashes_at_load", Lane::blocking), "unknown/agent",
     "the module crashed (signal 11) while it was being loaded"},
    {"hangs at load", make_spec("c", "hangs_at_load", Lane::blocking), "unknown/agent", "still being loaded",
     short_time},
    {"has the wrong magic", make_spec("c", "wrong_magic", Lane::blocking), "unknown/agent", "is not a vitald module"},
    {"has a foreign ABI", make_spec("c", "foreign_abi", Lane::blocking), "unknown/agent",
     "has module ABI 9.7, this vitald speaks 0.1"},
    {"is not there", make_spec("c", "nowhere", Lane::blocking), "unknown/agent", "No such file or directory"},
    {"refuses its options", make_spec("c", "answers", Lane::blocking, {{"want", "13"}}), "unknown/config",
     "want: 13 brings bad luck: write another number"},
    {"plain C", make_spec("c", "plain", Lane::blocking, {{"lie", "none"}}), "pass/none", "plain C"},
    {"finishes twice", make_spec("c", "plain", Lane::blocking, {{"lie", "twice"}}), "pass/none", "plain C"},
    {"returns without a result", make_spec("c", "plain", Lane::blocking, {{"lie", "silent"}}), "unknown/agent",
     "the module returned without a result"},
    {"finishes with nothing", make_spec("c", "plain", Lane::blocking, {{"lie", "no result"}}), "unknown/agent",
     "broken result"},
    {"finishes a stranger's probe", make_spec("c", "plain", Lane::blocking, {{"lie", "stranger"}}), "pass/none",
     "plain C"},
    {"lies about the size", make_spec("c", "plain", Lane::blocking, {{"lie", "size"}}), "unknown/agent",
     "broken result"},
    {"lies about the stride", make_spec("c", "plain", Lane::blocking, {{"lie", "stride"}}), "pass/none", "plain C"},
    {"lies about an element", make_spec("c", "plain", Lane::blocking, {{"lie", "element"}}), "pass/none", "plain C"},
    {"gives a null array", make_spec("c", "plain", Lane::blocking, {{"lie", "null"}}), "pass/none", "plain C"},
    {"gives a strange verdict", make_spec("c", "plain", Lane::blocking, {{"lie", "verdict"}}), "unknown/agent", "(77)"},
    {"gives a strange cause", make_spec("c", "plain", Lane::blocking, {{"lie", "cause"}}), "pass/none", "plain C"},

    {"async: answers", async("answer"), "pass/none", "done: answer"},
    {"async: never finishes", async("never"), "fail/timeout", "no answer", short_time},
    {"async: crashes", async("crash"), "unknown/agent", "the module crashed (signal 11)"},
    {"async: exits", async("exit"), "unknown/agent", "the module exited (code 3)"},
    {"async: throws in a callback", async("throw"), "unknown/agent", "the module threw: it is raining"},
    {"async: throws at start", async("throw at start"), "unknown/agent", "it is snowing"},
    {"async: finishes from another thread", async("other thread"), "fail/timeout", "no answer", short_time},
    {"async: blocks the loop", async("block"), "unknown/agent", "the module held up its worker for 1s"},
    {"async: blocks the loop at start", async("block at start"), "unknown/agent",
     "the module held up its worker for 1s"},
    {"async: closes every descriptor", async("close"), "unknown/agent", "the module exited (code 0)"},
    {"async: floods the log", async("log"), "pass/none", "done: log"},
    {"async: crashes at create", async("crash at create"), "unknown/agent",
     "the module crashed (signal 11) while it was being set up"},
};

}  // namespace

TEST_CASE("whatever a module does, its probe has the right verdict on time and its neighbours notice nothing") {
  adopt_orphans();
  const std::size_t before = descriptors();
  {
    BenchCore core({.max_blocking = 4, .memory_mib = 64, .proves_ends = true});
    REQUIRE(core.run(answers("good"), 2s).result.verdict == Verdict::pass);
    REQUIRE(core.run(async("answer", "good-async"), 2s).result.verdict == Verdict::pass);
    const auto good = answers("good");
    const auto good_async = async("answer", "good-async");
    for (const Case& c : cases) {
      INFO(c.name);
      auto spec = std::make_shared<CheckSpec>(*c.spec);
      spec->check = c.name;
      const auto bad = core.start(spec, c.timeout);
      const Outcome beside = core.run(good, 5s);
      CHECK(word(beside) == "pass/none");
      const Outcome outcome = core.wait(bad);
      if (outcome.result.text.find("this machine is overloaded") != std::string::npos) continue;  // and so it is
      CHECK(word(outcome) == c.expected);
      INFO(outcome.result.text);
      CHECK(outcome.result.text.find(c.text) != std::string::npos);
      CHECK(outcome.took < c.timeout + 200ms);
      CHECK(core.run(good, 5s).result.verdict == Verdict::pass);
      core.pool().retire(spec);
    }
    CHECK_FALSE(core.answered_from_within_start);
    for (const auto& [id, outcome] : core.outcomes) CHECK(outcome.times + (outcome.is_from_core ? 1 : 0) == 1);
    core.shut_down();
    CHECK(children().empty());
  }
  CHECK(descriptors() == before);
}

TEST_CASE("a result carries what the module measured, cleaned") {
  BenchCore core;
  const Outcome outcome = core.run(make_spec("c", "plain", Lane::blocking, {{"lie", "none"}}), 2s);
  const ProbeResult& r = outcome.result;
  REQUIRE(r.phases.size() == 1);
  CHECK(r.phases[0] == std::pair(Phase::connect, Duration(1000)));
  REQUIRE(r.measures.size() == 1);  // the other is not a number
  CHECK(r.measures[0].name == "one");
  REQUIRE(r.facts.size() == 1);
  CHECK(r.facts[0].second == "blue and [31m red");
  CHECK(r.duration > 0ns);
  CHECK(r.duration < 1s);
  CHECK(r.evidence.queue_delay > 0ns);
  CHECK(r.evidence.queue_delay < 1s);
}

TEST_CASE("many async probes share one worker, and blocking ones have as many as allowed") {
  BenchCore core({.max_blocking = 3});
  std::vector<std::uint64_t> ids;
  for (int n = 0; n < 500; ++n) ids.push_back(core.start(async("answer", "a" + std::to_string(n)), 5s));
  for (int n = 0; n < 30; ++n) ids.push_back(core.start(blocking("sleep", "b" + std::to_string(n)), 5s));
  for (const auto id : ids) CHECK(word(core.wait(id)) == "pass/none");
  CHECK(core.pool().stats().started == 4);
  CHECK(core.queued.size() == 27);
  CHECK(core.taken == core.queued);
}

TEST_CASE("a probe that waited for a worker says for how long") {
  BenchCore core({.max_blocking = 1});
  core.run(blocking("sleep"), 2s);
  const auto first = core.start(blocking("sleep", "first"), 2s);
  const auto second = core.start(blocking("sleep", "second"), 2s);
  const Duration one = core.wait(first).result.evidence.queue_delay;
  const Duration two = core.wait(second).result.evidence.queue_delay;
  CHECK(two >= one + 19ms);
}

TEST_CASE("a probe for which no worker was free is unknown, not failed") {
  BenchCore core({.max_blocking = 1});
  core.run(answers(), 2s);
  const auto hog = core.start(hanging("hog"), 600ms);
  const auto starved = core.start(answers("starved"), 300ms);
  CHECK(word(core.wait(starved)) == "unknown/agent");
  CHECK(core.wait(starved).result.text == "no worker free: all 1 are busy");
  CHECK(core.wait(starved).took < 300ms);
  CHECK(word(core.wait(hog)) == "fail/timeout");
  CHECK(word(core.run(answers("starved"), 2s)) == "pass/none");
}

TEST_CASE("a probe that got a worker late and then no answer is unknown, not failed") {
  BenchCore core({.max_blocking = 1});
  core.run(answers(), 2s);
  core.start(hanging("hog"), 300ms);
  const auto late = core.start(hanging("late"), 600ms);
  CHECK(word(core.wait(late)) == "unknown/agent");
  CHECK(core.wait(late).result.text.find("of waiting for a free worker") != std::string::npos);
}

TEST_CASE("the queue for blocking workers has a bound") {
  BenchCore core({.max_blocking = 1, .max_queued = 2});
  std::vector<std::uint64_t> ids;
  for (int n = 0; n < 5; ++n) ids.push_back(core.start(blocking("sleep", "c" + std::to_string(n)), 2s));
  CHECK(word(core.wait(ids[2])) == "pass/none");
  CHECK(core.wait(ids[3]).result.text == "no worker free, and 2 probes wait already");
  CHECK(word(core.wait(ids[4])) == "unknown/agent");
  CHECK(core.pool().stats().queued_full == 2);
}

// ---- results that come late, twice, never, or after teardown ----

TEST_CASE("an abandoned probe is never answered, wherever it was") {
  BenchCore core({.max_blocking = 1});
  core.run(answers(), 2s);
  core.run(async("answer"), 2s);
  const auto running = core.start(blocking("sleep"), 10s);
  const auto queued = core.start(answers(), 10s);
  const auto async_running = core.start(async("answer", "x", "20000000"), 10s);
  for (const auto id : {running, queued, async_running}) core.pool().abandon(ProbeId(id));
  core.pool().abandon(ProbeId(queued));
  core.pool().abandon(ProbeId(99999));
  core.turn(200ms);
  CHECK(core.outcomes.size() == 2);
  CHECK(word(core.run(answers(), 2s)) == "pass/none");
  CHECK(word(core.run(async("answer"), 2s)) == "pass/none");
}

TEST_CASE("abandoning and a result that cross each other do no harm") {
  BenchCore core;
  core.run(async("answer", "x", "0"), 2s);
  const auto spec = async("answer", "x", "0");
  for (int round = 0; round < 300; ++round) {
    const auto id = core.start(spec, 10s);
    core.turn(std::chrono::microseconds(round));
    if (!core.outcomes.contains(id)) core.pool().abandon(ProbeId(id));
    CHECK(word(core.run(async("answer", "y", "0"), 2s)) == "pass/none");
    if (const auto at = core.outcomes.find(id); at != core.outcomes.end()) CHECK(at->second.times == 1);
  }
  CHECK(core.pool().stats().started == 1);
}

TEST_CASE("nothing is answered after the pool is gone") {
  adopt_orphans();
  BenchCore core;
  core.run(answers(), 2s);
  core.start(blocking("sleep"), 10s);
  core.start(async("answer"), 10s);
  core.start(make_spec("c", "nowhere", Lane::blocking), 10s);
  core.drop_pool();
  core.turn(200ms);
  CHECK(core.outcomes.size() == 1);
  CHECK(core.turn_until([] { return children().empty(); }, 1s));
}

TEST_CASE("the same id twice is one probe") {
  BenchCore core;
  const auto id = core.start(blocking("sleep"), 2s);
  core.pool().start(ProbeId(id), answers(), 0, Loop::now() + 1s);
  CHECK(core.wait(id).result.text == "done: sleep");
  core.turn(100ms);
  CHECK(core.outcomes.at(id).times == 1);
}

// ---- crashes ----

TEST_CASE("an async crash costs its neighbours one probe, once: the culprit is set apart") {
  BenchCore core;
  core.run(async("answer", "good"), 2s);
  const auto slow = async("answer", "neighbour", "100000000");
  const auto crash = async("crash", "culprit", "10000000");
  const auto first = core.start(slow, 2s);
  CHECK(core.run(crash, 2s).result.text == "the module crashed (signal 11)");
  CHECK(core.wait(first).result.text == "its worker was lost: the module of check culprit crashed (signal 11)");
  CHECK(word(core.wait(first)) == "unknown/agent");
  for (int round = 0; round < 3; ++round) {
    const auto again = core.start(slow, 2s);
    CHECK(word(core.run(crash, 2s)) == "unknown/agent");
    CHECK(word(core.wait(again)) == "pass/none");
  }
  CHECK(core.has_note("worker_crashed"));
}

TEST_CASE("a worker that does not turn is killed, its other probes are unknown, and the culprit is set apart") {
  BenchCore core({.grace = 500ms});
  core.run(async("answer", "good"), 2s);
  const auto slow = async("answer", "neighbour", "100000000");
  const auto block = async("block", "culprit", "10000000");
  const auto first = core.start(slow, 5s);
  const auto blocked = core.start(block, 5s);
  CHECK(word(core.wait(first)) == "unknown/agent");
  CHECK(core.wait(first).result.text == "its worker was lost: check culprit held it up for 500ms");
  CHECK(core.wait(blocked).result.text == "the module held up its worker for 500ms");
  CHECK(core.wait(blocked).took < 3s);
  const auto again = core.start(slow, 5s);
  core.start(block, 5s);
  CHECK(word(core.wait(again)) == "pass/none");
  CHECK(core.pool().stats().killed >= 1);
}

TEST_CASE("a worker held up for less than its grace lives, and its probes know of it") {
  BenchCore core({.grace = 1s});
  core.run(async("answer", "good"), 2s);
  const auto slow = core.start(async("answer", "neighbour", "150000000"), 2s);
  core.start(async("block", "busy", "10000000", "250000000"), 2s);
  CHECK(word(core.wait(slow)) == "pass/none");
  CHECK(core.wait(slow).result.evidence.worker_lag >= 90ms);
  CHECK(core.pool().stats().killed == 0);
}

TEST_CASE("a module that crashes at load is left alone for longer and longer, and heals") {
  BenchCore core;
  const auto spec = make_spec("c", "crashes_at_load", Lane::blocking);
  CHECK(core.run(spec, 5s).result.text == "the module crashed (signal 11) while it was being loaded");
  const Outcome second = core.run(spec, 5s);
  CHECK(word(second) == "unknown/agent");
  CHECK(second.result.text.find(
            "the module crashed (signal 11) while it was being loaded (1 times); it is tried again in ") == 0);
  CHECK(core.pool().stats().started == 1);
  CHECK(word(core.run(answers(), 5s)) == "pass/none");
  core.turn_until([] { return false; }, 1100ms);
  CHECK(core.run(spec, 5s).result.text == "the module crashed (signal 11) while it was being loaded");
  CHECK(core.run(spec, 5s).result.text.find("(2 times); it is tried again in ") != std::string::npos);
}

TEST_CASE("a check whose options crash its module does not keep other checks of the module from running") {
  BenchCore core;
  CHECK(word(core.run(blocking("crash at create", "one"), 5s)) == "unknown/agent");
  CHECK(core.run(blocking("crash at create", "one"), 5s).result.text.find("it is tried again in") != std::string::npos);
  CHECK(word(core.run(blocking("sleep", "two"), 5s)) == "pass/none");
}

TEST_CASE("without a worker program each probe says so") {
  Loop loop;
  std::map<std::uint64_t, ProbeResult> results;
  Pool pool(loop, {.worker = "/no/such/worker"},
            {[&](ProbeId id, ProbeResult r) { results[id.value] = std::move(r); }, {}, {}, {}});
  pool.start(ProbeId(1), answers(), 0, Loop::now() + 1s);
  pool.start(ProbeId(2), async("answer"), 0, Loop::now() + 1s);
  loop.run_for(50ms);
  REQUIRE(results.size() == 2);
  CHECK(results[1].text.find("starting /no/such/worker: No such file or directory") != std::string::npos);
  CHECK(results[2].text.find("No such file or directory") != std::string::npos);
  CHECK(results[1].verdict == Verdict::unknown);
}

TEST_CASE("a worker program that cannot run is found out and not started for every probe") {
  Loop loop;
  std::map<std::uint64_t, ProbeResult> results;
  Pool pool(loop, {.worker = "/bin/false"},
            {[&](ProbeId id, ProbeResult r) {
               results[id.value] = std::move(r);
               loop.stop();
             },
             {},
             {},
             {}});
  for (std::uint64_t id = 1; id <= 5; ++id) {
    pool.start(ProbeId(id), answers(), 0, Loop::now() + 5s);
    loop.run_for(5s);
  }
  REQUIRE(results.size() == 5);
  for (const auto& [id, result] : results) {
    CHECK(result.text == "no worker: vitald-worker exited (code 1) before it was up");
  }
  CHECK(pool.stats().started == 1);
}

TEST_CASE("a worker that says nonsense is killed and counted") {
  Loop loop;
  std::map<std::uint64_t, ProbeResult> results;
  std::vector<Note> notes;
  // It writes a frame of an impossible length to its socket, and stays.
  const std::string script = "/tmp/vitald-liar-" + std::to_string(getpid());
  std::ofstream(script) << "#!/bin/sh\nprintf '\\377\\377\\377\\177' >&3\nexec sleep 100\n";
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  Pool pool(loop, {.worker = script, .grace = 200ms},
            {[&](ProbeId id, ProbeResult r) {
               results[id.value] = std::move(r);
               loop.stop();
             },
             [&](Note n) { notes.push_back(std::move(n)); },
             {},
             {}});
  pool.start(ProbeId(1), answers(), 0, Loop::now() + 5s);
  loop.run_for(5s);
  std::filesystem::remove(script);
  REQUIRE(results.size() == 1);
  CHECK(results[1].verdict == Verdict::unknown);
  CHECK(results[1].cause == Cause::agent);
  CHECK(pool.stats().bad_frames == 1);
}

TEST_CASE("what SIGKILL cannot end is counted, not waited for, and never run a second time beside itself") {
  const auto file = HangingFile::make();
  if (file == nullptr) {
    WARN("skipped: needs root and /dev/fuse");
    return;
  }
  adopt_orphans();
  BenchCore core({.max_blocking = 1});
  const auto spec =
      make_spec("disk", "misbehaves", Lane::blocking, {{"how", "open"}, {"time", "1"}, {"file", file->path()}});
  CHECK(word(core.run(answers(), 5s)) == "pass/none");
  CHECK(word(core.run(spec, 500ms)) == "fail/timeout");
  REQUIRE(file->is_open_asked());

  // The kernel does not let it go: for a second we hope, then we say so.
  const Outcome hoping = core.run(spec, 300ms);
  CHECK(hoping.result.text.find("has not ended yet") != std::string::npos);
  CHECK(word(hoping) == "unknown/agent");
  CHECK(core.turn_until([&] { return core.pool().stats().unkillable == 1; }, 5s));
  const Outcome outcome = core.run(spec, 5s);
  CHECK(word(outcome) == "unknown/agent");
  CHECK(outcome.result.text.find("unkillable: its last probe hangs in the kernel (pid ") == 0);
  CHECK(outcome.took < 1s);
  CHECK(core.has_note("worker_unkillable"));
  // Its place is not lost to others.
  CHECK(word(core.run(answers(), 5s)) == "pass/none");
  CHECK(file->opens_asked() == 1);  // none of these looks was a second one at the file

  SECTION("when the kernel lets go, the check runs again") {
    file->release();
    CHECK(core.turn_until([&] { return core.pool().stats().unkillable == 0; }, 5s));
    CHECK(word(core.run(spec, 5s)) == "pass/none");
  }
  SECTION("shutting down does not wait for it") {
    const Instant began = Loop::now();
    core.shut_down();
    CHECK(Loop::now() - began < 3s);
    CHECK(children().size() == 1);
    file->release();
    CHECK(core.turn_until([] { return children().empty(); }, 5s));
  }
}

TEST_CASE("what a killed worker left behind in the kernel is held against its check, and against no other") {
  const auto file = HangingFile::make();
  if (file == nullptr) {
    WARN("skipped: needs root and /dev/fuse");
    return;
  }
  BenchCore core({.max_blocking = 2, .proves_ends = true});
  const auto spec = make_spec("disk", "misbehaves", Lane::blocking,
                              {{"how", "leave one that opens"}, {"time", "1"}, {"file", file->path()}});
  CHECK(word(core.run(spec, 700ms)) == "fail/timeout");
  REQUIRE(file->is_open_asked());
  CHECK(core.turn_until([&] { return core.pool().stats().unkillable_processes == 1; }, 5s));
  CHECK(core.turn_until([&] { return core.has_note("process_unkillable"); }, 5s));
  const Outcome outcome = core.run(spec, 5s);
  CHECK(word(outcome) == "unknown/agent");
  CHECK(outcome.result.text.find("unkillable: a process its last probe left behind (pid ") == 0);
  CHECK(outcome.result.text.find("state D") != std::string::npos);
  CHECK(file->opens_asked() == 1);
  CHECK(word(core.run(answers(), 5s)) == "pass/none");
  file->release();
  CHECK(core.turn_until([&] { return core.pool().stats().unkillable_processes == 0; }, 5s));
  CHECK(word(core.run(blocking("sleep", "disk"), 5s)) == "pass/none");
  core.shut_down();
  CHECK(core.turn_until([] { return children().empty(); }, 2s));
}

TEST_CASE("a worker under the filter ends with the call it must not make, and its check says so") {
  BenchCore core({.max_blocking = 1, .seccomp = "enforce"});
  CHECK(word(core.run(answers(), 5s)) == "pass/none");
  const Outcome outcome = core.run(blocking("ptrace"), 5s);
  CHECK(word(outcome) == "unknown/agent");
  CHECK(outcome.result.text == "the module made a system call that workers.seccomp forbids (signal 31)");
  core.pool().set_limits(512, 0, "log");
  CHECK(core.turn_until([&] { return core.pool().stats().idle == 0; }, 2s));
  CHECK(word(core.run(blocking("ptrace"), 5s)) == "pass/none");
}

// Not part of an ordinary run: test-probe "[long]".
TEST_CASE("of a thousand hung probes, 990 have their verdict within 200 ms of the deadline", "[.][long]") {
  BenchCore core({.max_blocking = 4, .proves_ends = true});
  const char* const ways[] = {"spin", "stop", "ignore signals", "fork and setsid"};
  std::vector<Duration> late;
  for (int round = 0; round < 250; ++round) {
    std::vector<std::uint64_t> ids;
    for (const char* way : ways) ids.push_back(core.start(blocking(way, way), 150ms));
    for (const auto id : ids) late.push_back(core.wait(id).took - 150ms);
  }
  std::ranges::sort(late);
  WARN("p50 " << late[500] / 1us << " us, p99 " << late[990] / 1us << " us, worst " << late[999] / 1us << " us");
  CHECK(late[990] < 200ms);
  core.shut_down();
  CHECK(core.turn_until([] { return children().empty(); }, 2s));
}

// ---- growth ----

TEST_CASE("idle workers are let go") {
  adopt_orphans();
  BenchCore core({.idle_after = 500ms});
  core.run(answers(), 2s);
  core.run(async("answer"), 2s);
  CHECK(core.pool().stats().idle == 2);
  CHECK(core.turn_until([&] { return children().empty(); }, 2s));
  CHECK(core.pool().stats().idle == 0);
  CHECK(core.pool().stats().killed == 0);
  CHECK(word(core.run(answers(), 2s)) == "pass/none");
}

TEST_CASE("a smaller bound lets extra idle workers go") {
  BenchCore core({.max_blocking = 4});
  std::vector<std::uint64_t> ids;
  for (int n = 0; n < 4; ++n) ids.push_back(core.start(blocking("sleep", "b" + std::to_string(n)), 5s));
  for (const auto id : ids) core.wait(id);
  CHECK(core.pool().stats().idle == 4);
  core.pool().set_max_blocking(1);
  CHECK(core.turn_until([&] { return core.pool().stats().idle == 1; }, 2s));
}

TEST_CASE("a worker that already knows the check is preferred") {
  BenchCore core({.max_blocking = 2});
  const auto one = blocking("sleep", "one");
  const auto two = blocking("sleep", "two");
  const auto first = core.start(one, 2s);
  const auto second = core.start(two, 2s);
  core.wait(first);
  core.wait(second);
  // The instances live in different workers by now; a child process would tell them apart, the count of notes here:
  // no further Prepare is sent, which shows in the time it takes.
  for (int round = 0; round < 5; ++round) {
    CHECK(word(core.run(one, 2s)) == "pass/none");
    CHECK(word(core.run(two, 2s)) == "pass/none");
  }
  CHECK(core.pool().stats().started == 2);
}

TEST_CASE("shutting down asks first and forces then, and says when all are gone") {
  adopt_orphans();
  BenchCore core;
  core.run(answers(), 2s);
  core.run(async("answer"), 2s);
  core.start(blocking("hang with a child"), 60s);
  core.turn(100ms);
  CHECK(children().size() == 2);
  const Instant began = Loop::now();
  core.shut_down();
  CHECK(Loop::now() - began < 2s);
  CHECK(core.turn_until([] { return children().empty(); }, 2s));  // what was killed may still be dying
  CHECK(word(core.run(answers(), 2s)) == "unknown/agent");
}

TEST_CASE("a thousand rounds of everything leave no process and no descriptor behind") {
  adopt_orphans();
  const std::size_t before = descriptors();
  {
    BenchCore core({.max_blocking = 4, .grace = 100ms});
    const char* const blocking_ways[] = {"crash", "throw", "spin", "leave a child", "hang with a child",
                                         "exit",  "close", "sleep"};
    const char* const async_ways[] = {"answer", "never",  "throw",        "answer",
                                      "crash",  "answer", "other thread", "answer"};
    std::set<std::uint64_t> waiting;
    int started = 0;
    while (started < 1000 || !waiting.empty()) {
      while (started < 1000 && waiting.size() < 8) {
        const int n = started++;
        const std::string check = "c" + std::to_string(n % 40);
        waiting.insert(n % 2 == 0 ? core.start(blocking(blocking_ways[n / 2 % 8], check), 60ms)
                                  : core.start(async(async_ways[n / 2 % 8], check), 60ms));
      }
      core.turn(1s);
      std::erase_if(waiting, [&](std::uint64_t id) { return core.outcomes.contains(id); });
    }
    for (const auto& [id, outcome] : core.outcomes) {
      CHECK(outcome.took < 1s);  // 60 ms and what a busy machine adds
      CHECK(outcome.times + (outcome.is_from_core ? 1 : 0) == 1);
    }
    CHECK(word(core.run(answers(), 2s)) == "pass/none");
    core.shut_down();
    CHECK(core.turn_until([] { return children().empty(); }, 1s));
  }
  CHECK(descriptors() == before);
}
