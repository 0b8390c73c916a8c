// The front as load balancers meet it: real sockets, every shape of request that was seen on the wire, every way a
// connection can go wrong; and always how it ends. An end by reset takes a healthy node out of Varnish and keepalived.
#include <catch2/catch.hpp>
#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/publish/running_front.hpp"

using namespace vital;
using namespace vital::test;
using namespace std::chrono_literals;
using canned::Mood;

namespace {

// Waits for what another thread is about to count.
bool eventually(const std::function<bool()>& claim) {
  const Instant until = Loop::now() + 5s;
  while (Loop::now() < until) {
    if (claim()) return true;
    std::this_thread::sleep_for(1ms);
  }
  return claim();
}

}  // namespace

TEST_CASE("bytes sent after the request do not turn the end into a reset") {
  RunningFront front;
  for (const std::size_t extra : {std::size_t{1}, std::size_t{5000}, std::size_t{60000}}) {
    INFO(extra);
    Client client(front.health);
    client.send("GET /health HTTP/1.0\r\n\r\n" + std::string(extra, 'x'));
    const Received got = client.receive();
    CHECK(got.code() == 200);
    CHECK(got.end == End::fin);
  }
  Client slow(front.health);
  slow.send("GET /health HTTP/1.0\r\n\r\n");
  CHECK(slow.receive_answer().code() == 200);
  slow.send(std::string(5000, 'x'));
  CHECK(slow.receive().end == End::fin);
}

TEST_CASE("a client that has said its FIN still gets its answer") {
  RunningFront front;
  Client client(front.health);
  client.send("GET /health HTTP/1.1\r\n\r\n");
  client.end_sending();
  const Received got = client.receive();
  CHECK(got.code() == 200);
  CHECK(got.end == End::fin);
}

