// One integer against the plain words: the reference keeps every outcome and counts, the real thing must agree with it
// over a million random sequences.
#include "core/hysteresis.hpp"

#include <catch2/catch.hpp>
#include <random>

#include "core/history.hpp"

using namespace vital;

namespace {

std::string play(Hysteresis h, const std::string& outcomes) {
  std::string out;
  for (const char c : outcomes) {
    if (out.empty()) {
      h.decide(c == '.');
    } else {
      h.add(c == '.');
    }
    out += h.is_up() ? 'U' : 'D';
  }
  return out;
}

}  // namespace

TEST_CASE("hysteresis by example") {
  struct Case {
    const char* what;
    unsigned rise, fall;
    std::optional<std::pair<unsigned, unsigned>> window;
    const char *outcomes, *up;
  };
  const Case cases[] = {
      {"the first outcome decides", 2, 3, {}, "F", "D"},
      {"two blips in a row are forgiven", 2, 3, {}, ".FF.FF.", "UUUUUUU"},
      {"the third in a row is not", 2, 3, {}, ".FFF", "UUUD"},
      {"one good is not a recovery", 2, 3, {}, "F.F.F", "DDDDD"},
      {"two in a row are", 2, 3, {}, "F..", "DDU"},
      {"a recovery is whole: all of fall is needed again", 2, 3, {}, "F..FF.FFF", "DDUUUUUUD"},
      {"rise 1, fall 1 follows each outcome", 1, 1, {}, ".F.F", "UDUD"},
      {"3 of 5, not in a row", 2, 3, {{3, 5}}, ".F.F.F", "UUUUUD"},
      {"3 of 5, too far apart", 2, 3, {{3, 5}}, ".F..F..F.", "UUUUUUUUU"},
      {"a recovery empties the window", 1, 1, {{3, 5}}, ".FFF.FF", "UUUDUUU"},
      {"64 of 64 is a whole word", 1, 1, {{64, 64}}, ".FFF", "UUUU"},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    CHECK(play(Hysteresis(c.rise, c.fall, c.window), c.outcomes) == c.up);
  }
}

TEST_CASE("progress says how far toward the other side") {
  Hysteresis h(2, 3);
  h.decide(true);
  CHECK_FALSE(h.progress());
  h.add(false);
  REQUIRE(h.progress());
  CHECK_FALSE(h.progress()->toward_up);
  CHECK(h.progress()->seen == 1);
  CHECK(h.progress()->needed == 3);
  h.add(false);
  h.add(false);
  CHECK_FALSE(h.progress());
  h.add(true);
  REQUIRE(h.progress());
  CHECK(h.progress()->toward_up);
  CHECK(h.progress()->seen == 1);
  CHECK(h.progress()->needed == 2);
}

TEST_CASE("the history prints the last 64 outcomes, oldest first, and reads them back") {
  History h;
  CHECK(h.print().empty());
  for (const Verdict v : {Verdict::pass, Verdict::warn, Verdict::fail, Verdict::unknown}) h.add(v);
  CHECK(h.print() == ".wF?");
  for (int i = 0; i < 64; ++i) h.add(i % 2 == 0 ? Verdict::pass : Verdict::fail);
  CHECK(h.print().size() == 64);
  CHECK(h.print().substr(0, 4) == ".F.F");
  CHECK(History::parse(h.print()).print() == h.print());
}

// The reference: keeps all outcomes since the last crossing and counts them as the documentation says.
namespace {
struct Reference {
  unsigned rise, fall, n = 0, m = 0;
  bool up = false;
  std::vector<bool> since;  // outcomes since the state was last decided

  void first(bool good) {
    up = good;
    since.clear();
  }
  void next(bool good) {
    since.push_back(good);
    if (up && n > 0) {
      unsigned bad = 0;
      for (std::size_t i = since.size() > m ? since.size() - m : 0; i < since.size(); ++i) bad += since[i] ? 0 : 1;
      if (bad >= n) cross();
    } else if (last_are(!up, up ? fall : rise)) {
      cross();
    }
  }
  bool last_are(bool good, unsigned count) const {
    if (since.size() < count) return false;
    for (std::size_t i = since.size() - count; i < since.size(); ++i) {
      if (since[i] != good) return false;
    }
    return true;
  }
  void cross() {
    up = !up;
    since.clear();
  }
};
}  // namespace

TEST_CASE("a million random sequences agree with a reference that keeps every outcome") {
  std::mt19937_64 random(20261121);
  const auto upto = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
  for (int i = 0; i < 1'000'000; ++i) {
    Reference ref{1 + upto(4), 1 + upto(5)};
    std::optional<std::pair<unsigned, unsigned>> window;
    if (upto(3) == 0) {
      ref.m = 1 + upto(i % 100 == 0 ? 64 : 8);
      ref.n = 1 + upto(ref.m);
      window.emplace(ref.n, ref.m);
    }
    Hysteresis h(ref.rise, ref.fall, window);
    std::uint64_t outcomes = random();
    if (upto(2) == 0) outcomes |= random();  // mostly good, as life is
    for (unsigned step = 0; step < 12 + upto(20); ++step) {
      const bool good = (outcomes >> step) & 1;
      const bool was_up = h.is_up();
      if (step == 0) {
        h.decide(good);
        ref.first(good);
      } else {
        const bool crossed = h.add(good);
        ref.next(good);
        if (crossed != (was_up != h.is_up())) FAIL("add() lied about crossing");
      }
      if (h.is_up() != ref.up || h.value() > ref.rise + ref.fall - 1) {
        FAIL("sequence " << i << " step " << step << " rise " << ref.rise << " fall " << ref.fall << " window " << ref.n
                         << "/" << ref.m);
      }
    }
  }
}
