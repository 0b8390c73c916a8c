// A command: what to run, as whom, with which limits; and the start of it. Argument vector, never a shell; clean
// environment; its own process group; nothing inherited but the descriptors named here; dead when we die. Used by exec,
// ocf and exec_lines. [worker]
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "descriptor.hpp"

namespace vital::check {

struct Command {
  std::vector<std::string> argv;  // argv[0] is a path, or a name looked up in PATH of `environment`
  std::vector<std::pair<std::string, std::string>> environment;
  std::string directory;  // empty = /
  std::string user;       // empty = ours; else we must be root
  std::string input;      // written to its standard input, at most 64 KiB
  std::string secret;     // readable once from descriptor `secret_fd`, at most 64 KiB; empty = none
  int secret_fd = 3;      // 3..9
  size_t output_bound = 4096;
  // Limits of the command and what it starts; 0 = ours.
  unsigned long long memory_bound = 0;  // RLIMIT_AS, bytes
  unsigned files_bound = 0;             // RLIMIT_NOFILE
  unsigned processes_bound = 0;         // RLIMIT_NPROC: all processes of its user; of no effect on root
  unsigned long long file_bound = 0;    // RLIMIT_FSIZE, bytes
};

// The environment every command gets before its own: PATH, LANG, HOME.
std::vector<std::pair<std::string, std::string>> clean_environment();

struct Streams {
  int in = -1;
  int out = -1;
  int error = -1;
};

// Starts it with these as its standard streams; returns its pid, not yet reaped, or -1 with why in `failure`. It is
// running the program when this returns: a program that is not there is a failure here, not an exit code later.
pid_t spawn(const Command& command, const Streams& streams, std::string& failure);

}  // namespace vital::check
