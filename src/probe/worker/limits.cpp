// Setting a worker's limits; see limits.hpp.
#include "probe/worker/limits.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "base/unique_fd.hpp"
#include "probe/worker/sanitized.hpp"
#include "probe/worker/seccomp.hpp"

namespace vital::worker {
namespace {

// Lowers the soft limit or raises it as far as the hard one allows.
void limit(__rlimit_resource_t what, rlim_t wanted) {
  rlimit now{};
  if (getrlimit(what, &now) != 0) return;
  now.rlim_cur = std::min(wanted, now.rlim_max);
  setrlimit(what, &now);
}

// Not SIG_IGN: that would be inherited by the programs a check runs.
void do_nothing(int) {}

}  // namespace

bool apply(const Limits& limits) {
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // What a module's children leave behind is seen here first, and not only once this worker is dead.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  if (getppid() != limits.parent) return false;  // it died before we asked to die with it
  prctl(PR_SET_NAME, limits.is_async ? "vitald-async" : "vitald-blocking");

  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  limit(RLIMIT_NOFILE, limits.is_async ? 65536 : 1024);
#ifndef VITALD_SANITIZED  // its shadow memory counts as data
  if (limits.memory_mib > 0) limit(RLIMIT_DATA, static_cast<rlim_t>(limits.memory_mib) * 1024 * 1024);
#endif
  if (limits.processes > 0) limit(RLIMIT_NPROC, limits.processes);
  umask(077);

  // A service manager that stops the agent tells every process of the unit; ours end when the agent says so, so that
  // it can show "drain" from checks that still run.
  struct sigaction action {};
  action.sa_handler = do_nothing;
  action.sa_flags = SA_RESTART;
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2}) sigaction(number, &action, nullptr);

  // If memory runs out, a worker goes before the agent.
  const UniqueFd score(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  constexpr std::string_view text = "500";
  if (score) [[maybe_unused]]
    const ssize_t n = write(score.get(), text.data(), text.size());
  return filter_system_calls(limits.seccomp);
}

}  // namespace vital::worker
