// Orphans: processes that lost their parent below us. Once adopt() was called they become our children instead of
// init's, also those that called setsid(), so that what a killed worker leaves behind can be found, killed and proven
// gone. Whatever is our child and was not started through Child is an orphan. [any]; sweep() does not wait.
//
//   orphans::adopt();
//   for (const orphans::Orphan& o : orphans::sweep()) ...   // still there: ask again in a moment
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace vital::orphans {

struct Orphan {
  pid_t pid = 0;
  bool is_refused = false;  // the kernel does not let us kill it (EPERM): another user's
};

// False if the kernel cannot do it.
bool adopt();

// Kills every orphan and reaps those that are dead; returns those that are not, at most 4,096.
std::vector<Orphan> sweep();

// "waits in the kernel (state D)", "is another user's (EPERM)", "runs on (state R)": why it is still there.
std::string why_alive(const Orphan& orphan);

}  // namespace vital::orphans
