// Command: a program started with exactly what is named here: argument vector, environment, three pipes, a process
// group of its own, dead as soon as this worker is. No fork: the child borrows our memory until it has become the
// program, so that starting one costs the same however large a worker has grown. [loop]
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/unique_fd.hpp"

namespace vital::worker {

struct CommandLine {
  std::vector<std::string> argv;         // argv[0] is a path, or a name looked up in PATH of `environment`
  std::vector<std::string> environment;  // "NAME=value"
  std::string directory = "/";
};

// Our ends of its pipes do not block.
struct Running {
  pid_t pid = -1;
  UniqueFd pidfd;
  UniqueFd in;
  UniqueFd out;
  UniqueFd err;
};

struct StartTrouble {
  const char* step = nullptr;  // null: it runs
  int code = 0;                // errno
};

StartTrouble start_command(const CommandLine& command, Running& running);

// The pids whose parent we are; those that lost theirs too, once we are a subreaper.
std::vector<pid_t> own_children();

}  // namespace vital::worker
