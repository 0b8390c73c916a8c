// Who is primary, and the timeline of its end: small stories, one sample after the other, and a long random one.
#include "core/failover_watch.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <random>

using namespace vital;
using namespace std::chrono_literals;

namespace {

constexpr CheckId a{0}, b{1}, in{2};

ProbeResult says(Verdict verdict, const char* role, double lag = 0) {
  ProbeResult r;
  r.verdict = verdict;
  r.cause = verdict == Verdict::fail ? Cause::refused : Cause::none;
  r.text = verdict == Verdict::fail ? "connection refused" : "answered";
  if (role != nullptr) r.facts = {{"role", role}, {"lsn", "0/3000060"}};
  if (role != nullptr && std::string_view(role) == "standby") r.measures.push_back({"lag", lag, "s", 0, 0});
  return r;
}
const ProbeResult primary = says(Verdict::pass, "primary"), standby = says(Verdict::pass, "standby"),
                  refused = says(Verdict::fail, nullptr), nothing = says(Verdict::unknown, nullptr),
                  good = says(Verdict::pass, nullptr);

// Two servers and the address clients use; a sample a call.
struct Pair {
  FailoverWatch watch;
  Now now{Instant{} + 1000s, WallTime{} + std::chrono::hours(24 * 365 * 50)};
  std::vector<Note> notes;

  explicit Pair(bool has_endpoint = true)
      : watch({"main", {{"one", a, 30s}, {"two", b, 30s}}, has_endpoint ? std::optional(in) : std::nullopt, 10s}) {}

  Pair& after(Duration d) {
    now.mono += d;
    now.wall += std::chrono::duration_cast<WallTime::duration>(d);
    return *this;
  }
  Pair& see(CheckId check, const ProbeResult& result) {
    for (Note& n : watch.observe(now, check, result)) notes.push_back(std::move(n));
    return *this;
  }
  Pair& tick() {
    for (Note& n : watch.tick(now)) notes.push_back(std::move(n));
    return *this;
  }
  Pair& well() { return see(a, primary).see(b, standby).see(in, good); }
  std::string told() {
    std::string out;
    for (const Note& n : std::exchange(notes, {})) out += (out.empty() ? "" : " ") + n.event;
    return out;
  }
  std::map<std::string, std::string> last(const std::string& event) const {
    for (auto n = notes.rbegin(); n != notes.rend(); ++n) {
      if (n->event == event) return {n->fields.begin(), n->fields.end()};
    }
    return {};
  }
};

}  // namespace

TEST_CASE("the words servers use for their roles are understood") {
  for (const char* word : {"primary", "master", "Primary", "MASTER", "writer", "leader", "active"}) {
    CHECK(role_of(word) == ServerRole::primary);
  }
  for (const char* word : {"standby", "replica", "slave", "Secondary", "follower"})
    CHECK(role_of(word) == ServerRole::standby);
  for (const char* word : {"", "primar", "arbiter"}) CHECK(role_of(word) == ServerRole::unknown);
}

TEST_CASE("the first primary seen is told once and is no failover") {
  Pair p;
  CHECK(p.well().after(5s).well().told() == "primary_seen");
  CHECK(p.watch.status() == TopologyStatus::steady);
  CHECK(p.watch.primary() == "one");
  CHECK_FALSE(p.watch.open());
}

TEST_CASE("a failover is told as it happens, with its times") {
  Pair p;
  p.well().after(5s).well().told();
  p.after(2s).see(in, refused).after(1s).see(a, refused);
  CHECK(p.told().empty());  // one bad sample may be a blip
  CHECK(p.watch.open());
  CHECK(p.after(2s).see(a, refused).told() == "primary_lost");
  CHECK(p.watch.status() == TopologyStatus::no_primary);
  CHECK(p.after(5s).see(b, primary).told() == "failover_seen");
  CHECK(p.watch.primary() == "two");
  p.after(3s).see(in, good);
  const auto record = p.last("failover");
  CHECK(p.told() == "failover");
  CHECK(record.at("from") == "one");
  CHECK(record.at("to") == "two");
  CHECK(record.at("end") == "moved");
  CHECK(record.at("why") == "connection refused");
  CHECK(record.at("unseen_ms") == "2000");      // the endpoint failed 2 s after the last good sample
  CHECK(record.at("leaderless_ms") == "8000");  // from then to the first sample of the new primary
  CHECK(record.at("follow_ms") == "3000");      // until clients could write
  CHECK(record.at("down_ms") == "11000");
  CHECK(record.at("two_primaries_ms") == "0");
  CHECK(record.at("last_position") == "0/3000060");
  CHECK(record.at("id").rfind("main-20", 0) == 0);
  CHECK_FALSE(p.watch.open());
}

