// Running a command and proving that it is gone; see child_process.hpp.
#include "child_process.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>

namespace vital::check {
namespace {

using namespace std::chrono_literals;

constexpr unsigned kill_rounds = 64;  // each round kills every child there is; a fork bomb may need some

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  ~Fd() { reset(); }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }
  void reset(int fd = -1) {
    if (fd_ >= 0) close(fd_);
    fd_ = fd;
  }

 private:
  int fd_;
};

struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
};

// What the child reports if it cannot become the command: which step, and errno.
struct Trouble {
  char step[32];
  int code;
};

[[noreturn]] void give_up(int report, const char* step) {
  Trouble trouble{};
  std::strncpy(trouble.step, step, sizeof trouble.step - 1);
  trouble.code = errno;
  if (write(report, &trouble, sizeof trouble) < 0) _exit(126);
  _exit(126);
}

// In the child, between fork and exec: only async-signal-safe calls.
[[noreturn]] void become(const Command& command, char* const* argv, char* const* environment, const char* const* paths,
                         const Identity* identity, int in, int out, int report) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0) give_up(report, "standard streams");
  if (report != 3 && dup3(report, 3, O_CLOEXEC) < 0) give_up(report, "descriptors");
  fcntl(3, F_SETFD, FD_CLOEXEC);
  syscall(SYS_close_range, 4U, ~0U, 0U);
  if (command.memory_bound > 0) {
    const rlimit limit{command.memory_bound, command.memory_bound};
    if (setrlimit(RLIMIT_AS, &limit) != 0) give_up(3, "memory limit");
  }
  if (identity != nullptr) {
    if (setgroups(identity->groups.size(), identity->groups.data()) != 0) give_up(3, "groups");
    if (setresgid(identity->gid, identity->gid, identity->gid) != 0) give_up(3, "group");
    if (setresuid(identity->uid, identity->uid, identity->uid) != 0) give_up(3, "user");
  }
  if (chdir(command.directory.empty() ? "/" : command.directory.c_str()) != 0) give_up(3, "directory");
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int number = 1; number < 32; ++number) signal(number, SIG_DFL);
  int code = ENOENT;
  for (; *paths != nullptr; ++paths) {
    execve(*paths, argv, environment);
    if (errno != ENOENT && errno != ENOTDIR) code = errno;
  }
  errno = code;
  give_up(3, "command");
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& t : texts) out.push_back(t.data());
  out.push_back(nullptr);
  return out;
}

std::vector<std::string> candidates(const Command& command) {
  const std::string& name = command.argv[0];
  if (name.find('/') != std::string::npos) return {name};
  std::string path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  for (const auto& [key, value] : command.environment) {
    if (key == "PATH") path = value;
  }
  std::vector<std::string> out;
  for (size_t from = 0; from <= path.size();) {
    const size_t end = std::min(path.find(':', from), path.size());
    if (end > from) out.push_back(path.substr(from, end - from) + "/" + name);
    from = end + 1;
  }
  return out;
}

// The pids whose parent we are. Read from the kernel, so that children of dead children are there too.
std::vector<pid_t> children() {
  std::vector<pid_t> out;
  const std::string path = "/proc/self/task/" + std::to_string(syscall(SYS_gettid)) + "/children";
  if (FILE* file = std::fopen(path.c_str(), "re")) {
    int pid = 0;
    while (out.size() < 4096 && std::fscanf(file, "%d", &pid) == 1) out.push_back(pid);
    std::fclose(file);
  }
  return out;
}

// Kills and reaps until no child is left; returns how many were killed, and how many could not be.
void sweep(Ended& ended, Duration until) {
  for (unsigned round = 0; round < kill_rounds || monotonic_now() < until; ++round) {
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    const std::vector<pid_t> left = children();
    ended.unkillable = static_cast<unsigned>(left.size());
    if (left.empty()) return;
    if (round == 0) ended.leftovers = static_cast<unsigned>(left.size());
    for (const pid_t pid : left) {
      kill(-pid, SIGKILL);  // its group, if it leads one: faster against those that fork while we look
      kill(pid, SIGKILL);
    }
    if (monotonic_now() >= until) return;
    poll(nullptr, 0, round < 3 ? 1 : 5);
  }
}

