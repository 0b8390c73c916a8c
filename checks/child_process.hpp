// A command run to its end, within a deadline, from a blocking worker: argument vector, clean environment, own process
// group, nothing inherited but /dev/null and our pipe, output capped. When it is over, by itself or because time is up,
// every process it left behind is killed and reaped, also those that called setsid(): this process is their subreaper,
// so they become our children when their parents die, and we do not return before none is left or the bound is reached.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>
#include <vitald/check.hpp>

namespace vital::check {

struct Command {
  std::vector<std::string> argv;  // argv[0] is a path, or a name looked up in PATH of `environment`
  std::vector<std::pair<std::string, std::string>> environment;
  std::string directory;  // empty = /
  std::string user;       // empty = ours; else we must be root
  std::string input;      // written to its standard input, at most 64 KiB
  size_t output_bound = 4096;
  unsigned long long memory_bound = 0;  // RLIMIT_AS in bytes; 0 = ours
};

struct Ended {
  bool is_started = false;
  std::string failure;  // why it could not be started
  bool is_timed_out = false;
  int exit_code = -1;  // if it ended by itself
  int signal = 0;      // if a signal ended it
  std::string output;  // standard output and error as they came, cut at the bound
  bool is_cut = false;
  unsigned leftovers = 0;   // processes it left behind, killed
  unsigned unkillable = 0;  // still there after SIGKILL: in D state, or another user's
  Duration took{};
};

// `stop_at` on CLOCK_MONOTONIC. Returns at most `reap_patience` after it.
Ended run_command(const Command& command, Duration stop_at, Duration reap_patience);

}  // namespace vital::check
