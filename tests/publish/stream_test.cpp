// /api/v1/stream as its readers meet it: real sockets, and what is promised about ids: none is missed, none comes
// twice.
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "publish/event_stream.hpp"
#include "tests/publish/running_front.hpp"

using namespace vital;
using namespace vital::test;
using namespace std::chrono_literals;

namespace {

StreamEvent event(std::int64_t id, const std::string& name = "check_state", const std::string& check = "db") {
  return {id, name, check, "{\"id\":" + std::to_string(id) + "}"};
}

std::vector<std::int64_t> ids(const std::string& bytes) {
  std::vector<std::int64_t> out;
  for (std::size_t at = bytes.find("\nid: "); at != std::string::npos; at = bytes.find("\nid: ", at + 1)) {
    out.push_back(std::stoll(bytes.substr(at + 5, 20)));
  }
  return out;
}

std::vector<std::int64_t> range(std::int64_t from, std::int64_t to) {
  std::vector<std::int64_t> out;
  for (std::int64_t id = from; id <= to; ++id) out.push_back(id);
  return out;
}

// A journal of events 1 to `newest`.
StreamSource source_of(std::int64_t newest, int* asked = nullptr) {
  return [newest, asked](std::int64_t after, std::size_t limit, const StreamReply& reply) {
    if (asked != nullptr) ++*asked;
    std::vector<StreamEvent> out;
    for (std::int64_t id = after + 1; id <= newest && out.size() < limit; ++id) out.push_back(event(id));
    const bool has_more = !out.empty() && out.back().id < newest;
    reply(std::move(out), has_more);
  };
}

const std::string ask_stream = "GET /api/v1/stream HTTP/1.1\r\nHost: x\r\n";

// Reads until this id was seen.
std::string read_until(Client& client, std::int64_t id) {
  std::string bytes;
  const std::string wanted = "\nid: " + std::to_string(id) + "\n";
  const Instant until = Loop::now() + 30s;
  for (std::size_t searched = 0; Loop::now() < until;) {
    bytes += client.receive(50ms).bytes;
    if (bytes.find(wanted, searched) != std::string::npos) break;
    searched = bytes.size() - std::min(bytes.size(), wanted.size());
  }
  return bytes;
}

bool eventually(const std::function<bool()>& claim) {
  const Instant until = Loop::now() + 10s;
  while (Loop::now() < until) {
    if (claim()) return true;
    std::this_thread::sleep_for(1ms);
  }
  return claim();
}

}  // namespace

TEST_CASE("a stream begins with what comes next, each event with its id and name") {
  RunningFront front;
  front.front.tell(event(1));
  Client reader(front.health);
  reader.send(ask_stream + "\r\n");
  REQUIRE(eventually([&] { return front.front.counters().stream_readers == 1; }));
  front.front.tell(event(2));
  front.front.tell(event(3, "reloading", ""));
  const std::string seen = read_until(reader, 3);
  CHECK(seen.find("HTTP/1.1 200 OK\r\n") == 0);
  CHECK(seen.find("Content-Type: text/event-stream\r\n") != std::string::npos);
  CHECK(seen.find("Content-Length") == std::string::npos);
  CHECK(ids(seen) == range(2, 3));
  CHECK(seen.find("id: 2\nevent: state\ndata: {\"id\":2}\n\n") != std::string::npos);
  CHECK(seen.find("id: 3\nevent: event\ndata: ") != std::string::npos);
}

TEST_CASE("who comes back with its last id gets what it missed and nothing twice, from memory or from the journal") {
  int asked = 0;
  RunningFront front({}, {}, [&](Front& f) { f.set_stream_source(source_of(4999, &asked)); });
  for (std::int64_t id = 4000; id < 5000; ++id) front.front.tell(event(id));
  for (std::int64_t id = 5000; id < 5200; ++id) front.front.tell(event(id));  // 4000 to 4199 gave way
  {
    Client near(front.health);
    near.send(ask_stream + "Last-Event-ID: 5100\r\n\r\n");
    CHECK(ids(read_until(near, 5199)) == range(5101, 5199));
  }
  {
    Client far(front.health);
    far.send(ask_stream + "Last-Event-ID: 3500\r\n\r\n");
    CHECK(ids(read_until(far, 5199)) == range(3501, 5199));
  }
  {
    Client from_query(front.health);
    from_query.send("GET /api/v1/stream?after=5198 HTTP/1.1\r\n\r\n");
    CHECK(ids(read_until(from_query, 5199)) == range(5199, 5199));
  }
  {
    Client of_another_journal(front.health);
    of_another_journal.send(ask_stream + "Last-Event-ID: 999999999\r\n\r\n");
    CHECK(ids(read_until(of_another_journal, 5199)) == range(4200, 5199));
  }
}

