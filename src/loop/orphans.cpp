// Finding and ending orphans; see orphans.hpp.
#include "loop/orphans.hpp"

#include <dirent.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdio>
#include <memory>

#include "loop/own_children.hpp"

namespace vital::orphans {
namespace {

constexpr std::size_t most = 4096;

// An orphan may be given to any of our threads.
std::vector<pid_t> children() {
  std::vector<pid_t> out;
  const std::unique_ptr<DIR, int (*)(DIR*)> tasks(opendir("/proc/self/task"), &closedir);
  while (const dirent* task = tasks ? readdir(tasks.get()) : nullptr) {
    if (task->d_name[0] == '.') continue;
    const std::string path = fmt::format("/proc/self/task/{}/children", task->d_name);
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
    int pid = 0;
    while (file && out.size() < most && std::fscanf(file.get(), "%d", &pid) == 1) out.push_back(pid);
  }
  return out;
}

}  // namespace

bool adopt() { return prctl(PR_SET_CHILD_SUBREAPER, 1) == 0; }

std::vector<Orphan> sweep() {
  std::vector<Orphan> left;
  OwnChildren& own = own_children();
  const std::lock_guard lock(own.m);
  for (const pid_t pid : children()) {
    if (own.pids.contains(pid)) continue;
    kill(-pid, SIGKILL);  // its group, if it leads one
    const bool is_refused = kill(pid, SIGKILL) != 0 && errno == EPERM;
    if (waitpid(pid, nullptr, WNOHANG) == 0) left.push_back({pid, is_refused});
  }
  return left;
}

std::string why_alive(const Orphan& orphan) {
  if (orphan.is_refused) return "is another user's (EPERM)";
  const std::string path = fmt::format("/proc/{}/stat", orphan.pid);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  char state = '?';
  if (!file || std::fscanf(file.get(), "%*d (%*[^)]) %c", &state) != 1) state = '?';
  return state == 'D' ? "waits in the kernel (state D)" : fmt::format("has not ended yet (state {})", state);
}

}  // namespace vital::orphans
