// Who is recognised, how a rhythm is learnt, who makes room for whom; and gRPC health as bytes.
#include "publish/consumers.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "loop/loop.hpp"
#include "publish/grpc_health.hpp"
#include "tests/publish/canned.hpp"

using namespace vital;
using namespace std::chrono_literals;

namespace {

HostAddress host(std::uint8_t last, std::uint8_t third = 0) {
  const std::uint8_t four[4] = {10, 0, third, last};
  return HostAddress::v4(four);
}

struct Room {
  Consumers consumers;
  Now now{Instant(1000s), WallTime(1700000000s)};
  std::vector<std::string> told;

  Room() {
    consumers.when_changed([this](const char* event, const SeenConsumer& c) {
      told.push_back(std::string(event) + " " + std::string(c.kind) + " " + c.address);
    });
  }
  void pass(Duration d) {
    now.mono += d;
    now.wall += std::chrono::duration_cast<std::chrono::milliseconds>(d);
  }
  Consumers::Slot see(std::uint8_t from, std::string_view kind = "haproxy", std::string_view path = "/health",
                      Consumers::Slot guess = Consumers::none) {
    return consumers.see({host(from), kind, path, {}, {}}, guess, now);
  }
};

}  // namespace

TEST_CASE("a consumer settles with its third request, and its rhythm is the mean of late") {
  Room room;
  Consumers::Slot slot = Consumers::none;
  for (int i = 0; i < 40; ++i) {
    slot = room.see(1, "haproxy", "/health", slot);
    room.consumers.answered(slot, 200);
    room.pass(i < 20 ? 1s : 2s);
    CHECK(room.told.size() == (i >= 2 ? 1 : 0));
  }
  const auto all = room.consumers.list();
  REQUIRE(all.size() == 1);
  CHECK(all[0].requests == 40);
  CHECK(all[0].interval > 1500ms);
  CHECK(all[0].interval <= 2s);
  CHECK(all[0].longest >= 1900ms);
  CHECK(all[0].last_code == 200);
  CHECK(room.told == std::vector<std::string>{"consumer_seen haproxy 10.0.0.1"});
}

TEST_CASE("who stays away for three of its intervals is lost, once, and seen again when it comes back") {
  Room room;
  for (int i = 0; i < 10; ++i) {
    room.see(1);
    room.pass(10s);
  }
  room.pass(20s);
  room.consumers.sweep(room.now.mono);
  CHECK(room.told.size() == 1);
  room.pass(10s);
  room.consumers.sweep(room.now.mono);
  room.consumers.sweep(room.now.mono);
  CHECK(room.told.size() == 2);
  CHECK(room.told.back() == "consumer_lost haproxy 10.0.0.1");
  CHECK(room.consumers.by_kind().empty());
  const Duration interval = room.consumers.list()[0].interval;
  room.see(1);
  CHECK(room.told.back() == "consumer_seen haproxy 10.0.0.1");
  CHECK(room.consumers.list()[0].interval == interval);  // an absence says nothing of the rhythm
  room.pass(31min);
  room.consumers.sweep(room.now.mono);
  CHECK(room.consumers.is_empty());
}

TEST_CASE("who came once, stays away and looks in again has not settled") {
  Room room;
  room.see(1);
  room.pass(20s);
  room.consumers.sweep(room.now.mono);
  room.see(1);
  CHECK(room.told.empty());
  room.see(1);
  CHECK(room.told == std::vector<std::string>{"consumer_seen haproxy 10.0.0.1"});
}

TEST_CASE("a change of what a balancer believes is told, its way there and a first word are not") {
  Room room;
  const auto says = [&](const char* state) {
    room.consumers.see({host(1), "haproxy", "/health", {}, state}, Consumers::none, room.now);
    room.pass(1s);
  };
  for (const char* state : {"UP 1/3; name=web/s1", "DOWN 0/2", "UP 1/3", "UP 1/3"}) says(state);  // not settled yet
  CHECK(room.told == std::vector<std::string>{"consumer_seen haproxy 10.0.0.1"});
  says("UP 2/3");
  says("UP 3/3");
  CHECK(room.told.size() == 1);
  says("DOWN 0/2; name=web/s1");
  REQUIRE(room.told.size() == 2);
  CHECK(room.told.back() == "consumer_believes haproxy 10.0.0.1");
  CHECK(room.consumers.list()[0].believed_before == "UP");
  CHECK(room.consumers.list()[0].belief.state == "DOWN");
  room.see(1);  // one request without the header changes nothing
  says("DOWN 1/2");
  CHECK(room.told.size() == 2);
}

TEST_CASE("somebody who pretends to be a thousand balancers is counted, not told") {
  Room room;
  for (unsigned i = 0; i < 3000; ++i) {
    const unsigned who = i / 3;
    room.consumers.see(
        {host(static_cast<std::uint8_t>(who % 250), static_cast<std::uint8_t>(who / 250)), "envoy", "/health", {}, {}},
        Consumers::none, room.now);
  }
  CHECK(room.told.size() == Consumers::most_told_at_once);
  CHECK(room.consumers.untold() == 1000 - Consumers::most_told_at_once);
  room.pass(Consumers::told_every);
  for (int i = 0; i < 6; ++i) room.see(static_cast<std::uint8_t>(251 + i / 3), "haproxy");
  CHECK(room.told.size() == Consumers::most_told_at_once + 1);
}

