// EventRing: the latest events, in memory: what is left of the journal when the disk is gone, and what the journal had
// to drop. Bounded: the oldest give way. The loop adds, other threads ask; all hold the lock for moments. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "store/journal_rows.hpp"

namespace vital {

class EventRing {
 public:
  static constexpr std::size_t default_capacity = 1000;
  explicit EventRing(std::size_t capacity = default_capacity) : capacity_(capacity) {}

  // Ids must grow.
  void add(JournalEvent event);

  // All that fit the query, whatever its limit, oldest first.
  std::vector<JournalEvent> find(const JournalQuery& query) const;

  // The id of the newest there ever was: whoever asks for what comes after it misses nothing.
  std::int64_t last_id() const;

 private:
  const std::size_t capacity_;
  mutable std::mutex m_;
  std::deque<JournalEvent> events_;  // guarded by m_
  std::int64_t last_id_ = 0;         // guarded by m_
};

}  // namespace vital
