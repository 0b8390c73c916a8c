#include "agent/admin_api.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace vital;
using namespace std::chrono_literals;

namespace {

const WallTime noon{std::chrono::milliseconds(1795521600000)};

Plan house() {
  Plan p;
  p.checks.resize(2);
  p.checks[0].name = "app";
  p.checks[1].name = "backup";
  p.checks[1].is_passive = true;
  p.services.resize(1);
  p.services[0].name = "web";
  return p;
}

admin::Wish ask(const std::string& method, const std::string& path, const std::string& body = "",
                QueryList query = {}) {
  AdminRequest r;
  r.method = method;
  r.path = "/api/v1/" + path;
  r.body = body;
  r.query = std::move(query);
  return admin::parse(r, house(), noon, "root");
}

std::string refused(const admin::Wish& wish, int status) {
  const auto* answer = std::get_if<AdminAnswer>(&wish);
  REQUIRE(answer != nullptr);
  CHECK(answer->status == status);
  return nlohmann::json::parse(answer->json_body).at("error");
}

}  // namespace

TEST_CASE("a drain says who, why, what and until when") {
  const auto wish = ask("POST", "maintenance",
                        R"({"kind":"drain","service":"web","for":"30m","reason":"deploy\n2","owner":"alice"})");
  const Overlay& o = std::get<admin::Lay>(wish).overlay;
  CHECK(o.kind == OverlayKind::drain);
  CHECK(o.service == "web");
  CHECK(o.reason == "deploy 2");
  CHECK(o.owner == "alice");
  CHECK(o.since == noon);
  CHECK(o.until == noon + 30min);
}

TEST_CASE("what an overlay does not say is an hour of maintenance of the node by whoever asked") {
  const Overlay o = std::get<admin::Lay>(ask("POST", "maintenance")).overlay;
  CHECK(o.kind == OverlayKind::maintenance);
  CHECK(o.service.empty());
  CHECK(o.owner == "root");
  CHECK(o.until == noon + 1h);
  CHECK_FALSE(std::get<admin::Lay>(ask("POST", "maintenance", R"({"for":"forever"})")).overlay.until);
}

TEST_CASE("mistakes in an overlay are answered with what to write instead") {
  CHECK(refused(ask("POST", "maintenance", R"({"kind":"pause"})"), 400).find("drain or maintenance") !=
        std::string::npos);
  CHECK(refused(ask("POST", "maintenance", R"({"for":"60"})"), 400).find("30m") != std::string::npos);
  CHECK(refused(ask("POST", "maintenance", R"({"for":"0s"})"), 400).find("for") != std::string::npos);
  CHECK(refused(ask("POST", "maintenance", R"({"for":"99999d"})"), 400).find("for") != std::string::npos);
  CHECK(refused(ask("POST", "maintenance", R"({"resaon":"x"})"), 400).find("reason") != std::string::npos);
  CHECK(refused(ask("POST", "maintenance", R"({"reason":5})"), 400).find("string") != std::string::npos);
  CHECK(refused(ask("POST", "maintenance", "[1"), 400).find("JSON object") != std::string::npos);
  CHECK(refused(ask("POST", "maintenance", R"({"service":"wbe"})"), 404).find("did you mean web") != std::string::npos);
  refused(ask("PUT", "maintenance"), 405);
}

TEST_CASE("an overlay is lifted by query or by body, from the node without either") {
  CHECK(std::get<admin::Lift>(ask("DELETE", "maintenance")).service.empty());
  CHECK(std::get<admin::Lift>(ask("DELETE", "maintenance", "", {{"service", "web"}})).service == "web");
  CHECK(std::get<admin::Lift>(ask("DELETE", "maintenance", R"({"service":"web"})")).service == "web");
  refused(ask("DELETE", "maintenance", "", {{"service", "nope"}}), 404);
  refused(ask("DELETE", "maintenance", "", {{"servce", "web"}}), 400);
}

TEST_CASE("a check that is probed can be run and not reported, a passive one the other way round") {
  CHECK(std::get<admin::Run>(ask("POST", "checks/app/run")).check == CheckId(0));
  refused(ask("POST", "checks/backup/run"), 409);
  refused(ask("POST", "checks/app/result", R"({"verdict":"pass"})"), 409);
  const auto r =
      std::get<admin::Record>(ask("POST", "checks/backup/result", R"({"verdict":"fail","text":"disk full"})"));
  CHECK(r.check == CheckId(1));
  CHECK(r.result.verdict == Verdict::fail);
  CHECK(r.result.cause == Cause::content);
  CHECK(r.result.text == "disk full");
}

TEST_CASE("a bare report is a pass") {
  const auto r = std::get<admin::Record>(ask("POST", "checks/backup/result"));
  CHECK(r.result.verdict == Verdict::pass);
  CHECK(r.result.cause == Cause::none);
}

TEST_CASE("reports that make no sense are refused") {
  CHECK(refused(ask("POST", "checks/backup/result", R"({"verdict":"ok"})"), 400).find("pass, warn, fail") !=
        std::string::npos);
  refused(ask("POST", "checks/backup/result", R"({"verdict":"fail","cause":"aliens"})"), 400);
  refused(ask("POST", "checks/backup/result", R"({"facts":{"a":1}})"), 400);
}

TEST_CASE("what is not there is a 404 that helps") {
  CHECK(refused(ask("POST", "checks/ap/run"), 404).find("did you mean app") != std::string::npos);
  refused(ask("POST", "checks/app/explode"), 404);
  refused(ask("POST", "nothing"), 404);
  refused(ask("GET", "reload"), 405);
  CHECK(std::holds_alternative<admin::Reload>(ask("POST", "reload")));
}

TEST_CASE("users are named by the local file, and by number where it does not know them") {
  CHECK(admin::user_name(0) == "root");
  CHECK(admin::user_name(3999999999U) == "uid 3999999999");
}
