// Running a command to its end and proving that it is gone; see child_process.hpp.
#include "child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace vital::check {
namespace {

using namespace std::chrono_literals;

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

// The child's standard input: a pipe that holds its input and has no writer.
bool make_input(const std::string& input, Fd& read_end) {
  if (input.empty()) {
    read_end.reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
    return static_cast<bool>(read_end);
  }
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  read_end.reset(ends[0]);
  const Fd write_end(ends[1]);
  return write(write_end.get(), input.data(), std::min<size_t>(input.size(), 65536)) >= 0;
}

// The end of the command itself is what counts, not the end of its output: a daemon it started may keep that open.
void wait_for(pid_t pid, int out, const Command& command, Duration stop_at, Ended& ended) {
  const Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  fcntl(out, F_SETFL, O_NONBLOCK);
  int status = 0;
  bool is_open = true;
  while (waitpid(pid, &status, WNOHANG) != pid) {
    const Duration left = stop_at - monotonic_now();
    if (left <= Duration::zero()) {
      ended.is_timed_out = true;
      break;
    }
    pollfd watched[2] = {{pidfd.get(), POLLIN, 0}, {is_open ? out : -1, POLLIN, 0}};
    poll(watched, 2, poll_timeout(left));
    if (is_open) is_open = drain(out, ended, command.output_bound);
  }
  if (is_open) drain(out, ended, command.output_bound);
  if (ended.is_timed_out) {
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
  } else if (WIFEXITED(status)) {
    ended.exit_code = WEXITSTATUS(status);
  } else if (WIFSIGNALED(status)) {
    ended.signal = WTERMSIG(status);
  }
}

}  // namespace

Ended run_command(const Command& command, Duration stop_at, Duration reap_patience) {
  Ended ended;
  const Duration started = monotonic_now();
  become_subreaper();
  Fd in;
  int out[2];
  if (!make_input(command.input, in) || pipe2(out, O_CLOEXEC) != 0) {
    ended.failure = std::string("no pipe: ") + strerror(errno);
    return ended;
  }
  const Fd out_read(out[0]);
  Fd out_write(out[1]);
  const pid_t pid = spawn(command, {in.get(), out_write.get(), out_write.get()}, ended.failure);
  if (pid < 0) return ended;
  ended.is_started = true;
  out_write.reset();
  wait_for(pid, out_read.get(), command, stop_at, ended);
  ended.took = monotonic_now() - started;
  // Where there is time, who was killed gets some to be run once more, which is what dying takes.
  const Duration to_die = std::min<Duration>(std::chrono::seconds(1), stop_at - monotonic_now());
  ended.leftovers = clear_leftovers(std::max(reap_patience, to_die), stop_at + reap_patience);
  return ended;
}

std::string describe_signal(int signal) {
  std::string out = "ended by signal " + std::to_string(signal) + " (" + strsignal(signal) + ")";
  if (signal == SIGSYS) out += ": it made a system call that workers.seccomp forbids";
  return out;
}

}  // namespace vital::check
