// What PgBouncer's tables mean.
#include "pgbouncer_verdict.hpp"

#include <catch2/catch.hpp>

#include "outcome.hpp"

using namespace vital::check;
using namespace vital::check::pgbouncer;

namespace {

Limits limits(std::vector<std::string> databases = {}) {
  Limits l;
  l.databases = std::move(databases);
  l.wait_s = {Bad::above, 1, 10, "warn_wait", "fail_wait", Unit::seconds};
  return l;
}

Pool pool(const std::string& database, double waiting, double wait_s) {
  Pool p{database, "app"};
  p.clients_active = 3;
  p.clients_waiting = waiting;
  p.wait_s = wait_s;
  return p;
}

}  // namespace

TEST_CASE("clients that wait for a connection are judged by the longest wait") {
  const std::vector<Database> all = {{"app"}, {"pgbouncer"}};
  CHECK(outcome(judge(all, {pool("app", 0, 0)}, limits(), "b:6432")) == "pass/none");
  CHECK(outcome(judge(all, {pool("app", 1, 0.5)}, limits(), "b:6432")) == "pass/none");
  CHECK(outcome(judge(all, {pool("app", 0, 0), pool("app", 1, 1.5)}, limits(), "b:6432")) == "warn/latency");
  const Result r = judge(all, {pool("app", 7, 11)}, limits(), "b:6432");
  CHECK(outcome(r) == "fail/latency");
  CHECK(r.text == "b:6432: a client of app/app has waited 11.0 s for a connection, above fail_wait 10s");
}

TEST_CASE("a paused or disabled database fails, if it matters") {
  CHECK(outcome(judge({{"app", true}}, {}, limits(), "b")) == "fail/content");
  CHECK(outcome(judge({{"app", false, true}}, {}, limits(), "b")) == "fail/content");
  CHECK(outcome(judge({{"app"}, {"old", true, true}}, {}, limits({"app"}), "b")) == "pass/none");
  CHECK(outcome(judge({{"app"}}, {pool("old", 9, 99)}, limits({"app"}), "b")) == "pass/none");
}

TEST_CASE("a database that was named and is not there fails") {
  CHECK(outcome(judge({{"other"}}, {}, limits({"app"}), "b")) == "fail/content");
}

TEST_CASE("how many wait is judged only where a limit is set") {
  Limits l = limits();
  CHECK(outcome(judge({{"app"}}, {pool("app", 500, 0)}, l, "b")) == "pass/none");
  l.waiting = {Bad::above, {}, 100, "warn_waiting", "fail_waiting"};
  CHECK(outcome(judge({{"app"}}, {pool("app", 100, 0)}, l, "b")) == "pass/none");
  CHECK(outcome(judge({{"app"}}, {pool("app", 101, 0)}, l, "b")) == "fail/content");
}

TEST_CASE("the console's own pool is left out, clients are summed over the others, and the longest wait counts") {
  const Result r = judge({{"app"}, {"shop"}, {"pgbouncer"}},
                         {pool("app", 2, 0.5), pool("shop", 3, 0.2), pool("pgbouncer", 7, 99)}, limits(), "b");
  CHECK(outcome(r) == "pass/none");
  CHECK(r.text == "b is PgBouncer: 2 databases, 6 clients are served, 5 wait");
  for (const Measure& m : r.measures) {
    if (m.name == "wait") CHECK(m.value == 0.5);
    if (m.name == "clients_waiting") CHECK(m.value == 5);
  }
}
