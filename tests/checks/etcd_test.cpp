// What etcd's gateway says, and what it means.
#include <catch2/catch.hpp>

#include "etcd/verdict.hpp"
#include "outcome.hpp"

using namespace vital;
using namespace vital::etcd;

namespace {

// As etcd 3.4 printed it.
const std::string leader =
    R"({"header":{"cluster_id":"324952591200643719","member_id":"3319814642761637952","revision":"1","raft_term":"2"},)"
    R"("version":"3.4.23","dbSize":"20480","leader":"3319814642761637952","raftIndex":"9","raftTerm":"2",)"
    R"("raftAppliedIndex":"5","dbSizeInUse":"16384"})";
const std::string full =
    R"({"header":{"cluster_id":"1","member_id":"2"},"version":"3.4.23","leader":"3","raftIndex":"57","raftTerm":"2",)"
    R"("raftAppliedIndex":"57","errors":["memberID:3319814642761637952 alarm:NOSPACE ","etcdserver: no leader",7]})";

check::Result judged(const std::string& body, const std::string& role = "any") {
  Demands demands;
  demands.role = role;
  check::Findings found;
  judge_status(read_status(body).value(), demands, found);
  return found.into(check::pass("fine"), "e");
}

}  // namespace

TEST_CASE("a status is read as etcd prints it: numbers are strings, what is zero is left out") {
  const auto status = read_status(leader);
  REQUIRE(status);
  CHECK(status->version == "3.4.23");
  CHECK(status->member == "2e1259d415f2a040");
  CHECK(status->is_leader());
  CHECK(status->term == 2);
  CHECK(status->behind == 4);
  CHECK(status->db_size == 20480);
  CHECK(status->alarms.empty());
}

TEST_CASE("what is no status of etcd is none") {
  for (const char* body :
       {"", "null", "[]", "{}", "{\"header\":{}}", R"({"header":[],"version":"3"})",
        R"({"header":{"member_id":7},"version":"3"})", R"({"header":{"member_id":"x"},"version":"3"})",
        R"({"header":{"member_id":"7"},"version":3})"}) {
    CHECK_FALSE(read_status(body));
  }
}

TEST_CASE("a member without a leader, with an alarm, or in another role than it should be in fails") {
  CHECK(outcome(judged(leader)) == "pass/none");
  CHECK(outcome(judged(leader, "leader")) == "pass/none");
  CHECK(outcome(judged(leader, "follower")) == "fail/role");
  const check::Result r = judged(full, "follower");
  CHECK(outcome(r) == "fail/content");
  CHECK(r.text == "e: alarm NOSPACE of member 2e1259d415f2a040: it takes no writes until there is room");
  CHECK(outcome(judged(R"({"header":{"member_id":"2"},"version":"3.4.23","leader":"0"})")) == "fail/content");
  CHECK(outcome(judged(R"({"header":{"member_id":"2"},"version":"3.4.23"})", "leader")) == "fail/content");
  CHECK(outcome(judged(R"({"header":{"member_id":"2"},"version":"3.5.1","leader":"3","isLearner":true})")) ==
        "warn/role");
}

TEST_CASE("members count when they vote and have started") {
  const auto members = read_members(
      R"({"members":[{"ID":"1","name":"a"},{"ID":"2"},{"ID":"3","name":"c","isLearner":true},{"ID":"4","name":"d"}]})");
  REQUIRE(members);
  Demands demands;
  for (const long long least : {1, 2, 3}) {
    demands.min_members = least;
    check::Findings found;
    judge_members(*members, demands, found);
    CHECK(found.is_empty() == (least <= 2));
  }
  CHECK_FALSE(read_members("{}"));
  CHECK_FALSE(read_members(R"({"members":[1]})"));
}

TEST_CASE("a range has no value, one value, or makes no sense") {
  CHECK_FALSE(read_range(R"({"header":{}})")->value);
  CHECK(read_range(R"({"header":{},"kvs":[{"value":"Zm9v"}],"count":"1"})")->value == "foo");
  CHECK(read_range(R"({"header":{},"kvs":[{"key":"aGVhbHRo"}],"count":"1"})")->value ==
        "");  // an empty value is left out
  CHECK_FALSE(read_range("{}"));
  CHECK_FALSE(read_range(R"({"header":{},"kvs":[{"value":"*"}]})"));
  CHECK_FALSE(read_range(R"({"header":{},"kvs":[]})"));
}

TEST_CASE("a read names a key and nothing else: it would be answered without the quorum if it were serializable") {
  CHECK(range_request("vitald/probe") == R"({"key":"dml0YWxkL3Byb2Jl"})");
}

TEST_CASE("health is a text in etcd, true or false") {
  CHECK(read_health(R"({"health":"true"})") == true);
  CHECK(read_health(R"({"health":"false","reason":"ALARM NOSPACE"})") == false);
  CHECK_FALSE(read_health(R"({"health":true})"));
  CHECK_FALSE(read_health("ok"));
}

TEST_CASE("an error is our login, a lost quorum, or etcd's own trouble") {
  const auto meaning = [](const char* words, int code, long status = 400) {
    return outcome(refusal_meaning(
        status, "{\"message\":\"etcdserver: " + std::string(words) + "\",\"code\":" + std::to_string(code) + "}"));
  };
  CHECK(meaning("authentication failed, invalid user ID or password", 3) == "unknown/auth");
  CHECK(meaning("user name is empty", 3) == "unknown/auth");
  CHECK(meaning("permission denied", 7, 403) == "unknown/auth");
  CHECK(meaning("invalid auth token", 16, 401) == "unknown/auth");
  CHECK(meaning("authentication is not enabled", 9, 412) == "unknown/config");
  CHECK(meaning("request timed out", 14, 503) == "fail/content");
  CHECK(meaning("mvcc: database space exceeded", 8, 429) == "fail/content");
  CHECK(outcome(refusal_meaning(404, "404 page not found\n")) == "fail/protocol");
  CHECK(refusal_meaning(503, R"({"code":14,"error":"etcdserver: no leader"})").text ==
        "etcdserver: no leader: is its quorum lost?");
}
