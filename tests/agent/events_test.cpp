#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "agent/event_ring.hpp"
#include "agent/journal_pages.hpp"

using namespace vital;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

const WallTime noon{std::chrono::milliseconds(1795521600000)};

JournalEvent event(std::int64_t id, const std::string& name, const std::string& check, WallTime at = noon) {
  return {id, at, "info", name, {{"check", check}}};
}

using Query = std::vector<std::pair<std::string, std::string>>;
const std::vector<std::string> known{"since", "until", "check", "event", "after", "limit"};

// The page for a query when the journal holds `found`, or cannot be read.
json page(const EventRing& ring, const Query& query, std::optional<std::vector<JournalEvent>> found = {}) {
  std::string problem;
  const auto wanted = journal_pages::parse(query, known, noon + 1h, &problem);
  if (!wanted) return {{"problem", problem}};
  return json::parse(journal_pages::events(*wanted, std::move(found), ring.find(*wanted), ring.last_id()));
}
std::vector<std::int64_t> ids(const json& page) {
  std::vector<std::int64_t> out;
  for (const json& e : page["events"]) out.push_back(e["id"]);
  return out;
}

}  // namespace

TEST_CASE("the ring keeps the newest and gives up the oldest") {
  EventRing ring(3);
  for (const std::int64_t id : {7, 8, 11, 12}) ring.add(event(id, "x", "db"));
  const json seen = page(ring, {});
  CHECK(ids(seen) == std::vector<std::int64_t>{8, 11, 12});
  CHECK(seen["last_id"] == 12);
  CHECK(seen["source"] == "memory");
}

TEST_CASE("events are found by check, name, time and id, newest first to be kept, oldest first to be read") {
  EventRing ring;
  ring.add(event(1, "check_state", "db", noon));
  ring.add(event(2, "check_state", "app", noon + 30min));
  ring.add(event(3, "flapping", "db", noon + 50min));
  CHECK(page(ring, {{"check", "db"}})["events"].size() == 2);
  CHECK(page(ring, {{"event", "flapping"}})["events"][0]["fields"]["check"] == "db");
  CHECK(page(ring, {{"event", "flapping,check_state"}})["events"].size() == 3);
  CHECK(page(ring, {{"since", "45m"}})["events"].size() == 2);
  CHECK(page(ring, {{"since", "2026-11-24T12:40:00Z"}})["events"].size() == 1);
  CHECK(page(ring, {{"until", "45m"}})["events"].size() == 1);
  CHECK(ids(page(ring, {{"after", "2"}})) == std::vector<std::int64_t>{3});
  CHECK(ids(page(ring, {{"limit", "1"}})) == std::vector<std::int64_t>{3});
  CHECK(page(ring, {{"after", "3"}})["events"].empty());
}

TEST_CASE("who asks for what comes after an id gets all of it, in pages, once") {
  EventRing ring(2);
  std::vector<JournalEvent> disk;
  for (std::int64_t id = 1; id <= 7; ++id) disk.push_back(event(id, "x", "db"));
  for (std::int64_t id = 7; id <= 9; ++id) ring.add(event(id, "x", "db"));  // 9 is not on the disk yet
  std::vector<std::int64_t> seen;
  std::int64_t after = 1;
  for (int turn = 0; turn < 10; ++turn) {
    // The journal answers one more than the limit if there is more.
    std::vector<JournalEvent> found;
    for (const JournalEvent& e : disk) {
      if (e.id > after && found.size() < 4) found.push_back(e);
    }
    const json got = page(ring, {{"after", std::to_string(after)}, {"limit", "3"}}, found);
    for (const std::int64_t id : ids(got)) seen.push_back(id);
    after = got["last_id"];
    if (!got["has_more"]) break;
  }
  CHECK(seen == std::vector<std::int64_t>{2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(after == 9);
}

TEST_CASE("what the journal had to drop is told from memory") {
  EventRing ring;
  for (std::int64_t id = 1; id <= 4; ++id) ring.add(event(id, "x", "db"));
  const json seen = page(ring, {}, std::vector<JournalEvent>{event(1, "x", "db"), event(3, "x", "db")});
  CHECK(ids(seen) == std::vector<std::int64_t>{1, 2, 3, 4});
  CHECK(seen["source"] == "journal");
}

TEST_CASE("a question that makes no sense is answered with what to write") {
  const EventRing ring;
  for (const auto& [key, value] : Query{{"since", "yesterday"},
                                        {"until", "x"},
                                        {"after", "-1"},
                                        {"after", "x"},
                                        {"limit", "0"},
                                        {"colour", "red"}}) {
    CHECK(page(ring, {{key, value}})["problem"].get<std::string>().find(key) != std::string::npos);
  }
}

TEST_CASE("an event whose text is hostile leaves a page that parses") {
  EventRing ring;
  ring.add({1, noon, "error", "x", {{"text", "\"\xff\x1b"}}});
  CHECK(page(ring, {})["events"][0]["fields"]["text"].is_string());
}
