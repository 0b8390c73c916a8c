// See progress.hpp.
#include "ctl/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <utility>

namespace vital::ctl {

using namespace std::chrono_literals;

Progress::Progress(std::string what) : what_(std::move(what)) {
  if (isatty(STDERR_FILENO) == 1) thread_ = std::thread([this] { show(); });
}

Progress::~Progress() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(m_);
    is_over_ = true;
  }
  over_.notify_one();
  thread_.join();
}

void Progress::show() {
  std::unique_lock lock(m_);
  int seconds = 0;
  while (!over_.wait_for(lock, 1s, [this] { return is_over_; })) fmt::print(stderr, "\r{} ... {} s", what_, ++seconds);
  if (seconds > 0) fmt::print(stderr, "\r\x1b[K");
}

}  // namespace vital::ctl
