// Mailbox: how a thread that may outlive its owner (one stuck on a dead disk) hands work to the loop. Closed
// when the owner goes; what is posted after that is dropped.
//
//   auto mail = std::make_shared<Mailbox>(loop);
//   std::thread([mail] { ...; mail->post([=] { use(result); }); }).detach();
//   mail->close();                      // [loop], before what the work refers to is gone
#pragma once

#include <functional>
#include <mutex>
#include <utility>

#include "loop/loop.hpp"

namespace vital {

class Mailbox {
 public:
  explicit Mailbox(Loop& loop) : loop_(&loop) {}

  // [any]
  void post(std::function<void()> work) {
    const std::lock_guard lock(m_);
    if (loop_ != nullptr) loop_->post(std::move(work));
  }
  void close() {
    const std::lock_guard lock(m_);
    loop_ = nullptr;
  }

 private:
  std::mutex m_;
  Loop* loop_;  // guarded by m_; null once closed
};

}  // namespace vital
