// What a cluster's health amounts to. The documents have the shape that Elasticsearch's reference shows.
#include "http/elasticsearch.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "given.hpp"
#include "http/settings.hpp"
#include "outcome.hpp"

using namespace vital;

namespace {

std::string document(const std::string& status, bool timed_out, int nodes) {
  return R"({"cluster_name":"logs","status":")" + status + R"(","timed_out":)" + (timed_out ? "true" : "false") +
         R"(,"number_of_nodes":)" + std::to_string(nodes) +
         R"(,"number_of_data_nodes":2,"active_primary_shards":5,"active_shards":8,"relocating_shards":1,)"
         R"("initializing_shards":2,"unassigned_shards":4,"number_of_pending_tasks":7,"number_of_in_flight_fetch":0})";
}

check::Result judged(const std::string& body, std::optional<double> min_nodes = {}) {
  const auto health = http::read_cluster_health(body);
  REQUIRE(health.has_value());
  const check::Limit nodes{check::Bad::below, {}, min_nodes, "", "min_nodes"};
  check::Findings found;
  http::judge_cluster(*health, nodes, found);
  check::Result result = found.into(check::pass("well"), "cluster");
  http::describe_cluster(*health, nodes, result);
  return result;
}

std::string asked(Given::Values values) {
  values.push_back({"preset", {"elasticsearch"}});
  const Given given(values);
  return http::read_settings(given.options()).url.text;
}

std::string refused(const Given::Values& values) {
  return refusal(values, [](const check::Options& o) { http::read_settings(o); });
}

}  // namespace

TEST_CASE("a cluster is as good as its colour") {
  CHECK(outcome(judged(document("green", false, 3))) == "pass/none");
  CHECK(outcome(judged(document("yellow", false, 3))) == "warn/content");
  CHECK(outcome(judged(document("red", false, 3))) == "fail/content");
  CHECK(judged(document("red", false, 3)).text.find("4 shards are unassigned, 2 initializing") != std::string::npos);
}

TEST_CASE("what a cluster waited for in vain, or too few nodes, is worse than its colour") {
  CHECK(outcome(judged(document("green", true, 3))) == "fail/content");
  CHECK(outcome(judged(document("green", false, 3), 3)) == "pass/none");
  const check::Result few = judged(document("yellow", false, 2), 3);
  CHECK(outcome(few) == "fail/content");
  CHECK(few.text.find("it has 2 nodes, below min_nodes 3; its status is yellow") != std::string::npos);
}

TEST_CASE("a cluster's numbers are measures") {
  const check::Result result = judged(document("green", false, 3), 2);
  std::string seen;
  for (const auto& m : result.measures) seen += m.name + "=" + std::to_string(static_cast<int>(m.value)) + " ";
  CHECK(seen == "nodes=3 unassigned_shards=4 relocating_shards=1 initializing_shards=2 pending_tasks=7 ");
  CHECK(result.facts == decltype(result.facts){{"cluster", "logs"}, {"cluster_status", "green"}});
}

TEST_CASE("what is not a cluster's health is not read as one") {
  for (const char* body : {"", "ok", "[]", "null", "{}", R"({"status":"green"})", R"({"cluster_name":"a"})",
                           R"({"cluster_name":"a","status":"UP"})", R"({"cluster_name":1,"status":"green"})"}) {
    INFO(body);
    CHECK_FALSE(http::read_cluster_health(body).has_value());
  }
  const auto sparse = http::read_cluster_health(R"({"cluster_name":"a","status":"green","number_of_nodes":"3"})");
  REQUIRE(sparse.has_value());
  CHECK(sparse->nodes < 1);
}

TEST_CASE("a cluster's error is named") {
  CHECK(
      http::read_cluster_error(R"({"error":{"type":"master_not_discovered_exception","reason":null},"status":503})") ==
      "master_not_discovered_exception");
  for (const char* body : {"", "[]", R"({"error":"x"})", R"({"error":{"type":3}})"}) {
    CHECK(http::read_cluster_error(body).empty());
  }
}

TEST_CASE("the preset asks below the url's path, and keeps its query") {
  CHECK(asked({{"url", {"http://es:9200"}}}) == "http://es:9200/_cluster/health");
  CHECK(asked({{"url", {"http://es:9200/logs//"}}}) == "http://es:9200/logs/_cluster/health");
  CHECK(asked({{"url", {"http://es:9200/?local=true"}}}) == "http://es:9200/_cluster/health?local=true");
  CHECK(asked({{"url", {"http://es:9200/a/_cluster/health/web-*"}}}) == "http://es:9200/a/_cluster/health/web-*");
}

TEST_CASE("options that contradict the preset are refused") {
  const Given::Values::value_type url{"url", {"http://es:9200"}};
  CHECK(refused({url, {"min_nodes", {"3"}}}).find("min_nodes: has a meaning only with preset") == 0);
  CHECK(refused({url, {"preset", {"elasticsearch"}}, {"method", {"POST"}}}).find("method: ") == 0);
  CHECK(refused({url, {"preset", {"elasticsearch"}}, {"body", {"{}"}}}).find("body: ") == 0);
  CHECK(refused({url, {"preset", {"elasticsearch"}}, {"min_nodes", {"3"}}}).empty());
}
