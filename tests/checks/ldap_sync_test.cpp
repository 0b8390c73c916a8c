// contextCSN server by server, and what cn=Monitor says of a syncrepl.
#include "ldap_sync.hpp"

#include <catch2/catch.hpp>

#include "given.hpp"
#include "outcome.hpp"

using namespace vital;
using namespace vital::check;
using namespace vital::check::ldap;

namespace {

std::string csn(const std::string& time, const std::string& sid) { return time + "Z#000000#" + sid + "#000000"; }

Behind compared(const std::vector<std::string>& provider, const std::vector<std::string>& consumer) {
  return behind(context_csn(provider), context_csn(consumer));
}

std::string judged(const Behind& b, const Given::Values& values = {}) {
  const Given given(values);
  Findings found;
  Result seen = pass("fine");
  judge(b, "ldap://p:389", SyncLimits::options(given.options()), found, seen);
  return outcome(found.into(seen, "ldap://c:389"));
}

std::string judged(const std::vector<SyncRepl>& all, const Given::Values& values = {}) {
  const Given given(values);
  Findings found;
  Result seen = pass("fine");
  judge(all, 1764114102 + 100, SyncLimits::options(given.options()), found, seen);
  return outcome(found.into(seen, "ldap://c:389"));
}

}  // namespace

TEST_CASE("a CSN is read whole or not at all") {
  const std::optional<Csn> read = Csn::read(csn("20251125234142.500000", "001"));
  REQUIRE(read);
  CHECK(read->sid == "001");
  CHECK(read->at_s == Approx(1764114102.5));
  for (const char* text : {"", "20251125234142.500000Z", "20251125234142.500000Z#000000#001#00000",
                           "20251125234142.500000Z#000000#001#0000000", "2025112x234142.500000Z#000000#001#000000"}) {
    CHECK_FALSE(Csn::read(text));
  }
}

TEST_CASE("a consumer that has every server's newest change is not behind, whatever else it has") {
  const std::string a = csn("20251125234142.000000", "001"), b = csn("20251125234143.000000", "002");
  CHECK_FALSE(compared({a}, {a}).is_behind());
  CHECK_FALSE(compared({a, b}, {b, a}).is_behind());
  CHECK_FALSE(compared({a}, {a, b}).is_behind());
  CHECK_FALSE(compared({a}, {csn("20251125234142.000001", "001")}).is_behind());
  CHECK_FALSE(compared({}, {a}).is_behind());
}

TEST_CASE("the lag is of the server whose changes are furthest behind, and each is compared with itself alone") {
  const Behind b = compared({csn("20251125234142.000000", "001"), csn("20251125234200.000000", "002")},
                            {csn("20251125234140.000000", "001"), csn("20251125234150.000000", "002")});
  CHECK(b.sid == "002");
  CHECK(b.seconds == Approx(10));
  // A newer change of another server does not make up for the missing one.
  CHECK(compared({csn("20251125234142.000000", "001")},
                 {csn("20251125234141.000000", "001"), csn("20251125235959.000000", "002")})
            .is_behind());
}

TEST_CASE("changes within one microsecond are told apart by their count") {
  CHECK(compared({"20251125234142.000000Z#000001#001#000000"}, {csn("20251125234142.000000", "001")}).is_behind());
}

TEST_CASE("a consumer that never had a change of a server is a failure") {
  const Behind b = compared({csn("20251125234142.000000", "001")}, {});
  CHECK(b.has_nothing);
  CHECK(judged(b, {{"fail_lag", {"3600000000000"}}}) == "fail/content");
}

TEST_CASE("a lag is judged by its limits, and without one it is a warning") {
  const Behind b{10, "001", false};
  CHECK(judged(Behind{}) == "pass/none");
  CHECK(judged(b) == "warn/content");
  CHECK(judged(b, {{"warn_lag", {"10000000000"}}}) == "pass/none");
  CHECK(judged(b, {{"warn_lag", {"9000000000"}}}) == "warn/content");
  CHECK(judged(b, {{"fail_lag", {"9000000000"}}}) == "fail/content");
}

TEST_CASE("a syncrepl must be connected and in Persist") {
  const SyncRepl well{"ldap://p", "Persist", "00000101000000Z", "20251125234142Z"};
  CHECK(judged({well}) == "pass/none");
  CHECK(judged({well, {"ldap://q", "Persist", "20251125234142Z", ""}}) == "fail/content");
  CHECK(judged({{"ldap://p", "Refresh Delete", "00000101000000Z", ""}}) == "warn/content");
  CHECK(judged({{"ldap://p", "", "", ""}}) == "fail/content");
  CHECK(judged(std::vector<SyncRepl>{}) == "unknown/config");
}

TEST_CASE("silence is judged only where a limit is set") {
  const SyncRepl well{"ldap://p", "Persist", "00000101000000Z", "20251125234142Z"};
  CHECK(judged({well}, {{"warn_contact", {"101000000000"}}}) == "pass/none");
  CHECK(judged({well}, {{"warn_contact", {"99000000000"}}}) == "warn/content");
  CHECK(judged({well}, {{"fail_contact", {"99000000000"}}}) == "fail/content");
  CHECK_FALSE(time_of("00000101000000Z"));
  CHECK_FALSE(time_of("soon"));
}
