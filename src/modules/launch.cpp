// Starting a worker; see launch.hpp.
#include "modules/launch.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <new>
#include <system_error>
#include <utility>

namespace vital {
namespace {

constexpr std::size_t page = 4096;

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

}  // namespace

MarkPage::MarkPage() : memory_(memfd_create("vitald-mark", MFD_CLOEXEC | MFD_ALLOW_SEALING)) {
  if (!memory_ || ftruncate(memory_.get(), page) != 0 ||
      fcntl(memory_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    fail("making the mark of a worker");
  }
  map();
  new (mark_) Mark;
}

MarkPage::MarkPage(UniqueFd memory) : memory_(std::move(memory)) { map(); }

MarkPage::MarkPage(MarkPage&& other) noexcept
    : memory_(std::move(other.memory_)), mark_(std::exchange(other.mark_, nullptr)) {}

MarkPage::~MarkPage() {
  if (mark_ != nullptr) munmap(mark_, page);
}

void MarkPage::map() {
  void* at = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, memory_.get(), 0);
  if (at == MAP_FAILED) fail("mapping the mark of a worker");
  mark_ = static_cast<Mark*>(at);
}

Stage MarkPage::stage() const {
  const std::uint32_t raw = mark_->stage.load(std::memory_order_relaxed);
  return raw <= static_cast<std::uint32_t>(Stage::destroying) ? static_cast<Stage>(raw) : Stage::idle;
}

Launched launch_worker(Loop& loop, const LaunchOptions& options, std::function<void(int status)> ended) {
  std::array<int, 2> pair{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0) fail("making a worker's socket");
  UniqueFd ours(pair[0]);
  const UniqueFd theirs(pair[1]);
  MarkPage mark;

  ChildOptions child;
  child.argv = {options.worker,
                "--serve",
                options.role,
                "--parent",
                std::to_string(getpid()),
                "--memory-mib",
                std::to_string(options.memory_mib),
                "--processes",
                std::to_string(options.processes),
                "--seccomp",
                options.seccomp};
  // One arena: a worker is not about to need more, and each costs memory.
  child.environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
                       "MALLOC_ARENA_MAX=1"};
  child.descriptors = {{theirs.get(), worker_socket_number}, {mark.descriptor(), worker_mark_number}};
  auto started = Child::start(loop, child, std::move(ended));
  mark.close_descriptor();
  return {std::move(started), std::move(ours), std::move(mark)};
}

std::string describe_status(int status) {
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    if (signal == SIGSYS) return "made a system call that workers.seccomp forbids (signal 31)";
    if (signal == SIGKILL) return "was killed (signal 9), perhaps for want of memory";
    return fmt::format("crashed (signal {})", signal);
  }
  if (WIFEXITED(status)) return fmt::format("exited (code {})", WEXITSTATUS(status));
  return "ended";
}

}  // namespace vital
