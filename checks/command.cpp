// Starting a command; see command.hpp.
#include "command.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace vital::check {
namespace {

constexpr const char* standard_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr size_t pipe_bound = 65536;  // what a pipe holds without a reader
// Where descriptors wait until 0 to 9 are free to be filled.
constexpr int parking = 20;

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

// Everything the child needs, made before it exists: it shares our memory and may only make system calls.
struct Plan {
  char* const* argv;
  char* const* environment;
  char* const* paths;
  const Identity* identity;
  const char* directory;
  Streams streams;
  int secret = -1;
  int secret_fd = 3;
  int report = -1;
  rlimit memory{}, files{}, processes{}, file{};
};

[[noreturn]] void give_up(int report, const char* step) {
  Trouble trouble{};
  std::strncpy(trouble.step, step, sizeof trouble.step - 1);
  trouble.code = errno;
  if (write(report, &trouble, sizeof trouble) < 0) _exit(126);
  _exit(126);
}

void limit(int report, __rlimit_resource_t what, const rlimit& bound, const char* name) {
  if (bound.rlim_max > 0 && setrlimit(what, &bound) != 0) give_up(report, name);
}

// In the child, between vfork and exec: system calls alone, since the memory is our parent's. The identity is changed
// by raw calls: the C library's would speak to threads that are not here.
[[noreturn]] void become(const Plan& plan) {
  setpgid(0, 0);
  const int report = fcntl(plan.report, F_DUPFD_CLOEXEC, parking);
  const int in = fcntl(plan.streams.in, F_DUPFD_CLOEXEC, parking);
  const int out = fcntl(plan.streams.out, F_DUPFD_CLOEXEC, parking);
  const int error = fcntl(plan.streams.error, F_DUPFD_CLOEXEC, parking);
  const int secret = plan.secret < 0 ? -1 : fcntl(plan.secret, F_DUPFD_CLOEXEC, parking);
  if (report < 0 || in < 0 || out < 0 || error < 0) give_up(plan.report, "descriptors");
  if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(error, 2) < 0) give_up(report, "standard streams");
  syscall(SYS_close_range, 3U, static_cast<unsigned>(parking - 1), 0U);
  if (secret >= 0 && dup2(secret, plan.secret_fd) < 0) give_up(report, "secret_fd");
  constexpr unsigned close_at_exec = 1U << 2U;  // CLOSE_RANGE_CLOEXEC
  syscall(SYS_close_range, static_cast<unsigned>(parking), ~0U, close_at_exec);
  limit(report, RLIMIT_NOFILE, plan.files, "files limit");
  limit(report, RLIMIT_NPROC, plan.processes, "processes limit");
  limit(report, RLIMIT_FSIZE, plan.file, "file size limit");
  limit(report, RLIMIT_AS, plan.memory, "memory limit");
  if (const Identity* who = plan.identity) {
    if (syscall(SYS_setgroups, who->groups.size(), who->groups.data()) != 0) give_up(report, "groups");
    if (syscall(SYS_setresgid, who->gid, who->gid, who->gid) != 0) give_up(report, "group");
    if (syscall(SYS_setresuid, who->uid, who->uid, who->uid) != 0) give_up(report, "user");
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // after the user, which would undo it
  if (chdir(plan.directory) != 0) give_up(report, "directory");
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  int code = ENOENT;
  for (char* const* path = plan.paths; *path != nullptr; ++path) {
    execve(*path, plan.argv, plan.environment);
    if (errno != ENOENT && errno != ENOTDIR) code = errno;
  }
  errno = code;
  give_up(report, "command");
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
  std::string path = standard_path;
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

// The first of them that would run may be written by everybody: then anybody decides what runs as us.
bool is_anybodys(const std::vector<std::string>& paths) {
  const auto found =
      std::find_if(paths.begin(), paths.end(), [](const auto& p) { return access(p.c_str(), X_OK) == 0; });
  struct stat there {};
  return found != paths.end() && found->front() == '/' && stat(found->c_str(), &there) == 0 && S_ISREG(there.st_mode) &&
         (there.st_mode & S_IWOTH) != 0;
}

bool find_identity(const std::string& name, Identity& out) {
  const passwd* user = getpwnam(name.c_str());
  if (user == nullptr) return false;
  out.uid = user->pw_uid;
  out.gid = user->pw_gid;
  int count = 64;
  out.groups.resize(64);
  if (getgrouplist(name.c_str(), user->pw_gid, out.groups.data(), &count) < 0) count = 64;
  out.groups.resize(static_cast<size_t>(count));
  return true;
}

// A pipe with the text in it and no writer: it can be read once, by who holds it, and is nowhere else.
bool fill_pipe(const std::string& text, Fd& read_end) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  read_end.reset(ends[0]);
  const Fd write_end(ends[1]);
  return write(write_end.get(), text.data(), std::min(text.size(), pipe_bound)) >= 0;
}

// vfork: the parent stands still until the child has become the program, and no page table is copied. What the child
// does in between is become(), and nothing else.
pid_t split(const Plan& plan) {
  // Signal handlers of ours must not run in the child, on our memory.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  const pid_t pid = vfork();
  if (pid == 0) {
    for (int number = 1; number < 32; ++number) signal(number, SIG_DFL);
    become(plan);
  }
  const int code = errno;
  sigprocmask(SIG_SETMASK, &before, nullptr);
  errno = code;
  return pid;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> clean_environment() {
  return {{"PATH", standard_path}, {"LANG", "C.UTF-8"}, {"HOME", "/"}};
}

pid_t spawn(const Command& command, const Streams& streams, std::string& failure) {
  const auto fail = [&](const char* what) {
    failure = std::string(what) + ": " + std::strerror(errno);
    return -1;
  };
  Identity identity;
  if (!command.user.empty() && !find_identity(command.user, identity)) {
    failure = "there is no user " + command.user;
    return -1;
  }
  Fd secret;
  if (!command.secret.empty() && !fill_pipe(command.secret, secret)) return fail("handing over its secret");
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) return fail("no pipe");
  const Fd report_read(report[0]);
  Fd report_write(report[1]);

  std::vector<std::string> argv = command.argv;
  std::vector<std::string> environment;
  for (const auto& [name, value] : command.environment) environment.push_back(name + "=" + value);
  std::vector<std::string> paths = candidates(command);
  if (is_anybodys(paths)) {
    failure = "it can be written by everybody; chmod o-w it";
    return -1;
  }
  const auto argv_pointers = pointers(argv);
  const auto environment_pointers = pointers(environment);
  const auto path_pointers = pointers(paths);
  const auto both = [](unsigned long long n) { return rlimit{n, n}; };
  Plan plan{argv_pointers.data(),
            environment_pointers.data(),
            path_pointers.data(),
            command.user.empty() ? nullptr : &identity,
            command.directory.empty() ? "/" : command.directory.c_str(),
            streams,
            secret.get(),
            command.secret_fd,
            report_write.get(),
            both(command.memory_bound),
            both(command.files_bound),
            both(command.processes_bound),
            both(command.file_bound)};
  const pid_t pid = split(plan);
  if (pid < 0) return fail("fork");
  report_write.reset();
  Trouble trouble{};
  if (read(report_read.get(), &trouble, sizeof trouble) == sizeof trouble) {
    waitpid(pid, nullptr, 0);
    failure = std::string(trouble.step) + ": " + std::strerror(trouble.code);
    return -1;
  }
  return pid;
}

}  // namespace vital::check
