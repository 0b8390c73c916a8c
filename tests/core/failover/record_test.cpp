// The shared record: what may be written over what, by whom; and that any text is read without harm.
#include "core/failover/record.hpp"

#include <catch2/catch.hpp>
#include <random>

namespace vital::failover {
namespace {

Entry entry(const char* id, const char* topology, std::int64_t token, Phase phase = Phase::fencing) {
  return {id, topology, "web1", token, "one", "two", phase, 0, 1000, 1000, false, false, "it is down"};
}

Edit begin(const Entry& e, unsigned max = 2) {
  Edit out;
  out.kind = Edit::Kind::begin;
  out.entry = e;
  out.brake_max = max;
  return out;
}

Edit of(Edit::Kind kind, const Entry& e = {}) {
  Edit out;
  out.kind = kind;
  out.entry = e;
  return out;
}

}  // namespace

TEST_CASE("a record is written as text and read again, whatever the names are") {
  Record r;
  r.is_brake_on = true;
  r.brake_why = "two = too, 100% \n";
  r.pauses = {{"", "kim lee", "moving, racks"}, {"main", "lee", ""}};
  r.entries = {entry("a b=c", "main", 7), entry("d", "other", 9, Phase::parked)};
  r.entries[1].is_bound = r.entries[1].is_forgiven = true;
  r.primaries = {{"main", "one", "web 1", "0/3000060", 17}};
  CHECK(decode_record(encode(r)) == r);
  CHECK(decode_record("") == Record{});
}

TEST_CASE("garbage in the record allows nothing and harms nobody") {
  std::mt19937 random(5);
  const std::string good =
      encode(Record{true, "x", {entry("a", "main", 1)}, {{"", "kim", ""}}, {{"main", "one", "n", "p", 9}}});
  for (int i = 0; i < 5000; ++i) {
    std::string bad = good;
    for (int n = 0; n < 3; ++n) bad[random() % bad.size()] = static_cast<char>(random());
    const Record r = decode_record(bad.substr(0, random() % bad.size()));
    CHECK(decode_record(encode(r)) == r);
  }
  CHECK(decode_record(std::string(max_record + 1, 'x')) == Record{});
}

TEST_CASE("a recovery begins once, and not while another is open, parked, paused or braked") {
  const Record empty;
  const auto begun = apply(empty, begin(entry("a", "main", 7)));
  REQUIRE(begun);
  CHECK(apply(*begun, begin(entry("a", "main", 7))) == begun);  // it is there
  CHECK_FALSE(apply(*begun, begin(entry("a", "main", 8))));     // another's of the same name
  Record parked = *apply(*begun, of(Edit::Kind::park, entry("a", "main", 7, Phase::parked)));
  CHECK_FALSE(apply(parked, begin(entry("b", "main", 9))));
  Record paused = empty;
  paused.pauses = {{"main", "kim", ""}};
  CHECK_FALSE(apply(paused, begin(entry("a", "main", 7))));
  CHECK(apply(paused, begin(entry("a", "other", 7))));
  Record braked = empty;
  braked.is_brake_on = true;
  CHECK_FALSE(apply(braked, begin(entry("a", "main", 7))));
}

TEST_CASE("one that lost its owner is closed by its successor") {
  Record r = *apply(Record{}, begin(entry("a", "main", 7)));
  r = *apply(r, begin(entry("b", "main", 8)));
  CHECK(r.find("a")->phase == Phase::closed);
  CHECK(r.find("b")->phase == Phase::fencing);
  CHECK_FALSE(apply(r, of(Edit::Kind::advance, entry("a", "main", 7, Phase::promoting))));
  CHECK_FALSE(apply(r, of(Edit::Kind::park, entry("a", "main", 7, Phase::parked))));
}

TEST_CASE("the brake counts other topologies, exactly, until it is released") {
  Record r = *apply(Record{}, begin(entry("a", "t1", 1)));
  r = *apply(r, begin(entry("b", "t2", 2)));
  CHECK_FALSE(apply(r, begin(entry("c", "t3", 3))));
  CHECK(apply(r, begin(entry("d", "t1", 4))));  // its own again is bounded by the cool-down
  Edit late = begin(entry("c", "t3", 3));
  late.expired = {"a"};
  CHECK(apply(r, late));
  r = *apply(r, of(Edit::Kind::brake));
  CHECK(r.is_brake_on);
  r = *apply(r, of(Edit::Kind::release_brake));
  CHECK_FALSE(r.is_brake_on);
  CHECK(apply(r, begin(entry("c", "t3", 3))));
}

TEST_CASE("only its owner moves a recovery on, and only forward") {
  const Record r = *apply(Record{}, begin(entry("a", "main", 7)));
  CHECK_FALSE(apply(r, of(Edit::Kind::advance, entry("a", "main", 8, Phase::promoting))));
  const auto on = apply(r, of(Edit::Kind::advance, entry("a", "main", 7, Phase::promoting)));
  REQUIRE(on);
  CHECK(on->find("a")->phase == Phase::promoting);
  const auto done = apply(*on, of(Edit::Kind::advance, entry("a", "main", 7, Phase::done)));
  REQUIRE(done);
  CHECK_FALSE(apply(*done, of(Edit::Kind::advance, entry("a", "main", 7, Phase::promoting))));
}

TEST_CASE("a parked one is closed by a human's word, an open one only if its owner is gone") {
  const Record r = *apply(Record{}, begin(entry("a", "main", 7)));
  Entry named;
  named.id = "a";
  CHECK(apply(r, of(Edit::Kind::close, named)) == r);
  named.token = 7;
  CHECK(apply(r, of(Edit::Kind::close, named))->find("a")->phase == Phase::closed);
  const Record parked = *apply(r, of(Edit::Kind::park, entry("a", "main", 7, Phase::parked)));
  named.token = 0;
  CHECK(apply(parked, of(Edit::Kind::close, named))->find("a")->phase == Phase::closed);
}

TEST_CASE("the record is bounded, and what waits for a human is kept longest") {
  Record r;
  Edit park = of(Edit::Kind::park, entry("waits", "main", 1, Phase::parked));
  r = *apply(r, park);
  for (int i = 0; i < 50; ++i) {
    Entry e = entry(("d" + std::to_string(i)).c_str(), "main", i + 2, Phase::parked);
    e.phase = Phase::closed;
    r.entries.push_back(e);
  }
  r = *apply(r, of(Edit::Kind::park, entry("also", "main", 99, Phase::parked)));
  CHECK(r.entries.size() == kept_entries);
  CHECK(r.find("waits") != nullptr);
  CHECK(r.find("also") != nullptr);
}

TEST_CASE("the last primary is written anew when it is another, or a minute later") {
  Edit e = of(Edit::Kind::primary);
  const auto tell = [&](const Record& r, const char* member, std::int64_t at) {
    e.primary = {"main", member, "web1", "p", at};
    return *apply(r, e);
  };
  const Record first = tell(Record{}, "one", 1'000'000);
  CHECK(tell(first, "one", 1'059'999) == first);
  CHECK(tell(first, "one", 1'060'000).last_primary("main")->at == 1'060'000);
  CHECK(tell(first, "two", 1'000'001).last_primary("main")->member == "two");
  CHECK(tell(first, "one", 1000).last_primary("main")->at == 1000);  // a clock that was ahead does not stop it
  CHECK(first.last_primary("other") == nullptr);
  CHECK_FALSE(needs_lease(Edit::Kind::primary));
}

TEST_CASE("pauses are of one topology or of all, each once") {
  Edit pause = of(Edit::Kind::pause);
  pause.pause = {"main", "kim", "racks"};
  Record r = *apply(Record{}, pause);
  CHECK(apply(r, pause) == r);
  CHECK(r.is_paused("main"));
  CHECK_FALSE(r.is_paused("other"));
  pause.kind = Edit::Kind::resume;
  CHECK_FALSE(apply(r, pause)->is_paused("main"));
}

}  // namespace vital::failover