TEST_CASE("the table is bounded; who came once gives way to who comes always") {
  Room room;
  for (int i = 0; i < 5; ++i) room.see(1);
  for (unsigned i = 0; i < 2000; ++i) {
    room.pass(1ms);
    room.consumers.see(
        {host(static_cast<std::uint8_t>(i % 250), static_cast<std::uint8_t>(1 + i / 250)), "other", "/health", {}, {}},
        Consumers::none, room.now);
  }
  CHECK(room.consumers.list().size() == Consumers::most);
  CHECK(room.consumers.list()[0].address == "10.0.0.1");
  CHECK(room.consumers.evicted() == 2001 - Consumers::most);
  CHECK(room.told == std::vector<std::string>{"consumer_seen haproxy 10.0.0.1"});
}

TEST_CASE("a page that is not there leaves no trace, and a slot that was given to another is not believed") {
  Room room;
  const Consumers::Slot gone = room.see(1, "envoy", "/health/nope");
  room.consumers.answered(gone, 404);
  CHECK(room.consumers.is_empty());
  const Consumers::Slot other = room.see(2, "envoy", "/health");
  CHECK(other == gone);
  CHECK(room.see(1, "envoy", "/health", other) != other);
  CHECK(room.consumers.list().size() == 2);
}

TEST_CASE("what HAProxy says of us is read, whatever it is") {
  const ConsumerBelief b =
      read_server_state("UP 2/3; address=127.0.0.1; port=80; name=bck/s1; node=lb1; weight=100/300; scur=1/2; qcur=0");
  CHECK(b.state == "UP");
  CHECK(b.rank == "2/3");
  CHECK(b.server == "bck/s1");
  CHECK(b.node == "lb1");
  CHECK(b.weight == "100/300");
  CHECK(read_server_state("NOLB").state == "NOLB");
  CHECK(read_server_state(";;=;=x;name").server.empty());
  CHECK(read_server_state(std::string(100000, 'x')).state.size() <= 96);
  CHECK(read_server_state("UP\x1b[31m 1/1").state.find('\x1b') == std::string::npos);
}

TEST_CASE("a health request of gRPC is read strictly and an answer is what its schema says") {
  using Status = GrpcRequest::Status;
  const auto message = [](const std::string& body, char flag = 0) {
    return std::string{flag, 0, 0, static_cast<char>(body.size() >> 8U), static_cast<char>(body.size())} + body;
  };
  CHECK(read_health_request(message("")).status == Status::whole);
  CHECK(read_health_request(message("\x0a\x03web")).service == "web");
  CHECK(read_health_request(message("\x10\x05\x0a\x03web\x1a\x02zz")).service == "web");  // fields of a later version
  CHECK(read_health_request("").status == Status::need_more);
  CHECK(read_health_request(message("\x0a\x03we")).status == Status::malformed);
  CHECK(read_health_request(message("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")).status == Status::malformed);
  CHECK(read_health_request(message("\x0b")).status == Status::malformed);
  CHECK(read_health_request(message("\x02\x00")).status == Status::malformed);  // field 0
  CHECK(read_health_request(message("\x0a\x03web", 1)).status == Status::compressed);
  CHECK(read_health_request(message("\x0a\x03web", 2)).status == Status::malformed);
  CHECK(read_health_request(std::string("\0\xff\xff\xff\xff", 5)).status == Status::malformed);
  CHECK(read_health_request(message("\x0a\x03web").substr(0, 8)).status == Status::need_more);
  CHECK(health_response(Serving::serving) == std::string("\0\0\0\0\2\x08\1", 7));
  CHECK(health_response(Serving::service_unknown) == std::string("\0\0\0\0\2\x08\3", 7));
}

TEST_CASE("gRPC hears SERVING on pass and warn, and nothing better of a node nobody knows or that has stalled") {
  using canned::Mood;
  const Now now = Loop::both();
  const auto said = [&](Mood mood, const char* service, Duration valid = 1h) {
    return serving_of(canned::view(mood, now).get(), service, now, now.mono + valid);
  };
  CHECK(said(Mood::pass, "") == Serving::serving);
  CHECK(said(Mood::warn, "web") == Serving::serving);
  for (const Mood mood : {Mood::fail, Mood::drain, Mood::maintenance, Mood::pending}) {
    CHECK(said(mood, "web") == Serving::not_serving);
  }
  CHECK(said(Mood::pass, "web", -1s) == Serving::not_serving);
  CHECK_FALSE(said(Mood::pass, "nope"));
  CHECK(serving_of(nullptr, "", now, now.mono) == Serving::not_serving);
  CHECK_FALSE(serving_of(nullptr, "web", now, now.mono));
}
