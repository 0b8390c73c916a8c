// "vital.spawn/1": commands for modules that must not wait; see ext/spawn.h.
//
// What the module holds (vital_child) and what the kernel holds (Run) live separately: a command that is given up or
// out of time is over for the module at once, while its Run waits, without a bound in time but bounded in number, until
// the kernel has let it go. The worker is a subreaper once it has started a command, so that what a command leaves
// behind comes to us and is killed, also if it left its process group. [loop]
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "probe/worker/command.hpp"
#include "probe/worker/host.hpp"
#include "probe/worker/services.hpp"

namespace vital::worker {
namespace {

using namespace std::chrono_literals;

constexpr Duration longest = 1h;
constexpr std::size_t bytes_a_turn = 256 * 1024;  // read of one stream before others get their turn
constexpr std::size_t max_words = 4096;           // of an argument vector or an environment
constexpr std::size_t max_word = 128 * 1024;      // the kernel's own bound for one of them

struct Stream {
  UniqueFd fd;
  std::string text;
  std::optional<FdWatch> watch;
  bool is_cut = false;

  // Takes what is there; the stream is closed at its end.
  void read_some(std::size_t keep) {
    char buffer[16 * 1024];
    for (std::size_t taken = 0; fd && taken < bytes_a_turn;) {
      const ssize_t n = read(fd.get(), buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) return;
      if (n <= 0) {
        watch.reset();
        fd.reset();
        return;
      }
      const std::size_t room = keep - std::min(keep, text.size());
      text.append(buffer, std::min(static_cast<std::size_t>(n), room));
      is_cut = is_cut || static_cast<std::size_t>(n) > room;
      taken += static_cast<std::size_t>(n);
    }
  }
};

struct Child;

// A process of ours until it is reaped.
struct Run {
  Running process;
  Child* child = nullptr;  // null once the module was told, or gave it up
  std::uint64_t number = 0;
  std::string program;
  Stream out;
  Stream err;
  std::size_t keep = 0;
  std::string input;
  std::optional<FdWatch> in_watch;
  std::optional<FdWatch> end_watch;
  std::optional<Timer> timer;
  Instant began{};
  Duration limit{};

  void kill_group() const {
    kill(-process.pid, SIGKILL);
    kill(process.pid, SIGKILL);
  }
};

struct Child final : vital_child {
  ~Child() override;
  Instance* instance = nullptr;
  void (*ended)(void* user, const vital_ended* how) = nullptr;
  void* user = nullptr;
  Run* run = nullptr;             // null: it could not be started
  std::shared_ptr<Child*> still;  // then: what the posted answer may still find
};

std::string failure_text(const std::string& program, const StartTrouble& trouble) {
  return one_line(fmt::format("{} cannot be started: {}: {}", program, trouble.step, std::strerror(trouble.code)));
}

// Tells the module; the child is gone before.
void tell(Child& child, vital_ended how, const std::string& text) {
  how.size = sizeof how;
  how.text = text.c_str();
  Instance& instance = *child.instance;
  const auto ended = child.ended;
  void* const user = child.user;
  instance.children.erase(&child);
  instance.host().call_back(instance, [&] { ended(user, &how); });
}

}  // namespace

class Spawner {
 public:
  explicit Spawner(Loop& loop) : loop_(loop) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    // A command that does not read its input is no reason to die. Not SIG_IGN: that would be inherited.
    struct sigaction now {};
    if (sigaction(SIGPIPE, nullptr, &now) == 0 && now.sa_handler == SIG_DFL) {
      now.sa_handler = [](int) {};
      sigaction(SIGPIPE, &now, nullptr);
    }
  }
  ~Spawner() {
    for (const auto& [number, run] : runs_) run->kill_group();
  }
  Spawner(const Spawner&) = delete;
  Spawner& operator=(const Spawner&) = delete;

  bool is_full() const { return runs_.size() >= VITAL_SPAWN_RUNNING_MAX; }

