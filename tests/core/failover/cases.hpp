// Facts to begin a case with: a primary that is dead and may be replaced. Each test breaks one of them.
#pragma once

#include "core/failover/guards.hpp"

namespace vital::failover::test {

using namespace std::chrono_literals;

inline FailoverPolicyPlan plan() {
  FailoverPolicyPlan p;
  p.topology = "main";
  p.mode = Mode::automatic;
  p.max_lag = 30s;
  p.fence = {{"fence", {}, 10s, 2, true}};
  p.promote = {{"promote", {}, 10s, 2, false}};
  p.move = {{"move", {}, 10s, 2, false}};
  return p;
}

inline Facts dead_primary() {
  Facts f;
  f.node = "web1";
  f.status = TopologyStatus::no_primary;
  f.primary = "one";
  f.bad_for = 60'000;
  MemberFact one, two;
  one.name = "one";
  one.is_seen = one.is_down = true;
  one.age = 1000;
  two.name = "two";
  two.role = ServerRole::standby;
  two.is_seen = two.is_promotable = true;
  two.age = 1000;
  two.lag = 500;
  f.members = {one, two};
  f.votes = {{"web2", "one", ServerRole::unknown, true, false, 2000}};
  f.store = StoreHealth::ok;
  f.store_age = 500;
  f.was_seen_well = true;
  return f;
}

}  // namespace vital::failover::test
