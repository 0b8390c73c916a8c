// What a worker may not do, set before it loads any foreign code: no new privileges, no core files (they would hold
// secrets), bounded memory, descriptors and
// processes, dead as soon as its agent is dead. [control]
#pragma once

#include <sys/types.h>

#include <string>

namespace vital::worker {

struct Limits {
  pid_t parent = 0;         // the agent
  unsigned memory_mib = 0;  // of data; 0 = no limit
  bool is_async = false;    // many probes, many descriptors
  unsigned processes = 0;   // of its user; 0 = no limit
  std::string seccomp;      // see seccomp.hpp
};

// False if the agent is gone already, or a filter that was asked for cannot be had.
bool apply(const Limits& limits);

}  // namespace vital::worker
