// What drbdsetup prints, and what it means.
#include <catch2/catch.hpp>

#include "drbd/status.hpp"
#include "outcome.hpp"

using namespace vital::drbd;
using vital::check::outcome;

namespace {

Resource one(const std::string& role, const std::string& disk, const std::string& connection,
             const std::string& peer_role) {
  Resource r{"r0", role, "", false, {{0, disk}}, {}};
  r.connections.push_back({"b", connection, peer_role, {{0, "Established", "UpToDate"}}});
  return r;
}

}  // namespace

TEST_CASE("what may be promoted has current data, a quorum, and no peer that serves or has gone its own way") {
  CHECK(promotion_obstacle(one("Secondary", "UpToDate", "Connected", "Secondary")).empty());
  CHECK(promotion_obstacle(one("Secondary", "UpToDate", "Connecting", "Unknown")).empty());
  CHECK(promotion_obstacle(one("Primary", "UpToDate", "Connected", "Secondary")) == "it is primary already");
  CHECK(promotion_obstacle(one("Secondary", "UpToDate", "Connected", "Primary")) == "b is primary");
  CHECK(promotion_obstacle(one("Secondary", "UpToDate", "StandAlone", "Unknown")) == "it is StandAlone toward b");
  CHECK(promotion_obstacle(one("Secondary", "Consistent", "Connecting", "Unknown")) == "volume 0 is Consistent");
  Resource r = one("Secondary", "UpToDate", "Connected", "Secondary");
  r.devices[0].has_quorum = false;
  CHECK(promotion_obstacle(r) == "volume 0 has no quorum");
  r = one("Secondary", "UpToDate", "Connected", "Secondary");
  r.suspended = "quorum";
  CHECK(promotion_obstacle(r) == "its I/O is suspended (quorum)");
  r = one("Secondary", "UpToDate", "Connected", "Secondary");
  r.devices.clear();
  CHECK(promotion_obstacle(r) == "it has no device");
}

TEST_CASE("a document of an older DRBD lacks fields, and what is missing is harmless") {
  const auto all =
      read_status(R"([{"name":"r0","role":"Primary","devices":[{"disk-state":"UpToDate"}],"connections":[]}])");
  REQUIRE(all);
  REQUIRE(all->size() == 1);
  CHECK(all->front().devices.front().has_quorum);
  CHECK(all->front().suspended.empty());
  CHECK(outcome(judge(*all, {})) == "pass/none");
}

TEST_CASE("what is no list of resources is none") {
  for (const char* text :
       {"", "{}", "[1]", "[{}]", R"([{"name":"r0"}])", R"([{"name":7,"role":"Primary"}])", "[[]]", "[{"}) {
    CHECK_FALSE(read_status(text));
  }
  const auto strange =
      read_status(R"([{"name":"r0","role":"Primary","devices":[7,{"volume":1e99,"disk-state":8}],"connections":{}}])");
  REQUIRE(strange);
  CHECK(outcome(judge(*strange, {})) == "fail/content");  // a disk without a state
}

TEST_CASE("out-of-sync is in KiB, and the worst peer counts") {
  const auto all =
      read_status(R"([{"name":"r0","role":"Primary","devices":[],"connections":[)"
                  R"({"name":"b","connection-state":"Connected","peer_devices":[{"volume":0,"out-of-sync":4}]},)"
                  R"({"name":"c","connection-state":"Connected","peer_devices":[{"volume":0,"out-of-sync":2}]}]}])");
  REQUIRE(all);
  const vital::check::Result r = judge(*all, {});
  for (const auto& m : r.measures) {
    if (m.name == "out_of_sync") CHECK(m.value == 4096);
  }
}
