#include "outputs/haproxy_words.hpp"

#include <catch2/catch.hpp>

using namespace vital;

namespace {

const HaproxyOutput by_agent{{"/s"}, {"web/s1"}, true, true};
const HaproxyOutput by_state{{"/s"}, {"web/s2"}, false, true};

// As HAProxy 2.6.12 says it, shortened: s1 with agent-check, s2 without.
std::string answer(const std::string& admin, const std::string& weight, const std::string& health) {
  return "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight\n"
         "2 web 1 s1 127.0.0.1 2 " +
         admin + " " + weight + " 100\n2 web 2 s2 127.0.0.1 2 " + admin + " " + weight +
         " 100\n\n# pxname,svname,scur,status,agent_health,agent_rise\nweb,s1,3,UP," + health + ",1\nweb,s2,0,UP,,\n\n";
}

std::vector<std::string> commands(const HaproxyOutput& to, Told told, const std::string& said, unsigned weight = 100) {
  std::string problem;
  const auto seen = haproxy::parse(said, &problem);
  REQUIRE(seen);
  Word word;
  word.told = told;
  word.weight = weight;
  auto out = haproxy::commands(to, word, *seen, &problem);
  CHECK(problem.empty());
  return out;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("every backend is asked for once, in one line") {
  HaproxyOutput to = by_agent;
  to.servers = {"web/s1", "api/s1", "web/s2"};
  CHECK(haproxy::question(to) ==
        "show servers state api;show stat api 4 -1;show servers state web;show stat web 4 -1\n");
}

TEST_CASE("a server that is as it is to be needs no command") {
  CHECK(commands(by_agent, Told::pass, answer("0", "100", "1")).empty());
  CHECK(commands(by_agent, Told::fail, answer("0", "100", "0")).empty());
  CHECK(commands(by_state, Told::fail, answer("1", "100", "1")).empty());
  CHECK(commands(by_agent, Told::drain, answer("8", "100", "1")).empty());
}

TEST_CASE("what differs is commanded, out before weight and in last") {
  CHECK(commands(by_agent, Told::fail, answer("0", "100", "1")) == Lines{"set server web/s1 agent down"});
  CHECK(commands(by_state, Told::fail, answer("0", "100", "1")) == Lines{"set server web/s2 state maint"});
  CHECK(commands(by_agent, Told::drain, answer("0", "100", "1")) == Lines{"set server web/s1 state drain"});
  CHECK(commands(by_agent, Told::maintenance, answer("8", "100", "1")) == Lines{"set server web/s1 state maint"});
  CHECK(commands(by_agent, Told::pass, answer("1", "50", "0")) ==
        Lines{"set server web/s1 weight 100%", "set server web/s1 state ready", "set server web/s1 agent up"});
}

TEST_CASE("a weight below 100 is told, unless the config leaves weights alone") {
  CHECK(commands(by_agent, Told::warn, answer("0", "100", "1"), 50) == Lines{"set server web/s1 weight 50%"});
  CHECK(commands(by_agent, Told::warn, answer("0", "50", "1"), 50).empty());
  HaproxyOutput unweighed = by_agent;
  unweighed.is_weighed = false;
  CHECK(commands(unweighed, Told::warn, answer("0", "7", "1"), 50).empty());
}

TEST_CASE("maintenance and drain that HAProxy's own config asks for are not ours to undo") {
  CHECK(commands(by_agent, Told::pass, answer("6", "100", "1")).empty());
  CHECK(commands(by_agent, Told::pass, answer("96", "100", "1")).empty());
}

TEST_CASE("what cannot be done is said with what to do about it") {
  std::string problem;
  const auto seen = haproxy::parse(answer("0", "100", "1"), &problem);
  HaproxyOutput to = by_agent;
  to.servers = {"web/s2"};
  haproxy::commands(to, {}, *seen, &problem);
  CHECK(problem.find("method: state") != std::string::npos);
  to.servers = {"web/s9"};
  haproxy::commands(to, {}, *seen, &problem);
  CHECK(problem == "there is no server web/s9");
}

TEST_CASE("what is nothing of HAProxy's is refused") {
  std::string problem;
  for (const char* text : {"", "\n", "Permission denied\n", "HTTP/1.1 400 Bad request\r\n\r\n", "# be_id x\n1 2 3",
                           "# be_id be_name srv_name srv_admin_state srv_uweight srv_iweight\n1 web s1 x y z\n"}) {
    INFO(text);
    CHECK_FALSE(haproxy::parse(text, &problem));
    CHECK_FALSE(problem.empty());
  }
}

TEST_CASE("the answer to commands is silence, or a complaint") {
  CHECK(haproxy::complaints("\n\n\n").empty());
  CHECK(haproxy::complaints("\nNo such server.\n\n") == "No such server.");
}

TEST_CASE("sessions and what a server holds are told to people") {
  std::string problem;
  const auto seen = haproxy::parse(answer("8", "50", "0"), &problem);
  CHECK(seen->at("web/s1").sessions == 3);
  CHECK(haproxy::describe(by_agent, *seen) == "web/s1 drain, agent down, weight 50 of 100");
}
