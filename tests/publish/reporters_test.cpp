// Who may report through a health listener: the rules alone, then through a real front.
#include "publish/reporters.hpp"

#include <catch2/catch.hpp>

#include "client.hpp"
#include "running_front.hpp"

using namespace vital;
using namespace vital::test;
using namespace std::chrono_literals;

namespace {

constexpr const char* token = "0123456789abcdef";
constexpr const char* bearer = "Bearer 0123456789abcdef";
constexpr const char* path = "/api/v1/checks/backup/result";
const Instant start = Instant(1000s);

Reporters one() {
  Reporters out;
  out.set({{"backup", token}});
  return out;
}

}  // namespace

TEST_CASE("without a token in the config there is nothing to report to here") {
  Reporters nobody;
  CHECK_FALSE(nobody.is_asked(path));
  Reporters r = one();
  CHECK(r.is_asked(path));
  CHECK(r.is_asked("/api/v1/checks/other/result"));
  for (const char* no : {"/api/v1/checks//result", "/api/v1/checks/a/b/result", "/api/v1/checks/backup",
                         "/api/v1/checks/backup/run", "/api/v1/maintenance", "/health", ""}) {
    INFO(no);
    CHECK_FALSE(r.is_asked(no));
  }
}

TEST_CASE("a report needs a POST, a token, that check's token, and few bytes") {
  struct Row {
    const char *path, *method, *authorization;
    std::size_t bytes;
    int code;
  };
  const Row rows[] = {
      {path, "POST", bearer, 10, 200},
      {path, "POST", "bearer   0123456789abcdef", 10, 200},
      {path, "POST", "", 10, 401},
      {path, "POST", "Basic MDEyMzQ1Njc4OWFiY2RlZg==", 10, 401},
      {path, "POST", "Bearer", 10, 401},
      {path, "POST", "Bearer 0123456789abcdeF", 10, 403},
      {path, "POST", "Bearer 0123456789abcde", 10, 403},
      {path, "POST", "Bearer 0123456789abcdef0", 10, 403},
      {"/api/v1/checks/other/result", "POST", bearer, 10, 404},
      {path, "GET", bearer, 0, 405},
      {path, "DELETE", bearer, 0, 405},
      {path, "POST", bearer, 8 * 1024 + 1, 413},
  };
  for (const Row& row : rows) {
    INFO(row.method << " " << row.path << " " << row.authorization);
    Reporters r = one();
    CHECK(r.judge(row.path, row.method, row.authorization, row.bytes, start).code == row.code);
  }
}

TEST_CASE("reports have a rate, strangers have their own, and neither eats the other's") {
  Reporters r = one();
  const auto post = [&](const char* authorization, Instant at) {
    return r.judge(path, "POST", authorization, 1, at).code;
  };
  for (int i = 0; i < 10; ++i) CHECK(post(bearer, start) == 200);
  CHECK(post(bearer, start) == 429);
  CHECK(post(bearer, start + 400ms) == 429);
  CHECK(post(bearer, start + 600ms) == 200);
  for (int i = 0; i < 20; ++i) CHECK(post("Bearer wrong", start + 1s) == 403);
  CHECK(post("Bearer wrong", start + 1s) == 429);
  CHECK(post(bearer, start + 2s) == 200);
}

TEST_CASE("a reload keeps what was used of a rate, and forgets who is gone") {
  Reporters r = one();
  for (int i = 0; i < 10; ++i) (void)r.judge(path, "POST", bearer, 1, start);
  r.set({{"backup", "fedcba9876543210"}});
  CHECK(r.judge(path, "POST", bearer, 1, start).code == 403);
  CHECK(r.judge(path, "POST", "Bearer fedcba9876543210", 1, start).code == 429);
  r.set({});
  CHECK_FALSE(r.is_asked(path));
}

TEST_CASE("the front hands a report with its token to the agent, and nothing else") {
  AdminRequest seen;
  RunningFront front(
      [](FrontOptions& o) {
        o.report_tokens = {{"backup", token}};
      },
      [&](const AdminRequest& request, const AdminReply& reply) {
        seen = request;
        reply({200, "{}\n"});
      });
  const auto send = [&](const std::string& method, const std::string& target, const std::string& headers) {
    seen = {};
    return ask(front.health,
               method + " " + target + " HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n" + headers + "\r\n{}");
  };
  const std::string good = std::string("Authorization: ") + bearer + "\r\n";
  CHECK(send("POST", path, good).code() == 200);
  CHECK(seen.path == path);
  CHECK(seen.is_by_token);
  CHECK(seen.body == "{}");

  const Received unknown_one = send("POST", path, "");
  CHECK(unknown_one.code() == 401);
  CHECK(unknown_one.has("WWW-Authenticate: Bearer"));
  CHECK(send("POST", path, "Authorization: Bearer 0123456789abcdeX\r\n").code() == 403);
  CHECK(send("POST", path, good + good).code() == 400);
  CHECK(send("PUT", path, good).code() == 405);
  for (const char* other : {"/api/v1/maintenance", "/api/v1/reload", "/api/v1/checks/backup/run",
                            "/api/v1/checks/backup%2Fresult/run", "/api/v1/checks/backup/result/"}) {
    INFO(other);
    CHECK(send("POST", other, good).code() == 403);
    CHECK(seen.path.empty());
  }
  CHECK(front.front.counters().reports_taken == 1);
  CHECK(front.front.counters().reports_unauthorized == 2);
  CHECK(front.front.counters().reports_refused == 1);
}
