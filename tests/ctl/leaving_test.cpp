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

}  // namespace

TEST_CASE("nobody is left where nobody is told or declared") {
  CHECK(who_is_left(status(Json::array()), "", 0s).empty());
}

TEST_CASE("an output has left when it holds the drain and has no sessions") {
  CHECK(who_is_left(status({output("pass", true)}), "", 1h) == std::vector<std::string>{"lb has not been told yet"});
  CHECK(who_is_left(status({output("drain", false)}), "", 1h).size() == 1);
  CHECK(who_is_left(status({output("drain", true, 3)}), "", 1h) == std::vector<std::string>{"lb still has 3 sessions"});
  CHECK(who_is_left(status({output("drain", true, 0)}), "", 0s).empty());
  CHECK(who_is_left(status({output("maintenance", true)}), "", 0s).empty());
}

TEST_CASE("a balancer that asks has left after the reaction that was declared") {
  CHECK(who_is_left(status(Json::array(), 3000), "", 1s) ==
        std::vector<std::string>{"the balancer of web may take 2s more"});
  CHECK(who_is_left(status(Json::array(), 3000), "", 3s).empty());
}

TEST_CASE("of a service only its own consumers count, and the file for scripts never does") {
  CHECK(who_is_left(status({output("pass", true)}), "api", 0s).empty());
  Json file = output("pass", false);
  file["type"] = "file";
  CHECK(who_is_left(status({file}), "", 0s).empty());
}

TEST_CASE("an older agent that knows nothing of outputs keeps nobody waiting") {
  CHECK(who_is_left(Json::object(), "", 0s).empty());
}
