// What others say of the primary, what is kept with a decision, and what an operator may say of a recovery.
#include <catch2/catch.hpp>

#include "core/failover/lone_agent.hpp"

namespace vital::failover {

using namespace test;

TEST_CASE("when others saw the primary well last counts, also for whoever did not hear them then") {
  for (const bool is_told : {false, true}) {
    Agent a;
    a.pass(70, true);
    ProbeResult cut_off = a.says("standby");
    cut_off.verdict = Verdict::fail;
    cut_off.cause = Cause::content;
    cut_off.facts.insert(cut_off.facts.end(), {{"link", "down"}, {"apart_from_link", "pass"}});
    // To us it is gone, and the standby is cut off. web2 saw it well until a moment ago, and says so only now.
    for (int i = 0; i < 40; ++i) {
      a.now.mono += 1s;
      a.now.wall += std::chrono::seconds(1);
      (void)a.watch.observe(a.now, one, a.says(nullptr));
      (void)a.watch.observe(a.now, two, cut_off);
      a.take(a.policies.saw(a.now, "main", sight_of(a.watch, a.now.mono)));
      a.store.at = a.now.mono;
      ++a.store.revision;
      a.store.votes.clear();
      if (i > 30) a.store.votes = {{"web2", "", "main", "one", ServerRole::unknown, true, false, 1s, "", {}}};
      if (i > 30 && is_told) a.store.votes[0].good_age = 2s;
      a.take(a.policies.apply(a.now, a.store));
      a.take(a.policies.apply(a.now, Tick{}));
    }
    CAPTURE(is_told, a.why());
    if (is_told) {
      CHECK(a.state() == State::held);
      CHECK(a.why().find("before somebody last saw the primary well") != std::string::npos);
    } else {
      CHECK(a.state() == State::leasing);
    }
  }
}

TEST_CASE("a decision is kept with the mode that was in effect") {
  FailoverPolicyPlan asking = plan();
  asking.mode = Mode::assist;
  for (const auto& p : {asking, plan()}) {
    Agent a(p);
    a.pass(70, true);
    a.pass(12, false);
    REQUIRE(a.count<Decision>() > 0);
    for (const Effect& e : a.effects) {
      if (const auto* d = std::get_if<Decision>(&e)) CHECK(decode_decision(encode(*d)).value().mode == p.mode);
    }
  }
}

TEST_CASE("an operator may acknowledge what is parked, and nothing else") {
  Agent a;
  a.go_on_to_register();
  a.pass(1, false);
  const std::string id = a.policies.find("main")->recovery().id;
  CHECK(!a.policies.find("main")->waits_for_word_on(id));
  CHECK(!a.policies.find("main")->waits_for_word_on("main-1"));
  for (int i = 0; i < 8 && a.state() != State::parked; ++i) {
    a.answer(Outcome::failed, "told to refuse");
    a.pass(5, false);
  }
  REQUIRE(a.state() == State::parked);
  CHECK(a.policies.find("main")->waits_for_word_on(id));
  CHECK(!a.policies.find("main")->waits_for_word_on("main-1"));
}

}  // namespace vital::failover
