// How old a vote can be, whatever anybody's clock says.
#include "cluster/vote_book.hpp"

#include <catch2/catch.hpp>

namespace vital {
namespace {

using namespace std::chrono_literals;
constexpr Instant start = Instant(1000s);

VoteBook::Written written(std::int64_t revision, Duration age = 300ms, const std::string& node = "b") {
  failover::PublishVote vote;
  vote.topology = "main";
  vote.member = "one";
  vote.is_down = true;
  vote.text = "refused";
  vote.seen_at = start - age;
  vote.good_at = start - age - 20s;
  return {"main", "one", node, vote_text(vote, start, 1s, "az-2"), revision};
}

TEST_CASE("a vote is as old as its evidence, the way, and the time since the look before the one that showed it") {
  VoteBook book("a");
  book.looked(start, {});
  book.looked(start + 1s, {written(5)});
  const auto votes = book.votes(start + 1500ms);
  REQUIRE(votes.size() == 1);
  CHECK(votes[0].node == "b");
  CHECK(votes[0].zone == "az-2");
  CHECK(votes[0].is_down);
  CHECK(votes[0].text == "refused");
  CHECK(votes[0].age == 300ms + 1s + 1500ms);
  CHECK(votes[0].good_age == 20s + 300ms + 1s + 1500ms);
}

TEST_CASE("a vote that is not written again grows old, however often it is looked at") {
  VoteBook book("a");
  book.looked(start, {});
  for (int i = 1; i <= 60; ++i) book.looked(start + i * 1s, {written(5)});
  REQUIRE(book.votes(start + 60s).size() == 1);
  CHECK(book.votes(start + 60s)[0].age >= 60s);
}

TEST_CASE("what was there at the first look is of unknown age until it is written again") {
  VoteBook book("a");
  book.looked(start, {written(5)});
  CHECK(book.votes(start).empty());
  book.looked(start + 1s, {written(5)});
  CHECK(book.votes(start + 1s).empty());
  book.looked(start + 2s, {written(6)});
  CHECK(book.votes(start + 2s).size() == 1);
  book.forget();
  CHECK(book.votes(start + 2s).empty());
  book.looked(start + 3s, {written(6)});
  CHECK(book.votes(start + 3s).empty());
}

TEST_CASE("our own votes and malformed ones are nobody's") {
  VoteBook book("a");
  book.looked(start, {});
  VoteBook::Written bad = written(5);
  bad.node = "c";
  for (const char* text :
       {"", "[]", "{}", R"({"role":"king","age_ms":1,"way_ms":1})", R"({"role":"primary","age_ms":-1,"way_ms":1})",
        R"({"role":"primary","age_ms":1,"way_ms":1,"down":true,"well":true})",
        R"({"role":"primary","age_ms":99999999999,"way_ms":1})"}) {
    bad.text = text;
    bad.revision += 1;
    book.looked(start + 1s, {written(9, 0s, "a"), bad});
    CAPTURE(text);
    CHECK(book.votes(start + 1s).empty());
  }
  CHECK(book.malformed() == 7);
}

TEST_CASE("there is no more than so many votes") {
  VoteBook book("a");
  book.looked(start, {});
  std::vector<VoteBook::Written> many;
  for (std::size_t i = 0; i < failover::max_votes + 10; ++i) many.push_back(written(5, 0s, "n" + std::to_string(i)));
  book.looked(start + 1s, many);
  CHECK(book.votes(start + 1s).size() == failover::max_votes);
}

}  // namespace
}  // namespace vital
