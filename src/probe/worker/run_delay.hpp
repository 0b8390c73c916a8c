// RunDelay: how long the kernel kept this thread waiting for a processor although it could run (schedstat). The lag of
// a worker that has no loop to be late: a timeout during which we did not get to run proves nothing. One thread.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdint>

#include "base/time.hpp"
#include "base/unique_fd.hpp"

namespace vital::worker {

class RunDelay {
 public:
  RunDelay() : file_(open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)) {}

  // Since the thread began; zero on a kernel that does not tell.
  Duration total() const {
    // "time-on-cpu run-delay timeslices", the first two in nanoseconds.
    std::array<char, 96> text{};
    const ssize_t n = pread(file_.get(), text.data(), text.size(), 0);
    if (n <= 0) return {};
    const char* const end = text.data() + n;
    const char* at = text.data();
    while (at < end && *at != ' ') ++at;
    std::int64_t delay = 0;
    if (at < end) std::from_chars(at + 1, end, delay);
    return Duration(delay);
  }

 private:
  UniqueFd file_;
};

}  // namespace vital::worker