TEST_CASE("the record of a recovery that was made here shows where its time went") {
  using Step = FailoverWatch::Step;
  Pair p;
  p.watch.recovery(p.now.wall, Step::fenced);  // about nothing that was seen
  p.well().after(5s).see(a, refused).after(2s).see(a, refused).after(1s);
  p.watch.recovery(p.now.wall, Step::decided);
  p.after(3s).watch.recovery(p.now.wall, Step::fenced);
  p.after(1s).watch.recovery(p.now.wall, Step::fenced);  // the first word counts
  p.see(b, primary).after(1s).watch.recovery(p.now.wall, Step::moved);
  p.after(1s).see(in, good);
  const auto record = p.last("failover");
  CHECK(record.at("detect_ms") == "2000");
  CHECK(record.at("decide_ms") == "1000");
  CHECK(record.at("fence_ms") == "3000");
  CHECK(record.at("promote_ms") == "1000");
  CHECK(record.at("follow_ms") == "2000");
  CHECK(record.at("down_ms") == "9000");
  CHECK(record.at("moved") > record.at("promoted"));
}

TEST_CASE("of a failover that others made nobody here knows when it was decided") {
  Pair p;
  p.well().after(5s).see(a, refused).after(2s).see(a, refused).after(1s).see(b, primary).after(1s).see(in, good);
  const auto record = p.last("failover");
  CHECK(record.at("detect_ms") == "2000");
  for (const char* key : {"decided", "fenced", "moved", "decide_ms", "fence_ms", "promote_ms"})
    CHECK(record.at(key).empty());
}

TEST_CASE("without an endpoint a failover ends when another is primary") {
  Pair p(false);
  p.well().after(5s).see(a, refused).after(1s).see(b, primary);
  CHECK(p.told() == "primary_seen failover_seen failover");
}

TEST_CASE("a planned switchover needs no failure: the old primary is a standby before the new one is seen") {
  Pair p;
  p.well().after(5s).see(a, standby).after(1s).see(b, primary).after(1s).see(in, good);
  const auto record = p.last("failover");
  CHECK(p.told() == "primary_seen failover_seen failover");
  CHECK(record.at("why") == "it is a standby now");
  CHECK(record.at("down_ms") == "2000");
}

TEST_CASE("an address that leads to a standby is not good, though it answers") {
  Pair p;
  p.well().after(5s).see(a, refused).after(1s).see(b, primary).after(1s).see(in, standby);
  CHECK(p.told() == "primary_seen failover_seen");
  p.after(1s).see(in, primary);
  CHECK(p.last("failover").at("follow_ms") == "2000");
}

TEST_CASE("one bad sample is nothing, two and a return are a story without a move") {
  Pair p;
  p.well().after(5s).see(a, refused).after(1s).see(a, primary);
  CHECK(p.told() == "primary_seen");
  CHECK_FALSE(p.watch.open());
  p.after(5s).see(a, refused).after(5s).see(a, refused).after(5s).see(a, primary);
  const auto record = p.last("primary_back");
  CHECK(p.told() == "primary_lost primary_back");
  CHECK(record.at("end") == "returned");
  CHECK(record.at("down_ms") == "10000");
  CHECK(record.at("to").empty());
}

