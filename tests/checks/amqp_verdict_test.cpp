#include <catch2/catch.hpp>

#include "amqp/verdict.hpp"

using vital::check::Cause;
using vital::check::Verdict;
using vital::check::amqp::meaning_of;

TEST_CASE("a broker's code says whether it is evidence, and of what") {
  struct Row {
    int code;
    const char* text;
    Verdict verdict;
    Cause cause;
  };
  const Row rows[] = {
      {403, "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN", Verdict::unknown, Cause::auth},
      {530, "NOT_ALLOWED - access to vhost 'app' refused for user 'monitor'", Verdict::unknown, Cause::auth},
      {530, "NOT_ALLOWED - vhost app not found", Verdict::fail, Cause::content},
      {530, "NOT_ALLOWED - connection limit (10) is reached", Verdict::fail, Cause::content},
      {404, "NOT_FOUND - no queue 'orders' in vhost 'app'", Verdict::fail, Cause::content},
      {404, "NOT_FOUND - home node of durable queue is down or inaccessible", Verdict::fail, Cause::content},
      {405, "RESOURCE_LOCKED - cannot obtain exclusive access", Verdict::unknown, Cause::config},
      {406, "PRECONDITION_FAILED", Verdict::unknown, Cause::config},
      {506, "RESOURCE_ERROR", Verdict::fail, Cause::content},
      {320, "CONNECTION_FORCED - broker forced connection closure", Verdict::fail, Cause::protocol},
      {541, "INTERNAL_ERROR", Verdict::fail, Cause::protocol},
      {0, "", Verdict::fail, Cause::protocol},
  };
  for (const Row& row : rows) {
    INFO(row.code << " " << row.text);
    CHECK(meaning_of(row.code, row.text).verdict == row.verdict);
    CHECK(meaning_of(row.code, row.text).cause == row.cause);
  }
}
