// Starting a worker: the process, the socketpair and the shared mark, with nothing of the agent's but what is named
// here. [loop] or [control], with a loop of the caller's.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/unique_fd.hpp"
#include "loop/child.hpp"
#include "loop/loop.hpp"
#include "modules/mark.hpp"

namespace vital {

// The shared page. Sealed, so that a worker cannot shrink it under us.
class MarkPage {
 public:
  MarkPage();  // throws std::system_error
  // A worker's end of one.
  explicit MarkPage(UniqueFd memory);
  ~MarkPage();
  MarkPage(MarkPage&& other) noexcept;
  MarkPage& operator=(MarkPage&&) = delete;
  MarkPage(const MarkPage&) = delete;

  Mark& mark() const { return *mark_; }
  int descriptor() const { return memory_.get(); }
  void close_descriptor() { memory_.reset(); }

  Stage stage() const;  // whatever a worker wrote there, made a Stage
  std::uint32_t instance() const { return mark_->instance.load(std::memory_order_relaxed); }
  std::uint32_t last() const { return mark_->last.load(std::memory_order_relaxed); }

 private:
  void map();
  UniqueFd memory_;
  Mark* mark_ = nullptr;
};

// The numbers of a worker's two descriptors when it starts.
inline constexpr int worker_socket_number = 3;
inline constexpr int worker_mark_number = 4;

struct LaunchOptions {
  std::string worker;           // path of vitald-worker
  std::string role;             // async or blocking; for people looking at ps, describe and validate too
  unsigned memory_mib = 512;    // of data (RLIMIT_DATA); 0 = no limit
  unsigned processes = 0;       // of its user (RLIMIT_NPROC); 0 = no limit
  std::string seccomp = "off";  // or log, enforce
};

struct Launched {
  std::unique_ptr<Child> child;
  UniqueFd socket;
  MarkPage mark;
};

// `ended` as in Child. Throws std::system_error.
Launched launch_worker(Loop& loop, const LaunchOptions& options, std::function<void(int status)> ended);

// "crashed (signal 11)", "exited (code 3)": what a wait status says of a worker nobody told to end.
std::string describe_status(int status);

}  // namespace vital
