// Starting and reaping children; see child.hpp.
#include "loop/child.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>

#include "base/unique_fd.hpp"
#include "loop/own_children.hpp"

namespace vital {

// Lives on after its Child for as long as the process does: the watch's callback holds it.
struct Child::State {
  pid_t pid = -1;
  UniqueFd pidfd;
  std::function<void(int)> ended;
  std::optional<FdWatch> watch;
  bool is_running = true;

  void reap() {
    siginfo_t seen{};
    if (waitid(P_PID, static_cast<id_t>(pid), &seen, WEXITED | WNOHANG | WNOWAIT) != 0 || seen.si_pid != pid) return;
    // What it left in its group goes with it; now, while the dead leader still keeps the number from being reused.
    kill(-pid, SIGKILL);
    int status = 0;
    {
      // Forgotten in the moment the number becomes free.
      const std::lock_guard lock(own_children().m);
      if (waitpid(pid, &status, WNOHANG) != pid) return;
      own_children().pids.erase(pid);
    }
    is_running = false;
    const auto tell = std::move(ended);
    watch.reset();  // may drop the last reference to us: nothing of `this` after the next line
    if (tell) tell(status);
  }
};

namespace {

// Everything posix_spawn wants, freed together.
struct Spawn {
  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};
  Spawn() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  ~Spawn() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  Spawn(const Spawn&) = delete;
  Spawn& operator=(const Spawn&) = delete;
};

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (const std::string& t : texts) out.push_back(const_cast<char*>(t.c_str()));
  out.push_back(nullptr);
  return out;
}

}  // namespace

Child::Child(std::shared_ptr<State> state) : state_(std::move(state)) {}

std::unique_ptr<Child> Child::start(Loop& loop, const ChildOptions& options, std::function<void(int)> ended) {
  Spawn spawn;
  int highest = 2;
  for (const auto& [ours, theirs] : options.descriptors) highest = std::max({highest, theirs, ours});
  // Two steps, so that no descriptor is overwritten before it is copied: first all out of the way, then into place.
  int parked = highest + 1;
  std::vector<std::pair<int, int>> moves;
  for (const auto& [ours, theirs] : options.descriptors) {
    posix_spawn_file_actions_adddup2(&spawn.actions, ours, parked);
    moves.emplace_back(parked++, theirs);
  }
  int last = 2;
  for (int n = 0; n <= 2; ++n) posix_spawn_file_actions_addopen(&spawn.actions, n, "/dev/null", O_RDWR, 0);
  for (const auto& [from, to] : moves) {
    posix_spawn_file_actions_adddup2(&spawn.actions, from, to);
    last = std::max(last, to);
  }
  posix_spawn_file_actions_addclosefrom_np(&spawn.actions, last + 1);

  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&spawn.attributes, &none);
  posix_spawnattr_setsigdefault(&spawn.attributes, &all);
  posix_spawnattr_setpgroup(&spawn.attributes, 0);
  posix_spawnattr_setflags(&spawn.attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  auto state = std::make_shared<State>();
  const auto argv = pointers(options.argv);
  const auto environment = pointers(options.environment);
  int error = 0;
  {
    const std::lock_guard lock(own_children().m);
    error = posix_spawn(&state->pid, argv[0], &spawn.actions, &spawn.attributes, argv.data(), environment.data());
    if (error == 0) own_children().pids.insert(state->pid);
  }
  if (error != 0) throw std::system_error(error, std::generic_category(), "starting " + options.argv[0]);
  // Not yet reaped, so the pid is still ours.
  state->pidfd.reset(static_cast<int>(syscall(SYS_pidfd_open, state->pid, 0)));
  if (!state->pidfd) {
    const int code = errno;
    kill(-state->pid, SIGKILL);
    const std::lock_guard lock(own_children().m);
    waitpid(state->pid, nullptr, 0);
    own_children().pids.erase(state->pid);
    throw std::system_error(code, std::generic_category(), "watching " + options.argv[0]);
  }
  state->ended = std::move(ended);
  state->watch.emplace(loop, state->pidfd.get(), [state] { state->reap(); });
  return std::unique_ptr<Child>(new Child(std::move(state)));
}

Child::~Child() {
  if (!state_->is_running) return;
  state_->ended = nullptr;
  kill_group(SIGKILL);
}

pid_t Child::pid() const { return state_->pid; }
bool Child::is_running() const { return state_->is_running; }

bool Child::kill_group(int signal) {
  if (!state_->is_running) return true;
  const bool is_group_told = kill(-state_->pid, signal) == 0 || errno == ESRCH;
  const bool is_leader_told = kill(state_->pid, signal) == 0 || errno == ESRCH;
  return is_group_told && is_leader_told;
}

}  // namespace vital
