// What a config may say, but hardly means: services that cannot do what services are for.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "room.hpp"

namespace vital::config {
namespace {

using Lines = std::vector<std::string>;

TEST_CASE("a service that can only warn is a warning") {
  const Room room;
  const Lines warnings = room.warnings(
      "checks: {a: {type: disk, scope: shared}}\nservices: {s: [a], t: {all: [a], on_shared_failure: fail}}");
  CHECK(warnings ==
        Lines{"2:12: services.s: can only warn, never fail: its checks are shared, in shadow or not critical"});
}

TEST_CASE("a check that begins later than its service has patience at a start is a warning") {
  const Room room;
  CHECK(room.warnings("checks: {a: {type: disk, timeout: 5s, start_delay: 56s}, b: {type: disk, start_delay: 10s}}\n"
                      "services: {s: [a, b], t: {all: [a], startup_timeout: 61s}}") ==
        Lines{"2:12: services.s: waits 1m at a start for first results, but check a begins after 56s and may take 5s; "
              "raise startup_timeout to more than both, or lower start_delay"});
}

TEST_CASE("a check that nothing looks at is a warning") {
  const Room room;
  CHECK(
      room.warnings("checks: {a: {type: disk}, b: {type: disk}}\nservices: {s: [a]}") ==
      Lines{"1:27: checks.b: is in no service, so no answer depends on it; write it into one, or mode: shadow if that "
            "is meant"});
  for (const char* good : {
           "checks: {a: {type: disk}, b: {type: disk}}",
           "checks: {a: {type: disk}, b: {type: disk}}\nservices: {s: [a], t: {any: [a, b]}}",
           "checks: {a: {type: disk}, b: {type: disk, mode: shadow}}\nservices: {s: [a]}",
           "checks: {a: {type: disk, depends_on: b}, b: {type: disk}}\nservices: {s: [a]}",
           "checks: {a: {type: disk}, b: {type: disk, enabled: false}}\nservices: {s: [a]}",
           "checks: {a: {type: composite, rule: b.state == pass}, b: {type: disk}}\nservices: {s: [a]}",
           "checks: {a: {type: disk}, b: {type: disk}, c: {type: disk}}\nservices: {s: [a]}\n"
           "failover: {topologies: {t: {members: {x: b, y: c}}}}",
       }) {
    CAPTURE(good);
    CHECK(room.warnings(good).empty());
  }
}

TEST_CASE("a token that can be guessed is a warning") {
  const Room room;
  room.write("token", "s3cret\n");
  CHECK(room.warnings("checks: {a: {type: disk}}\nlisten: {health: {address: '127.0.0.1:1', token_file: token}}") ==
        Lines{"2:55: listen.health.token_file: token"
              " holds a token of fewer than 16 characters, which can be guessed; `openssl rand -hex 32` makes one"});
}

TEST_CASE("a group that is not on this host is a warning") {
  const Room room;
  CHECK(room.warnings("checks: {a: {type: disk}}\nlisten: {admin: {group: nobody-is-in-it}}") ==
        Lines{"2:25: listen.admin.group: there is no group 'nobody-is-in-it' on this host, so the socket keeps the "
              "agent's own; make it with groupadd --system, or write another"});
  CHECK(room.warnings("checks: {a: {type: disk}}\nlisten: {admin: {group: root}}").empty());
}

}  // namespace
}  // namespace vital::config
