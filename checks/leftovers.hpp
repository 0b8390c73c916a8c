// Leftovers: what a command leaves behind when it is over, also what called setsid(). This process is the subreaper of
// all it starts, so they become our children when their parents die, and can be killed, reaped and counted. [worker]
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>
#include <vitald/check.hpp>

namespace vital::check {

struct Leftovers {
  unsigned killed = 0;   // processes that were still there
  unsigned waiting = 0;  // of those, still there after SIGKILL, in the kernel (state D)
  unsigned refused = 0;  // still there since we may not kill them (EPERM)
  pid_t example = 0;     // one of those that are still there
  unsigned unkillable() const { return waiting + refused; }
  // "unkillable: process 4711 waits in the kernel (state D)"; empty if nothing is left.
  std::string complaint() const;
};

// Once a process: from now on the orphans among our descendants are ours.
void become_subreaper();

// Kills and reaps every child of ours until none is left, or none has ended for `patience`; hundreds take their time on
// a busy machine. As long as some end it goes on until `at_most_until` (CLOCK_MONOTONIC), but `patience` at least.
Leftovers clear_leftovers(Duration patience, Duration at_most_until);

// As above, but only what is not in `kept`, and without waiting: for who keeps children on purpose. A process that a
// kept child has orphaned is among them.
Leftovers clear_strangers(const std::vector<pid_t>& kept);

}  // namespace vital::check
