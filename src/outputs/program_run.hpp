// ProgramRun: one program run to its end, with what it is to read and what it writes in memory, so that no pipe can
// fill and nothing has to be pumped. Destroying it, or kill(), ends the program and everything in its group. [loop]
//
//   ProgramRun run(loop, {{"/usr/sbin/attrd_updater", "-Q"}, {"LC_ALL=C"}, ""}, [](Ran ran) { ... });
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "loop/child.hpp"

namespace vital {

struct Program {
  std::vector<std::string> argv;
  std::vector<std::string> environment;
  std::string input;  // on its standard input; where secrets go
};

struct Ran {
  bool is_good = false;  // it ended by itself, with 0
  int code = -1;         // its exit code, or -1
  std::string output;    // standard output and error, in the order written, at most 1 MiB
  std::string trouble;   // one line if it was not good: "attrd_updater ended with 102: Connection refused"
};

class ProgramRun {
 public:
  // `ended` comes once, on the loop; it may destroy the run. Throws std::system_error if it cannot be started.
  ProgramRun(Loop& loop, Program program, std::function<void(Ran)> ended);
  ProgramRun(const ProgramRun&) = delete;
  ProgramRun& operator=(const ProgramRun&) = delete;

  void kill();  // `ended` still comes, when it is dead

 private:
  std::string name_;
  UniqueFd output_;
  std::unique_ptr<Child> child_;
};

}  // namespace vital
