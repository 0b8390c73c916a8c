// A command run to its end, within a deadline, from a blocking worker; see command.hpp for how it starts. Its output is
// capped. When it is over, by itself or because time is up, every process it left behind is killed and reaped before
// the answer leaves, or counted as unkillable; see leftovers.hpp. [worker]
#pragma once

#include <string>
#include <vitald/check.hpp>

#include "command.hpp"
#include "leftovers.hpp"

namespace vital::check {

struct Ended {
  bool is_started = false;
  std::string failure;  // why it could not be started
  bool is_timed_out = false;
  int exit_code = -1;  // if it ended by itself
  int signal = 0;      // if a signal ended it
  std::string output;  // standard output and error as they came, cut at the bound
  bool is_cut = false;
  Leftovers leftovers;
  Duration took{};
};

// `stop_at` on CLOCK_MONOTONIC. Returns at most `reap_patience` after it.
Ended run_command(const Command& command, Duration stop_at, Duration reap_patience);

// "ended by signal 11 (Segmentation fault)"; of SIGSYS also that the seccomp filter did it.
std::string describe_signal(int signal);

}  // namespace vital::check
