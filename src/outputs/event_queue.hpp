// EventQueue: what a webhook has still to be told, in order. It survives a restart as text; it is bounded, and what is
// dropped is counted. Owns no clock and no file. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "outputs/word.hpp"

namespace vital {

struct QueuedEvent {
  std::string id;    // the same at every attempt, so that a receiver can tell a repetition
  WallTime at{};     // when it happened
  std::string body;  // JSON
};

class EventQueue {
 public:
  static constexpr std::size_t most = 256;

  // A word that differs from the last one is an event; true if it was one.
  bool hear(const std::string& output, const std::string& node, const std::string& service, const Wanted& wanted,
            WallTime now);

  const std::deque<QueuedEvent>& events() const { return events_; }
  // The first one was taken, or is given up.
  void taken() { events_.pop_front(); }
  void refused() { drop_first(); }
  void drop_older_than(WallTime limit);
  std::size_t dropped() const { return dropped_; }

  std::string print() const;
  // Takes over what print() gave before a restart; nonsense is refused, in one line.
  void restore(std::string_view text, std::string* problem);

 private:
  void drop_first();

  std::deque<QueuedEvent> events_;
  std::string last_key_;   // of the last word that became an event
  std::string last_told_;  // "pass"
  std::uint64_t next_ = 1;
  std::size_t dropped_ = 0;
};

}  // namespace vital
