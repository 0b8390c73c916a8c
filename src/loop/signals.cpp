// Signals: a handler that writes the number into the pipe of everybody who asked, and a watch on that pipe. Two at a
// time may ask for the same signal; the last one to go restores what was there before. See loop.hpp.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include "loop/loop_impl.hpp"

namespace vital {
namespace {

constexpr std::size_t most_listeners = 16;

// A pipe that once stood here stays: a handler may be about to write into it.
struct Listener {
  std::atomic<bool> is_taken{false};
  std::atomic<int> write_end{-1};
  std::array<std::atomic<bool>, NSIG> wants{};
  int read_end = -1;
};
std::array<Listener, most_listeners> listeners;

struct Installed {
  unsigned users = 0;
  struct sigaction before {};
};
std::mutex m;
std::array<Installed, NSIG> installed;  // guarded by m

void caught(int number) {
  const int error = errno;
  for (Listener& l : listeners) {
    if (!l.is_taken.load() || !l.wants[static_cast<std::size_t>(number)].load()) continue;
    const auto byte = static_cast<unsigned char>(number);
    [[maybe_unused]] const ssize_t n = write(l.write_end.load(), &byte, 1);  // full: it has been told often enough
  }
  errno = error;
}

Listener& take_listener() {
  for (Listener& l : listeners) {
    if (l.is_taken.load()) continue;
    if (l.read_end < 0) {
      std::array<int, 2> ends{};
      if (pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) != 0) {
        throw std::system_error(errno, std::generic_category(), "making a pipe for signals");
      }
      l.read_end = ends[0];
      l.write_end.store(ends[1]);
    }
    for (std::array<unsigned char, 64> old; read(l.read_end, old.data(), old.size()) > 0;) {
    }
    l.is_taken.store(true);
    return l;
  }
  throw std::system_error(EMFILE, std::generic_category(), "listening for signals in too many places");
}

}  // namespace

struct Signals::State : std::enable_shared_from_this<Signals::State> {
  explicit State(std::function<void(int)> c) : caught(std::move(c)) {}
  void read_some() {
    std::array<unsigned char, 64> seen{};
    const ssize_t n = read(listener->read_end, seen.data(), seen.size());
    const auto self = shared_from_this();
    for (ssize_t i = 0; i < n && is_live; ++i) caught(seen[static_cast<std::size_t>(i)]);
  }
  std::function<void(int)> caught;
  std::vector<int> numbers;
  Listener* listener = nullptr;
  std::optional<FdWatch> watch;
  bool is_live = true;
};

Signals::Signals(Loop& loop, std::initializer_list<int> numbers, std::function<void(int)> c)
    : state_(std::make_shared<State>(std::move(c))) {
  const std::lock_guard lock(m);
  state_->listener = &take_listener();
  state_->numbers = numbers;
  state_->watch.emplace(loop, state_->listener->read_end, [state = state_.get()] { state->read_some(); });
  for (const int number : numbers) {
    state_->listener->wants.at(static_cast<std::size_t>(number)).store(true);
    Installed& entry = installed.at(static_cast<std::size_t>(number));
    if (entry.users++ > 0) continue;
    struct sigaction action {};
    action.sa_handler = &vital::caught;
    action.sa_flags = SA_RESTART;
    sigfillset(&action.sa_mask);
    sigaction(number, &action, &entry.before);
  }
}

Signals::~Signals() {
  state_->is_live = false;
  state_->watch.reset();
  const std::lock_guard lock(m);
  for (const int number : state_->numbers) {
    state_->listener->wants.at(static_cast<std::size_t>(number)).store(false);
    Installed& entry = installed.at(static_cast<std::size_t>(number));
    if (--entry.users == 0) sigaction(number, &entry.before, nullptr);
  }
  state_->listener->is_taken.store(false);
}

}  // namespace vital