TEST_CASE("ignorance is no evidence: an unknown verdict neither loses a primary nor keeps it for ever") {
  Pair p;
  p.well();
  for (int i = 0; i < 6; ++i) p.after(5s).see(a, nothing).see(b, standby);
  CHECK(p.told() == "primary_seen");
  CHECK(p.watch.status() == TopologyStatus::steady);
  p.after(5s).see(a, nothing).see(b, standby);  // older than its check's max_age
  CHECK(p.watch.status() == TopologyStatus::unknown);
  CHECK(p.told().empty());
}

TEST_CASE("a primary nobody can look at any more and another that says so are a failover") {
  Pair p;
  p.well().after(31s).see(b, primary).after(1s).see(in, good);
  CHECK(p.told() == "primary_seen failover_seen failover");
}

TEST_CASE("the old word of a primary that was looked at before its end is no second voice") {
  Pair p;
  p.well().after(5s).see(b, primary);
  CHECK(p.watch.status() == TopologyStatus::steady);
  CHECK(p.told() == "primary_seen");
  p.after(1s).see(a, refused);
  CHECK(p.told() == "failover_seen");
}

TEST_CASE("two that say it after one another are two primaries, told at once and measured") {
  Pair p;
  p.well().after(5s).see(b, primary).after(1s).see(a, primary).after(1s).see(b, primary);
  CHECK(p.watch.status() == TopologyStatus::two_primaries);
  CHECK(p.last("two_primaries").at("members") == "one, two");
  CHECK(p.told() == "primary_seen two_primaries");
  p.after(8s).see(a, standby).after(1s).see(in, good);
  const auto record = p.last("failover");
  CHECK(p.told() == "failover_seen failover");
  CHECK(record.at("two_primaries_ms") == "9000");
  // The other one was primary from the beginning: for no moment was there none.
  CHECK(record.at("promoted") == record.at("first_bad"));
  CHECK(record.at("leaderless_ms") == "0");
}

TEST_CASE("a standby that is on another timeline and follows nobody says so") {
  Pair p;
  ProbeResult promoted = primary, left = standby;
  promoted.facts.emplace_back("timeline", "2");
  left.verdict = Verdict::fail;
  left.facts.insert(left.facts.end(), {{"link", "down"}, {"apart_from_link", "pass"}, {"timeline", "1"}});
  p.see(a, left).see(b, promoted);
  CHECK(p.watch.members(p.now.mono)[0].why_not ==
        "it is on timeline 1, the primary on 2: it does not follow, and may have gone another way");
  left.facts.back().second = "2";
  p.see(a, left);
  CHECK(p.watch.members(p.now.mono)[0].why_not == "it is cut off from its source, and was not seen to follow before");
}

TEST_CASE("a member that nobody could look at says why, and not what it was before") {
  Pair p;
  ProbeResult locked_out = nothing;
  locked_out.text = "login refused";
  p.well().after(20s).see(b, locked_out);
  CHECK(p.watch.members(p.now.mono)[1].text == "answered");  // what was seen still counts
  p.after(11s).see(b, locked_out);
  CHECK(!p.watch.members(p.now.mono)[1].is_seen);
  CHECK(p.watch.members(p.now.mono)[1].text == "login refused");
  p.see(b, standby);
  CHECK(p.watch.members(p.now.mono)[1].text == "answered");
}

TEST_CASE("a second primary that gives up leaves the first one") {
  Pair p;
  p.well().after(5s).see(b, primary).after(1s).see(a, primary).after(1s).see(b, primary).told();
  p.after(4s).see(b, standby);
  CHECK(p.last("primary_back").at("two_primaries_ms") == "5000");
  CHECK(p.watch.primary() == "one");
  CHECK(p.watch.status() == TopologyStatus::steady);
}

TEST_CASE("what happened while the agent was not there is noticed") {
  Pair p;
  p.watch.remember_primary("one");
  p.see(b, primary);
  CHECK(p.told().empty());  // one was not looked at yet
  p.after(1s).see(a, refused).after(1s).see(in, good);
  CHECK(p.told() == "failover_seen failover");
}