  StartTrouble start(const CommandLine& command, const vital_command& wanted, Child& child) {
    auto made = std::make_unique<Run>();
    const StartTrouble trouble = start_command(command, made->process);
    if (trouble.step != nullptr) return trouble;
    Run& run = *made;
    run.number = next_++;
    runs_.emplace(run.number, std::move(made));
    run.program = command.argv[0];
    run.keep = wanted.output_limit;
    run.began = Loop::now();
    run.limit = Duration(static_cast<Duration::rep>(
        std::min<std::uint64_t>(wanted.timeout_ns, static_cast<std::uint64_t>(Duration(longest).count()))));
    run.child = &child;
    child.run = &run;
    for (auto [stream, fd] : {std::pair(&run.out, &run.process.out), std::pair(&run.err, &run.process.err)}) {
      stream->fd = std::move(*fd);
      stream->watch.emplace(loop_, stream->fd.get(), [s = stream, keep = run.keep] { s->read_some(keep); });
    }
    if (wanted.input_size > 0) run.input.assign(wanted.input, wanted.input_size);
    feed(run);
    run.end_watch.emplace(loop_, run.process.pidfd.get(), [this, &run] { reap(run); });
    run.timer.emplace(loop_, [&run] { time_is_up(run); });
    run.timer->arm_at(run.began + run.limit);
    return {};
  }

  static void give_up(Run& run) {
    run.child = nullptr;
    run.kill_group();
    run.timer.reset();
    run.in_watch.reset();
    run.process.in.reset();
  }

 private:
  void feed(Run& run) {
    while (!run.input.empty()) {
      const ssize_t n = write(run.process.in.get(), run.input.data(), run.input.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) {
        if (!run.in_watch) {
          run.in_watch.emplace(
              loop_, run.process.in.get(), [this, &run] { feed(run); }, [this, &run] { feed(run); });
          run.in_watch->want_read(false);
          run.in_watch->want_write(true);
        }
        return;
      }
      if (n <= 0) break;  // it does not want it
      run.input.erase(0, static_cast<std::size_t>(n));
    }
    run.input.clear();
    run.in_watch.reset();
    run.process.in.reset();
  }

  static void time_is_up(Run& run) {
    Child* const child = run.child;
    if (child == nullptr) return;
    give_up(run);
    run.out.read_some(run.keep);
    run.err.read_some(run.keep);
    vital_ended how = seen(run);
    how.how = VITAL_SPAWN_TIMED_OUT;
    const std::string text =
        fmt::format("{} did not end within {} and was killed", run.program, friendly_duration(run.limit));
    tell(*child, how, text);
  }

  static vital_ended seen(const Run& run) {
    vital_ended how{};
    how.flags = run.out.is_cut || run.err.is_cut ? VITAL_SPAWN_OUTPUT_CUT : 0;
    how.output = run.out.text.c_str();
    how.output_size = run.out.text.size();
    how.errors = run.err.text.c_str();
    how.errors_size = run.err.text.size();
    how.took_ns = static_cast<std::uint64_t>((Loop::now() - run.began).count());
    return how;
  }

  void reap(Run& run) {
    siginfo_t dead{};
    const auto id = static_cast<id_t>(run.process.pid);
    const bool is_known = waitid(P_PID, id, &dead, WEXITED | WNOHANG | WNOWAIT) == 0;
    if (is_known && dead.si_pid != run.process.pid) return;
    run.out.read_some(run.keep);
    run.err.read_some(run.keep);
    int status = 0;
    bool left_children = false;
    if (is_known) {
      // Now, while the dead leader keeps the number of the group from being used again.
      kill(-run.process.pid, SIGKILL);
      left_children = find_orphans(run.process.pid);
      waitpid(run.process.pid, &status, 0);
    }
    const std::unique_ptr<Run> own = std::move(runs_.at(run.number));
    runs_.erase(run.number);
    patience_ = 10ms;
    sweep();
    if (run.child == nullptr) return;
    Child& child = *std::exchange(run.child, nullptr);
    vital_ended how = seen(run);
    if (left_children) how.flags |= VITAL_SPAWN_LEFT_CHILDREN;
    how.how = WIFSIGNALED(status) ? VITAL_SPAWN_SIGNALLED : VITAL_SPAWN_EXITED;
    how.code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    const std::string text = WIFSIGNALED(status) ? fmt::format("{} was ended by signal {}", run.program, how.code)
                                                 : fmt::format("{} exited with code {}", run.program, how.code);
    tell(child, how, text);
  }

