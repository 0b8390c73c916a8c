// How PostgreSQL's replication is judged: the lag that is none, the silence that is no lag of 0, the slot for nobody.
#include "postgres_replication.hpp"

#include <catch2/catch.hpp>

#include "given.hpp"
#include "outcome.hpp"

using namespace vital;
using namespace vital::check;
using namespace vital::check::postgres;

namespace {

Standby standby(double received, double replayed, double commit_age_s) {
  Standby s;
  s.has_receiver = true;
  s.status = "streaming";
  s.received = received;
  s.replayed = replayed;
  s.commit_age_s = commit_age_s;
  return s;
}

ReplicationLimits limits(Given::Values values = {}) {
  values.push_back({"wal_receiver", {"true"}});
  const Given given(values);
  return ReplicationLimits::options(given.options());
}

Result judged(const Standby& s, std::optional<double> lag, const ReplicationLimits& l) {
  Findings found;
  Result seen = pass("db is a standby");
  judge(s, lag, l, found, seen);
  return found.into(seen, "db");
}
std::string judged(const Standby& s, const Given::Values& values = {}) {
  return outcome(judged(s, s.lag_s(), limits(values)));
}

double measured(const Result& r, const std::string& name) {
  for (const Measure& m : r.measures) {
    if (m.name == name) return m.value;
  }
  return -1;
}

}  // namespace

TEST_CASE("an idle primary makes no lag, however old its last commit is") {
  CHECK(*standby(1000, 1000, 86400).lag_s() == 0);
  CHECK(*standby(1000, 1000, 86400).lag_bytes() == 0);
  CHECK(judged(standby(1000, 1000, 86400), {{"fail_lag", {"1000000000"}}}) == "pass/none");
}

TEST_CASE("a standby without a receiver has no lag of 0: its lag is unknown, and the missing receiver is the failure") {
  Standby s = standby(1000, 1000, 3);
  s.has_receiver = false;
  CHECK_FALSE(s.lag_s());
  CHECK_FALSE(s.lag_bytes());
  CHECK(judged(s) == "fail/content");
  CHECK(judged(s, {{"warn_lag", {"1000000000"}}}) == "fail/content");
}

TEST_CASE("a standby says whether it is linked to its primary, and how it stands apart from that") {
  const auto told = [](const Standby& s) {
    const Result r = judged(s, s.lag_s(), limits());
    return fact_of(r, "link") + "/" + fact_of(r, "apart_from_link");
  };
  Standby s = standby(1000, 1000, 3);
  CHECK(told(s) == "up/");
  s.status.clear();  // without the right to see it
  CHECK(told(s) == "up/");
  s.status = "waiting";  // its primary has ended the stream
  CHECK(told(s) == "down/pass");
  s.has_receiver = false;
  CHECK(told(s) == "down/pass");
  s.is_paused = true;
  CHECK(told(s) == "down/warn");
  Findings found;
  Result seen = fail(Cause::content, "the query found nothing");
  judge(s, s.lag_s(), limits(), found, seen);
  CHECK(fact_of(found.into(seen, "db"), "apart_from_link") == "fail");
}

TEST_CASE("how far the log reaches is told as PostgreSQL writes it, and as a number") {
  CHECK(*bytes_of_lsn("0/3000060") == 0x3000060);
  CHECK(*bytes_of_lsn("1/0") == 4294967296.0);
  for (const char* lsn : {"", "0", "0/", "0/3000060 ", "x/1", "0/123456789"}) CHECK_FALSE(bytes_of_lsn(lsn));
  Standby s = standby(1000, 1000, 3);
  s.lsn = "0/3000060";
  const Result r = judged(s, 0, limits());
  CHECK(fact_of(r, "lsn") == "0/3000060");
  CHECK(measured(r, "position") == 0x3000060);
}

TEST_CASE("a standby that is fed from an archive needs no receiver, and then no lag can be asked for") {
  const auto read = [](const Options& o) { ReplicationLimits::options(o); };
  CHECK(refusal({{"wal_receiver", {"false"}}}, read).empty());
  CHECK(refusal({{"wal_receiver", {"false"}}, {"warn_lag", {"1000000000"}}}, read).find("wal_receiver: ") == 0);
  CHECK(refusal({{"wal_receiver", {"true"}}, {"warn_lag", {"9"}}, {"fail_lag", {"8"}}}, read).find("warn_lag: ") == 0);
  CHECK(refusal({{"wal_receiver", {"true"}}, {"warn_standbys", {"1"}}, {"fail_standbys", {"2"}}}, read)
            .find("warn_standbys: is below fail_standbys") == 0);
}

TEST_CASE("the lag in seconds is judged by its limits") {
  const Given::Values both = {{"warn_lag", {"10000000000"}}, {"fail_lag", {"30000000000"}}};
  CHECK(judged(standby(2000, 1000, 10), both) == "pass/none");
  CHECK(judged(standby(2000, 1000, 10.1), both) == "warn/content");
  CHECK(judged(standby(2000, 1000, 31), both) == "fail/content");
  const Standby s = standby(2000, 1000, 31);
  CHECK(judged(s, s.lag_s(), limits(both)).text == "db: it is 31.0 s behind, above fail_lag 30s");
}

