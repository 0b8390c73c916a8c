#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "given.hpp"
#include "outputs/render.hpp"

using namespace vital;
using namespace vital::given;

TEST_CASE("a word is what the service answers") {
  const auto word = word_of(*snapshot({.web = Verdict::fail, .web_state = State::fail}), "web");
  REQUIRE(word);
  CHECK(word->told == Told::fail);
  CHECK(word->weight == 0);
  CHECK(word->reason == "db: fail/timeout: no answer");
  CHECK(word_of(*snapshot({}), "")->subject == "n1");
  CHECK(word_of(*snapshot({}), "ldap")->told == Told::pass);
}

TEST_CASE("what an operator laid over it is told instead") {
  CHECK(word_of(*snapshot({.overlay = OverlayKind::drain}), "web")->told == Told::drain);
  CHECK(word_of(*snapshot({.overlay = OverlayKind::maintenance}), "web")->told == Told::maintenance);
}

TEST_CASE("before the first results nobody is told anything, so that a restart of the agent moves nothing") {
  CHECK_FALSE(word_of(*snapshot({.web = Verdict::fail, .web_state = State::pending}), "web"));
  CHECK(word_of(*snapshot({.web_state = State::pending, .overlay = OverlayKind::drain}), "web")->told == Told::drain);
}

TEST_CASE("a service that is not there is not spoken of") { CHECK_FALSE(word_of(*snapshot({}), "nobody")); }

TEST_CASE("a stop is announced as drain only if it takes time") {
  const OutputSpec spec = keepalived("/x");
  CHECK_FALSE(wanted_by(spec, snapshot({.overlay = OverlayKind::drain, .is_stopping = true})));
  const auto wanted = wanted_by(spec, snapshot({.overlay = OverlayKind::drain, .is_stopping = true, .drain = 5s}));
  REQUIRE(wanted);
  CHECK(wanted->word.told == Told::drain);
}

TEST_CASE("the last word is what on_stop says") {
  OutputSpec spec = keepalived("/x");
  const auto last = wanted_by(spec, snapshot({}));
  CHECK_FALSE(farewell_of(spec, last));
  spec.on_stop = OnStop::fail;
  CHECK(farewell_of(spec, last)->word.told == Told::fail);
  spec.on_stop = OnStop::pass;
  CHECK(farewell_of(spec, last)->word.told == Told::pass);
  spec.on_stop = OnStop::withdraw;
  CHECK(farewell_of(spec, last)->is_withdrawn);
}

TEST_CASE("the file with the snapshot is behind with each result, but holds what is told until that changes") {
  OutputSpec spec;
  spec.target = FileOutput{"/run/vitald/snapshot.json"};
  spec.service = "web";
  const auto wanted = [&](const Answers& a, std::uint64_t seq) { return *wanted_by(spec, snapshot(a, seq)); };
  const Wanted one = wanted({}, 1), two = wanted({}, 2), failed = wanted({.web = Verdict::fail}, 3);
  CHECK(one.key == two.key);
  CHECK(one.detail != two.detail);
  CHECK(two.key != failed.key);
}

TEST_CASE("the key changes with what is told and not with why") {
  const OutputSpec spec = keepalived("/x", "web");
  const auto key = [&](const Answers& a) { return wanted_by(spec, snapshot(a))->key; };
  CHECK(key({}) == key({.ldap = Verdict::fail}));
  CHECK(key({}) != key({.web = Verdict::fail}));
  CHECK(key({}) != key({.overlay = OverlayKind::drain}));
}

TEST_CASE("keepalived is given a number and a newline") {
  const KeepalivedOutput to{"/x", {"1", "2", "-60", "-61", "-62"}};
  Word word;
  word.told = Told::pass;
  CHECK(track_file_text(to, word) == "1\n");
  word.told = Told::fail;
  CHECK(track_file_text(to, word) == "-60\n");
  word.told = Told::maintenance;
  CHECK(track_file_text(to, word) == "-62\n");
}

TEST_CASE("the file for scripts holds the node, the services and the checks") {
  const auto json =
      nlohmann::json::parse(snapshot_json(*snapshot({.web = Verdict::fail, .web_state = State::fail}, 7)));
  CHECK(json["seq"] == 7);
  CHECK(json["node"]["status"] == "fail");
  CHECK(json["services"][0]["name"] == "web");
  CHECK(json["services"][0]["reason"] == "db: fail/timeout: no answer");
  CHECK(json["services"][1]["status"] == "pass");
  CHECK(json["checks"].is_array());
}
