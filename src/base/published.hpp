// Published<T>: one writer puts an immutable T, any thread takes the newest; readers never wait for the writer's work
// and keep what they took alive.
//
//   Published<View> view;
//   view.put(std::make_shared<const View>(...));      // [loop]
//   std::shared_ptr<const View> seen = view.take();   // [any], null before the first put
//
// A mutex around a pointer copy, not std::atomic<std::shared_ptr>: libstdc++ 12's raises false alarms under TSan, and
// both cost a few tens of nanoseconds.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace vital {

template <typename T>
class Published {
 public:
  void put(std::shared_ptr<const T> next) {
    {
      const std::lock_guard lock(m_);
      current_.swap(next);
    }
    // The old value, if ours was the last reference, dies here outside the lock.
  }

  std::shared_ptr<const T> take() const {
    const std::lock_guard lock(m_);
    return current_;
  }

 private:
  mutable std::mutex m_;
  std::shared_ptr<const T> current_;  // guarded by m_
};

}  // namespace vital
