// What a Patroni member's own word amounts to. The documents have the shape that Patroni 3.0 answers.
#include "http/patroni.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "given.hpp"
#include "http/settings.hpp"
#include "outcome.hpp"

using namespace vital;

namespace {

std::string document(const std::string& state, const std::string& role, const std::string& more = "") {
  return R"({"state":")" + state + R"(","role":")" + role +
         R"(","server_version":150018,"timeline":3,"database_system_identifier":"7713898655397130222")" + more +
         R"(,"patroni":{"version":"3.0.2","scope":"orders"}})";
}

check::Result judged(const std::string& body) {
  const auto member = http::read_patroni(body);
  REQUIRE(member.has_value());
  check::Findings found;
  http::judge_patroni(*member, found);
  check::Result result = found.into(check::pass("well"), "member");
  http::describe_patroni(*member, result);
  return result;
}

std::string fact(const check::Result& result, const std::string& name) {
  for (const auto& [key, value] : result.facts) {
    if (key == name) return value;
  }
  return "";
}

std::string asked(const std::string& url) {
  const Given given({{"url", {url}}, {"preset", {"patroni"}}});
  return http::read_settings(given.options()).url.text;
}

}  // namespace

TEST_CASE("a member's role is told in the words of a topology") {
  for (const auto& [said, role] : {std::pair{"master", "primary"},
                                   {"primary", "primary"},
                                   {"replica", "standby"},
                                   {"standby_leader", "standby"},
                                   {"uninitialized", "uninitialized"}}) {
    const check::Result result = judged(document("running", said));
    CHECK(outcome(result) == "pass/none");
    CHECK(fact(result, "role") == role);
  }
}

TEST_CASE("a replica that streams runs, as Patroni 3.0 and later call it") {
  const check::Result result = judged(document("streaming", "replica"));
  CHECK(outcome(result) == "pass/none");
  CHECK(fact(result, "role") == "standby");
  CHECK(fact(result, "state") == "streaming");
}

TEST_CASE("a member whose PostgreSQL does not run fails and has no role") {
  for (const char* state : {"stopped", "starting", "crashed", "start failed", "stopping"}) {
    const check::Result result = judged(document(state, "master"));
    CHECK(outcome(result) == "fail/content");
    CHECK(result.text.find(state) != std::string::npos);
    CHECK(fact(result, "role").empty());
  }
}

TEST_CASE("where it is, and what somebody should look at, is told") {
  const check::Result primary = judged(document("running", "master", R"(,"xlog":{"location":50331648})"));
  CHECK(fact(primary, "position") == "50331648");
  CHECK(fact(primary, "timeline") == "3");
  CHECK(fact(primary, "cluster") == "orders");
  CHECK(fact(primary, "system_identifier") == "7713898655397130222");
  CHECK(fact(primary, "replay_paused").empty());
  const check::Result held = judged(document("running", "replica", R"(,"xlog":{"replayed_location":7,"paused":true})"));
  CHECK(outcome(held) == "warn/content");
  CHECK(fact(held, "replay_paused") == "true");
  CHECK(fact(held, "position") == "7");
  CHECK(outcome(judged(document("running", "replica", R"(,"cluster_unlocked":true)"))) == "warn/role");
  CHECK(outcome(judged(document("running", "master", R"(,"pause":true)"))) == "warn/content");
  CHECK(outcome(judged(document("running", "master", R"(,"pending_restart":true)"))) == "warn/content");
}

TEST_CASE("what is not a member's word is none") {
  for (const char* body : {"", "[]", "{}", R"({"state":"running"})", R"({"patroni":{}, "state":"running"})",
                           R"({"state":1,"patroni":{"scope":"a"}})", R"({"state":{},"patroni":[1]})"}) {
    CHECK_FALSE(http::read_patroni(body));
  }
}

TEST_CASE("the preset asks below the url, or where the url says") {
  CHECK(asked("http://10.0.0.11:8008") == "http://10.0.0.11:8008/patroni");
  CHECK(asked("http://10.0.0.11:8008/") == "http://10.0.0.11:8008/patroni");
  CHECK(asked("http://10.0.0.11:8008/base/patroni") == "http://10.0.0.11:8008/base/patroni");
}
