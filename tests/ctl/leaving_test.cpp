#include "ctl/leaving.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace vital;
using namespace vital::ctl;
using namespace std::chrono_literals;
using Json = nlohmann::ordered_json;

namespace {

Json output(const std::string& told, bool is_confirmed, Json users = nullptr, const std::string& service = "web") {
  return {
      {"name", "lb"}, {"type", "haproxy"},        {"service", service}, {"told", told}, {"is_confirmed", is_confirmed},
      {"error", ""},  {"users", std::move(users)}};
}

Json status(Json outputs, Json reaction = nullptr) {
  return {{"outputs", std::move(outputs)},
          {"services", Json::array({{{"name", "web"}, {"reaction_ms", std::move(reaction)}}})}};
}

const Json none = Json::object();  // who asks

Json asks(const char* kind, const char* path, Json interval, Json believes = nullptr) {
  return {{"consumers", Json::array({{{"kind", kind},
                                      {"address", "10.0.0.9"},
                                      {"path", path},
                                      {"interval_ms", std::move(interval)},
                                      {"is_lost", false},
                                      {"believes", std::move(believes)}}})}};
}

}  // namespace

TEST_CASE("nobody is left where nobody is told or declared") {
  CHECK(who_is_left(status(Json::array()), none, "", 0s).empty());
}

TEST_CASE("an output has left when it holds the drain and has no sessions") {
  CHECK(who_is_left(status(Json::array({output("pass", true)})), none, "", 1h) ==
        std::vector<std::string>{"lb has not been told yet"});
  CHECK(who_is_left(status(Json::array({output("drain", false)})), none, "", 1h).size() == 1);
  CHECK(who_is_left(status(Json::array({output("drain", true, 3)})), none, "", 1h) ==
        std::vector<std::string>{"lb still has 3 sessions"});
  CHECK(who_is_left(status(Json::array({output("drain", true, 0)})), none, "", 0s).empty());
  CHECK(who_is_left(status(Json::array({output("maintenance", true)})), none, "", 0s).empty());
}

TEST_CASE("a balancer that asks has left after the reaction that was declared") {
  CHECK(who_is_left(status(Json::array(), 3000), none, "", 1s) ==
        std::vector<std::string>{"the balancer of web may take 2s more"});
  CHECK(who_is_left(status(Json::array(), 3000), none, "", 3s).empty());
}

TEST_CASE("of a service only its own consumers count, and the file for scripts never does") {
  CHECK(who_is_left(status(Json::array({output("pass", true)})), none, "api", 0s).empty());
  Json file = output("pass", false);
  file["type"] = "file";
  CHECK(who_is_left(status(Json::array({file})), none, "", 0s).empty());
}

TEST_CASE("an older agent that knows nothing of outputs keeps nobody waiting") {
  CHECK(who_is_left(Json::object(), none, "", 0s).empty());
}

TEST_CASE("a balancer that was observed has left when it had time to ask three times") {
  const Json quiet = status(Json::array());
  CHECK(who_is_left(quiet, asks("aws-elb", "/health", 10000), "", 1s) ==
        std::vector<std::string>{"aws-elb at 10.0.0.9 asks every 10s and may take 30s more"});
  CHECK(who_is_left(quiet, asks("aws-elb", "/health", 10000), "", 31s).empty());
  CHECK(who_is_left(quiet, asks("aws-elb", "/health", nullptr), "", 0s).empty());  // came once: nobody knows its rhythm
}

TEST_CASE("a balancer that says what it believes has left when it says so") {
  const Json quiet = status(Json::array());
  CHECK(who_is_left(quiet, asks("haproxy", "/health", 2000, {{"state", "UP"}}), "", 1h) ==
        std::vector<std::string>{"haproxy at 10.0.0.9 still believes UP"});
  for (const char* state : {"DOWN", "NOLB", "MAINT", "DRAIN"}) {
    CHECK(who_is_left(quiet, asks("haproxy", "/health", 2000, {{"state", state}}), "", 0s).empty());
  }
}

TEST_CASE("who only looks, asks about something else or is gone is not waited for") {
  const Json quiet = status(Json::array());
  for (const char* kind : {"prometheus", "nagios", "curl", "browser", "other"}) {
    CHECK(who_is_left(quiet, asks(kind, "/health", 10000), "", 0s).empty());
  }
  CHECK(who_is_left(quiet, asks("kubernetes", "/readyz", 10000), "", 0s).empty());
  CHECK(who_is_left(quiet, asks("haproxy", "/health/api", 2000), "web", 0s).empty());
  CHECK(who_is_left(quiet, asks("haproxy", "/health/web", 2000), "web", 0s).size() == 1);
  Json gone = asks("haproxy", "/health", 2000);
  gone["consumers"][0]["is_lost"] = true;
  CHECK(who_is_left(quiet, gone, "", 0s).empty());
}
