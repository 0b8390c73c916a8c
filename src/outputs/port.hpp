// Port: how one output reaches its target. A port never blocks the loop: files are touched on a thread of its own,
// sockets are non-blocking, programs are children that can be killed. One look at a time. [loop]
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>

#include "outputs/reconciler.hpp"
#include "outputs/word.hpp"

namespace vital {

class Port {
 public:
  using Done = std::function<void(Synced)>;

  Port() = default;
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  // Ends what is under way; `done` is not called after that.
  virtual ~Port() = default;

  // Something else is to be told. For ports that tell every change and not only the last; sync() comes later.
  virtual void heard(const Wanted&) {}

  // Compares what the target holds with what is wanted and sets it right. `done` comes once, later, on the loop. Not
  // called while one is under way.
  virtual void sync(const Wanted& wanted, Done done) = 0;

  // The look under way takes too long: end it. `done` still comes, as soon as that is possible.
  virtual void cancel() = 0;

  // A thread of it is stuck in the kernel: the process must leave without waiting for it.
  virtual bool has_stray() const { return false; }

  // What waits to be told, for outputs with a queue.
  virtual std::size_t queued() const { return 0; }
  virtual std::size_t dropped() const { return 0; }

  // Users that are still there, where the target can tell: sessions on a balancer's servers.
  virtual std::optional<std::size_t> users() const { return {}; }
};

}  // namespace vital
