// What etcd's answers mean: a table of errors, and that nothing garbled ever makes a leader.
#include "cluster/etcd_answer.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "fake_etcd.hpp"

namespace vital::etcd {
namespace {

Reply refusal(int status, int code, const std::string& text) {
  return {"", status,
          R"({"error":")" + text + R"(","code":)" + std::to_string(code) + R"(,"message":")" + text + "\"}"};
}

TEST_CASE("each error has its class, by gRPC's code and, where one code says several things, by its words") {
  struct Row {
    int status, code;
    const char* text;
    Class want;
  };
  const Row row = GENERATE(
      Row{408, 1, "context canceled", Class::late}, Row{504, 4, "context deadline exceeded", Class::late},
      Row{500, 2, "etcdserver: not a primary lessor", Class::unreachable}, Row{500, 2, "raft: stopped", Class::unknown},
      Row{400, 3, "etcdserver: authentication failed, invalid user ID or password", Class::denied},
      Row{400, 3, "etcdserver: user name is empty", Class::login},
      Row{400, 3, "auth: revision in header is old", Class::login},
      Row{400, 3, "etcdserver: key is not provided", Class::invalid},
      Row{404, 5, "etcdserver: requested lease not found", Class::absent},
      Row{409, 6, "etcdserver: lease already exists", Class::conflict},
      Row{403, 7, "etcdserver: permission denied", Class::denied},
      Row{429, 8, "etcdserver: mvcc: database space exceeded", Class::full},
      Row{429, 8, "etcdserver: too many requests", Class::full},
      Row{400, 9, "etcdserver: authentication is not enabled", Class::conflict},
      Row{409, 10, "aborted", Class::conflict}, Row{400, 11, "compacted", Class::conflict},
      Row{501, 12, "unknown method", Class::invalid}, Row{500, 13, "internal", Class::unknown},
      Row{503, 14, "etcdserver: no leader", Class::unreachable}, Row{500, 15, "corrupt", Class::unknown},
      Row{401, 16, "etcdserver: invalid auth token", Class::login}, Row{500, 99, "from the future", Class::unknown});
  CAPTURE(row.code, row.text);
  const Judged judged = judge(refusal(row.status, row.code, row.text));
  CHECK(name(judged.cls) == name(row.want));
  CHECK(judged.text.find(row.text) != std::string::npos);
}

TEST_CASE("an error within a stream, a proxy's answer and no answer have classes too") {
  CHECK(judge({"", 503,
               R"({"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader","http_status":"x"}})"})
            .cls == Class::unreachable);
  CHECK(judge({"", 200, R"({"error":{"grpc_code":5,"message":"lease not found"}})"}).cls == Class::absent);
  CHECK(judge({"", 200, R"({"error":"x","code":0})"}).cls == Class::nonsense);
  CHECK(judge({"", 404, "404 page not found"}).cls == Class::invalid);
  CHECK(judge({"", 302, ""}).cls == Class::nonsense);
  CHECK(judge({"", 502, "<html>"}).cls == Class::unreachable);
  CHECK(judge({"", 599, ""}).cls == Class::unknown);
  CHECK(judge({"", 200, "[]"}).cls == Class::nonsense);
  CHECK(judge({"did not answer in time", 0, ""}).cls == Class::late);
  CHECK(judge({"Could not resolve host: e", 0, ""}).cls == Class::unreachable);
}

TEST_CASE("no status and no body but the right one is a lease, a claim or a renewal") {
  const std::string granted = R"({"header":{"revision":"7","raft_term":"2"},"ID":"12","TTL":"15"})";
  const std::string claimed = R"({"header":{"revision":"7","raft_term":"2"},"succeeded":true,"responses":[]})";
  const std::string kept = R"({"result":{"header":{"revision":"7","raft_term":"2"},"ID":"12","TTL":"15"}})";
  REQUIRE(granted_of({"", 200, granted}).is_ok());
  REQUIRE(claimed_of({"", 200, claimed}).is_ours);
  REQUIRE(kept_of({"", 200, kept}).is_alive);
  for (const std::string& body : {granted, claimed, kept}) {
    for (int status = 0; status < 700; ++status) {
      if (status == 200) continue;
      CAPTURE(status);
      const Reply reply{"", status, body};
      REQUIRE_FALSE(granted_of(reply).is_ok());
      REQUIRE_FALSE(claimed_of(reply).is_ours);
      REQUIRE_FALSE(kept_of(reply).is_alive);
    }
  }
  for (int code = -1; code < 40; ++code) {
    REQUIRE_FALSE(judge(refusal(200, code, "x")).is_ok());
    REQUIRE(name(judge(refusal(500, code, "x")).cls) != "ok");
  }
}

TEST_CASE("a garbled answer is taken for no more than it says") {
  std::mt19937 dice(20260401);
  const std::vector<std::string> seeds = {
      R"({"header":{"revision":"7","raft_term":"2"},"ID":"12","TTL":"15"})",
      R"({"header":{"revision":"7","raft_term":"2"},"succeeded":true})",
      R"({"result":{"header":{"revision":"7","raft_term":"2"},"ID":"12","TTL":"15"}})",
      R"({"header":{"revision":"7","raft_term":"2"},"kvs":[{"key":"YQ==","create_revision":"1","mod_revision":"2","value":"Yg==","lease":"9"}]})",
      R"({"error":"x","code":14})",
      R"({"token":"a.b"})"};
  for (int round = 0; round < 20000; ++round) {
    std::string body = seeds[dice() % seeds.size()];
    for (unsigned n = 1 + dice() % 4; n > 0; --n) {
      const std::size_t at = dice() % body.size();
      if (dice() % 3 == 0)
        body.erase(at, 1 + dice() % 4);
      else
        body[at] = static_cast<char>(dice() % 256);
      if (body.empty()) body = "{";
    }
    const Reply reply{"", 200, body};
    const Granted granted = granted_of(reply);
    CHECK((!granted.is_ok() || (!granted.lease.empty() && granted.ttl > Duration{})));
    const Kept kept = kept_of(reply);
    CHECK((!kept.is_alive || (kept.is_ok() && kept.ttl > Duration{} && !kept.term.empty())));
    const Claimed claimed = claimed_of(reply);
    CHECK((!claimed.is_ours || (claimed.is_ok() && claimed.revision > 0)));
    for (const Entry& e : ranged_of(reply).entries) CHECK((!e.key.empty() && e.create_revision > 0));
    const Login login = login_of(reply);
    CHECK((!login.is_ok() || login.token.find_first_of("\r\n ") == std::string::npos));
    judge(reply);
  }
}

TEST_CASE("what every etcd says of a lease that ended is 200 with no TTL, and that is no renewal") {
  const Kept kept = kept_of({"", 200, R"({"result":{"header":{"revision":"7","raft_term":"2"},"ID":"12"}})"});
  CHECK(kept.is_ok());
  CHECK_FALSE(kept.is_alive);
}

TEST_CASE("a read is never serializable") { CHECK(range_body("/v/").find("serializable") == std::string::npos); }

}  // namespace
}  // namespace vital::etcd
