#include <catch2/catch.hpp>

#include "given.hpp"

using namespace vital;
using namespace vital::given;

namespace {

const Synced kept{Synced::How::kept, "", "", {}};
const Synced written{Synced::How::written, "", "", {}};
const Synced failed{Synced::How::failed, "connection refused", "", {}};

// A reconciler that was told `pass` and had it confirmed at 0 s.
Reconciler confirmed() {
  Reconciler r{OutputPace{}};
  r.want(at(0s), "pass");
  r.started(at(0s));
  r.ended(at(0s), written);
  return r;
}

}  // namespace

TEST_CASE("nothing is told before there is something to say") {
  Reconciler r{OutputPace{}};
  CHECK_FALSE(r.due(at(1h)));
  CHECK(r.wake_at() == Instant::max());
  CHECK(r.state() == OutputState::pending);
}

TEST_CASE("a first word is told at once, and ok when it was written") {
  Reconciler r{OutputPace{}};
  r.want(at(0s), "pass");
  REQUIRE(r.due(at(0s)));
  r.started(at(0s));
  CHECK_FALSE(r.due(at(0s)));
  r.ended(at(1ms), written);
  CHECK(r.state() == OutputState::ok);
  CHECK(r.is_confirmed());
  CHECK(r.counters().changes == 1);
  CHECK(r.counters().repairs == 0);
}

TEST_CASE("without a change it is looked after once an interval") {
  Reconciler r = confirmed();
  CHECK_FALSE(r.due(at(4999ms)));
  CHECK(r.wake_at() == at(5s));
  REQUIRE(r.due(at(5s)));
  r.started(at(5s));
  r.ended(at(5s), kept);
  CHECK(r.counters().looks == 2);
  CHECK(r.counters().changes == 1);
}

TEST_CASE("what was lost on the other side is a repair and no change") {
  Reconciler r = confirmed();
  r.started(at(5s));
  CHECK(r.ended(at(5s), written));
  CHECK(r.counters().repairs == 1);
  CHECK(r.counters().changes == 1);
  CHECK(r.state() == OutputState::ok);
}

TEST_CASE("a change is told at once, but no sooner than the gap after the last look") {
  Reconciler r = confirmed();
  r.want(at(20ms), "fail");
  CHECK(r.state() == OutputState::pending);
  CHECK_FALSE(r.due(at(99ms)));
  CHECK(r.due(at(100ms)));
  Reconciler later = confirmed();
  later.want(at(2s), "fail");
  CHECK(later.due(at(2s)));
}

TEST_CASE("ten changes within the gap are told as one") {
  Reconciler r = confirmed();
  for (int i = 0; i < 10; ++i) r.want(at(10ms), std::to_string(i));
  REQUIRE(r.due(at(100ms)));
  r.started(at(100ms));
  r.ended(at(101ms), written);
  CHECK(r.counters().looks == 2);
  CHECK(r.state() == OutputState::ok);
}

TEST_CASE("a change during a look is told after it") {
  Reconciler r = confirmed();
  r.started(at(5s));
  r.want(at(5001ms), "fail");
  CHECK_FALSE(r.due(at(5002ms)));
  r.ended(at(5050ms), kept);
  CHECK(r.state() == OutputState::pending);
  CHECK(r.due(at(5100ms)));
}

TEST_CASE("failures are tried again later and later, at most a minute") {
  Reconciler r = confirmed();
  Instant now = at(5s);
  for (const Duration wait : {500ms, 1000ms, 2000ms, 4000ms, 8000ms, 16000ms, 32000ms, 60000ms, 60000ms}) {
    REQUIRE(r.due(now));
    r.started(now);
    r.ended(now, failed);
    CHECK(r.state() == OutputState::failing);
    CHECK(r.error() == "connection refused");
    CHECK(r.wake_at() == now + wait);
    now += wait;
  }
  r.started(now);
  r.ended(now, kept);
  CHECK(r.state() == OutputState::ok);
  CHECK(r.error().empty());
  r.started(now + 5s);
  r.ended(now + 5s, failed);
  CHECK(r.wake_at() == now + 5s + 500ms);  // a success forgives
}

TEST_CASE("something new is told at once also to a target that fails") {
  Reconciler r = confirmed();
  for (const Duration t : {5s, 10s, 20s, 30s}) {
    r.started(at(t));
    r.ended(at(t), failed);
  }
  r.want(at(31s), "fail");
  CHECK(r.due(at(31s)));
}

TEST_CASE("a look that takes too long is failing at its deadline, once") {
  Reconciler r = confirmed();
  r.started(at(5s));
  CHECK(r.wake_at() == at(7s));
  CHECK_FALSE(r.overdue(at(6999ms)));
  REQUIRE(r.overdue(at(7s)));
  CHECK_FALSE(r.overdue(at(8s)));
  CHECK(r.state() == OutputState::failing);
  CHECK(r.error() == "no answer within 2s");
  CHECK(r.counters().timeouts == 1);
  CHECK(r.counters().failures == 1);
  CHECK_FALSE(r.due(at(1h)));  // as long as it is stuck no second one is started
}

TEST_CASE("what a cancelled look says of its end is not a second failure") {
  Reconciler r = confirmed();
  r.started(at(5s));
  r.overdue(at(7s));
  r.ended(at(7100ms), {Synced::How::failed, "killed", "", {}});
  CHECK(r.error() == "no answer within 2s");
  CHECK(r.counters().failures == 1);
  CHECK(r.due(at(7500ms)));
}

TEST_CASE("a stuck look that ends well after all is ok") {
  Reconciler r = confirmed();
  r.started(at(5s));
  r.overdue(at(7s));
  r.ended(at(60s), kept);
  CHECK(r.state() == OutputState::ok);
}

TEST_CASE("a detail that changes all the time is told, and puts nothing in doubt") {
  Reconciler r{OutputPace{}};
  r.want(at(0s), "pass", "1");
  r.started(at(0s));
  r.want(at(1ms), "pass", "2");
  CHECK_FALSE(r.ended(at(2ms), written));
  CHECK(r.state() == OutputState::ok);
  CHECK(r.is_confirmed());
  REQUIRE(r.due(at(100ms)));  // the newer detail
  r.started(at(100ms));
  CHECK_FALSE(r.ended(at(101ms), written));
  CHECK(r.counters().changes == 2);
  CHECK(r.counters().repairs == 0);
  r.want(at(200ms), "pass", "3");
  CHECK(r.is_confirmed());
  r.want(at(201ms), "drain", "4");
  CHECK(r.state() == OutputState::pending);
  CHECK_FALSE(r.is_confirmed());
}

TEST_CASE("what was sent is pending until it is seen to have arrived, and counted once") {
  Reconciler r{OutputPace{}};
  r.want(at(0s), "red");
  r.started(at(0s));
  r.ended(at(0s), {Synced::How::sent, "", "green", 3s});
  CHECK(r.state() == OutputState::pending);
  CHECK(r.wake_at() == at(3s));
  r.started(at(3s));
  r.ended(at(3s), {Synced::How::waiting, "", "green", 1s});
  CHECK(r.state() == OutputState::pending);
  r.started(at(4s));
  r.ended(at(4s), kept);
  CHECK(r.state() == OutputState::ok);
  CHECK(r.counters().changes == 1);
}
