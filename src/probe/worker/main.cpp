// vitald-worker: the small program in which all check code runs, so that none runs in the agent. The agent starts it
// with a socketpair; a module's author may start it by hand to try a module (driver.hpp).
#include <fmt/format.h>

#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include "probe/worker/driver.hpp"
#include "probe/worker/sanitized.hpp"
#include "probe/worker/serve.hpp"

#ifdef VITALD_SANITIZED
// The agent must see a module's signal, and gives a worker no environment in which this could be set.
extern "C" const char* __asan_default_options() { return "handle_segv=0:handle_abort=0:handle_sigbus=0"; }
extern "C" const char* __tsan_default_options() { return "handle_segv=0:handle_abort=0:handle_sigbus=0"; }
#endif

int main(int count, char** words) {
  try {
    const std::vector<std::string> arguments(words + 1, words + count);
    if (count == 2 && std::strcmp(words[1], "--version") == 0) {
      fmt::print("vitald-worker {}\n", VITALD_VERSION);
      return 0;
    }
    if (count > 1 && std::strcmp(words[1], "--serve") == 0) return vital::worker::serve(arguments);
    return vital::worker::drive(arguments);
  } catch (const std::exception& e) {
    fmt::print(stderr, "vitald-worker: {}\n", e.what());
    return 3;
  }
}
