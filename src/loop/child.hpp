// Child: a process of ours, in its own process group, with exactly the argument vector, environment and descriptors
// given. Its end is seen through a pidfd on the loop. Whatever it leaves in its group when it ends is killed, and
// destroying a Child that still runs kills the whole group; the pid is reaped on the loop whenever it dies, so nothing
// is left behind. [loop]
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "loop/loop.hpp"

namespace vital {

struct ChildOptions {
  std::vector<std::string> argv;                 // argv[0] is the path of the program
  std::vector<std::string> environment;          // "NAME=value"; nothing else is inherited
  std::vector<std::pair<int, int>> descriptors;  // ours -> number in the child; 0, 1, 2 not given become /dev/null
};

class Child {
 public:
  // `ended` gets the wait status once, on the loop. Throws std::system_error if it cannot be started.
  static std::unique_ptr<Child> start(Loop& loop, const ChildOptions& options, std::function<void(int status)> ended);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const;
  bool is_running() const;
  // To the whole group, then to the process itself; false if the kernel refused (EPERM).
  bool kill_group(int signal);

  struct State;

 private:
  explicit Child(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace vital
