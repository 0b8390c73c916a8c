#include "loop/child.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "base/unique_fd.hpp"

using namespace vital;
using namespace std::chrono_literals;

TEST_CASE("a child's exit code arrives once") {
  Loop loop;
  int calls = 0;
  int status = 0;
  const auto child = Child::start(loop, {{"/bin/sh", "-c", "exit 7"}, {}, {}}, [&](int s) {
    ++calls;
    status = s;
    loop.stop();
  });
  loop.run_for(5s);
  CHECK(calls == 1);
  CHECK(WEXITSTATUS(status) == 7);
  CHECK_FALSE(child->is_running());
}

TEST_CASE("a child gets the environment and the descriptors it was given and nothing else") {
  Loop loop;
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  const UniqueFd in(ends[0]);
  UniqueFd out(ends[1]);
  const UniqueFd extra(open("/dev/zero", O_RDONLY));  // inheritable on purpose
  const auto child = Child::start(
      loop,
      {{"/bin/sh", "-c", "env | grep -v '^PWD\\|^_\\|^SHLVL'; for f in /proc/$$/fd/*; do readlink $f; done"},
       {"ONLY=this"},
       {{out.get(), 1}}},
      [&](int) { loop.stop(); });
  out.reset();
  loop.run_for(5s);
  char buffer[4096];
  const ssize_t n = read(in.get(), buffer, sizeof buffer);
  REQUIRE(n > 0);
  const std::string text(buffer, static_cast<std::size_t>(n));
  CHECK(text.find("ONLY=this\n") == 0);
  CHECK(text.find("pipe:") != std::string::npos);
  CHECK(text.find("/dev/null") != std::string::npos);
  CHECK(text.find("/dev/zero") == std::string::npos);
}

TEST_CASE("killing the group ends the child's own children too") {
  Loop loop;
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  const UniqueFd in(ends[0]);
  UniqueFd out(ends[1]);
  bool ended = false;
  const auto child = Child::start(loop, {{"/bin/sh", "-c", "sleep 100 & echo started; wait"}, {}, {{out.get(), 1}}},
                                  [&](int) { ended = true; });
  out.reset();
  char buffer[64];
  REQUIRE(read(in.get(), buffer, sizeof buffer) > 0);
  CHECK(child->kill_group(SIGKILL));
  // The pipe closes only when the grandchild is gone as well.
  CHECK(read(in.get(), buffer, sizeof buffer) == 0);
  loop.run_for(1s);
  CHECK(ended);
}

TEST_CASE("what a child leaves in its group ends with it") {
  Loop loop;
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  const UniqueFd in(ends[0]);
  UniqueFd out(ends[1]);
  const auto child =
      Child::start(loop, {{"/bin/sh", "-c", "trap '' TERM HUP; sleep 100 & exit 0"}, {}, {{out.get(), 1}}},
                   [&](int) { loop.stop(); });
  out.reset();
  loop.run_for(5s);
  char byte = 0;
  // The pipe closes only when the orphan is gone.
  CHECK(read(in.get(), &byte, 1) == 0);
}

TEST_CASE("a program that does not exist is an error at once") {
  Loop loop;
  CHECK_THROWS_AS(Child::start(loop, {{"/nonexistent/program"}, {}, {}}, [](int) {}), std::system_error);
}