TEST_CASE("a standby says why it is no candidate") {
  Pair p;
  p.well();
  CHECK(p.watch.members(p.now.mono)[1].is_promotable);
  p.see(b, says(Verdict::pass, "standby", 42));
  CHECK(p.watch.members(p.now.mono)[1].why_not == "it is 42s behind, more than 10s");
  ProbeResult paused = standby;
  paused.facts.emplace_back("replay", "paused");
  p.see(b, paused);
  CHECK(p.watch.members(p.now.mono)[1].why_not == "its replay is paused");
  ProbeResult blind = standby;
  blind.measures.clear();
  p.see(b, blind);
  CHECK(p.watch.members(p.now.mono)[1].why_not == "nobody knows how far it is behind");
  ProbeResult ill = standby;
  ill.verdict = Verdict::fail;
  p.see(b, ill);
  CHECK(p.watch.members(p.now.mono)[1].why_not == "its check does not pass: answered");
  CHECK(p.watch.members(p.now.mono)[0].why_not.empty());  // a primary need not be promoted
}

TEST_CASE("a standby that lost its link with the primary is judged by what it was while it followed") {
  Pair p;
  const auto linked = [](double lag, const char* timeline) {
    ProbeResult r = says(Verdict::pass, "standby", lag);
    r.facts.emplace_back("link", "up");
    r.facts.emplace_back("timeline", timeline);
    return r;
  };
  // As a check of its replication says it: a failure, and that it is well apart from that.
  const auto cut_off = [](const char* apart) {
    ProbeResult r = says(Verdict::fail, "standby");
    r.measures.clear();
    r.facts.emplace_back("link", "down");
    r.facts.emplace_back("apart_from_link", apart);
    return r;
  };
  const auto two = [&] { return p.watch.members(p.now.mono)[1]; };
  p.see(b, linked(2, "7")).after(3s).see(a, primary).after(1s).see(a, refused).see(b, cut_off("pass"));
  CHECK(two().is_promotable);
  CHECK(two().link == Link::down);
  CHECK(*two().lag == Approx(5));  // 2 s then, and the primary was well for 3 s more
  CHECK(two().timeline == "7");
  p.after(20s).see(a, refused).see(b, cut_off("warn"));
  CHECK(two().is_promotable);  // the longer nobody writes, the less it matters
  CHECK(*two().lag == Approx(5));
  p.see(b, cut_off("fail"));
  CHECK(two().why_not == "its check does not pass: connection refused");
  p.see(b, cut_off("unknown"));
  CHECK_FALSE(two().is_promotable);

  SECTION("what it lags in all is bounded") {
    p.see(a, primary).see(b, linked(8, "7")).after(3s).see(a, primary).see(b, cut_off("pass"));
    CHECK(two().why_not == "it is 11s behind, more than 10s");
  }
  SECTION("one that was cut off while the primary lived is no candidate, whatever it lagged before") {
    p.see(a, primary).see(b, linked(0, "7")).after(1s);
    for (int i = 0; i < 4; ++i) p.after(8s).see(a, primary).see(b, cut_off("pass"));
    CHECK(two().why_not == "it was cut off from its source 33s before the primary was last seen well");
    p.after(1s).see(a, refused).see(b, cut_off("pass"));
    CHECK_FALSE(two().is_promotable);
  }
  SECTION("one that has not applied what it has is none yet") {
    ProbeResult r = cut_off("pass");
    r.measures = {{"transactions_waiting", 2, "", 0, 0}};
    p.see(a, primary).see(b, linked(0, "7")).see(a, refused).see(b, r);
    CHECK(two().why_not == "what it has received is not applied yet");
  }
  SECTION("one that nobody ever saw following is none") {
    Pair fresh;
    fresh.see(a, primary).see(b, cut_off("pass")).after(1s).see(a, refused);
    CHECK(fresh.watch.members(fresh.now.mono)[1].why_not ==
          "it is cut off from its source, and was not seen to follow before");
  }
}

