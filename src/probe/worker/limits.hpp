// What a worker may not do, set before it loads any foreign code: no new privileges, no core files (they would hold
// secrets), bounded memory and descriptors, dead as soon as its agent is dead. [control]
#pragma once

#include <sys/types.h>

namespace vital::worker {

struct Limits {
  pid_t parent = 0;         // the agent
  unsigned memory_mib = 0;  // of data; 0 = no limit
  bool is_async = false;    // many probes, many descriptors
};

// False if the agent is gone already.
bool apply(const Limits& limits);

}  // namespace vital::worker