TEST_CASE("the lag in bytes is what is known to exist and has not been replayed") {
  CHECK(*standby(5000, 1000, 0).lag_bytes() == 4000);
  CHECK(judged(standby(5000, 1000, 0), {{"warn_lag_bytes", {"4000"}}}) == "pass/none");
  CHECK(judged(standby(5001, 1000, 0), {{"warn_lag_bytes", {"4000"}}}) == "warn/content");
}

TEST_CASE("the first commit after a quiet hour is not an hour late") {
  const Standby first = standby(2000, 1000, 3600), second = standby(2400, 2000, 0.3);
  CHECK(*settled_lag_s(first, second, 0.2) == Approx(0.2));
  SECTION("but if what was there is still not replayed, it is") {
    CHECK(*settled_lag_s(first, standby(2400, 1999, 3600.2), 0.2) == Approx(3600.2));
  }
  SECTION("and a receiver that died meanwhile leaves it unknown") {
    Standby dead = second;
    dead.has_receiver = false;
    CHECK_FALSE(settled_lag_s(first, dead, 0.2));
  }
}

TEST_CASE("a standby that has replayed no transaction yet, and should be behind by a known time, is unknown") {
  Standby s = standby(2000, 1000, 0);
  s.commit_age_s = {};
  CHECK(judged(s) == "pass/none");
  CHECK(judged(s, {{"warn_lag", {"1000000000"}}}) == "unknown/content");
}

TEST_CASE("a paused replay is a warning even without a lag") {
  Standby s = standby(1000, 1000, 0);
  s.is_paused = true;
  CHECK(judged(s) == "warn/content");
}

TEST_CASE("the worst finding makes the verdict and comes first") {
  Standby s = standby(1000, 900, 100);
  s.is_paused = true;
  const Result r = judged(s, s.lag_s(), limits({{"fail_lag", {"1000000000"}}}));
  CHECK(outcome(r) == "fail/content");
  CHECK(r.text.find("db: it is 100.0 s behind") == 0);
  CHECK(r.text.find("replay is paused") != std::string::npos);
  CHECK(measured(r, "lag") == 100);
}

TEST_CASE("a primary is judged by who streams from it, if that can be seen") {
  const auto judged_primary = [](double streaming, bool may_see, const Given::Values& values) {
    Primary p;
    p.streaming = streaming;
    p.may_see = may_see;
    Findings found;
    Result seen = pass("db is a primary");
    judge(p, limits(values), found, seen);
    return outcome(found.into(seen, "db"));
  };
  const Given::Values both = {{"warn_standbys", {"2"}}, {"fail_standbys", {"1"}}};
  CHECK(judged_primary(2, true, both) == "pass/none");
  CHECK(judged_primary(1, true, both) == "warn/content");
  CHECK(judged_primary(0, true, both) == "fail/content");
  CHECK(judged_primary(0, true, {}) == "pass/none");
  CHECK(judged_primary(0, false, both) == "unknown/auth");
  CHECK(judged_primary(0, false, {}) == "pass/none");
}

TEST_CASE("a slot that nobody uses is judged by the WAL it keeps") {
  Standby s = standby(1000, 1000, 0);
  s.slots = {1, 5000};
  CHECK(judged(s) == "pass/none");
  CHECK(judged(s, {{"warn_slot_wal", {"4999"}}}) == "warn/content");
  CHECK(judged(s, {{"warn_slot_wal", {"100"}}, {"fail_slot_wal", {"4999"}}}) == "fail/content");
  s.slots.kept_bytes = {};
  CHECK(judged(s, {{"warn_slot_wal", {"1"}}}) == "pass/none");
}

TEST_CASE("the timeline is in a WAL file's name") {
  CHECK(timeline_of("0000000100000000000000A1") == "1");
  CHECK(timeline_of("0000001F00000000000000A1") == "31");
  CHECK(timeline_of("") == "");
}

TEST_CASE("findings: evidence outweighs ignorance, and a failed check is not touched") {
  Findings found;
  CHECK(outcome(found.into(pass("fine"), "db")) == "pass/none");
  found.add(Verdict::unknown, Cause::auth, "hidden");
  CHECK(outcome(found.into(pass("fine"), "db")) == "unknown/auth");
  CHECK(outcome(found.into(warn(Cause::role, "read-only"), "db")) == "unknown/auth");
  found.add(Verdict::fail, Cause::content, "broken");
  const Result r = found.into(warn(Cause::role, "read-only"), "db");
  CHECK(outcome(r) == "fail/content");
  CHECK(r.text == "db: broken; hidden; read-only");
  CHECK(found.into(fail(Cause::role, "a standby"), "db").text == "a standby");
}
