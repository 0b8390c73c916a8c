#include "loop/loop.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "base/unique_fd.hpp"

using namespace vital;
using namespace std::chrono_literals;

namespace {

struct Pipe {
  Pipe() {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    out.reset(ends[0]);
    in.reset(ends[1]);
  }
  void put(const std::string& text) const {
    REQUIRE(write(in.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  UniqueFd out, in;
};

}  // namespace

TEST_CASE("a timer armed twice fires once, at the later time") {
  Loop loop;
  int fired = 0;
  Timer timer(loop, [&] { ++fired; });
  timer.arm_in(0ms);
  timer.arm_in(5ms);
  loop.run_for(50ms);
  CHECK(fired == 1);
}

TEST_CASE("a disarmed or destroyed timer does not fire") {
  Loop loop;
  int fired = 0;
  Timer timer(loop, [&] { ++fired; });
  timer.arm_in(0ms);
  timer.disarm();
  {
    Timer gone(loop, [&] { ++fired; });
    gone.arm_in(0ms);
  }
  loop.run_for(10ms);
  CHECK(fired == 0);
}

TEST_CASE("a timer may destroy itself from its own callback") {
  Loop loop;
  std::unique_ptr<Timer> timer;
  timer = std::make_unique<Timer>(loop, [&] { timer.reset(); });
  timer->arm_in(0ms);
  loop.run_for(10ms);
  CHECK(timer == nullptr);
}

TEST_CASE("a watch is called again while there is something left to read") {
  Loop loop;
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const UniqueFd in(ends[0]);
  const UniqueFd out(ends[1]);
  std::string seen;
  FdWatch watch(loop, in.get(), [&] {
    char c = 0;
    if (read(in.get(), &c, 1) == 1) seen += c;
    if (seen.size() == 3) loop.stop();
  });
  REQUIRE(write(out.get(), "abc", 3) == 3);
  loop.run_for(1s);
  CHECK(seen == "abc");
}

TEST_CASE("a watch that is told not to read stays silent until told again") {
  Loop loop;
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const UniqueFd in(ends[0]);
  const UniqueFd out(ends[1]);
  int calls = 0;
  FdWatch watch(loop, in.get(), [&] {
    ++calls;
    watch.want_read(false);
  });
  REQUIRE(write(out.get(), "abc", 3) == 3);
  loop.run_for(20ms);
  CHECK(calls == 1);
  watch.want_read(true);
  loop.run_for(20ms);
  CHECK(calls == 2);
}

TEST_CASE("what is ready is told before what is due") {
  Loop loop;
  Pipe pipe;
  std::string order;
  FdWatch watch(loop, pipe.out.get(), [&] {
    order += "r";
    watch.want_read(false);
  });
  Timer timer(loop, [&] { order += "t"; });
  timer.arm_at(Loop::now() - 1s);
  pipe.put("x");
  loop.run_for(10ms);
  CHECK(order == "rt");
}

TEST_CASE("timers fire in the order of their times, also when some are moved or taken away") {
  Loop loop;
  std::vector<int> seen;
  std::vector<std::unique_ptr<Timer>> timers;
  const Instant start = Loop::now();
  for (int i = 0; i < 200; ++i) {
    timers.push_back(std::make_unique<Timer>(loop, [&seen, i] { seen.push_back(i); }));
    timers.back()->arm_at(start + std::chrono::microseconds((i * 7919) % 200 * 10));
  }
  for (int i = 0; i < 200; i += 3) timers[static_cast<std::size_t>(i)]->disarm();
  for (int i = 1; i < 200; i += 3) {
    timers[static_cast<std::size_t>(i)]->arm_at(start + std::chrono::microseconds((i * 104729) % 200 * 10));
  }
  loop.run_for(50ms);
  const auto when = [](int i) { return (i % 3 == 1 ? i * 104729 : i * 7919) % 200; };
  CHECK(seen.size() == 133);
  CHECK(std::is_sorted(seen.begin(), seen.end(), [&](int a, int b) { return when(a) < when(b); }));
}

TEST_CASE("a timer that arms itself for now holds up nothing else") {
  Loop loop;
  int turns = 0;
  Timer greedy(loop, [&] {
    ++turns;
    greedy.arm_in(0ms);
  });
  greedy.arm_in(0ms);
  Pipe pipe;
  FdWatch watch(loop, pipe.out.get(), [&] { loop.stop(); });
  pipe.put("x");
  const Instant began = Loop::now();
  loop.run_for(5s);
  CHECK(Loop::now() - began < 1s);
  CHECK(turns < 3);
}

TEST_CASE("a watch that another one destroyed in the same turn is not called") {
  Loop loop;
  Pipe one, two;
  int calls = 0;
  std::unique_ptr<FdWatch> first, second;
  const auto called = [&] {
    ++calls;
    first.reset();
    second.reset();
  };
  first = std::make_unique<FdWatch>(loop, one.out.get(), called);
  second = std::make_unique<FdWatch>(loop, two.out.get(), called);
  one.put("x");
  two.put("x");
  loop.run_for(20ms);
  CHECK(calls == 1);
}

TEST_CASE("the end of the other side is readable, and what was asked for alone is told") {
  Loop loop;
  Pipe pipe;
  int calls = 0;
  FdWatch simple(loop, pipe.out.get(), [&] {
    ++calls;
    simple.want_read(false);
  });
  pipe.in.reset();
  loop.run_for(10ms);
  CHECK(calls == 1);  // and a watch that wants nothing is not told for ever
  Pipe other;
  bool is_told = false;
  FdWatch precise(loop, other.out.get(), {.read = true}, [&](FdWatch::Ready ready) {
    is_told = ready.readable && !ready.writable;
    loop.stop();
  });
  other.in.reset();
  loop.run_for(1s);
  CHECK(is_told);
}

TEST_CASE("of the changes of interest in one turn the last one counts") {
  Loop loop;
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  const UniqueFd mine(ends[0]), theirs(ends[1]);
  std::string seen;
  FdWatch watch(
      loop, mine.get(),
      [&] {
        seen += "r";
        watch.want_read(false);
      },
      [&] {
        seen += "w";
        watch.want_write(false);
      });
  watch.want_read(false);
  loop.run_for(1ms);
  REQUIRE(write(theirs.get(), "x", 1) == 1);
  watch.want_write(true);
  watch.want_read(true);
  watch.want_write(false);
  loop.run_for(10ms);
  CHECK(seen == "r");
  watch.want_write(true);
  loop.run_for(10ms);
  CHECK(seen == "rw");
}

TEST_CASE("a plain file cannot be watched") {
  Loop loop;
  const UniqueFd file(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  CHECK_THROWS_AS(FdWatch(loop, file.get(), [] {}), std::system_error);
}

TEST_CASE("work posted by another thread is run at once") {
  Loop loop;
  constexpr unsigned many = 1000;
  unsigned done = 0;
  std::thread other([&] {
    for (unsigned i = 0; i < many; ++i) {
      loop.post([&] {
        if (++done == many) loop.stop();
      });
    }
  });
  const Instant began = Loop::now();
  loop.run_for(20s);
  other.join();
  CHECK(done == many);
  CHECK(Loop::now() - began < 10s);
}

TEST_CASE("what posts itself again and again leaves room for descriptors") {
  Loop loop;
  Pipe pipe;
  std::function<void()> again = [&] { loop.post(again); };
  loop.post(again);
  FdWatch watch(loop, pipe.out.get(), [&] { loop.stop(); });
  pipe.put("x");
  const Instant began = Loop::now();
  loop.run_for(20s);
  CHECK(Loop::now() - began < 10s);
}

TEST_CASE("what a callback throws leaves the loop, and what waits behind it is not lost") {
  Loop loop;
  int done = 0;
  loop.post([] { throw std::runtime_error("rain"); });
  loop.post([&] { ++done; });
  CHECK_THROWS_AS(loop.run_for(10ms), std::runtime_error);
  loop.run_for(10ms);
  CHECK(done == 1);
}

TEST_CASE("what hangs on a loop may be destroyed after it") {
  auto loop = std::make_unique<Loop>();
  Pipe pipe;
  Timer timer(*loop, [] {});
  timer.arm_in(1h);
  const FdWatch watch(*loop, pipe.out.get(), [] {});
  loop.reset();
}

TEST_CASE("a signal is told to all who asked for it, and a new handler may come after the last one") {
  Loop loop;
  std::vector<int> first, second;
  auto one =
      std::make_unique<Signals>(loop, std::initializer_list<int>{SIGUSR1, SIGUSR2}, [&](int n) { first.push_back(n); });
  auto two = std::make_unique<Signals>(loop, std::initializer_list<int>{SIGUSR1}, [&](int n) { second.push_back(n); });
  raise(SIGUSR1);
  raise(SIGUSR2);
  loop.run_for(10ms);
  CHECK(first == std::vector{SIGUSR1, SIGUSR2});
  CHECK(second == std::vector{SIGUSR1});
  two.reset();
  raise(SIGUSR1);
  loop.run_for(10ms);
  CHECK(first.size() == 3);
  CHECK(second.size() == 1);
  one.reset();
  Loop other;
  int third = 0;
  Signals three(other, {SIGUSR1}, [&](int) { ++third; });
  raise(SIGUSR1);
  other.run_for(10ms);
  CHECK(third == 1);
  CHECK(first.size() == 3);
}

TEST_CASE("a signal handler may end itself") {
  Loop loop;
  std::unique_ptr<Signals> signals;
  signals = std::make_unique<Signals>(loop, std::initializer_list<int>{SIGUSR1}, [&](int) { signals.reset(); });
  raise(SIGUSR1);
  loop.run_for(10ms);
  CHECK(signals == nullptr);
}
