// A blocking module that does wrong what a module can do wrong, one thing for each value of `how`.
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <new>
#include <thread>
#include <vitald/check.hpp>

namespace {

using vital::check::pass;
using vital::check::Result;

void keep_busy_for(std::chrono::nanoseconds time) { std::this_thread::sleep_for(time); }

class Misbehaves final : public vital::check::Blocking {
 public:
  explicit Misbehaves(const vital::check::Options& options)
      : how_(options.text("how")), time_(options.duration("time")), file_(options.text_or("file", "")) {
    if (how_ == "crash at create") raise(SIGSEGV);
    if (how_ == "hang at create") keep_busy_for(std::chrono::hours(1));
    if (how_ == "throw at create") throw 42;
  }
  ~Misbehaves() override {
    if (how_ == "crash at destroy") std::abort();
    if (how_ == "hang at destroy") keep_busy_for(std::chrono::hours(1));
  }

  Result probe(const vital::check::Attempt&) override {
    if (how_ == "sleep") keep_busy_for(time_);
    if (how_ == "spin") spin();
    if (how_ == "crash") raise(SIGSEGV);
    if (how_ == "abort") std::abort();
    if (how_ == "exit") std::exit(0);
    if (how_ == "throw") throw std::runtime_error("it is raining");
    if (how_ == "throw a number") throw 42;
    if (how_ == "throw through C") throw_through_c();
    if (how_ == "recurse") return pass(std::to_string(recurse(1)));
    if (how_ == "ignore signals") ignore_signals();
    if (how_ == "fork and setsid") fork_and_setsid();
    if (how_ == "fork a thousand") fork_a_thousand();
    if (how_ == "leave one that opens") leave_one_that_opens();
    if (how_ == "ptrace") ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    if (how_ == "leave a child") leave_child();
    if (how_ == "fork and return") return fork_and_return();
    if (how_ == "hang with a child") {
      leave_child();
      keep_busy_for(std::chrono::hours(1));
    }
    if (how_ == "leak") leak();
    if (how_ == "flood") flood();
    if (how_ == "close") close_range(3, ~0U, 0);
    if (how_ == "close 3") close(3);
    if (how_ == "stop") raise(SIGSTOP);
    if (how_ == "open") open_file();
    if (how_ == "lose memory") lost = new char[8192]();
    if (how_ == "lose a descriptor") [[maybe_unused]]
      const int lost_descriptor = open("/dev/null", O_RDONLY);
    if (how_ == "lose a thread") std::thread([] { keep_busy_for(std::chrono::hours(1)); }).detach();
    if (how_ == "read beyond") read_beyond();
    return pass("done: " + how_);
  }

 private:
  // Through frames of the C library, which know no exceptions.
  static void throw_through_c() {
    int numbers[] = {3, 2, 1};
    qsort(numbers, 3, sizeof numbers[0],
          [](const void*, const void*) -> int { throw std::runtime_error("it is raining"); });
  }
  static unsigned recurse(unsigned depth) {  // NOLINT(misc-no-recursion): that is the point
    volatile char frame[4096];
    frame[depth % sizeof frame] = static_cast<char>(depth);
    return depth == 0 ? 0 : recurse(depth + 1) + static_cast<unsigned>(frame[0]);
  }
  static void ignore_signals() {
    for (int number = 1; number < 32; ++number) signal(number, SIG_IGN);
    keep_busy_for(std::chrono::hours(1));
  }
  // Twice, so that nobody waits for the last one; then the worker is held up until it is killed.
  void fork_and_setsid() const {
    if (fork() == 0) {
      setsid();
      if (fork() == 0) leave_child();
      _exit(0);
    }
    keep_busy_for(std::chrono::hours(1));
  }
  void leave_one_that_opens() const {
    if (fork() == 0) {
      setsid();
      if (fork() == 0) open_file();
      _exit(0);
    }
    keep_busy_for(std::chrono::hours(1));
  }
  static void fork_a_thousand() {
    for (int n = 0; n < 1000; ++n) {
      if (fork() != 0) continue;
      setsid();
      keep_busy_for(std::chrono::hours(1));
      _exit(0);
    }
  }
  static void spin() {
    std::atomic<unsigned long> turns{0};
    while (true) ++turns;
  }
  void leave_child() const {
    if (fork() != 0) return;
    for (int number = 1; number < 32; ++number) signal(number, SIG_IGN);
    if (!file_.empty()) std::ofstream(file_) << getpid() << std::endl;
    keep_busy_for(std::chrono::hours(1));
    _exit(0);
  }
  // The child goes on as if it were the worker.
  static Result fork_and_return() {
    const pid_t child = fork();
    return pass(child == 0 ? "from the child" : "from the parent");
  }
  static void leak() {
    while (true) {
      auto* block = static_cast<volatile char*>(std::malloc(1 << 20));
      if (block == nullptr) throw std::bad_alloc();
      for (int at = 0; at < 1 << 20; at += 4096) block[at] = 1;
    }
  }
  static void flood() {
    const std::string line(1000, 'x');
    for (int n = 0; n < 10'000; ++n) std::cout << line << '\n';
    std::cout << std::flush;
  }
  static inline volatile char* lost = nullptr;
  // The size is not known to the compiler, which would warn.
  static void read_beyond() {
    volatile std::size_t size = 16;
    auto* block = static_cast<volatile char*>(std::calloc(size, 1));
    volatile const char beyond = block[size];
    static_cast<void>(beyond);
    std::free(const_cast<char*>(block));
  }
  void open_file() const {
    std::ifstream file(file_);
    char byte = 0;
    file.get(byte);
  }

  std::string how_;
  std::chrono::nanoseconds time_;
  std::string file_;
};

constexpr vital::check::OptionRow options[] = {
    {"how", vital::check::Type::string, "sleep", "what to do wrong"},
    {"time", vital::check::Type::duration, "1ms", "for how long"},
    {"file", vital::check::Type::string, nullptr, "a file to write a pid to, or to read"},
};

}  // namespace

VITAL_BLOCKING_MODULE(Misbehaves, "misbehaves", "1.0", "does wrong what a module can do wrong", options)
