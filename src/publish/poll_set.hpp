// PollSet: thousands of descriptors under one watch of the loop, without an object for each: a descriptor is added
// once, and the kernel forgets it when it is closed. Events carry an id, not a pointer: one that comes late (a child
// between fork and exec still holds the descriptor) finds nobody. Loop thread.
#pragma once

#include <cstdint>
#include <functional>

#include "base/unique_fd.hpp"
#include "loop/loop.hpp"

namespace vital {

struct Readiness {
  bool can_read = false;
  bool can_write = false;
  bool is_gone = false;  // error or hang-up: told even to those who want nothing
};

class PollSet {
 public:
  PollSet(Loop& loop, std::function<void(std::uint64_t id, Readiness)> ready);
  ~PollSet();
  PollSet(const PollSet&) = delete;
  PollSet& operator=(const PollSet&) = delete;

  void add(int fd, std::uint64_t id, bool wants_read, bool wants_write);
  void change(int fd, std::uint64_t id, bool wants_read, bool wants_write);

 private:
  void poll();
  void control(int operation, int fd, std::uint64_t id, bool wants_read, bool wants_write);

  UniqueFd epoll_;
  std::function<void(std::uint64_t, Readiness)> ready_;
  FdWatch watch_;
};

}  // namespace vital
