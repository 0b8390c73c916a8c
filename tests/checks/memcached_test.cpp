// The text protocol of memcached and what its words mean.
#include <catch2/catch.hpp>

#include "memcached/text.hpp"

using namespace vital::memcached;
using vital::check::Cause;
using vital::check::Result;
using vital::check::Verdict;
using Status = vital::net::Framing::Status;

TEST_CASE("an answer is a line, or ends with END") {
  struct Case {
    std::string bytes;
    Status status;
    size_t length;
  };
  const Case table[] = {
      {"", Status::more, 0},
      {"STO", Status::more, 0},
      {"STORED\r\n", Status::whole, 8},
      {"END\r\n", Status::whole, 5},
      {"SERVER_ERROR out of memory storing object\r\n", Status::whole, 43},
      {"VALUE k 0 3\r\nab", Status::more, 0},
      {"VALUE k 0 3\r\nabc\r\n", Status::more, 0},
      {"VALUE k 0 3\r\nabc\r\nEND\r\n", Status::whole, 23},
      {"VALUE k 0 5\r\nEND\r\n\r\nEND\r\n", Status::whole, 25},  // a value that looks like an end
      {"VALUE k 0 3\r\nabcd\r\n", Status::broken, 0},
      {"VALUE k 0 99999\r\n", Status::broken, 0},
      {"VALUE k 0 x\r\n", Status::broken, 0},
      {"VALUE k\r\n", Status::broken, 0},
      {"STAT a 1\r\nSTAT b 2\r\n", Status::more, 0},
      {"STAT a 1\r\nSTAT b 2\r\nEND\r\n", Status::whole, 25},
      {"HTTP/1.1 400\r\n", Status::broken, 0},
      {"+PONG\r\n", Status::broken, 0},
      {std::string(10000, '\0'), Status::broken, 0},
  };
  for (const Case& c : table) {
    CAPTURE(c.bytes.substr(0, 60));
    CHECK(answer(c.bytes).status == c.status);
    CHECK(answer(c.bytes).length == c.length);
  }
  std::string endless;
  for (int i = 0; i < 600; ++i) endless += "STAT a 1\r\n";
  CHECK(answer(endless).status == Status::broken);
}

TEST_CASE("values and statistics") {
  CHECK(value_of("VALUE k 0 5\r\na\r\nb \r\nEND\r\n") == "a\r\nb ");
  CHECK_FALSE(value_of("END\r\n"));
  const Stats stats = stats_of("STAT version 1.6.18\r\nSTAT evictions 7\r\nEND\r\n");
  CHECK(stats.at("version") == "1.6.18");
  CHECK(sample_of(stats).evictions == 7);
}

TEST_CASE("what a refusal proves") {
  const auto is = [](const char* said, Verdict verdict, Cause cause) {
    const Result result = refusal(said, "set");
    return result.verdict == verdict && result.cause == cause;
  };
  CHECK(is("CLIENT_ERROR unauthenticated\r\n", Verdict::unknown, Cause::auth));
  CHECK(is("CLIENT_ERROR authentication failure\r\n", Verdict::unknown, Cause::auth));
  CHECK(is("CLIENT_ERROR bad authentication token format\r\n", Verdict::unknown, Cause::auth));
  CHECK(is("ERROR Too many open connections\r\n", Verdict::warn, Cause::protocol));
  CHECK(is("SERVER_ERROR out of memory storing object\r\n", Verdict::fail, Cause::content));
  CHECK(is("NOT_STORED\r\n", Verdict::fail, Cause::content));
  CHECK(is("END\r\n", Verdict::fail, Cause::content));
  CHECK(is("ERROR\r\n", Verdict::fail, Cause::protocol));
}

TEST_CASE("evictions are judged as a rate, and not over a restart") {
  Demands demands;
  demands.warn_evictions = 1;
  const auto at = [&](const char* uptime, const char* evictions, std::optional<Sample> before) {
    return judge({{"uptime", uptime}, {"evictions", evictions}}, demands, before, "here").verdict;
  };
  CHECK(at("100", "500", {}) == Verdict::pass);
  CHECK(at("110", "500", Sample{480, 100}) == Verdict::warn);
  CHECK(at("110", "500", Sample{495, 100}) == Verdict::pass);
  CHECK(at("5", "3", Sample{480, 100}) == Verdict::pass);
  CHECK(at("110", "3", Sample{480, 100}) == Verdict::pass);
  CHECK(judge({}, demands, {}, "here").cause == Cause::protocol);
}
