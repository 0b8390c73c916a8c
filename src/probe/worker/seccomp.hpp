// What no check needs, and no worker may do where the operator says so: a filter of system calls, once set never taken
// off, inherited by every program a check starts. [control]
#pragma once

#include <string_view>

namespace vital::worker {

// "log": the kernel's audit log says who did it; "enforce": the process ends with SIGSYS. "off" and anything else: no
// filter. False if the kernel refused; the worker must not run then.
bool filter_system_calls(std::string_view mode);

}  // namespace vital::worker
