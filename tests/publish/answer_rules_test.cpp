// What is answered to whom: every shape of request seen on the wire, what cannot be read, the codes of each consumer,
// who sees details, and how much of the room one source may take.
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

std::uint64_t count_of(const FrontCounters& counters, int code) {
  for (const auto& [c, n] : counters.requests) {
    if (c == code) return n;
  }
  return 0;
}

const std::string proxy2_local("\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00", 16);

}  // namespace

TEST_CASE("every consumer's request is answered with the status, and the connection ends with a FIN") {
  RunningFront front([](FrontOptions& o) { o.health.front().proxy_protocol = {"127.0.0.0/8"}; });
  struct Row {
    const char* who;
    std::string bytes;
    bool has_body;
  };
  const Row rows[] = {
      {"HAProxy option httpchk", "OPTIONS / HTTP/1.0\r\n\r\n", true},
      {"HAProxy httpchk GET", "GET /health HTTP/1.0\r\n\r\n", true},
      {"HAProxy httpchk HTTP/1.1, no Host", "GET /health HTTP/1.1\r\nconnection: close\r\n\r\n", true},
      {"HAProxy http-check send", "GET /health HTTP/1.1\r\nhost: any\r\nconnection: close\r\n\r\n", true},
      {"HAProxy send-state",
       "GET /health?profile=x HTTP/1.0\r\nx-haproxy-server-state: UP 1/3; address=1; name=b/s; scur=0/0\r\n\r\n", true},
      {"HAProxy POST", "POST /health HTTP/1.1\r\nconnection: close\r\ncontent-length: 4\r\n\r\nping", true},
      {"HAProxy send-proxy", "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\nGET /health HTTP/1.0\r\n\r\n", true},
      {"HAProxy send-proxy-v2", proxy2_local + "GET /health HTTP/1.0\r\n\r\n", true},
      {"Varnish", "GET /health HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n", true},
      {"Varnish with .proxy_header=2", proxy2_local + "GET /health HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n",
       true},
      {"Apache OPTIONS *", "OPTIONS * HTTP/1.0\r\nHost: 127.0.0.1:80\r\n\r\n", true},
      {"Apache HEAD", "HEAD /health HTTP/1.0\r\nHost: 127.0.0.1:80\r\n\r\n", false},
      {"keepalived", "GET /health HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nHost: 1.2.3.4:80\r\n\r\n", true},
      {"F5 BIG-IP, no version", "GET /\r\n", true},
      {"F5 BIG-IP, a path", "GET /health\r\n", true},
      {"check_http", "GET /health HTTP/1.0\r\nUser-Agent: check_http/v2.3.3\r\nConnection: close\r\n\r\n", true},
      {"kubelet",
       "GET /health HTTP/1.1\r\nHost: 10.0.0.1:80\r\nUser-Agent: kube-probe/1.29\r\nAccept: */*\r\nConnection: "
       "close\r\n\r\n",
       true},
      {"a proxy's absolute target", "GET http://host:80/health HTTP/1.1\r\nHost: host\r\nConnection: close\r\n\r\n",
       true},
      {"an empty line first", "\r\nGET /health HTTP/1.0\r\n\r\n", true},
      {"typed into nc", "GET /health HTTP/1.0\n\n", true},
      {"one service", "GET /health/web HTTP/1.0\r\n\r\n", true},
      {"one check", "GET /health/web/db HTTP/1.0\r\n\r\n", true},
      {"an escaped path", "GET /health/w%65b HTTP/1.0\r\n\r\n", true},
  };
  for (const Row& row : rows) {
    INFO(row.who);
    const Received got = ask(front.health, row.bytes);
    CHECK(got.code() == 200);
    CHECK(got.end == End::fin);
    CHECK(got.has("X-Health-Status: pass\r\n"));
    CHECK(got.has("Cache-Control: no-store\r\n"));
    CHECK(got.has("Connection: close\r\n"));
    CHECK(got.has("Age: 3\r\n"));
    CHECK(got.has("Content-Length: "));
    CHECK(got.body().starts_with("{\"status\":\"pass\"") == row.has_body);
    CHECK(got.body().empty() == !row.has_body);
  }
  CHECK(ask(front.health, "GET /\r\n").bytes.starts_with("HTTP/1.0 200 "));
  CHECK(front.front.counters().proxied == 3);
  front.show(Mood::fail);
  for (const Row& row : rows) {
    INFO(row.who);
    const Received got = ask(front.health, row.bytes);
    CHECK(got.code() == 503);
    CHECK(got.end == End::fin);
  }
}

