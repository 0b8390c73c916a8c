// The command line for authors of modules: `vitald-worker --probe FILE.so --timeout 2s key=value ...` runs a module in
// the foreground, without an agent, and prints what it found; `--describe FILE.so` prints its options. One thread.
#pragma once

#include <string>
#include <vector>

namespace vital::worker {

// Exit codes are those of Nagios plugins: 0 pass, 1 warn, 2 fail, 3 unknown or a mistake in the command.
int drive(const std::vector<std::string>& arguments);

}  // namespace vital::worker
