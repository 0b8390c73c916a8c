// The language of a composite's rules: what parses, what it is worth, and how what is not known spreads.
#include "core/expression.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <map>

using namespace vital;

namespace {

using Values = std::map<std::string, Expression::Value>;

const Values known = {{"db.lag", 3.0},
                      {"db.role", std::string("standby")},
                      {"db.version", std::string("15")},
                      {"db-2.lag", 30.0},
                      {"a.b.lag", 1.0},
                      {"web./var", 7.0},
                      {"my check.x", 5.0},
                      {"db.zero", 0.0},
                      {"db.inf", std::numeric_limits<double>::infinity()},
                      {"db.state", std::string("pass")}};

std::string judged(const std::string& text, const Values& values = known) {
  const auto parsed = Expression::parse(text);
  if (const auto* error = std::get_if<Expression::Error>(&parsed))
    return std::to_string(error->at) + ": " + error->text;
  const auto& e = std::get<Expression>(parsed);
  const auto holds = e.judge([&](std::size_t i) -> Expression::Value {
    const auto& r = e.references().at(i);
    const auto at = values.find(r.check + "." + r.field);
    return at == values.end() ? Expression::Value() : at->second;
  });
  return !holds ? "unknown" : *holds ? "yes" : "no";
}

bool is_refused(const std::string& text, const std::string& words) {
  const auto parsed = Expression::parse(text);
  const auto* error = std::get_if<Expression::Error>(&parsed);
  if (error == nullptr) return false;
  INFO(error->text);
  CHECK(error->at <= text.size());
  return error->text.find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("values are compared") {
  CHECK(judged("db.lag < 10") == "yes");
  CHECK(judged("db.lag < 3") == "no");
  CHECK(judged("db.lag <= 3") == "yes");
  CHECK(judged("db.lag > 3") == "no");
  CHECK(judged("db.lag >= 3") == "yes");
  CHECK(judged("db.lag == 3") == "yes");
  CHECK(judged("db.lag != 3") == "no");
  CHECK(judged("db.role == standby") == "yes");
  CHECK(judged("db.role == 'standby'") == "yes");
  CHECK(judged("db.role != \"primary\"") == "yes");
  CHECK(judged("db.role == Standby") == "no");
  CHECK(judged("10 > db.lag") == "yes");
  CHECK(judged("db.lag < db-2.lag") == "yes");
}

TEST_CASE("a text that reads as a number is one, and no other") {
  CHECK(judged("db.version == 15") == "yes");
  CHECK(judged("db.version >= 14") == "yes");
  CHECK(judged("db.version == '15.0'") == "yes");
  CHECK(judged("db.role == 15") == "no");
  CHECK(judged("db.role != 15") == "yes");
  CHECK(judged("db.role > 15") == "unknown");
}

TEST_CASE("numbers have units") {
  CHECK(judged("db.lag < 4s") == "yes");
  CHECK(judged("db.lag < 2999ms") == "no");
  CHECK(judged("db.lag < 1m and db.lag < 1h and db.lag < 1d") == "yes");
  CHECK(judged("1KiB == 1024 and 1MiB == 1024 * 1KiB and 1GB == 1000MB") == "yes");
  CHECK(judged("50% == 50") == "yes");
}

TEST_CASE("arithmetic binds as usual") {
  CHECK(judged("1 + 2 * 3 == 7") == "yes");
  CHECK(judged("(1 + 2) * 3 == 9") == "yes");
  CHECK(judged("10 - 2 - 3 == 5") == "yes");
  CHECK(judged("12 / 2 / 3 == 2") == "yes");
  CHECK(judged("-db.lag == -3 and --1 == 1") == "yes");
  CHECK(judged("db-2.lag - db.lag == 27") == "yes");
  CHECK(judged("min(db.lag, db-2.lag, 1) == 1 and max(db.lag, 4) == 4 and abs(-2) == 2") == "yes");
}

TEST_CASE("conditions are joined: not before and, and before or") {
  CHECK(judged("true or true and false") == "yes");
  CHECK(judged("(true or true) and false") == "no");
  CHECK(judged("not false and true") == "yes");
  CHECK(judged("not (true and true)") == "no");
  CHECK(judged("not not true") == "yes");
  CHECK(judged("db.lag < 10 and db.role == standby") == "yes");
}

TEST_CASE("what is not known makes unknown, unless the rest decides") {
  CHECK(judged("gone.lag < 10") == "unknown");
  CHECK(judged("gone.lag == gone.lag") == "unknown");
  CHECK(judged("gone.lag != x") == "unknown");
  CHECK(judged("not gone.lag < 10") == "unknown");
  CHECK(judged("false and gone.lag < 10") == "no");
  CHECK(judged("gone.lag < 10 and false") == "no");
  CHECK(judged("true and gone.lag < 10") == "unknown");
  CHECK(judged("true or gone.lag < 10") == "yes");
  CHECK(judged("gone.lag < 10 or true") == "yes");
  CHECK(judged("false or gone.lag < 10") == "unknown");
  CHECK(judged("gone.lag + 1 < 10") == "unknown");
  CHECK(judged("max(gone.lag, 20) < 10") == "unknown");
  CHECK(judged("known(gone.lag)") == "no");
  CHECK(judged("known(db.lag) and not known(gone.lag)") == "yes");
  CHECK(judged("not known(gone.lag) or gone.lag < 10") == "yes");
}

TEST_CASE("what cannot be computed is not known") {
  CHECK(judged("1 / 0 < 1") == "unknown");
  CHECK(judged("db.lag / db.zero > 1") == "unknown");
  CHECK(judged("db.inf > 1") == "unknown");
  CHECK(judged("db.inf == db.inf") == "unknown");
  CHECK(judged("db.role + 1 > 0") == "unknown");
}

TEST_CASE("names may have dots, dashes and quotes") {
  CHECK(judged("a.b.lag == 1") == "yes");
  CHECK(judged("web.'/var' == 7") == "yes");
  CHECK(judged("'my check'.x == 5") == "yes");
  CHECK(judged("\"my check\".\"x\" == 5") == "yes");
  CHECK(judged("db.state == pass") == "yes");
}

TEST_CASE("each thing looked at is known once, in order") {
  const auto parsed = Expression::parse("b.x < 1 and a.y < 2 and b.x > 0 and known(a.y)");
  REQUIRE(std::holds_alternative<Expression>(parsed));
  const auto& r = std::get<Expression>(parsed).references();
  REQUIRE(r.size() == 2);
  CHECK(r[0].check == "b");
  CHECK(r[1].field == "y");
}

TEST_CASE("mistakes get one line that says what to write instead") {
  CHECK(is_refused("", "is empty"));
  CHECK(is_refused("   ", "is empty"));
  CHECK(is_refused("db.lag", "compare it with something"));
  CHECK(is_refused("db.lag = 3", "write =="));
  CHECK(is_refused("db.lag < 10 db.role", "after the condition"));
  CHECK(is_refused("db.lag < ", "where a value should be"));
  CHECK(is_refused("db.lag < 10 and", "where a value should be"));
  CHECK(is_refused("db.lag < 10 and db.lag", "compare it with something"));
  CHECK(is_refused("not db.lag", "compare it with something"));
  CHECK(is_refused("db.role < standby", "texts have no order"));
  CHECK(is_refused("lag > 1", "or CHECK.NAME for a value of a check"));
  CHECK(is_refused("1 < db.lag < 10", "write a < b and b < c"));
  CHECK(is_refused("(db.lag < 10", "')' should be"));
  CHECK(is_refused("db.lag < 10)", "after the condition"));
  CHECK(is_refused("db.lag < 10x", "is no unit"));
  CHECK(is_refused("db.lag < 1.2.3", "is no number"));
  CHECK(is_refused("db.role == 'standby", "does not end"));
  CHECK(is_refused("db.lag < sqrt(2)", "is no function"));
  CHECK(is_refused("known(3)", "wants a check's value"));
  CHECK(is_refused("db.lag & 3", "means nothing here"));
  CHECK(is_refused("db.lag < \xff", "means nothing here"));
  CHECK(is_refused("(db.lag < 3) < 4", "only values are compared"));
  CHECK(is_refused("(db.lag < 3) + 4 > 1", "is a condition"));
  CHECK(is_refused("standby + 1 > 2", "is a text"));
  CHECK(is_refused("db. < 3", "should follow this dot"));
  CHECK(is_refused("and < 3", "where a value should be"));
}

TEST_CASE("size and depth are bounded") {
  CHECK(is_refused(std::string(4097, ' '), "4096"));
  CHECK(is_refused(std::string(100, '(') + "true" + std::string(100, ')'), "64 deep"));
  CHECK(is_refused(std::string(2000, '-') + "1 < 2", "64 deep"));
  std::string many = "true";
  for (int i = 0; i < 300; ++i) many += " or true";
  CHECK(is_refused(many, "500 parts"));
  CHECK(judged(std::string(60, '(') + "true" + std::string(60, ')')) == "yes");
}
