// What commands cost: exec against a bare posix_spawn of the same program, a blocking probe through the pool against a
// process for each probe, and a request to a plugin that stays. Beside them the least that two processes on this
// machine need to ask and answer. Each group is measured in turns, in one run: what counts are the ratios. Run by hand:
// build with -Dbenches=true, tests/probe/bench-commands.
#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <iostream>

#include "child_process.hpp"
#include "probe/bench_core.hpp"

using namespace vital;
using namespace vital::test;

namespace {

const char* const program = "/bin/true";
constexpr unsigned rounds = 300;

// A plugin that stays, as fast as one can be: what is left is what the way to it costs.
int answer_requests() {
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line);) {
    const auto at = line.find("\"id\":");
    std::cout << "{\"id\":" << std::strtoull(line.c_str() + at + 5, nullptr, 10) << ",\"verdict\":\"pass\"}"
              << std::endl;
  }
  return 0;
}

void bare_spawn() {
  char* argv[] = {const_cast<char*>(program), nullptr};
  char* environment[] = {const_cast<char*>("PATH=/usr/bin:/bin"), nullptr};
  int out[2];
  if (pipe2(out, O_CLOEXEC) != 0) return;
  posix_spawn_file_actions_t actions{};
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  posix_spawn_file_actions_adddup2(&actions, out[1], 2);
  pid_t pid = 0;
  posix_spawn(&pid, program, &actions, nullptr, argv, environment);
  posix_spawn_file_actions_destroy(&actions);
  close(out[1]);
  char buffer[4096];
  while (read(out[0], buffer, sizeof buffer) > 0) {
  }
  close(out[0]);
  int status = 0;
  waitpid(pid, &status, 0);
}

// A process that sends back whatever comes: what it takes to ask another process and wait for it.
class Echo {
 public:
  Echo() {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_) != 0) std::exit(1);
    child_ = fork();
    if (child_ != 0) {
      close(ends_[1]);
      return;
    }
    close(ends_[0]);
    char buffer[256];
    for (ssize_t n = 0; (n = read(ends_[1], buffer, sizeof buffer)) > 0;) {
      if (write(ends_[1], buffer, static_cast<std::size_t>(n)) != n) break;
    }
    _exit(0);
  }
  Echo(const Echo&) = delete;
  Echo& operator=(const Echo&) = delete;
  ~Echo() {
    close(ends_[0]);
    waitpid(child_, nullptr, 0);
  }
  void ask() const {
    char buffer[256]{};
    if (write(ends_[0], buffer, 100) != 100 || read(ends_[0], buffer, sizeof buffer) != 100) std::exit(1);
  }

 private:
  int ends_[2]{};
  pid_t child_ = 0;
};

void our_spawn() {
  check::Command command;
  command.argv = {program};
  command.environment = check::clean_environment();
  check::run_command(command, check::monotonic_now() + 5s, 1s);
}

// Median microseconds of each, taken in turns so that both meet the same machine.
std::vector<double> in_turns(const std::vector<std::function<void()>>& what) {
  std::vector<std::vector<double>> took(what.size());
  for (unsigned round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < what.size(); ++i) {
      const Instant began = Loop::now();
      what[i]();
      took[i].push_back(seconds(Loop::now() - began) * 1e6);
    }
  }
  std::vector<double> out;
  for (auto& times : took) {
    std::ranges::nth_element(times, times.begin() + static_cast<long>(times.size() / 2));
    out.push_back(times[times.size() / 2]);
  }
  return out;
}

std::shared_ptr<const CheckSpec> builtin(const std::string& type, Lane lane,
                                         std::vector<std::pair<std::string, std::vector<std::string>>> values) {
  auto spec = std::make_shared<CheckSpec>();
  spec->check = type;
  spec->module.type = type;
  spec->module.path = std::string(BUILT_CHECKS) + "/" + type + ".so";
  spec->module.lane = lane;
  spec->module.is_builtin = true;
  spec->values = std::move(values);
  return spec;
}

}  // namespace

int main(int count, char** words) {
  if (count > 1 && std::string_view(words[1]) == "--plugin") return answer_requests();
  setvbuf(stdout, nullptr, _IOLBF, 0);
  // First, while there are no workers: run_command ends every child of its process.
  const auto spawned = in_turns({bare_spawn, our_spawn});
  std::printf("bare posix_spawn of %s: %.0f us; run_command: %.0f us; ratio %.2f\n", program, spawned[0], spawned[1],
              spawned[1] / spawned[0]);
  const auto self = std::filesystem::read_symlink("/proc/self/exe").string();
  BenchCore core({.max_blocking = 1});
  const auto probe = [&](const std::shared_ptr<const CheckSpec>& spec) {
    return [&core, spec] {
      if (const ProbeResult r = core.run(spec, 5s).result; r.verdict != Verdict::pass) refuse(r);
    };
  };
  const auto exec =
      builtin("exec", Lane::blocking, {{"command", {program}}, {"directory", {"/"}}, {"max_output", {"4096"}}});
  const auto lines = builtin("exec_lines", Lane::async, {{"command", {self, "--plugin"}}, {"directory", {"/"}}});
  for (const auto& spec : {exec, lines}) probe(spec)();

  const auto spawning = in_turns({bare_spawn, probe(answers()), probe(exec)});
  std::printf("a process for each probe:     %7.1f us\n", spawning[0]);
  std::printf("a blocking probe in the pool: %7.1f us, %.1f times as fast\n", spawning[1], spawning[0] / spawning[1]);
  std::printf("exec in the pool:             %7.1f us, %.2f of bare posix_spawn\n", spawning[2],
              spawning[2] / spawning[0]);
  const Echo echo;
  const auto asking = in_turns({[&] { echo.ask(); }, probe(async("answer", "a", "0")), probe(answers()), probe(lines)});
  std::printf("ask another process:          %7.1f us\n", asking[0]);
  std::printf("an async probe:               %7.1f us, %.1f us more\n", asking[1], asking[1] - asking[0]);
  std::printf("a blocking probe:             %7.1f us, %.1f us more\n", asking[2], asking[2] - asking[0]);
  std::printf("a plugin that stays:          %7.1f us, %.1f us more than an async probe\n", asking[3],
              asking[3] - asking[1]);
  core.shut_down();
  return 0;
}