// Reads what there is; false at the end of the stream.
bool drain(int fd, Ended& ended, size_t bound) {
  char buffer[4096];
  while (true) {
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n == 0) return false;
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    const size_t room = bound - std::min(bound, ended.output.size());
    ended.output.append(buffer, std::min(static_cast<size_t>(n), room));
    if (static_cast<size_t>(n) > room) ended.is_cut = true;
  }
}

int poll_timeout(Duration left) { return static_cast<int>(std::clamp<long long>(left / 1ms + 1, 0, 60000)); }

}  // namespace

Ended run_command(const Command& command, Duration stop_at, Duration reap_patience) {
  Ended ended;
  const Duration started = monotonic_now();
  prctl(PR_SET_CHILD_SUBREAPER, 1);

  Identity identity;
  if (!command.user.empty()) {
    const passwd* user = getpwnam(command.user.c_str());
    if (user == nullptr) {
      ended.failure = "there is no user " + command.user;
      return ended;
    }
    identity.uid = user->pw_uid;
    identity.gid = user->pw_gid;
    int count = 64;
    identity.groups.resize(64);
    if (getgrouplist(command.user.c_str(), user->pw_gid, identity.groups.data(), &count) < 0) count = 64;
    identity.groups.resize(static_cast<size_t>(count));
  }

  int in[2];
  int out[2];
  int report[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(report, O_CLOEXEC) != 0) {
    ended.failure = std::string("no pipe: ") + std::strerror(errno);
    return ended;
  }
  Fd in_read(in[0]), in_write(in[1]), out_read(out[0]), out_write(out[1]), report_read(report[0]),
      report_write(report[1]);
  if (!command.input.empty() &&
      write(in_write.get(), command.input.data(), std::min<size_t>(command.input.size(), 65536)) < 0) {
    ended.failure = std::string("writing its input: ") + std::strerror(errno);
    return ended;
  }
  in_write.reset();

  std::vector<std::string> argv = command.argv;
  std::vector<std::string> environment;
  for (const auto& [name, value] : command.environment) environment.push_back(name + "=" + value);
  std::vector<std::string> paths = candidates(command);
  const auto argv_pointers = pointers(argv);
  const auto environment_pointers = pointers(environment);
  const auto path_pointers = pointers(paths);

  const pid_t pid = fork();
  if (pid < 0) {
    ended.failure = std::string("fork: ") + std::strerror(errno);
    return ended;
  }
  if (pid == 0) {
    become(command, argv_pointers.data(), environment_pointers.data(), path_pointers.data(),
           command.user.empty() ? nullptr : &identity, in_read.get(), out_write.get(), report_write.get());
  }
  setpgid(pid, pid);
  out_write.reset();
  report_write.reset();

  Trouble trouble{};
  if (read(report_read.get(), &trouble, sizeof trouble) == sizeof trouble) {
    waitpid(pid, nullptr, 0);
    ended.failure = std::string(trouble.step) + ": " + std::strerror(trouble.code);
    return ended;
  }
  ended.is_started = true;

  // The end of the command itself is what counts, not the end of its output: a daemon it started may keep that open.
  const Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  fcntl(out_read.get(), F_SETFL, O_NONBLOCK);
  int status = 0;
  bool is_open = true;
  while (waitpid(pid, &status, WNOHANG) != pid) {
    const Duration left = stop_at - monotonic_now();
    if (left <= Duration::zero()) {
      ended.is_timed_out = true;
      break;
    }
    pollfd watched[2] = {{pidfd.get(), POLLIN, 0}, {is_open ? out_read.get() : -1, POLLIN, 0}};
    poll(watched, 2, poll_timeout(left));
    if (is_open) is_open = drain(out_read.get(), ended, command.output_bound);
  }
  if (is_open) drain(out_read.get(), ended, command.output_bound);
  if (ended.is_timed_out) {
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
  } else if (WIFEXITED(status)) {
    ended.exit_code = WEXITSTATUS(status);
  } else if (WIFSIGNALED(status)) {
    ended.signal = WTERMSIG(status);
  }
  ended.took = monotonic_now() - started;
  sweep(ended, monotonic_now() + reap_patience);
  return ended;
}

}  // namespace vital::check
