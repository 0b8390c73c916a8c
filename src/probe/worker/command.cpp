// Becoming a program; see command.hpp.
#include "probe/worker/command.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <string_view>

#include "base/text.hpp"

namespace vital::worker {
namespace {

constexpr std::string_view usual_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr std::size_t stack_size = 64 * 1024;
constexpr std::size_t max_children = 4096;
// Programs that close every descriptor they might have take their time with the worker's own 65,536.
constexpr rlim_t descriptors = 1024;

// What the child needs, made before it is. It writes `trouble` into our memory.
struct Plan {
  char* const* argv;
  char* const* environment;
  char* const* paths;
  const char* directory;
  std::array<int, 3> streams;
  pid_t parent;
  StartTrouble trouble;
};

// Runs in our memory while we wait: system calls only, nothing that could change what is ours.
#if defined(__GNUC__) || defined(__clang__)
__attribute__((no_sanitize("address", "thread", "undefined")))
#endif
int become(void* raw) {
  Plan& plan = *static_cast<Plan*>(raw);
  const auto give_up = [&plan](const char* step) {
    plan.trouble = {step, errno};
    _exit(127);
  };
  if (setpgid(0, 0) != 0) give_up("its process group");
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != plan.parent) give_up("its tie to us");
  for (int n = 0; n < 3; ++n) {
    if (dup2(plan.streams[static_cast<std::size_t>(n)], n) < 0) give_up("its streams");
  }
  if (syscall(SYS_close_range, 3U, ~0U, 0U) != 0) give_up("its descriptors");
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > descriptors) {
    limit.rlim_cur = descriptors;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  if (chdir(plan.directory) != 0) give_up("its directory");
  struct sigaction usual {};
  usual.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) sigaction(number, &usual, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  int code = ENOENT;
  for (char* const* path = plan.paths; *path != nullptr; ++path) {
    execve(*path, plan.argv, plan.environment);
    if (errno != ENOENT && errno != ENOTDIR) code = errno;
  }
  errno = code;
  give_up("the program");
  return 127;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (const std::string& t : texts) out.push_back(const_cast<char*>(t.c_str()));
  out.push_back(nullptr);
  return out;
}

std::vector<std::string> candidates(const CommandLine& command) {
  const std::string& name = command.argv[0];
  if (name.find('/') != std::string::npos) return {name};
  std::string_view path = usual_path;
  for (const std::string_view pair : command.environment) {
    if (pair.starts_with("PATH=")) path = pair.substr(5);
  }
  std::vector<std::string> out;
  for (const std::string_view folder : split(path, ':')) {
    if (!folder.empty()) out.push_back(std::string(folder) + "/" + name);
  }
  return out;
}

struct Pipe {
  UniqueFd ours;
  UniqueFd theirs;
};

bool open_pipe(Pipe& pipe, bool is_input) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return false;
  pipe.ours.reset(ends[is_input ? 1 : 0]);
  pipe.theirs.reset(ends[is_input ? 0 : 1]);
  return fcntl(pipe.ours.get(), F_SETFL, O_NONBLOCK) == 0;
}

}  // namespace

StartTrouble start_command(const CommandLine& command, Running& running) {
  Pipe in;
  Pipe out;
  Pipe err;
  if (!open_pipe(in, true) || !open_pipe(out, false) || !open_pipe(err, false)) return {"a pipe", errno};

  const std::vector<std::string> paths = candidates(command);
  const auto argv = pointers(command.argv);
  const auto environment = pointers(command.environment);
  const auto path_pointers = pointers(paths);
  Plan plan{argv.data(),
            environment.data(),
            path_pointers.data(),
            command.directory.c_str(),
            {in.theirs.get(), out.theirs.get(), err.theirs.get()},
            getpid(),
            {}};
  alignas(16) static std::array<char, stack_size> stack;  // the one thread of a worker waits while it is used

  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);  // no handler of ours may run in the child
  const pid_t pid = clone(become, stack.data() + stack.size(), CLONE_VM | CLONE_VFORK | SIGCHLD, &plan);
  const int code = errno;
  sigprocmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return {"a process", code};
  if (plan.trouble.step != nullptr) {
    waitpid(pid, nullptr, 0);
    return plan.trouble;
  }
  running.pid = pid;
  running.pidfd.reset(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!running.pidfd) {
    const StartTrouble trouble{"watching it", errno};
    kill(-pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return trouble;
  }
  running.in = std::move(in.ours);
  running.out = std::move(out.ours);
  running.err = std::move(err.ours);
  return {};
}

std::vector<pid_t> own_children() {
  std::vector<pid_t> out;
  const std::string path = "/proc/self/task/" + std::to_string(gettid()) + "/children";
  if (std::FILE* file = std::fopen(path.c_str(), "re")) {
    int pid = 0;
    while (out.size() < max_children && std::fscanf(file, "%d", &pid) == 1) out.push_back(pid);
    std::fclose(file);
  }
  return out;
}

}  // namespace vital::worker
