// See event_ring.hpp.
#include "agent/event_ring.hpp"

#include <algorithm>
#include <utility>

namespace vital {
namespace {

bool fits(const JournalEvent& e, const JournalQuery& q) {
  if (e.id <= q.after_id || (q.since && e.at < *q.since) || (q.until && e.at > *q.until)) return false;
  if (!q.events.empty() && std::find(q.events.begin(), q.events.end(), e.event) == q.events.end()) return false;
  return q.check.empty() || std::any_of(e.fields.begin(), e.fields.end(), [&](const auto& field) {
           return field.first == "check" && field.second == q.check;
         });
}

}  // namespace

void EventRing::add(JournalEvent event) {
  const std::lock_guard lock(m_);
  last_id_ = event.id;
  events_.push_back(std::move(event));
  if (events_.size() > capacity_) events_.pop_front();
}

std::vector<JournalEvent> EventRing::find(const JournalQuery& query) const {
  std::vector<JournalEvent> out;
  const std::lock_guard lock(m_);
  for (const JournalEvent& e : events_) {
    if (fits(e, query)) out.push_back(e);
  }
  return out;
}

std::int64_t EventRing::last_id() const {
  const std::lock_guard lock(m_);
  return last_id_;
}

}  // namespace vital
