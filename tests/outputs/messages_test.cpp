// The pure parts of what speaks HTTP and runs programs: the queue, the signature, what the helper is told and says.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "given.hpp"
#include "outputs/environment.hpp"
#include "outputs/event_queue.hpp"
#include "outputs/http_steps.hpp"
#include "outputs/program_ports.hpp"
#include "outputs/render.hpp"
#include "outputs/signature.hpp"

using namespace vital;
using namespace vital::given;

namespace {

Wanted wanted(Told told, const std::string& key) {
  Wanted out;
  out.key = key;
  out.word.told = told;
  out.word.subject = "web";
  return out;
}

WallTime wall(int seconds) { return WallTime{} + std::chrono::seconds(1764000000 + seconds); }

bool hear(EventQueue& queue, Told told, int second = 0) {
  return queue.hear("hook", "n1", "web", wanted(told, std::string(name(told))), wall(second));
}

}  // namespace

TEST_CASE("the signature is HMAC-SHA256 as RFC 4231 has it") {
  CHECK(hmac_sha256_hex("Jefe", "what do ya want for nothing?") ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(hmac_sha256_hex(std::string(20, '\x0b'), "Hi There") ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(signature_of("Jefe", "12", "x") == "sha256=" + hmac_sha256_hex("Jefe", "12.x"));
}

TEST_CASE("a word that is another than the last is an event, and only then") {
  EventQueue queue;
  CHECK(hear(queue, Told::pass));
  CHECK_FALSE(hear(queue, Told::pass));
  CHECK(hear(queue, Told::fail));
  CHECK(hear(queue, Told::pass));
  REQUIRE(queue.events().size() == 3);
  const auto second = nlohmann::json::parse(queue.events()[1].body);
  CHECK(second["status"] == "fail");
  CHECK(second["previous"] == "pass");
  CHECK(nlohmann::json::parse(queue.events()[0].body)["previous"].is_null());
  CHECK(queue.events()[0].id != queue.events()[2].id);
}

TEST_CASE("a queue survives a restart, with what was told last") {
  EventQueue before;
  hear(before, Told::pass);
  hear(before, Told::fail);
  EventQueue after;
  std::string problem;
  after.restore(before.print(), &problem);
  CHECK(problem.empty());
  CHECK(after.events().size() == 2);
  CHECK(after.events()[0].id == before.events()[0].id);
  CHECK_FALSE(hear(after, Told::fail));
  CHECK(hear(after, Told::pass));
}

TEST_CASE("what is no queue is refused and changes nothing") {
  EventQueue queue;
  hear(queue, Told::pass);
  std::string problem;
  for (const char* text : {"", "[]", "{}", R"({"events": 1})", R"({"events": [{}], "last_key": "", "next": 1})",
                           R"({"events": [], "last_key": 5, "last_told": "", "next": 1})"}) {
    queue.restore(text, &problem);
    CHECK_FALSE(problem.empty());
    CHECK(queue.events().size() == 1);
  }
}

TEST_CASE("a full queue drops the oldest, an old message goes by itself, and both are counted") {
  EventQueue queue;
  for (std::size_t i = 0; i < EventQueue::most + 3; ++i)
    hear(queue, i % 2 == 0 ? Told::pass : Told::fail, static_cast<int>(i));
  CHECK(queue.events().size() == EventQueue::most);
  CHECK(queue.dropped() == 3);
  queue.drop_older_than(wall(13));
  CHECK(queue.events().front().at == wall(13));
  CHECK(queue.dropped() == 13);
}

TEST_CASE("what the helper says is believed only if it makes sense") {
  std::string trouble;
  CHECK(parse_replies(R"({"replies":[{"status":200,"body":"a"},{"status":204,"body":""}],"error":""})", 2, &trouble)
            .size() == 2);
  CHECK(trouble.empty());
  parse_replies(R"({"replies":[{"status":503,"body":"busy\nnow"}],"error":""})", 2, &trouble);
  CHECK(trouble == "was answered 503: busy now");
  parse_replies(R"({"replies":[],"error":"Connection refused"})", 1, &trouble);
  CHECK(trouble == "Connection refused");
  parse_replies(R"({"replies":[],"error":""})", 1, &trouble);
  CHECK(trouble == "nobody answered");
  parse_replies(R"({"replies":[{"status":301,"body":""}],"error":""})", 1, &trouble);
  CHECK(trouble == "was answered 301");
  for (const char* text : {"", "[]", "{}", R"({"replies":5})", "Segmentation fault"}) {
    parse_replies(text, 1, &trouble);
    CHECK(trouble == "vitald-deliver said nothing that makes sense");
  }
}

TEST_CASE("of a hook's URL only the host is shown, and a secret that comes back is cut out") {
  CHECK(origin_of("https://hooks.example.jp:8443/T0/B1/token") == "https://hooks.example.jp:8443");
  CHECK(origin_of("http://h") == "http://h");
  CHECK(without("was answered 403: bad token abc, abc", {"", "abc"}) ==
        "was answered 403: bad token (secret), (secret)");
}

TEST_CASE("names become pieces of a path") { CHECK(url_piece("service:web 1/2\"") == "service:web%201%2F2%22"); }

TEST_CASE("of attrd_updater's answer only our own node's value counts") {
  // As 2.1.5 prints it: asked without a node it answers for another one.
  const char* both =
      "name=\"#health-vitald\" host=\"n1\" value=\"red\"\nname=\"#health-vitald\" host=\"n2\" value=\"\"\n";
  CHECK(attribute_value(both, "n1") == "red");
  CHECK_FALSE(attribute_value(both, "n2"));
  CHECK_FALSE(attribute_value(both, "n"));
  CHECK_FALSE(attribute_value("Could not query value of #health-vitald: attribute does not exist\n", "n1"));
  CHECK_FALSE(attribute_value("host=\"n1\" value=\"", "n1"));
}

TEST_CASE("a program finds the word in its environment, on one line each") {
  OutputSpec spec = keepalived("/x", "web");
  const auto w = wanted_by(spec, snapshot({.web = Verdict::fail, .web_state = State::fail}));
  const auto environment = environment_of(spec, *w, "pass");
  const auto has = [&](const std::string& line) {
    return std::find(environment.begin(), environment.end(), line) != environment.end();
  };
  CHECK(has("VITALD_STATUS=fail"));
  CHECK(has("VITALD_PREVIOUS=pass"));
  CHECK(has("VITALD_NODE=n1"));
  CHECK(has("VITALD_SERVICE=web"));
  CHECK(has("VITALD_REASON=db: fail/timeout: no answer"));
}

TEST_CASE("an upstream has a line for each member, and who fails or is drained is down") {
  const NginxOutput to{"/x", {{"a:1 max_fails=0", "web"}, {"b:1", "ldap"}, {"c:1", ""}}, {}};
  std::vector<Word> words(3);
  words[0].told = Told::pass;
  words[1].told = Told::drain;
  words[2].told = Told::warn;
  CHECK(nginx_text(to, words) ==
        "# Written by vitald: change its configuration, not this file.\nserver a:1 max_fails=0;\nserver b:1 "
        "down;\nserver c:1;\n");
}

TEST_CASE("members are told when all of them are known") {
  OutputSpec spec = keepalived("/x");
  spec.target = EnvoyOutput{"/x", "c", {{"10.0.0.1:80", "web"}, {"10.0.0.2:80", "ldap"}}};
  CHECK_FALSE(wanted_by(spec, snapshot({.web = Verdict::fail, .web_state = State::pending})));
  const auto one = wanted_by(spec, snapshot({})), two = wanted_by(spec, snapshot({.ldap = Verdict::fail}));
  REQUIRE(one);
  REQUIRE(two);
  CHECK(one->key != two->key);
  CHECK(two->members[1].told == Told::fail);
}