TEST_CASE("a reader that comes back for what nobody keeps any more goes on with what there is") {
  std::atomic<int> asked = 0;
  RunningFront front({}, {}, [&](Front& f) {
    f.set_stream_source([&](std::int64_t, std::size_t, const StreamReply& reply) {
      ++asked;
      reply({}, false);
    });
  });
  front.front.tell(event(100));
  Client reader(front.health);
  reader.send(ask_stream + "Last-Event-ID: 5\r\n\r\n");
  CHECK(ids(read_until(reader, 100)) == range(100, 100));
  CHECK(asked == 1);  // not for ever
}

TEST_CASE("a reader may want one check, or some events") {
  RunningFront front;
  front.front.tell(event(1));
  Client reader(front.health);
  reader.send("GET /api/v1/stream?check=app&after=0 HTTP/1.1\r\n\r\n");
  Client other(front.health);
  other.send("GET /api/v1/stream?event=flapping,stopping&after=0 HTTP/1.1\r\n\r\n");
  REQUIRE(eventually([&] { return front.front.counters().stream_readers == 2; }));
  front.front.tell(event(2, "check_state", "app"));
  front.front.tell(event(3, "flapping", "db"));
  front.front.tell(event(4, "check_state", "app"));
  front.front.tell(event(5, "stopping", ""));
  CHECK(ids(read_until(reader, 4)) == std::vector<std::int64_t>{2, 4});
  CHECK(ids(read_until(other, 5)) == std::vector<std::int64_t>{3, 5});
  CHECK(front.get("/api/v1/stream?colour=red").code() == 400);
  CHECK(front.get("/api/v1/stream?after=x").code() == 400);
}

TEST_CASE("details are for those who may see them, on the stream too") {
  RunningFront front([](FrontOptions& o) { o.health.front().details = ShowDetails::never; });
  CHECK(front.get("/api/v1/stream").code() == 403);
}

TEST_CASE("readers beyond the limit are told so") {
  RunningFront front([](FrontOptions& o) { o.limits.streams = 1; });
  Client first(front.health);
  first.send(ask_stream + "\r\n");
  REQUIRE(eventually([&] { return front.front.counters().stream_readers == 1; }));
  CHECK(front.get("/api/v1/stream").code() == 503);
  first.end_sending();  // EventSource closes
  CHECK(first.receive(5s).end == End::fin);
  CHECK(eventually([&] { return front.front.counters().stream_readers == 0; }));
}

TEST_CASE("a reader that does not read is dropped, counted, and costs no memory beyond a batch") {
  RunningFront front([](FrontOptions& o) { o.limits.write_time = 1s; });
  front.front.tell(event(1));
  Client lazy(front.health);
  lazy.send(ask_stream + "Last-Event-ID: 0\r\n\r\n");
  Client eager(front.health);
  eager.send(ask_stream + "Last-Event-ID: 0\r\n\r\n");
  REQUIRE(eventually([&] { return front.front.counters().stream_readers == 2; }));
  const std::string text(8000, 'x');
#ifdef __SANITIZE_THREAD__
  constexpr auto breath = 40ms;  // a reader that is watched reads slowly
#else
  constexpr auto breath = 5ms;
#endif
  std::thread teller([&] {
    for (std::int64_t id = 2; id <= 4000; ++id) {
      front.front.tell({id, "x", "", "\"" + text + "\""});
      if (id % 20 == 0) std::this_thread::sleep_for(breath);
    }
  });
  const std::string seen = read_until(eager, 4000);
  teller.join();
  CHECK(ids(seen) == range(1, 4000));
  CHECK(eventually([&] { return front.front.counters().stream_readers_dropped == 1; }));
  CHECK(front.front.counters().stream_readers == 1);
}

TEST_CASE("polls of /health are answered while a hundred readers are told a storm of events") {
  RunningFront front;
  front.front.tell(event(1));
  std::vector<std::unique_ptr<Client>> readers;
  for (int i = 0; i < 100; ++i) {
    readers.push_back(std::make_unique<Client>(front.health));
    readers.back()->send(ask_stream + "\r\n");
  }
  REQUIRE(eventually([&] { return front.front.counters().stream_readers == 100; }));
  for (std::int64_t id = 2; id <= 900; ++id) front.front.tell(event(id));
  // Asked behind the storm, answered before the last reader has all of it.
  Client poll(front.health);
  poll.send("GET /health HTTP/1.1\r\n\r\n");
  CHECK(poll.receive_answer().code() == 200);
  for (auto& reader : readers) CHECK(ids(read_until(*reader, 900)) == range(2, 900));
}

TEST_CASE("a stream ends with a FIN when the front stops") {
  std::unique_ptr<Client> reader;
  {
    RunningFront front;
    reader = std::make_unique<Client>(front.health);
    reader->send(ask_stream + "\r\n");
    REQUIRE(eventually([&] { return front.front.counters().stream_readers == 1; }));
  }
  CHECK(reader->receive(5s).end == End::fin);
}
