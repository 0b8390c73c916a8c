// Every form in which the canned node is told, compared with files; and the rules behind them.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "publish/documents.hpp"
#include "publish/metrics.hpp"
#include "publish/outcome.hpp"
#include "publish/plain.hpp"
#include "tests/publish/canned.hpp"
#include "tests/publish/golden.hpp"

using namespace vital;
using namespace std::chrono_literals;
using canned::Mood;

namespace {

struct Named {
  Mood mood;
  const char* name;
};
constexpr Named moods[] = {{Mood::pending, "pending"}, {Mood::pass, "pass"},   {Mood::warn, "warn"},
                           {Mood::fail, "fail"},       {Mood::drain, "drain"}, {Mood::maintenance, "maintenance"}};

std::string pretty(const std::string& json) { return nlohmann::ordered_json::parse(json).dump(2) + "\n"; }

Outcome outcome_for(const View& view, std::optional<ServiceId> service) {
  const Snapshot& s = *view.snapshot;
  return service ? service_outcome(s, *service, s.made_wall) : node_outcome(s, s.made_wall);
}

std::shared_ptr<const View> changed(Mood mood, const std::function<void(Snapshot&, Plan&)>& change) {
  auto snapshot = std::make_shared<Snapshot>(*canned::snapshot(mood));
  auto plan = std::make_shared<Plan>(*snapshot->plan);
  change(*snapshot, *plan);
  snapshot->plan = plan;
  return make_view(snapshot, canned::facts());
}

}  // namespace

TEST_CASE("a service is told as it was agreed, in every mood and form") {
  for (const Named& mood : moods) {
    INFO(mood.name);
    const auto view = canned::view(mood.mood);
    const Answer& answer = view->services.at(0);
    const Outcome outcome = outcome_for(*view, ServiceId(0));
    const auto checks = checks_behind(*view->snapshot->plan, ServiceId(0));
    std::string all = "== " + std::to_string(answer.code) + "\n" + answer.headers;
    all += "== to those who see only the verdict\n" + answer.terse_headers + answer.terse_json;
    all += "== text\n" + answer.text;
    all += "== haproxy\n" + answer.haproxy;
    all += "== text?verbose\n" + verbose_text(*view, outcome, checks, {"there is no check \"x\" to exclude"});
    all += "== nagios\n" + nagios_line(*view, outcome, checks);
    all += "== json\n" + pretty(health_document(*view, outcome, {"/health/web", checks, {}}));
    CHECK(all == golden(std::string("web.") + mood.name, all));
  }
}

TEST_CASE("the API documents keep their fields") {
  const auto view = canned::view(Mood::fail);
  const Now now = canned::moment();
  const std::string status = pretty(status_document(*view, now, now.mono + 5s));
  CHECK(status == golden("status.json", status));
  const std::string checks = pretty(checks_document(*view, now));
  CHECK(checks == golden("checks.json", checks));
  const std::string services = pretty(services_document(*view, now, false));
  CHECK(services == golden("services.json", services));
}

TEST_CASE("metrics are told as it was agreed") {
  const auto view = canned::view(Mood::fail);
  const Now now = canned::moment();
  Tally tally;
  tally.add("app", Verdict::pass, Cause::none, 12ms);
  tally.add("app", Verdict::pass, Cause::none, 700us);
  tally.add("db", Verdict::fail, Cause::timeout, 5001ms);
  tally.add("db", Verdict::unknown, Cause::agent, 40s);
  FrontCounters front;
  front.connections = 7;
  front.requests = {{200, 5}, {503, 2}};
  const std::string text = metrics_text(view.get(), tally.copy(), front, now, now.mono + 5s);
  CHECK(text == golden("metrics.txt", text));
  const std::string small =
      health_metrics_text(*view, ServiceId(1), checks_behind(*view->snapshot->plan, ServiceId(1)), now);
  CHECK(small == golden("health.prometheus", small));
}

TEST_CASE("the tally forgets the checks a reload took away") {
  Tally tally;
  tally.add("app", Verdict::pass, Cause::none, 1ms);
  tally.add("db", Verdict::pass, Cause::none, 1ms);
  tally.keep_only({"db"});
  CHECK(tally.copy().count("app") == 0);
  CHECK(tally.copy().at("db").count == 1);
}

TEST_CASE("a bucket holds the durations up to its bound, the bound included") {
  Tally tally;
  tally.add("a", Verdict::pass, Cause::none, 1ms);
  tally.add("a", Verdict::pass, Cause::none, 1001us);
  tally.add("a", Verdict::pass, Cause::none, 31s);
  const Tally::Row row = tally.copy().at("a");
  CHECK(row.buckets.front() == 1);
  CHECK(row.buckets[1] == 1);
  CHECK(row.buckets.back() == 1);
  CHECK(row.seconds_sum == Approx(31.002001));
}

