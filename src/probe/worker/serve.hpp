// The worker as the agent starts it: `vitald-worker --serve ROLE --parent PID --memory-mib N`, with its socket and its
// mark as descriptors. It does what the socket says until that closes. One thread.
#pragma once

#include <string>
#include <vector>

namespace vital::worker {

// Exit code 0 after a Stop, 2 if it was started wrongly.
int serve(const std::vector<std::string>& arguments);

}  // namespace vital::worker