  // What is ours but no command was left behind by one of those that run now or just ended. It may be a helper that
  // another one still needs, so it goes when the last of them has. True if the one led by `leader` left some.
  bool find_orphans(pid_t leader) {
    bool left_some = false;
    for (const pid_t pid : own_children()) {
      const bool is_command =
          std::any_of(runs_.begin(), runs_.end(), [&](const auto& r) { return r.second->process.pid == pid; });
      if (is_command || !orphans_.emplace(pid, next_).second) continue;
      left_some = left_some || getpgid(pid) == leader || runs_.size() == 1;
    }
    return left_some;
  }

  // Until nothing is left: what dies may leave children of its own. What SIGKILL does not end is looked at again less
  // and less often.
  void sweep() {
    find_orphans(-1);
    const std::uint64_t oldest = runs_.empty() ? next_ : runs_.begin()->first;
    for (auto at = orphans_.begin(); at != orphans_.end();) {
      if (at->second <= oldest) {
        kill(-at->first, SIGKILL);  // its group, if it leads one
        kill(at->first, SIGKILL);
      }
      at = waitpid(at->first, nullptr, WNOHANG) == 0 ? std::next(at) : orphans_.erase(at);
    }
    if (orphans_.empty()) return;
    if (!sweep_timer_) sweep_timer_.emplace(loop_, [this] { sweep(); });
    sweep_timer_->arm_in(patience_);
    patience_ = std::min<Duration>(2 * patience_, 1s);
  }

  Loop& loop_;
  std::uint64_t next_ = 1;
  std::map<std::uint64_t, std::unique_ptr<Run>> runs_;
  std::map<pid_t, std::uint64_t> orphans_;  // to the number of the first command that cannot be its parent
  std::optional<Timer> sweep_timer_;
  Duration patience_ = 10ms;
};

namespace {

Child::~Child() {
  if (still) *still = nullptr;
  if (run != nullptr && run->child == this) Spawner::give_up(*run);
}

// False if there are too many words, or one is too long.
bool copy_words(const char* const* words, std::vector<std::string>& out) {
  for (; words != nullptr && *words != nullptr; ++words) {
    const std::size_t length = strnlen(*words, max_word);
    if (length == max_word || out.size() == max_words) return false;
    out.emplace_back(*words, length);
  }
  return true;
}

constexpr std::uint32_t least_size = offsetof(vital_command, timeout_ns) + sizeof(std::uint64_t);

vital_child* start(const vital_host* host, const vital_command* command,
                   void (*ended)(void* user, const vital_ended* how), void* user) {
  if (command == nullptr || command->size < least_size || ended == nullptr) return nullptr;
  vital_command wanted = *command;
  wanted.output_limit = std::min<std::uint32_t>(wanted.output_limit, VITAL_SPAWN_OUTPUT_MAX);
  if (wanted.input == nullptr) wanted.input_size = 0;
  CommandLine line;
  if (wanted.input_size > VITAL_SPAWN_INPUT_MAX || !copy_words(wanted.argv, line.argv) || line.argv.empty() ||
      line.argv[0].empty() || !copy_words(wanted.environment, line.environment)) {
    return nullptr;
  }
  if (wanted.environment == nullptr) {
    line.environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"};
  }
  if (wanted.directory != nullptr) line.directory = wanted.directory;

  Instance& instance = Instance::of(host);
  std::shared_ptr<Spawner>& spawner = instance.host().spawner();
  if (spawner == nullptr) spawner = std::make_shared<Spawner>(instance.host().loop());
  auto made = std::make_unique<Child>();
  Child& child = *made;
  child.instance = &instance;
  child.ended = ended;
  child.user = user;
  instance.children.emplace(&child, std::move(made));

  StartTrouble trouble{"64 commands run already", EAGAIN};
  if (!spawner->is_full()) trouble = spawner->start(line, wanted, child);
  if (trouble.step != nullptr) {
    child.still = std::make_shared<Child*>(&child);
    instance.host().loop().post([still = child.still, code = trouble.code, text = failure_text(line.argv[0], trouble)] {
      if (*still == nullptr) return;
      vital_ended how{};
      how.how = VITAL_SPAWN_NOT_STARTED;
      how.code = code;
      how.output = how.errors = "";
      tell(**still, how, text);
    });
  }
  return &child;
}

void give_up(vital_child* raw) {
  if (raw == nullptr) return;
  auto* const child = static_cast<Child*>(raw);
  child->instance->children.erase(child);  // its destructor kills
}

constexpr vital_spawn service{sizeof(vital_spawn), start, give_up};

}  // namespace

const vital_spawn& spawn_service() { return service; }

}  // namespace vital::worker
