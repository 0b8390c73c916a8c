// See event_queue.hpp.
#include "outputs/event_queue.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "base/duration.hpp"

namespace vital {
namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& json) { return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); }

}  // namespace

bool EventQueue::hear(const std::string& output, const std::string& node, const std::string& service,
                      const Wanted& wanted, WallTime now) {
  if (wanted.key == last_key_) return false;
  QueuedEvent event;
  event.at = now;
  event.id = fmt::format("{}-{}-{}", node, now.time_since_epoch().count(), next_++);
  event.body = text_of({{"id", event.id},
                        {"time", format_wall(now)},
                        {"output", output},
                        {"node", node},
                        {"service", service.empty() ? Json(nullptr) : Json(service)},
                        {"status", name(wanted.word.told)},
                        {"previous", last_told_.empty() ? Json(nullptr) : Json(last_told_)},
                        {"weight", wanted.word.weight},
                        {"reason", wanted.word.reason}});
  last_key_ = wanted.key;
  last_told_ = name(wanted.word.told);
  if (events_.size() >= most) drop_first();
  events_.push_back(std::move(event));
  return true;
}

void EventQueue::drop_first() {
  events_.pop_front();
  ++dropped_;
}

void EventQueue::drop_older_than(WallTime limit) {
  while (!events_.empty() && events_.front().at < limit) drop_first();
}

std::string EventQueue::print() const {
  Json out = {{"last_key", last_key_}, {"last_told", last_told_}, {"next", next_}, {"events", Json::array()}};
  for (const QueuedEvent& e : events_) {
    out["events"].push_back({{"id", e.id}, {"at", format_wall(e.at)}, {"body", e.body}});
  }
  return text_of(out) + "\n";
}

void EventQueue::restore(std::string_view text, std::string* problem) {
  problem->clear();
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("events") || !json["events"].is_array() || json["events"].size() > most) {
    *problem = "is no queue of ours";
    return;
  }
  try {
    std::deque<QueuedEvent> events;
    for (const Json& e : json["events"]) {
      events.push_back({e.at("id"), parse_wall(e.at("at").get<std::string>()).value_or(WallTime{}), e.at("body")});
    }
    last_key_ = json.at("last_key");
    last_told_ = json.at("last_told");
    next_ = json.at("next");
    events_ = std::move(events);
  } catch (const Json::exception&) {
    *problem = "is no queue of ours";
  }
}

}  // namespace vital
