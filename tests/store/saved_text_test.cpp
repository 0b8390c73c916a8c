#include "store/saved_text.hpp"

#include <catch2/catch.hpp>

using namespace vital;
using namespace std::chrono_literals;

namespace {

SavedState sample() {
  SavedState state;
  state.saved_at = WallTime(std::chrono::milliseconds(1795255380123));
  SavedCheck check;
  check.name = "db";
  check.fingerprint = 0xFFFFFFFFFFFFFFFFULL;
  check.state = State::fail;
  check.since = state.saved_at - std::chrono::minutes(5);
  check.hysteresis = 4;
  check.window = 0x8000000000000001ULL;
  check.streak = 7;
  check.history = "..FF?w";
  check.last_good = Verdict::warn;
  check.flap_penalty = 1.25;
  check.is_flapping = true;
  check.evidence_age = 1500ms;
  check.last_verdict = Verdict::fail;
  check.last_cause = Cause::refused;
  check.last_text = "connection refused \xff by \"db\"";
  check.last_duration = 12ms;
  state.checks.push_back(check);
  SavedService service;
  service.name = "web";
  service.answer = Verdict::warn;
  service.has_started = true;
  service.held_for = 3s;
  service.ejection_ages = {5min, 1s};
  state.services.push_back(service);
  state.overlays.push_back(
      {OverlayKind::drain, "web", "deploy", "alice", state.saved_at, state.saved_at + std::chrono::hours(1)});
  state.overlays.push_back({OverlayKind::maintenance, "", "", "", state.saved_at, {}});
  state.failover = {"policy topology=main seen_well=one", "policy topology=other"};
  return state;
}

std::string problem_of(const std::string& text) {
  std::string problem;
  CHECK_FALSE(parse_saved(text, &problem));
  return problem;
}

}  // namespace

TEST_CASE("a saved state comes back as it was") {
  const auto back = parse_saved(print_saved(sample()), nullptr);
  REQUIRE(back);
  CHECK(back->saved_at == sample().saved_at);
  REQUIRE(back->checks.size() == 1);
  const SavedCheck& c = back->checks[0];
  CHECK(c.name == "db");
  CHECK(c.fingerprint == 0xFFFFFFFFFFFFFFFFULL);
  CHECK(c.state == State::fail);
  CHECK(c.hysteresis == 4);
  CHECK(c.window == 0x8000000000000001ULL);
  CHECK(c.history == "..FF?w");
  CHECK(c.last_good == Verdict::warn);
  CHECK(c.flap_penalty == 1.25);
  CHECK(c.evidence_age == Duration(1500ms));
  CHECK_FALSE(c.last_age);
  CHECK(c.last_cause == Cause::refused);
  REQUIRE(back->services.size() == 1);
  CHECK(back->services[0].held_for == Duration(3s));
  CHECK(back->services[0].ejection_ages == std::vector<Duration>{5min, 1s});
  CHECK(back->failover == sample().failover);
  REQUIRE(back->overlays.size() == 2);
  CHECK(back->overlays[0].kind == OverlayKind::drain);
  CHECK(back->overlays[0].until == sample().overlays[0].until);
  CHECK_FALSE(back->overlays[1].until);
}

TEST_CASE("a torn, damaged, foreign or later file is refused in one line") {
  const std::string good = print_saved(sample());
  for (std::size_t n = 0; n < good.size(); n += 7) CHECK_FALSE(problem_of(good.substr(0, n)).empty());
  std::string damaged = good;
  damaged[good.size() / 2] = static_cast<char>(damaged[good.size() / 2] ^ 1);
  CHECK(problem_of(damaged).find("checksum") != std::string::npos);
  CHECK(problem_of("SQLite format 3").find("no saved state") != std::string::npos);
  CHECK(problem_of("vitald-state 2 0 0000000000000000\n").find("version 2") != std::string::npos);
  CHECK(problem_of(good + "more").find("torn") != std::string::npos);
}

TEST_CASE("an empty state is a state") {
  const auto back = parse_saved(print_saved({}), nullptr);
  REQUIRE(back);
  CHECK(back->checks.empty());
}
