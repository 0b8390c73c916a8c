// RunDelay: how long the kernel kept a thread waiting for a processor although it could run (schedstat). The lag of a
// worker that has no loop to be late, and what tells a starved worker from a stuck one: a timeout during which we did
// not get to run proves nothing. One thread.
#pragma once

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <string>

#include "base/time.hpp"
#include "base/unique_fd.hpp"

namespace vital {

class RunDelay {
 public:
  // Of the calling thread, or of the main thread of a process.
  RunDelay() : file_(open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)) {}
  explicit RunDelay(pid_t pid)
      : file_(open(("/proc/" + std::to_string(pid) + "/schedstat").c_str(), O_RDONLY | O_CLOEXEC)) {}

  // Since it began; zero on a kernel that does not tell, or when it is gone.
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

}  // namespace vital
