#include <algorithm>
#include <catch2/catch.hpp>

#include "given.hpp"

using namespace vital;
using namespace vital::given;

namespace {

OutputSpec named(const std::string& called, const std::string& service = "") {
  OutputSpec out = keepalived("/" + called, service);
  out.name = called;
  return out;
}

bool has(const std::vector<std::string>& lines, const std::string& line) {
  return std::find(lines.begin(), lines.end(), line) != lines.end();
}

}  // namespace

TEST_CASE("each output is told of its own service") {
  Room room;
  room.outputs.adopt({named("a", "web"), named("b", "ldap")});
  room.outputs.show(snapshot({.web = Verdict::fail, .web_state = State::fail}));
  REQUIRE(room.until([&] { return room.targets[0]->holds == "fail" && room.targets[1]->holds == "pass"; }));
  CHECK(room.until([&] { return room.outputs.views()[0].state == OutputState::ok; }));
}

TEST_CASE("what somebody changed behind our back is set right within an interval, and said") {
  Room room;
  room.outputs.adopt({named("a")});
  room.outputs.show(snapshot({}));
  REQUIRE(room.until([&] { return room.outputs.views()[0].state == OutputState::ok; }));
  room.targets[0]->holds = "edited";
  REQUIRE(room.until([&] { return room.targets[0]->holds == "pass"; }));
  REQUIRE(room.until([&] { return has(room.said, "output_repaired a edited"); }));
  CHECK(room.outputs.views()[0].counters.repairs == 1);
}

TEST_CASE("an output that fails is said to fail once, recovers by itself, and the others do not notice") {
  Room room;
  room.outputs.adopt({named("a"), named("b")});
  room.targets[0]->is_refusing = true;
  room.outputs.show(snapshot({}));
  REQUIRE(room.until([&] { return room.outputs.views()[0].state == OutputState::failing; }));
  REQUIRE(room.until([&] { return room.outputs.views()[1].state == OutputState::ok; }));
  REQUIRE(room.until([&] { return room.targets[0]->syncs >= 2; }));
  CHECK(std::count(room.said.begin(), room.said.end(), "output_failing a refused") == 1);
  room.targets[0]->is_refusing = false;
  REQUIRE(room.until([&] { return room.outputs.views()[0].state == OutputState::ok; }));
  CHECK(has(room.said, "output_recovered a keepalived"));
}

TEST_CASE("an output that never answers is cancelled, and is not asked again meanwhile") {
  Room room;
  room.outputs.adopt({named("a"), named("b")});
  room.targets[0]->is_silent = true;
  room.outputs.show(snapshot({}));
  REQUIRE(room.until([&] { return room.targets[0]->cancels == 1; }));
  REQUIRE(room.until([&] { return room.targets[1]->syncs >= 3; }));
  CHECK(room.targets[0]->syncs == 1);
  CHECK(room.outputs.views()[0].error == "no answer within 40ms");
  room.targets[0]->is_silent = false;
  room.targets[0]->waiting({Synced::How::failed, "killed", "", {}});
  REQUIRE(room.until([&] { return room.outputs.views()[0].state == OutputState::ok; }));
}

TEST_CASE("a reload keeps the outputs that stay, with what they know") {
  Room room;
  room.outputs.adopt({named("a"), named("b")});
  room.outputs.show(snapshot({}));
  REQUIRE(room.until([&] { return room.outputs.views()[1].state == OutputState::ok; }));
  room.outputs.adopt({named("b"), named("c")});
  CHECK(room.targets.size() == 3);
  const auto views = room.outputs.views();
  CHECK(views[0].name == "b");
  CHECK(views[0].state == OutputState::ok);
  REQUIRE(room.until([&] { return room.targets[2]->holds == "pass"; }));
  CHECK(room.targets[0]->holds == "pass");  // what a removed one told stands
}

TEST_CASE("an output may be removed while it is at work") {
  Room room;
  room.outputs.adopt({named("a")});
  room.outputs.show(snapshot({}));
  room.outputs.adopt({});
  room.loop.run_for(20ms);
  CHECK(room.outputs.views().empty());
}

TEST_CASE("the last word is told before the agent leaves, and no snapshot counts after it") {
  Room room;
  OutputSpec fails = named("a"), leaves = named("b"), withdraws = named("c");
  fails.on_stop = OnStop::fail;
  withdraws.on_stop = OnStop::withdraw;
  room.outputs.adopt({fails, leaves, withdraws});
  room.outputs.show(snapshot({}));
  REQUIRE(room.until([&] { return room.outputs.views()[2].state == OutputState::ok; }));
  bool is_left = false;
  room.outputs.leave(5s, [&] { is_left = true; });
  room.outputs.show(snapshot({}, 9));
  REQUIRE(room.until([&] { return is_left; }));
  CHECK(room.targets[0]->holds == "fail");
  CHECK(room.targets[1]->holds == "pass");
  CHECK(room.targets[2]->holds == "nothing");
}

TEST_CASE("a target that does not answer cannot keep the agent from leaving") {
  Room room;
  OutputSpec fails = named("a");
  fails.on_stop = OnStop::fail;
  room.outputs.adopt({fails});
  room.outputs.show(snapshot({}));
  REQUIRE(room.until([&] { return room.outputs.views()[0].state == OutputState::ok; }));
  room.targets[0]->is_silent = true;
  bool is_left = false;
  room.outputs.leave(100ms, [&] { is_left = true; });
  CHECK(room.until([&] { return is_left; }));
}

TEST_CASE("what is counted is shown as metrics, a family with all its outputs") {
  Room room;
  room.outputs.adopt({named("a"), named("b")});
  const std::string text = output_metrics(room.outputs.views());
  CHECK(text.find("vitald_output_state{output=\"a\",type=\"keepalived\",state=\"pending\"} 1\n") != std::string::npos);
  CHECK(text.find("vitald_output_repairs_total{output=\"b\",type=\"keepalived\"} 0\n") != std::string::npos);
  CHECK(output_metrics({}).empty());
}