TEST_CASE("a connection stays open when the client wants it, and only then") {
  RunningFront front;
  Client modern(front.health);
  for (int i = 0; i < 3; ++i) {
    modern.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
    const Received got = modern.receive_answer();
    CHECK(got.code() == 200);
    CHECK(got.end == End::still_open);
    CHECK_FALSE(got.has("Connection: close"));
  }
  Client old(front.health);
  old.send("GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(old.receive_answer().has("Connection: keep-alive\r\n"));
  old.send("GET /health HTTP/1.0\r\n\r\n");
  const Received last = old.receive();
  CHECK(last.has("Connection: close\r\n"));
  CHECK(last.end == End::fin);
}

TEST_CASE("pipelined requests are answered in their order, slow ones between quick ones") {
  RunningFront front;
  Client client(front.health);
  std::string all;
  for (int i = 0; i < 100; ++i) {
    all += "GET /health?format=text HTTP/1.1\r\n\r\n";
    all += i % 10 == 0 ? "GET /api/v1/status HTTP/1.1\r\n\r\n" : "POST /livez HTTP/1.1\r\nContent-Length: 2\r\n\r\nab";
  }
  all += "GET /nothing HTTP/1.1\r\nConnection: close\r\n\r\n";
  client.send(all);
  for (int i = 0; i < 100; ++i) {
    REQUIRE(client.receive_answer().body() == "pass\n");
    REQUIRE(client.receive_answer().has(i % 10 == 0 ? "\"node\":{\"name\":\"node-1\"" : "{\"status\":\"pass\"}"));
  }
  const Received last = client.receive();
  CHECK(last.code() == 404);
  CHECK(last.end == End::fin);
}

TEST_CASE("a request that comes byte by byte is answered") {
  RunningFront front;
  Client client(front.health);
  for (const char c : std::string("GET /health HTTP/1.1\r\nHost: slow\r\nConnection: close\r\n\r\n")) {
    client.send({&c, 1});
  }
  CHECK(client.receive().code() == 200);
}

TEST_CASE("who waits for 100 Continue before the body gets it") {
  RunningFront front;
  Client client(front.health);
  client.send("POST /health HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\n");
  CHECK(client.receive(5s, 25).bytes == "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("abc");
  CHECK(client.receive().code() == 200);
}

TEST_CASE("half a request is answered with 408 when its time is up, silence with a FIN") {
  RunningFront front([](FrontOptions& o) {
    o.limits.header_time = 50ms;
    o.limits.body_time = 60ms;
    o.limits.idle_time = 40ms;
  });
  const Received half = ask(front.health, "GET /health HT");
  CHECK(half.code() == 408);
  CHECK(half.end == End::fin);
  const Received body = ask(front.health, "POST /health HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc");
  CHECK(body.code() == 408);
  CHECK(body.end == End::fin);
  CHECK(front.front.counters().timed_out == 2);
  const Received silent = ask(front.health, "");
  CHECK(silent.bytes.empty());
  CHECK(silent.end == End::fin);
  Client idle(front.health);
  idle.send("GET /health HTTP/1.1\r\n\r\n");
  const Received answered = idle.receive();
  CHECK(answered.code() == 200);
  CHECK(answered.end == End::fin);
  CHECK(answered.bytes.find("HTTP/1.1", 10) == std::string::npos);  // no unasked 408 behind the answer
}

TEST_CASE("a byte now and then does not stretch the time for a header") {
  RunningFront front([](FrontOptions& o) { o.limits.header_time = 100ms; });
  Client client(front.health);
  const Instant start = Loop::now();
  Received got;
  while (got.end == End::still_open && Loop::now() - start < 5s) {
    client.send("G");
    got = client.receive(20ms);
    if (got.code() != 0) break;
  }
  CHECK(got.code() == 408);
  CHECK(Loop::now() - start < 2s);
}

TEST_CASE("connections that say nothing and connections that are reset are counted, and nothing else") {
  RunningFront front;
  { Client client(front.health); }
  CHECK(eventually([&] { return front.front.counters().silent == 1; }));
  Client half(front.health);
  half.send("GET /he");
  CHECK(eventually([&] { return front.front.counters().connections_open == 1; }));
  half.reset();
  CHECK(eventually([&] { return front.front.counters().resets == 1; }));
  Client after(front.health);
  after.send("GET /health HTTP/1.0\r\n\r\n");
  after.reset();
  CHECK(eventually([&] { return front.front.counters().connections_open == 0; }));
  CHECK(front.get("/health").code() == 200);
}

TEST_CASE("2,000 connections that send half a request do not slow the answer for others") {
  RunningFront front;
  std::vector<Client> held;
  held.reserve(2000);
  for (int i = 0; i < 2000; ++i) {
    held.emplace_back(front.health);
    held.back().send("GET /health HTTP/1.1\r\nHost:");
  }
  CHECK(eventually([&] { return front.front.counters().connections_open == 2000; }));
  const Instant start = Loop::now();
  for (int i = 0; i < 100; ++i) REQUIRE(front.get("/health").code() == 200);
  CHECK(Loop::now() - start < 2s);  // 20 ms each is very slow; a front held by them would take 5 s for one
}

TEST_CASE("at the connection limit the one that waits longest gives way, those never heard of first") {
  RunningFront front([](FrontOptions& o) { o.limits.connections = 4; });
  Client proven(front.health);
  proven.send("GET /health HTTP/1.1\r\n\r\n");
  CHECK(proven.receive_answer().code() == 200);
  Client half(front.health);
  half.send("GET /hea");
  CHECK(eventually([&] { return front.front.counters().connections_open == 2; }));
  Client first(front.health);
  Client second(front.health);
  CHECK(eventually([&] { return front.front.counters().connections_open == 4; }));

  CHECK(front.get("/health").code() == 200);
  CHECK(first.receive().end == End::fin);  // silent, the older one
  Client third(front.health), fourth(front.health);
  CHECK(second.receive().end == End::fin);
  Client fifth(front.health), sixth(front.health);
  CHECK(third.receive().end == End::fin);
  CHECK(fourth.receive().end == End::fin);
  Client seventh(front.health);
  seventh.send("GET /h");
  Client eighth(front.health);
  eighth.send("GET /h");
  CHECK(eventually([&] { return front.front.counters().evicted >= 6; }));
  Client ninth(front.health);
  ninth.send("GET /h");
  const Received gave_way = half.receive();
  CHECK(gave_way.code() == 503);
  CHECK(gave_way.end == End::fin);
  proven.send("GET /health HTTP/1.1\r\n\r\n");
  CHECK(proven.receive_answer().code() == 200);
}

TEST_CASE("who does not take his answers is stopped, and the memory they would fill is bounded") {
  const auto big_page = [](Front& front) {
    front.add_get("/api/v1/big", [](const GetRequest&, const GetReply& reply) {
      reply({200, "text/plain", std::string(16 * 1024 * 1024, 'x')});
    });
  };
  RunningFront front(
      [](FrontOptions& o) {
        o.limits.write_time = 100ms;
        o.limits.pending_output_bytes = 24 * 1024 * 1024;
      },
      {}, big_page);
  const std::string request = "GET /api/v1/big HTTP/1.1\r\n\r\n";
  Client one(front.health);
  one.send(request + request);
  CHECK(eventually([&] { return front.front.counters().timed_out == 1; }));
  Client two(front.health), three(front.health), four(front.health);
  for (Client* client : {&two, &three, &four}) client->send(request + request);
  CHECK(eventually([&] { return front.front.counters().evicted + front.front.counters().timed_out == 4; }));
  CHECK(front.front.counters().evicted >= 1);
  CHECK(front.get("/health").code() == 200);
  RunningFront patient({}, {}, big_page);
  Client taker(patient.health);
  taker.send("GET /api/v1/big HTTP/1.0\r\n\r\n");
  const Received whole = taker.receive();
  CHECK(whole.body().size() == 16 * 1024 * 1024);
  CHECK(whole.end == End::fin);
}

TEST_CASE("past its validity every health answer is 503 by the front alone, and comes back by itself") {
  RunningFront front;
  front.board.valid_until.store(Loop::now() - 3s);
  for (const char* path : {"/", "/health", "/health/web", "/health/web/db", "/livez", "/readyz", "/health?format=text",
                           "/health?exclude=db"}) {
    INFO(path);
    const Received got = front.get(path);
    CHECK(got.code() == 503);
    CHECK(got.has("X-Health-Reason: vitald: the agent's loop stalled"));
    CHECK(got.has("Retry-After: "));
  }
  CHECK(front.get("/health?format=text").body() == "fail\n");
  CHECK(front.get("/api/v1/status").has("\"is_stalled\":true"));
  CHECK(front.get("/metrics").has("vitald_agent_stalled 1\n"));
  CHECK(ask(front.haproxy, "web\n").bytes.starts_with("down ready # vitald: the agent's loop stalled"));
  front.board.valid_until.store(Loop::now() + 1h);
  CHECK(front.get("/health").code() == 200);
}

TEST_CASE("before the first snapshot the node is starting, not healthy") {
  Board board;
  FrontOptions options;
  options.health = {"127.0.0.1:0"};
  Front front(options, board);
  front.start();
  for (const char* path : {"/health", "/health/web", "/livez", "/readyz", "/api/v1/status"}) {
    INFO(path);
    CHECK(ask(front.health_addresses().front(), "GET " + std::string(path) + " HTTP/1.0\r\n\r\n").code() == 503);
  }
  CHECK(ask(front.health_addresses().front(), "GET /metrics HTTP/1.0\r\n\r\n").code() == 200);
}

TEST_CASE("the pages answer what they promise") {
  RunningFront front;
  struct Row {
    const char* target;
    int code;
    const char* part;
  };
  const Row rows[] = {
      {"/health?format=text", 200, "\r\n\r\npass\n"},
      {"/health/web?format=nagios", 200, "OK - web: 3 of 3 checks pass | 'app'="},
      {"/health/web?format=prometheus", 200, "vitald_check_state{check=\"db\",state=\"pass\"} 1\n"},
      {"/health/web?format=yaml", 400, "format is one of"},
      {"/health?max_age=10s", 200, "\"status\":\"pass\""},
      {"/health?max_age=2s", 503, "the oldest result is 3"},
      {"/health?max_age=2", 400, "max_age is a duration"},
      {"/health?exclude=db", 200, "\"status\":\"pass\""},
      {"/health?exclude=nope", 200, "there is no check \\\"nope\\\" to exclude"},
      {"/health?verbose&format=text", 200, "pass\napp pass 12ms 200 OK\n"},
      {"/health?verbose=0&format=text", 200, "\r\n\r\npass\n"},
      {"/health/", 200, "\"serviceId\":\"node-1\""},
      {"/health/web/", 200, "\"serviceId\":\"web\""},
      {"/health/nope", 404, R"({"error":"there is no service \"nope\""})"},
      {"/health/web/smtp", 404, R"(there is no check \"smtp\" in that service)"},
      {"/health/web/db/x", 404, "there is no check"},
      {"/healthz", 404, "there is no such page"},
      {"/livez", 200, "{\"status\":\"pass\"}"},
      {"/readyz", 200, "{\"status\":\"pass\"}"},
      {"/metrics", 200, "vitald_build_info{version=\"0.1.0\"} 1\n"},
      {"/api/v1/status", 200, "\"valid_for_ms\":"},
      {"/api/v1/checks", 200, "{\"checks\":[{\"name\":\"app\""},
      {"/api/v1/checks/db", 200, "{\"name\":\"db\""},
      {"/api/v1/checks/nope", 404, R"(there is no check \"nope\")"},
      {"/api/v1/services", 200, "{\"services\":[{\"name\":\"web\""},
      {"/api/v1/services/mail", 200, "{\"name\":\"mail\""},
      {"/api/v1/services/nope", 404, R"(there is no service \"nope\")"},
      {"/api/v1/nope", 404, "no such document"},
      {"/api/v1/maintenance", 200, "{\"overlays\":[]}"},
      {"/ui/", 200, "<title>vitald</title>"},
      {"/ui/app.js", 200, "import "},
      {"/ui/style.css", 200, "color-scheme"},
      {"/ui", 302, "Location: /ui/\r\n"},
      {"/%00", 404, "there is no such page"},
  };
  for (const Row& row : rows) {
    INFO(row.target);
    const Received got = front.get(row.target);
    CHECK(got.code() == row.code);
    CHECK(got.has(row.part));
    CHECK(got.end == End::fin);
  }
  CHECK(front.get("/", "Accept: text/html,*/*;q=0.8\r\n").code() == 302);
  CHECK(front.get("/", "Accept: */*\r\n").code() == 200);
  CHECK(front.get("/ui/").has("Content-Security-Policy: default-src 'none'"));
  CHECK(front.get("/health", "Accept: text/plain, text/*, */*\r\n").body() == "pass\n");
}

TEST_CASE("ages and next probes are as of the request, not of the snapshot") {
  RunningFront front;
  const Now now = Loop::both();
  front.board.view.put(canned::view(Mood::pass, {now.mono - 60s, now.wall - 60s}));
  CHECK(front.get("/health").has("Age: 63\r\n"));
  const auto check = nlohmann::json::parse(front.get("/api/v1/checks/db").body());
  CHECK(check["age_ms"].get<long>() >= 63000);
  CHECK(check["age_ms"].get<long>() < 70000);
  CHECK(check["next_probe_ms"] == 0);
}

TEST_CASE("a page of another room may answer later and from any thread, once") {
  std::thread other;
  GetRequest seen;
  RunningFront front({}, {}, [&](Front& f) {
    f.add_get("/api/v1/events", [&](const GetRequest& request, const GetReply& reply) {
      seen = request;
      other = std::thread([reply] {
        reply({200, "application/json", "[1]"});
        reply({500, "application/json", "again"});
      });
    });
    f.add_get("/api/v1/tree/", [](const GetRequest& request, const GetReply& reply) {
      reply({200, "text/plain", request.path});
    });
    f.add_get("/health/", [](const GetRequest&, const GetReply& reply) { reply({500, "text/plain", "no"}); });
    f.add_get("/api/v1/throws", [](const GetRequest&, const GetReply&) { throw std::runtime_error("broken"); });
  });
  const Received got = front.get("/api/v1/events?since=1h");
  other.join();
  CHECK(seen.query == QueryList{{"since", "1h"}});
  CHECK(seen.is_detailed);
  CHECK(got.code() == 200);
  CHECK(got.has("Content-Type: application/json\r\n"));
  CHECK(got.body() == "[1]");
  CHECK(front.get("/api/v1/tree/a/b").body() == "/api/v1/tree/a/b");
  CHECK(front.get("/health/web").code() == 200);
  CHECK(front.get("/api/v1/throws").code() == 500);
}

TEST_CASE("a page that never answers costs its asker a bounded wait, and others nothing") {
  std::vector<GetReply> kept;
  RunningFront front(
      [](FrontOptions& o) {
        o.limits.get_time = 100ms;
        o.limits.waiting_requests = 2;
      },
      {},
      [&](Front& f) {
        f.add_get("/api/v1/never", [&](const GetRequest&, const GetReply& reply) { kept.push_back(reply); });
      });
  Client one(front.health), two(front.health), three(front.health);
  for (Client* client : {&one, &two}) client->send("GET /api/v1/never HTTP/1.1\r\n\r\n");
  CHECK(front.get("/health").code() == 200);
  const Received first = one.receive();
  CHECK(first.code() == 504);
  CHECK(first.end == End::fin);
  CHECK(two.receive().code() == 504);
  three.send("GET /api/v1/never HTTP/1.1\r\n\r\n");  // the places of the two are free again
  CHECK(three.receive().code() == 504);
  for (const GetReply& reply : kept) reply({200, "text/plain", "too late"});
  CHECK(front.get("/health").code() == 200);
}

TEST_CASE("too many requests that wait for the agent are refused at once") {
  std::vector<GetReply> kept;
  RunningFront front([](FrontOptions& o) { o.limits.waiting_requests = 1; }, {},
                     [&](Front& f) {
                       f.add_get("/api/v1/never",
                                 [&](const GetRequest&, const GetReply& reply) { kept.push_back(reply); });
                     });
  Client one(front.health);
  one.send("GET /api/v1/never HTTP/1.1\r\n\r\n");
  CHECK(eventually([&] { return front.front.counters().connections_open == 1; }));
  CHECK(eventually([&] { return front.get("/api/v1/never").code() == 503; }));
}

TEST_CASE("the front stops without a reset for those it was talking to") {
  Client* idle = nullptr;
  Received end;
  {
    RunningFront front;
    idle = new Client(front.health);
    idle->send("GET /health HTTP/1.1\r\n\r\n");
    CHECK(idle->receive_answer().code() == 200);
  }
  end = idle->receive();
  CHECK(end.end == End::fin);
  delete idle;
}
