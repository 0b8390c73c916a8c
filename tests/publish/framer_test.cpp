// Where a request ends, and what is refused before it can be misread.
#include <catch2/catch.hpp>
#include <string>
#include <string_view>

#include "publish/proxy_header.hpp"
#include "publish/request_framer.hpp"

using vital::Frame;
using vital::RequestFramer;
using Status = Frame::Status;

namespace {

Frame read_whole(std::string_view bytes) {
  RequestFramer framer({});
  return framer.read(bytes);
}

}  // namespace

TEST_CASE("a request ends where its header or its body says") {
  struct Row {
    const char* what;
    std::string_view bytes;
    std::size_t length;
    std::string_view method;
    bool keeps_alive;
  };
  const Row rows[] = {
      {"HAProxy's bare httpchk", "OPTIONS / HTTP/1.0\r\n\r\n", 22, "OPTIONS", false},
      {"HTTP/1.1 without Host", "GET /health HTTP/1.1\r\nconnection: close\r\n\r\n", 43, "GET", false},
      {"HTTP/1.1 keeps alive by itself", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, "GET", true},
      {"HTTP/1.0 keeps alive when asked", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", 42, "GET", true},
      {"close wins over keep-alive", "GET / HTTP/1.1\r\nConnection: keep-alive, close\r\n\r\n", 49, "GET", false},
      {"only its own bytes of a pipeline", "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n", 18, "GET", true},
      {"a body by its length", "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET", 41, "POST", true},
      {"a stray CRLF before it", "\r\nGET / HTTP/1.1\r\n\r\n", 20, "GET", true},
      {"bare line feeds", "GET / HTTP/1.0\nHost: x\n\n", 24, "GET", false},
      {"any header after any other", "HEAD * HTTP/1.1\r\nx-haproxy-server-state: UP 1/3; name=a/b\r\n\r\n", 61, "HEAD",
       true},
      {"an unknown method, for others to judge", "BREW / HTTP/1.1\r\n\r\n", 19, "BREW", true},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    const Frame frame = read_whole(row.bytes);
    REQUIRE(frame.status == Status::complete);
    CHECK(frame.length == row.length);
    CHECK(frame.method == row.method);
    CHECK(frame.keeps_alive == row.keeps_alive);
  }
}

TEST_CASE("a request without a version ends with its line") {
  const Frame frame = read_whole("GET /health\r\nmore");
  REQUIRE(frame.status == Status::complete);
  CHECK(frame.is_bare);
  CHECK(frame.length == 13);
  CHECK_FALSE(frame.keeps_alive);
}

TEST_CASE("what could be read in two ways, or never becomes a request, is refused with its code") {
  struct Row {
    const char* what;
    std::string bytes;
    int code;
  };
  const Row rows[] = {
      {"garbage", "hello\r\n\r\n", 400},
      {"a TLS hello", std::string("\x16\x03\x01\x02\x00\x01", 6), 400},
      {"a NUL", std::string("GET /\0 HTTP/1.1\r\n\r\n", 19), 400},
      {"two lengths", "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 400},
      {"a list of lengths", "POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\na", 400},
      {"a negative length", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
      {"a length with a sign", "POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\na", 400},
      {"a length beyond 64 bits", "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
      {"length and chunks", "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"chunks", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411},
      {"an unknown encoding", "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
      {"chunks in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"a folded header", "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400},
      {"a space before the colon", "GET / HTTP/1.1\r\nContent-Length : 5\r\n\r\nabcde", 400},
      {"a header without a colon", "GET / HTTP/1.1\r\nhello\r\n\r\n", 400},
      {"no path", "GET  HTTP/1.1\r\n\r\n", 400},
      {"POST without a version", "POST /\r\n", 400},
      {"HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"a header beyond the limit", "GET / HTTP/1.1\r\nA: " + std::string(9000, 'a'), 431},
      {"a path beyond the limit", "GET /" + std::string(9000, 'a'), 431},
      {"a body beyond the limit", "POST / HTTP/1.1\r\nContent-Length: 65537\r\n\r\n", 413},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    const Frame frame = read_whole(row.bytes);
    CHECK(frame.status == Status::bad);
    CHECK(frame.code == row.code);
    CHECK_FALSE(frame.problem.empty());
  }
}

TEST_CASE("a request that comes byte by byte is the same request") {
  const std::string_view bytes =
      "POST /health/web?format=text HTTP/1.1\r\nHost: a\r\nAccept: text/plain\r\nContent-Length: 5\r\n\r\nhello";
  RequestFramer framer({});
  for (std::size_t n = 1; n < bytes.size(); ++n) {
    const Frame frame = framer.read(bytes.substr(0, n));
    REQUIRE((frame.status == Status::need_header || frame.status == Status::need_body));
  }
  const Frame frame = framer.read(bytes);
  REQUIRE(frame.status == Status::complete);
  CHECK(frame.length == bytes.size());
  CHECK(frame.target == "/health/web?format=text");
  CHECK(frame.accept == "text/plain");
  CHECK(frame.body == "hello");
}

TEST_CASE("a header of just the limit passes, one byte more does not") {
  const auto request = [](std::size_t size) {
    const std::string head = "GET / HTTP/1.1\r\nA: ";
    return head + std::string(size - head.size() - 4, 'a') + "\r\n\r\n";
  };
  CHECK(read_whole(request(8192)).status == Status::complete);
  CHECK(read_whole(request(8193)).code == 431);
}

TEST_CASE("a PROXY header is recognised whole, and only then") {
  using ProxyStatus = vital::ProxyHeader::Status;
  const std::string signature("\r\n\r\n\0\r\nQUIT\n", 12);
  const std::string local = signature + std::string("\x20\x00\x00\x00", 4);
  const std::string remote4 =
      signature + std::string("\x21\x11\x00\x0c\x0a\x01\x02\x03\x7f\x00\x00\x01\x00\x50\x00\x51", 16);
  struct Row {
    const char* what;
    std::string bytes;
    ProxyStatus status;
    std::size_t length;
  };
  const Row rows[] = {
      {"nothing yet", "", ProxyStatus::need_more, 0},
      {"may still become POST", "P", ProxyStatus::need_more, 0},
      {"a request", "GET / HTTP/1.0\r\n\r\n", ProxyStatus::absent, 0},
      {"POST", "POST / HTTP/1.0\r\n\r\n", ProxyStatus::absent, 0},
      {"version 1", "PROXY TCP4 10.1.2.3 10.0.0.1 1 2\r\nGET", ProxyStatus::present, 34},
      {"version 1 of IPv6", "PROXY TCP6 ::1 ::1 1 2\r\n", ProxyStatus::present, 24},
      {"version 1, unknown", "PROXY UNKNOWN\r\n", ProxyStatus::present, 15},
      {"version 1, half", "PROXY TCP4 10.1", ProxyStatus::need_more, 0},
      {"version 1, wrong address", "PROXY TCP4 10.1.2 10.0.0.1 1 2\r\n", ProxyStatus::malformed, 0},
      {"version 1, wrong port", "PROXY TCP4 10.1.2.3 10.0.0.1 65536 2\r\n", ProxyStatus::malformed, 0},
      {"version 1, no port", "PROXY TCP4 10.1.2.3 10.0.0.1 1 x\r\n", ProxyStatus::malformed, 0},
      {"version 1 without an end", "PROXY TCP4 " + std::string(200, '1'), ProxyStatus::malformed, 0},
      {"version 2, LOCAL", local + "GET", ProxyStatus::present, 16},
      {"version 2, half", local.substr(0, 14), ProxyStatus::need_more, 0},
      {"version 2, an address", remote4, ProxyStatus::present, 28},
      {"version 2, addresses cut short", signature + std::string("\x21\x11\x00\x04\x0a\x01\x02\x03", 8),
       ProxyStatus::malformed, 0},
      {"version 3", signature + std::string("\x31\x11\x00\x00", 4), ProxyStatus::malformed, 0},
      {"too long to be addresses", signature + std::string("\x21\x11\xff\xff", 4), ProxyStatus::malformed, 0},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    const vital::ProxyHeader header = vital::read_proxy_header(row.bytes);
    CHECK(header.status == row.status);
    CHECK(header.length == row.length);
  }
  CHECK(vital::Network::parse("10.1.0.0/16").contains(vital::read_proxy_header(remote4).source));
  CHECK_FALSE(vital::Network::parse("10.2.0.0/16").contains(vital::read_proxy_header(remote4).source));
}
