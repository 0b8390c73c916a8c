#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "agent/event_ring.hpp"

using namespace vital;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

const WallTime noon{std::chrono::milliseconds(1795521600000)};

Event event(const std::string& name, const std::string& check, WallTime at = noon) {
  return {at, Note::Level::info, name, {{"check", check}}};
}
json page(const EventRing& ring, const std::vector<std::pair<std::string, std::string>>& query) {
  const EventsAnswer answer = events_page(ring, query, noon + 1h);
  json out = json::parse(answer.body);
  out["status"] = answer.status;
  return out;
}

}  // namespace

TEST_CASE("the ring keeps the newest and gives up the oldest") {
  EventRing ring(3);
  for (const char* name : {"a", "b", "c", "d"}) ring.add(event(name, "db"));
  const json seen = page(ring, {});
  REQUIRE(seen["events"].size() == 3);
  CHECK(seen["events"][0]["event"] == "b");
  CHECK(seen["events"][2]["id"] == 4);
  CHECK(seen["last_id"] == 4);
}

TEST_CASE("events are found by check, name, time and id, newest first to be kept, oldest first to be read") {
  EventRing ring;
  ring.add(event("check_state", "db", noon));
  ring.add(event("check_state", "app", noon + 30min));
  ring.add(event("flapping", "db", noon + 50min));
  CHECK(page(ring, {{"check", "db"}})["events"].size() == 2);
  CHECK(page(ring, {{"event", "flapping"}})["events"][0]["fields"]["check"] == "db");
  CHECK(page(ring, {{"since", "45m"}})["events"].size() == 2);
  CHECK(page(ring, {{"since", "2026-11-24T12:40:00Z"}})["events"].size() == 1);
  CHECK(page(ring, {{"after", "2"}})["events"][0]["id"] == 3);
  CHECK(page(ring, {{"limit", "1"}})["events"][0]["id"] == 3);
  CHECK(page(ring, {{"after", "3"}})["events"].empty());
}

TEST_CASE("a question that makes no sense is answered with what to write") {
  const EventRing ring;
  for (const auto& [key, value] : std::vector<std::pair<std::string, std::string>>{
           {"since", "yesterday"}, {"after", "-1"}, {"after", "x"}, {"limit", "0"}, {"colour", "red"}}) {
    const json seen = page(ring, {{key, value}});
    CHECK(seen["status"] == 400);
    CHECK(seen["error"].get<std::string>().find(key) != std::string::npos);
  }
}

TEST_CASE("an event whose text is hostile leaves a page that parses") {
  EventRing ring;
  ring.add({noon, Note::Level::error, "x", {{"text", "\"\n\xff\x1b"}}});
  CHECK(page(ring, {})["events"][0]["fields"]["text"].get<std::string>().find('\n') == std::string::npos);
}
