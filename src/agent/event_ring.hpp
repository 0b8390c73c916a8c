// EventRing: the latest events, in memory, for /api/v1/events and `vitalctl events`. Bounded: the oldest give way, and
// whoever follows by id sees that from the gap. The loop adds, the front's thread asks; both hold the lock for moments.
// Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "agent/log_line.hpp"
#include "store/journal.hpp"

namespace vital {

class EventRing {
 public:
  static constexpr std::size_t default_capacity = 1000;
  explicit EventRing(std::size_t capacity = default_capacity) : capacity_(capacity) {}

  void add(const Event& event);

  // The newest `limit` that fit the query, oldest first.
  // `last_id` gets the id of the newest there is: whoever asks again after it misses nothing.
  std::vector<JournalEvent> find(const JournalQuery& query, std::int64_t* last_id) const;

 private:
  const std::size_t capacity_;
  mutable std::mutex m_;
  std::deque<JournalEvent> events_;  // guarded by m_
  std::int64_t last_id_ = 0;         // guarded by m_
};

// GET /api/v1/events: `query` as the front decoded it: since (RFC 3339, or a duration back from `now`), after (an id),
// check, event, limit. Answers {"events": [...], "last_id": N}, or 400 and {"error"}. Pure but for the ring.
struct EventsAnswer {
  int status = 200;
  std::string body;
};
EventsAnswer events_page(const EventRing& ring, const std::vector<std::pair<std::string, std::string>>& query,
                         WallTime now);

}  // namespace vital