TEST_CASE("in bytes, a standby that is cut off lags what the primary had written when it was last well") {
  Pair p;
  const auto at = [](const ProbeResult& r, double position, const char* link) {
    ProbeResult out = r;
    out.measures.push_back({"position", position, "B", 0, 0});
    if (*link != '\0') out.facts.emplace_back("link", link);
    out.facts.emplace_back("apart_from_link", "pass");
    return out;
  };
  p.see(b, at(standby, 900, "up")).see(a, at(primary, 1000, "")).after(1s).see(a, refused);
  p.see(b, at(standby, 960, "down"));
  CHECK(*p.watch.members(p.now.mono)[1].lag_bytes == 40);
  p.see(b, at(standby, 1060, "down"));
  CHECK(*p.watch.members(p.now.mono)[1].lag_bytes == 0);
}

TEST_CASE("a server that took connections and answers none is slow until somebody refuses") {
  Pair p;
  const auto one = [&] { return p.watch.members(p.now.mono)[0]; };
  ProbeResult hung = says(Verdict::fail, nullptr), silent = hung, gone = hung;
  hung.cause = silent.cause = Cause::timeout;
  hung.phases = {{Phase::connect, 1ms}, {Phase::auth, 400ms}};
  silent.phases = {{Phase::connect, 400ms}};  // its backlog is full
  p.well().after(1s).see(a, silent);
  CHECK_FALSE(one().is_reached);
  p.after(1s).see(a, hung);
  CHECK(one().is_reached);
  p.after(1s).see(a, silent).after(1s).see(a, silent);
  CHECK(one().is_reached);
  p.after(1s).see(a, gone);  // refused
  CHECK_FALSE(one().is_reached);
  p.after(1s).see(a, silent);
  CHECK_FALSE(one().is_reached);
}

TEST_CASE("a reload keeps what is known of members that stay, and forgets a story whose hero is gone") {
  Pair p;
  p.well().told();
  p.watch.replan({"main", {{"two", CheckId{5}, 30s}, {"one", CheckId{6}, 30s}}, in, 10s});
  CHECK(p.watch.primary() == "one");
  p.after(1s).see(CheckId{6}, refused).see(CheckId{6}, refused);
  CHECK(p.told() == "primary_lost");
  p.watch.replan({"main", {{"two", CheckId{0}, 30s}}, in, 10s});
  CHECK_FALSE(p.watch.open());
  CHECK(p.watch.primary().empty());
}

TEST_CASE("in a hundred thousand random samples no record tells an impossible story") {
  std::mt19937 random(20261126);
  Pair p;
  const ProbeResult all[] = {primary, standby, refused, nothing, good};
  std::size_t moved = 0, returned = 0;
  std::string was;
  for (int i = 0; i < 100'000; ++i) {
    p.after(std::chrono::milliseconds(random() % 12'000)).see(CheckId(random() % 3), all[random() % 5]);
    if (random() % 16 == 0) p.tick();
    for (const Note& n : std::exchange(p.notes, {})) {
      REQUIRE(n.fields.size() > 1);
      if (n.event != "failover" && n.event != "primary_back") continue;
      const std::map<std::string, std::string> f(n.fields.begin(), n.fields.end());
      REQUIRE(f.at("topology") == "main");
      REQUIRE_FALSE(f.at("from").empty());
      REQUIRE((f.at("to").empty() || f.at("to") != f.at("from")));
      REQUIRE((n.event == "failover") == (f.at("end") == "moved"));
      REQUIRE((f.at("end") == "moved") == !f.at("promoted").empty());
      REQUIRE(f.at("last_good") <= f.at("first_bad"));  // RFC 3339 sorts as text
      REQUIRE((f.at("promoted").empty() || f.at("first_bad") <= f.at("promoted")));
      REQUIRE((f.at("first_write").empty() || f.at("promoted") <= f.at("first_write")));
      REQUIRE(f.at("first_bad") <= f.at("ended"));
      REQUIRE((was.empty() || was <= f.at("ended")));
      was = f.at("ended");
      ++(n.event == "failover" ? moved : returned);
    }
    const auto views = p.watch.members(p.now.mono);
    if (p.watch.status() == TopologyStatus::two_primaries) {
      REQUIRE(std::count_if(views.begin(), views.end(),
                            [](const MemberView& m) { return m.role == ServerRole::primary; }) == 2);
    }
  }
  CHECK(moved > 1000);
  CHECK(returned > 1000);
}
