// Killing what a command left behind; see leftovers.hpp.
#include "leftovers.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace vital::check {
namespace {

constexpr unsigned kill_rounds = 64;  // each round kills every child there is; a fork bomb may need some
constexpr size_t most_children = 4096;

// The pids whose parent we are. Read from the kernel, so that children of dead children are there too.
std::vector<pid_t> children() {
  std::vector<pid_t> out;
  const std::string path = "/proc/self/task/" + std::to_string(syscall(SYS_gettid)) + "/children";
  if (FILE* file = std::fopen(path.c_str(), "re")) {
    int pid = 0;
    while (out.size() < most_children && std::fscanf(file, "%d", &pid) == 1) out.push_back(pid);
    std::fclose(file);
  }
  return out;
}

// Whether we may kill it; a process that is gone is as good.
bool kill_all_of(pid_t pid) {
  kill(-pid, SIGKILL);  // its group, if it leads one: faster against those that fork while we look
  return kill(pid, SIGKILL) == 0 || errno != EPERM;
}

}  // namespace

std::string Leftovers::complaint() const {
  if (unkillable() == 0) return {};
  const std::string who = unkillable() == 1
                              ? "process " + std::to_string(example)
                              : std::to_string(unkillable()) + " processes (one is " + std::to_string(example) + ")";
  const std::string why = refused == 0   ? "in the kernel (state D)"
                          : waiting == 0 ? "since the kernel does not let us kill it (EPERM)"
                                         : "in the kernel (state D), or since we may not kill them (EPERM)";
  return "unkillable: " + who + " stayed " + why;
}

void become_subreaper() { prctl(PR_SET_CHILD_SUBREAPER, 1); }

Leftovers clear_leftovers(Duration patience, Duration at_most_until) {
  Leftovers out;
  const Duration end = std::max(at_most_until, monotonic_now() + patience);
  Duration until = monotonic_now() + patience;
  size_t fewest = most_children + 1;
  for (unsigned round = 0; round < kill_rounds || monotonic_now() < until; ++round) {
    pid_t ended = 0;
    do {
      ended = waitpid(-1, nullptr, WNOHANG);
    } while (ended > 0);
    out.waiting = out.refused = 0;
    if (ended < 0 && errno == ECHILD) return out;
    const std::vector<pid_t> left = children();
    if (left.empty()) return out;
    if (round == 0) out.killed = static_cast<unsigned>(left.size());
    if (left.size() < fewest) {
      fewest = left.size();
      until = std::min(end, monotonic_now() + patience);
    }
    for (const pid_t pid : left) {
      out.example = pid;
      ++(kill_all_of(pid) ? out.waiting : out.refused);
    }
    if (monotonic_now() >= until) return out;
    poll(nullptr, 0, round < 3 ? 1 : 5);
  }
  return out;
}

Leftovers clear_strangers(const std::vector<pid_t>& kept) {
  Leftovers out;
  for (const pid_t pid : children()) {
    if (std::find(kept.begin(), kept.end(), pid) != kept.end()) continue;
    ++out.killed;
    const bool is_killed = kill_all_of(pid);
    if (waitpid(pid, nullptr, WNOHANG) == pid) continue;
    out.example = pid;
    ++(is_killed ? out.waiting : out.refused);
  }
  return out;
}

}  // namespace vital::check
