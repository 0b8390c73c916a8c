// The agent check: the complete state in one line, whoever asks and however.
#include "publish/haproxy_agent.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <string>

#include "tests/publish/running_front.hpp"

using namespace vital;
using namespace vital::test;
using namespace std::chrono_literals;
using canned::Mood;

TEST_CASE("each mood has its complete line") {
  struct Row {
    Mood mood;
    const char* line;
  };
  const Row rows[] = {
      {Mood::pass, "up ready 100%\n"},
      {Mood::warn, "up ready 100%\n"},
      {Mood::fail, "down ready # db: fail/timeout: no answer in 5s\n"},
      {Mood::drain, "up drain # drain by alice: kernel update\n"},
      {Mood::maintenance, "up maint # maintenance by alice: kernel update\n"},
      {Mood::pending, "down ready # pending\n"},
  };
  RunningFront front;
  for (const Row& row : rows) {
    front.show(row.mood);
    const Received got = ask(front.haproxy, "web\n");
    CHECK(got.bytes == row.line);
    CHECK(got.end == End::fin);
  }
}

TEST_CASE("a service is chosen by its line, with or without group=, however it ends") {
  RunningFront front;
  front.show(Mood::fail);
  for (const char* asked : {"mail\n", "mail\r\n", "group=mail\n", " mail \n", "mail\nweb\n", "mail"}) {
    INFO(asked);
    CHECK(ask(front.haproxy, asked).bytes == "up ready 100%\n");
  }
  for (const char* asked : {"web\n", "\n", "group=\n", ""}) {
    INFO(asked);
    CHECK(ask(front.haproxy, asked).bytes.starts_with("down ready # db"));
  }
}

TEST_CASE("who says nothing waits 100 ms for the node's line, who ends at once does not wait") {
  RunningFront front;
  const Instant start = Loop::now();
  CHECK(ask(front.haproxy, "").bytes == "up ready 100%\n");
  const Duration waited = Loop::now() - start;
  CHECK(waited >= 100ms);
  CHECK(waited < 1s);
  RunningFront patient([](FrontOptions& o) { o.limits.agent_line_time = 1h; });
  Client client(patient.haproxy);
  client.end_sending();
  CHECK(client.receive().bytes == "up ready 100%\n");
}

TEST_CASE("a service nobody knows gets a word that changes nothing, and is counted") {
  RunningFront front;
  CHECK(ask(front.haproxy, "wbe\n").bytes == "unknown-service # vitald has no service wbe\n");
  CHECK(ask(front.haproxy, "group=wbe\n").bytes.starts_with("unknown-service #"));
  CHECK(front.front.counters().agent_unknown_services == 2);
  CHECK(front.front.counters().agent_checks == 2);
}

TEST_CASE("a line without an end is cut, and rubbish is no command") {
  RunningFront front;
  const Received got = ask(front.haproxy, std::string(5000, 'a'));
  CHECK(got.bytes.starts_with("unknown-service #"));
  CHECK(got.bytes.size() < 200);
  CHECK(got.end == End::fin);
  CHECK(ask(front.haproxy, "GET / HTTP/1.0\r\n\r\n").bytes.starts_with("unknown-service #"));
}

TEST_CASE("HAProxy's reset after reading is no trouble") {
  RunningFront front;
  for (int i = 0; i < 20; ++i) {
    Client client(front.haproxy);
    client.send("web\n");
    CHECK(client.receive(5s, 5).bytes.starts_with("up"));
    client.reset();
  }
  CHECK(ask(front.haproxy, "web\n").bytes == "up ready 100%\n");
}

TEST_CASE("a node that is starting or has stalled is down, never silent") {
  const Now now = canned::moment();
  CHECK(haproxy_reply(nullptr, "web", now, now.mono).line.starts_with("down ready # vitald: starting"));
  const auto view = canned::view(Mood::pass);
  CHECK(haproxy_reply(view.get(), "web", now, now.mono).line == "up ready 100%\n");
  CHECK(
      haproxy_reply(view.get(), "web", now, now.mono - 1ms).line.starts_with("down ready # vitald: the agent's loop"));
}
