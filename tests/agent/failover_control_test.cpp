// What the policies are told of the rest of the agent: maintenance of the services that stand on a topology, and checks
// that turned bad at once.
#include "agent/failover_control.hpp"

#include <catch2/catch.hpp>

namespace vital {
namespace {

using namespace std::chrono_literals;

// Two members, and four checks that have to do with no topology but for the last, which depends on a member.
std::shared_ptr<Plan> plan() {
  auto out = std::make_shared<Plan>();
  for (const char* name : {"db1", "db2", "disk", "app", "cache", "orm"}) {
    CheckPlan check;
    check.name = name;
    check.type = "tcp";
    out->checks.push_back(check);
  }
  out->checks[5].depends_on = {CheckId(0)};
  for (const auto& [name, check] : {std::pair("web", 1U), std::pair("batch", 2U)}) {
    ServicePlan service;
    service.name = name;
    service.rule.kind = Rule::Kind::check;
    service.rule.target = check;
    out->services.push_back(service);
  }
  return out;
}

std::vector<TopologyPlan> topologies() {
  TopologyPlan main;
  main.name = "main";
  main.members = {{"one", CheckId(0), 10s}, {"two", CheckId(1), 10s}};
  return {main};
}

Snapshot snapshot(const std::vector<std::string>& bad, WallTime since) {
  Snapshot out;
  out.plan = plan();
  for (const CheckPlan& check : out.plan->checks) {
    CheckView view;
    view.state = std::find(bad.begin(), bad.end(), check.name) != bad.end() ? State::fail : State::pass;
    view.since = since;
    out.checks.push_back(view);
  }
  return out;
}

bool is_on(const Snapshot& s, const std::string& topology) {
  for (const failover::MaintenanceSeen& seen : maintenance_of(s, topologies())) {
    if (seen.topology == topology) return seen.is_on;
  }
  FAIL("nothing is said of " << topology);
  return false;
}

}  // namespace

TEST_CASE("only checks that have to do with no topology make an agent doubt itself") {
  const WallTime now{1000s};
  const auto seen = bad_of_late(snapshot({"db1", "db2", "orm"}, now - 5s), topologies(), now);
  CHECK(seen.unrelated_checks == 3);
  CHECK(seen.share_of_bad_checks == 0);
  CHECK(bad_of_late(snapshot({"disk", "app"}, now - 5s), topologies(), now).share_of_bad_checks > 0.6);
  // What has been bad for long is no news of ours.
  CHECK(bad_of_late(snapshot({"disk", "app"}, now - 10min), topologies(), now).share_of_bad_checks == 0);
}

TEST_CASE("maintenance of a service holds the topologies it stands on, that of the node all of them") {
  Snapshot s = snapshot({}, {});
  CHECK_FALSE(is_on(s, "main"));
  Overlay overlay;
  overlay.kind = OverlayKind::maintenance;
  overlay.service = "batch";
  s.overlays = {overlay};
  CHECK_FALSE(is_on(s, "main"));
  s.overlays[0].service = "web";
  CHECK(is_on(s, "main"));
  CHECK_FALSE(is_on(s, ""));
  s.overlays[0].service = "";
  CHECK(is_on(s, ""));
}

}  // namespace vital
