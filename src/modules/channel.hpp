// Channel: frames over a socket, on a loop. What is sent within one turn of the loop leaves in one write; what cannot
// leave waits, up to a bound. Used by both ends: the agent for its workers, a worker for its agent. [loop]
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"
#include "loop/loop.hpp"
#include "modules/wire.hpp"

namespace vital::wire {

class Channel {
 public:
  struct Handlers {
    std::function<void(std::string_view payload)> frame;
    // Once, and nothing after it: the other side is gone, sent nonsense, or does not read. The line says which.
    std::function<void(const std::string& why)> closed;
  };
  Channel(Loop& loop, UniqueFd socket, Handlers handlers);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // False if the message is too long for a frame; nothing is sent then.
  template <typename Message>
  bool send(const Message& message) {
    if (is_closed_) return true;
    const bool fits = append(out_, message);
    if (fits) flush_soon();
    return fits;
  }
  void flush();     // now, instead of at the end of this turn
  void read_all();  // takes what has arrived, as if the loop had turned

 private:
  void flush_soon();
  bool read_some();
  void close(const std::string& why);

  Loop& loop_;
  UniqueFd socket_;
  Handlers handlers_;
  std::optional<FdWatch> watch_;
  FrameReader in_;
  std::string out_;
  bool is_flush_planned_ = false;
  bool is_closed_ = false;
  std::shared_ptr<Channel*> self_;  // null once we are gone: what a callback or a posted call may still find
};

}  // namespace vital::wire
