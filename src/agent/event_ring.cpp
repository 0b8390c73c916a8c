// The ring and the page made of it; see event_ring.hpp.
#include "agent/event_ring.hpp"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/duration.hpp"
#include "base/text.hpp"

namespace vital {
namespace {

using Json = nlohmann::ordered_json;

bool fits(const JournalEvent& e, const JournalQuery& q) {
  if (e.id <= q.after_id || (q.since && e.at < *q.since) || (q.until && e.at > *q.until)) return false;
  if (!q.event.empty() && e.event != q.event) return false;
  return q.check.empty() || std::any_of(e.fields.begin(), e.fields.end(), [&](const auto& field) {
           return field.first == "check" && field.second == q.check;
         });
}

template <typename Number>
std::optional<Number> number(std::string_view text) {
  Number out{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size() || out < 0) return {};
  return out;
}

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

EventsAnswer refuse(const std::string& why) { return {400, text_of({{"error", why}})}; }

}  // namespace

void EventRing::add(const Event& event) {
  JournalEvent kept{0, event.at, std::string(name(event.level)), event.event, event.fields};
  for (auto& [key, value] : kept.fields) value = one_line(value);
  const std::lock_guard lock(m_);
  kept.id = ++last_id_;
  events_.push_back(std::move(kept));
  if (events_.size() > capacity_) events_.pop_front();
}

std::vector<JournalEvent> EventRing::find(const JournalQuery& query, std::int64_t* last_id) const {
  std::vector<JournalEvent> out;
  {
    const std::lock_guard lock(m_);
    *last_id = last_id_;
    for (auto it = events_.rbegin(); it != events_.rend() && out.size() < query.limit; ++it) {
      if (it->id <= query.after_id) break;
      if (fits(*it, query)) out.push_back(*it);
    }
  }
  std::reverse(out.begin(), out.end());
  return out;
}

EventsAnswer events_page(const EventRing& ring, const std::vector<std::pair<std::string, std::string>>& query,
                         WallTime now) {
  JournalQuery wanted;
  for (const auto& [key, value] : query) {
    if (key == "since") {
      if (const auto back = parse_duration(value)) {
        wanted.since = now - std::chrono::duration_cast<std::chrono::milliseconds>(*back);
      } else if (const auto at = parse_wall(value)) {
        wanted.since = at;
      } else {
        return refuse("since=" + one_line(value, 64) + ": write a duration (1h) or a time (2026-01-31T12:00:00Z)");
      }
    } else if (key == "after") {
      const auto id = number<std::int64_t>(value);
      if (!id) return refuse("after=" + one_line(value, 64) + ": write the id of an event");
      wanted.after_id = *id;
    } else if (key == "limit") {
      const auto limit = number<std::size_t>(value);
      if (!limit || *limit == 0) return refuse("limit=" + one_line(value, 64) + ": write a number from 1");
      wanted.limit = std::min<std::size_t>(*limit, 100000);
    } else if (key == "check") {
      wanted.check = value;
    } else if (key == "event") {
      wanted.event = value;
    } else {
      return refuse("unknown parameter " + one_line(key, 64) + ": known are since, after, check, event and limit");
    }
  }
  std::int64_t last_id = 0;
  Json events = Json::array();
  for (const JournalEvent& e : ring.find(wanted, &last_id)) {
    Json fields = Json::object();
    for (const auto& [key, value] : e.fields) fields[key] = value;
    events.push_back(
        {{"id", e.id}, {"at", format_wall(e.at)}, {"level", e.level}, {"event", e.event}, {"fields", fields}});
  }
  return {200, text_of({{"events", events}, {"last_id", last_id}})};
}

}  // namespace vital