TEST_CASE("whatever a consumer may match stands in the first kilobyte") {
  const auto view = changed(Mood::fail, [](Snapshot& s, Plan&) {
    s.services[0].reason = "db: fail/content: " + std::string(5000, 'x');
    s.checks[0].last->text = std::string(5000, 'y');
  });
  const auto checks = checks_behind(*view->snapshot->plan, ServiceId(0));
  const std::string json = health_document(*view, outcome_for(*view, ServiceId(0)), {"/health/web", checks, {}});
  const std::string head = json.substr(0, 1024);
  CHECK(head.starts_with(R"({"status":"fail","output":"db: fail/content: x)"));
  for (const char* key : {"\"serviceId\":\"web\"", "\"releaseId\"", "\"checks\":"})
    CHECK(head.find(key) != std::string::npos);
  CHECK(nagios_line(*view, outcome_for(*view, ServiceId(0)), checks).starts_with("CRITICAL - web: db: fail/content"));
}

TEST_CASE("a health answer shows what is worse than pass first, and not more checks than anybody reads") {
  const auto view = changed(Mood::fail, [](Snapshot& s, Plan& plan) {
    for (int i = 0; i < 200; ++i) {
      CheckPlan check = plan.checks[0];
      check.name = "more-" + std::to_string(i);
      plan.checks.push_back(check);
      s.checks.push_back(s.checks[0]);
      Rule leaf;
      leaf.kind = Rule::Kind::check;
      leaf.target = static_cast<std::uint32_t>(plan.checks.size() - 1);
      plan.services[0].rule.members.push_back(leaf);
    }
    s.checks.back().state = State::fail;
  });
  const auto checks = checks_behind(*view->snapshot->plan, ServiceId(0));
  const auto json = nlohmann::ordered_json::parse(
      health_document(*view, outcome_for(*view, ServiceId(0)), {"/health/web", checks, {}}));
  CHECK(json["checks"].begin().key() == "db:responseTime");
  CHECK(json["checks"].contains("more-199:responseTime"));
  CHECK_FALSE(json["checks"].contains("more-198:responseTime"));
  CHECK(json["notes"][0] == "the first 64 of 203 checks; all stand in /api/v1/checks");
  CHECK(nlohmann::json::parse(checks_document(*view, canned::moment()))["checks"].size() == 204);
}

TEST_CASE("text from a watched server can break no line, header or document") {
  const auto view = changed(Mood::fail, [](Snapshot& s, Plan&) {
    s.services[0].reason = "db: fail: a\r\nX-Evil: 1\x01 \xff\xfe \xe2\x82\xac | 'x'=1 # up ready 100%";
    s.checks[1].last->text = "a\nb \xff";
  });
  const Answer& answer = view->services.at(0);
  CHECK(answer.headers.find("\r\nX-Evil") == std::string::npos);
  CHECK(answer.headers.find("X-Health-Reason: db: fail: a X-Evil: 1 ??") != std::string::npos);
  for (const char c : answer.headers) CHECK((c == '\r' || c == '\n' || (c >= 0x20 && c < 0x7F)));
  CHECK(answer.haproxy.find('\n') == answer.haproxy.size() - 1);
  CHECK(answer.haproxy.starts_with("down ready # "));
  const auto checks = checks_behind(*view->snapshot->plan, ServiceId(0));
  CHECK_NOTHROW(
      nlohmann::json::parse(health_document(*view, outcome_for(*view, ServiceId(0)), {"/", checks, {"\xff"}})));
  CHECK_NOTHROW(nlohmann::json::parse(checks_document(*view, canned::moment())));
  const std::string nagios = nagios_line(*view, outcome_for(*view, ServiceId(0)), checks);
  CHECK(nagios.find('|') == nagios.rfind('|'));
  CHECK(nagios.find('\n') == nagios.size() - 1);
}

TEST_CASE("those who see only the verdict learn no text of a server or an operator") {
  for (const Named& mood : moods) {
    INFO(mood.name);
    const Answer answer = canned::view(mood.mood)->services.at(0);
    for (const char* secret : {"no answer", "connection refused", "kernel update", "alice"}) {
      CHECK(answer.terse_headers.find(secret) == std::string::npos);
      CHECK(answer.terse_json.find(secret) == std::string::npos);
    }
  }
}

TEST_CASE("codes, weights and envoy's headers follow the status") {
  struct Row {
    Mood mood;
    std::size_t service;
    int code;
    const char* header;
  };
  const Row rows[] = {
      {Mood::pass, 0, 200, "X-Load-Balancing-Endpoint-Weight: 100\r\n"},
      {Mood::warn, 0, 200, "x-envoy-degraded: true\r\n"},
      {Mood::fail, 0, 503, "x-envoy-immediate-health-check-fail: true\r\n"},
      {Mood::fail, 0, 503, "Retry-After: 5\r\n"},
      {Mood::fail, 0, 503, "X-Load-Balancing-Endpoint-Weight: 0\r\n"},
      {Mood::drain, 0, 503, "x-envoy-immediate-health-check-fail: true\r\n"},
      {Mood::drain, 0, 503, "X-Health-Reason: drain by alice: kernel update\r\n"},
      {Mood::maintenance, 0, 503, "Retry-After: 60\r\n"},
      {Mood::pending, 0, 503, "X-Health-Reason: pending\r\n"},
  };
  for (const Row& row : rows) {
    const Answer answer = canned::view(row.mood)->services.at(row.service);
    INFO(answer.headers);
    CHECK(answer.code == row.code);
    CHECK(answer.headers.find(row.header) != std::string::npos);
    CHECK(answer.headers.find("Cache-Control: no-store\r\n") != std::string::npos);
  }
  const auto own_codes = changed(Mood::warn, [](Snapshot& s, Plan&) {
    s.services[1] = s.services[0];
    s.services[1].causes.clear();
  });
  CHECK(own_codes->services.at(1).code == 429);
  CHECK(own_codes->node.code == 200);
  const auto drained = changed(Mood::drain, [](Snapshot& s, Plan&) { s.services[1].overlay = OverlayKind::drain; });
  CHECK(drained->services.at(1).code == 404);
}

TEST_CASE("a node with one service answers with the codes of that service") {
  const auto view = changed(Mood::warn, [](Snapshot& s, Plan& plan) {
    plan.services.erase(plan.services.begin() + 1);
    s.services.erase(s.services.begin() + 1);
    plan.services[0].warn_code = 429;
  });
  CHECK(view->node.code == 429);
}

TEST_CASE("a drained service that also fails is down for HAProxy, not up") {
  const auto view = changed(Mood::drain, [](Snapshot& s, Plan&) { s.services[0].state = State::fail; });
  CHECK(view->services.at(0).haproxy == "down drain # drain by alice: kernel update\n");
}

TEST_CASE("a warn keeps the weight it is given") {
  const auto view = changed(Mood::warn, [](Snapshot& s, Plan&) { s.services[0].weight = 50; });
  CHECK(view->services.at(0).haproxy == "up ready 50%\n");
  CHECK(view->services.at(0).headers.find("X-Load-Balancing-Endpoint-Weight: 50\r\n") != std::string::npos);
}

TEST_CASE("an excluded check is as if it did not exist") {
  const auto view = canned::view(Mood::fail);
  const Snapshot& s = *view->snapshot;
  const Now now = canned::moment();
  CHECK(outcome_without(s, ServiceId(0), {CheckId(1)}, now).status == Verdict::warn);
  CHECK(outcome_without(s, ServiceId(0), {CheckId(1), CheckId(2)}, now).status == Verdict::pass);
  CHECK(outcome_without(s, ServiceId(0), {CheckId(1)}, now).code == 200);
  CHECK(outcome_without(s, ServiceId(0), {CheckId(0)}, now).status == Verdict::fail);
  CHECK(outcome_without(s, ServiceId(0), {CheckId(0)}, now).reason == "db: fail/timeout: no answer in 5s");
  CHECK(outcome_without(s, std::nullopt, {CheckId(1), CheckId(2)}, now).status == Verdict::pass);
  CHECK(outcome_without(s, std::nullopt, {CheckId(3)}, now).status == Verdict::fail);
  CHECK(outcome_without(s, std::nullopt, {CheckId(1)}, now).name == "node-1");
}

TEST_CASE("an operator's drain is not lifted by excluding checks") {
  const auto view = canned::view(Mood::drain);
  CHECK(outcome_without(*view->snapshot, ServiceId(0), {CheckId(1)}, canned::moment()).code == 503);
  CHECK(outcome_without(*view->snapshot, std::nullopt, {CheckId(1)}, canned::moment()).code == 503);
}

TEST_CASE("ready means that every critical check has had a result and the config is the one asked for") {
  CHECK(canned::view(Mood::pass)->is_ready);
  CHECK(canned::view(Mood::fail)->is_ready);
  CHECK_FALSE(canned::view(Mood::pending)->is_ready);
  CHECK(changed(Mood::pass, [](Snapshot& s, Plan&) { s.checks[2].last.reset(); })->is_ready);  // cache is not critical
  CHECK_FALSE(changed(Mood::pass, [](Snapshot& s, Plan&) { s.checks[1].last.reset(); })->is_ready);
  CHECK(changed(Mood::pass, [](Snapshot& s, Plan& p) {
          s.checks[1].last.reset();
          p.checks[1].mode = Mode::shadow;
        })->is_ready);
  AgentFacts refused = canned::facts();
  refused.is_config_current = false;
  refused.config_problem = "vitald.yaml:3:1: unknown key";
  const auto view = make_view(canned::snapshot(Mood::pass), refused);
  CHECK_FALSE(view->is_ready);
  const auto checks = checks_behind(*view->snapshot->plan, std::nullopt);
  const std::string json = health_document(*view, outcome_for(*view, std::nullopt), {"/health", checks, {}});
  CHECK(json.find("the last reload was refused") != std::string::npos);
}

TEST_CASE("the API does not call a service healthy once the agent has stalled") {
  const auto view = canned::view(Mood::pass);
  const Now now = canned::moment();
  const auto status = nlohmann::json::parse(status_document(*view, now, now.mono - 1ms));
  CHECK(status["is_stalled"] == true);
  CHECK(status["node"]["answer"] == "fail");
  CHECK(status["services"][0]["answer"] == "fail");
  CHECK(status["services"][0]["weight"] == 0);
}