TEST_CASE("HEAD counts the body that GET sends") {
  RunningFront front;
  const Received get = front.get("/health");
  const Received head = ask(front.health, "HEAD /health HTTP/1.1\r\nConnection: close\r\n\r\n");
  CHECK(head.has("Content-Length: " + std::to_string(get.body().size()) + "\r\n"));
  CHECK(head.body().empty());
  // Of the events as they happen there is only the head to see.
  for (const char* method : {"HEAD", "OPTIONS"}) {
    CHECK(ask(front.health, std::string(method) + " /api/v1/stream HTTP/1.1\r\nConnection: close\r\n\r\n").code() ==
          200);
  }
}

TEST_CASE("other methods are told which ones are answered") {
  RunningFront front;
  for (const char* method : {"PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "BREW"}) {
    INFO(method);
    const Received got = ask(front.health, std::string(method) + " /health HTTP/1.1\r\nConnection: close\r\n\r\n");
    CHECK(got.code() == 405);
    CHECK(got.has("Allow: GET, HEAD, OPTIONS, POST\r\n"));
    CHECK(got.end == End::fin);
  }
  CHECK(ask(front.health, "OPTIONS / HTTP/1.0\r\n\r\n").has("Allow: GET, HEAD, OPTIONS, POST\r\n"));
}

TEST_CASE("requests that cannot be read get their code, and the end is a FIN even if more was sent") {
  RunningFront front;
  struct Row {
    const char* what;
    std::string bytes;
    int code;
  };
  const Row rows[] = {
      {"garbage", "garbage\r\n\r\n", 400},
      {"a TLS hello", std::string("\x16\x03\x01\x02\x00\x01\x00\x01", 8) + std::string(500, '\x01'), 400},
      {"an oversize header", "GET / HTTP/1.1\r\nA: " + std::string(20000, 'a') + "\r\n\r\n", 431},
      {"an oversize path", "GET /" + std::string(20000, 'a') + " HTTP/1.1\r\n\r\n", 431},
      {"an oversize body, announced", "POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n", 413},
      {"an oversize body, sent", "POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + std::string(100000, 'b'), 413},
      {"two lengths", "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400},
      {"length and chunks", "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc", 400},
      {"the same length twice", "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
      {"a list of lengths", "POST / HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\nabc", 400},
      {"a signed length", "POST / HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc", 400},
      {"a negative length", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
      {"a length beyond 64 bits", "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
      {"chunks, then a length", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", 400},
      {"two encodings", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", 400},
      {"a disguised encoding", "POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", 501},
      {"a space before the colon", "POST / HTTP/1.1\r\nContent-Length : 3\r\n\r\nabc", 400},
      {"a folded header", "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400},
      {"a carriage return within a header", "GET / HTTP/1.1\r\nA: b\rTransfer-Encoding: chunked\r\n\r\n", 400},
      {"a NUL", std::string("GET /\0 HTTP/1.1\r\n\r\n", 18), 400},
      {"chunks in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"chunks", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 411},
      {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"a PROXY header from who may not", "PROXY TCP4 1.1.1.1 1.1.1.1 1 2\r\nGET / HTTP/1.0\r\n\r\n", 400},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    const Received got = ask(front.health, row.bytes);
    CHECK(got.code() == row.code);
    CHECK(got.end == End::fin);
    CHECK(got.has("Connection: close\r\n"));
  }
  CHECK(count_of(front.front.counters(), 431) == 2);
  CHECK(count_of(front.front.counters(), 413) == 2);
}

TEST_CASE("a consumer with codes of its own gets them by ?as=") {
  RunningFront front;
  struct Row {
    const char* as;
    int warn, fail, drain;
  };
  const Row rows[] = {{"consul", 429, 503, 503}, {"haproxy-404", 200, 503, 404}, {"nagios", 429, 503, 503},
                      {"gcp", 200, 503, 503},    {"aws", 200, 503, 503},         {"azure", 200, 503, 503},
                      {"envoy", 200, 503, 503},  {"kubernetes", 200, 503, 503},  {"keepalived", 200, 503, 503},
                      {"varnish", 200, 503, 503}};
  const std::pair<Mood, int Row::*> moods[] = {
      {Mood::warn, &Row::warn}, {Mood::fail, &Row::fail}, {Mood::drain, &Row::drain}, {Mood::maintenance, &Row::drain}};
  for (const auto& [mood, code] : moods) {
    front.show(mood);
    for (const Row& row : rows) {
      for (const char* path : {"/health?as=", "/health/web?as=", "/?format=text&as=", "/health?exclude=nope&as="}) {
        INFO(path << row.as);
        const Received got = front.get(path + std::string(row.as));
        CHECK(got.code() == row.*code);
        CHECK(got.has("Retry-After: ") == (got.code() == 503));
      }
    }
  }
  front.show(Mood::pass);
  for (const Row& row : rows) CHECK(front.get("/health?as=" + std::string(row.as)).code() == 200);
  // A service's own codes give way: this one calls a warning 429 and Google would take it for dead.
  front.show(Mood::warn);
  CHECK(front.get("/health/mail?as=gcp").code() == 200);
  const Received typo = front.get("/health?as=gpc");
  CHECK(typo.code() == 400);
  CHECK(typo.has("as is one of consul, haproxy-404, "));
  front.board.valid_until.store(Loop::now() - 3s);
  CHECK(front.get("/health?as=haproxy-404").code() == 503);
}

TEST_CASE("exclude may be repeated, and each name is judged by itself") {
  RunningFront front;
  front.show(Mood::fail);  // db fails
  CHECK(front.get("/health/web?exclude=app").code() == 503);
  CHECK(front.get("/health/web?exclude=db").code() == 200);
  CHECK(front.get("/health/web?exclude=app&exclude=db").code() == 200);
  const Received got = front.get("/health/web?exclude=nope&exclude=db&exclude=neither");
  CHECK(got.code() == 200);
  CHECK(got.has("no check \\\"nope\\\" to exclude"));
  CHECK(got.has("no check \\\"neither\\\" to exclude"));
}

TEST_CASE("one source cannot hold more than its share: its own oldest gives way, others do not notice") {
  RunningFront front([](FrontOptions& o) {
    o.limits.connections_per_source = 3;
    o.limits.counts_loopback = true;
  });
  Client proven(front.health);
  proven.send("GET /health HTTP/1.1\r\n\r\n");
  CHECK(proven.receive_answer().code() == 200);
  Client silent(front.health), second(front.health), third(front.health);
  CHECK(silent.receive().end == End::fin);
  CHECK(eventually([&] { return front.front.counters().over_source_cap == 1; }));
  proven.send("GET /health HTTP/1.1\r\n\r\n");
  CHECK(proven.receive_answer().code() == 200);
  CHECK(front.get("/metrics").has("vitald_http_connections_over_source_cap_total 2\n"));

  RunningFront local([](FrontOptions& o) { o.limits.connections_per_source = 3; });
  std::vector<Client> many;
  for (int i = 0; i < 8; ++i) many.emplace_back(local.health);
  CHECK(eventually([&] { return local.front.counters().connections_open == 8; }));
  CHECK(local.front.counters().over_source_cap == 0);
}

TEST_CASE("details are for whom the config says") {
  struct Row {
    ShowDetails details;
    bool is_shown;
  };
  for (const Row& row : {Row{ShowDetails::loopback, true}, Row{ShowDetails::always, true},
                         Row{ShowDetails::never, false}, Row{ShowDetails::authorized, false}}) {
    RunningFront front([&](FrontOptions& o) { o.health.front().details = row.details; });
    CHECK((front.get("/health").body() == "{\"status\":\"pass\"}\n") != row.is_shown);
    CHECK(front.get("/api/v1/status").code() == (row.is_shown                             ? 200
                                                 : row.details == ShowDetails::authorized ? 401
                                                                                          : 403));
    CHECK(front.get("/metrics").code() == 200);
    CHECK((front.get("/health?verbose&format=text").body() == "pass\n") != row.is_shown);
  }
}

TEST_CASE("a client behind a local proxy is not local") {
  RunningFront front([](FrontOptions& o) { o.health.front().proxy_protocol = {"127.0.0.1"}; });
  const std::string request = "GET /health HTTP/1.0\r\n\r\n";
  CHECK(ask(front.health, "PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\n" + request).body() == "{\"status\":\"pass\"}\n");
  CHECK(ask(front.health, "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n" + request).has("serviceId"));
  CHECK(ask(front.health, proxy2_local + request).has("serviceId"));
  CHECK(ask(front.health, request).has("serviceId"));
  CHECK(ask(front.health, "PROXY TCP4 nonsense\r\n" + request).code() == 400);
}
