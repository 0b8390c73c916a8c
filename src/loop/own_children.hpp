// The pids of the processes started through Child and not reaped yet: what an orphan is not. Starting, reaping and
// looking for orphans exclude each other, or one would be taken for the other. Private to loop/. [any]
#pragma once

#include <sys/types.h>

#include <mutex>
#include <set>

namespace vital {

struct OwnChildren {
  std::mutex m;
  std::set<pid_t> pids;  // guarded by m
};
inline OwnChildren& own_children() {
  static OwnChildren all;
  return all;
}

}  // namespace vital
