// Service rules: a table of cases, and random trees against a reference that asks one plain question.
#include "core/rules.hpp"

#include <catch2/catch.hpp>
#include <random>

#include "core/stage.hpp"

using namespace vital;
using namespace vital::test;

namespace {

// Checks a, b, c, d with these states under one service.
struct Case {
  Plan plan;
  std::vector<rules::Leaf> leaves;

  explicit Case(Rule rule, const std::string& states) {
    for (const char c : {'a', 'b', 'c', 'd'}) plan.checks.push_back(a_check(std::string(1, c)));
    plan.services.push_back(a_service("s", std::move(rule)));
    for (const char c : states) {
      rules::Leaf l;
      l.state = c == '.'   ? State::pass
                : c == 'w' ? State::warn
                : c == 'F' ? State::fail
                : c == 's' ? State::stale
                           : State::pending;
      leaves.push_back(l);
    }
    leaves.resize(4);
  }
  std::optional<State> state() const {
    return rules::evaluate(
        plan, plan.services[0], [&](CheckId id) { return leaves[id.value]; }, [](ServiceId) { return State::pass; });
  }
  unsigned score() const {
    return rules::score(
        plan, plan.services[0], [&](CheckId id) { return leaves[id.value]; }, [](ServiceId) { return State::pass; });
  }
  std::string causes() const {
    std::string out;
    for (const auto& c : rules::causes(
             plan, plan.services[0], [&](CheckId id) { return leaves[id.value]; },
             [](ServiceId) { return State::pass; })) {
      out += plan.at(c.check).name;
    }
    return out;
  }
};

Rule of(Rule::Kind kind, unsigned count, unsigned need = 0) {
  std::vector<Rule> members;
  for (std::uint32_t i = 0; i < count; ++i) members.push_back(leaf(CheckId(i)));
  return group(kind, std::move(members), need);
}

Rule weighted(std::vector<unsigned> weights, unsigned pass, unsigned warn) {
  Rule r = of(Rule::Kind::weighted, static_cast<unsigned>(weights.size()), pass);
  r.weights = std::move(weights);
  r.need_warn = warn;
  return r;
}

constexpr auto all = Rule::Kind::all;
constexpr auto any = Rule::Kind::any;
constexpr auto quorum = Rule::Kind::quorum;

}  // namespace

TEST_CASE("rules by example") {
  struct Row {
    const char* what;
    Rule rule;
    const char* states;
    State expected;
  };
  const Row rows[] = {
      {"all pass", of(all, 3), "...", State::pass},
      {"all: the worst leads", of(all, 3), ".wF", State::fail},
      {"all: a warning shows", of(all, 3), ".w.", State::warn},
      {"all: pending is worse than warn", of(all, 3), ".wp", State::pending},
      {"all: a failure is known even if something is pending", of(all, 3), ".Fp", State::fail},
      {"all: stale keeps its name", of(all, 3), ".ws", State::stale},
      {"any: the best leads", of(any, 3), "Fs.", State::pass},
      {"any: a warning will do", of(any, 3), "FFw", State::warn},
      {"any: all failed", of(any, 3), "FFF", State::fail},
      {"quorum 2 of 3 kept", of(quorum, 3, 2), "F..", State::pass},
      {"quorum 2 of 3 with a warning in it", of(quorum, 3, 2), "Fw.", State::warn},
      {"quorum 2 of 3 lost", of(quorum, 3, 2), "F.F", State::fail},
      {"quorum 2 of 3 in the dark", of(quorum, 3, 2), "Fs.", State::stale},
      {"weighted: enough to pass", weighted({3, 1, 1}, 3, 2), ".FF", State::pass},
      {"weighted: enough to warn", weighted({3, 1, 1}, 3, 2), "F..", State::warn},
      {"weighted: not enough", weighted({3, 1, 1}, 3, 2), "F.F", State::fail},
      {"weighted: a warning member counts, but shows", weighted({3, 1, 1}, 3, 2), "wFF", State::warn},
      {"nested", group(all, {leaf(CheckId(0)), group(any, {leaf(CheckId(1)), leaf(CheckId(2))})}), ".F.", State::pass},
      {"nested, lost", group(all, {leaf(CheckId(0)), group(any, {leaf(CheckId(1)), leaf(CheckId(2))})}), ".FF",
       State::fail},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    CHECK(Case(row.rule, row.states).state() == row.expected);
  }
}

TEST_CASE("a check that is not critical makes its service no worse than warn") {
  for (const char* state : {"F", "s", "p"}) {
    Case c(of(all, 1), state);
    c.plan.checks[0].is_critical = false;
    CHECK(c.state() == State::warn);
  }
}

TEST_CASE("a shared check degrades instead of ejecting, unless the service says otherwise") {
  for (const char* state : {"F", "s"}) {
    Case c(of(all, 1), state);
    c.plan.checks[0].scope = Scope::shared;
    CHECK(c.state() == State::warn);
    c.plan.services[0].fails_on_shared = true;
    CHECK(rules::answer_for(*c.state()) == Verdict::fail);
  }
}

TEST_CASE("a failure explained by a shared dependency counts as the shared failure") {
  Case c(of(all, 1), "F");
  c.leaves[0].is_explained_shared = true;
  CHECK(c.state() == State::warn);
  c.plan.services[0].fails_on_shared = true;
  CHECK(c.state() == State::fail);
}

TEST_CASE("on_unknown decides what ignorance counts as") {
  const std::pair<OnUnknown, Verdict> rows[] = {
      {OnUnknown::fail, Verdict::fail}, {OnUnknown::warn, Verdict::warn}, {OnUnknown::pass, Verdict::pass}};
  for (const auto& [policy, answer] : rows) {
    Case stale(of(all, 2), ".s");
    stale.plan.services[0].on_unknown = policy;
    CHECK(rules::answer_for(*stale.state()) == answer);

    Case unproven(of(all, 2), "..");
    unproven.leaves[1].is_unproven = true;
    unproven.plan.services[0].on_unknown = policy;
    CHECK(rules::answer_for(*unproven.state()) == answer);

    Case pending(of(all, 2), ".p");
    pending.plan.services[0].on_unknown = policy;
    CHECK(pending.state() == State::pending);  // until startup_timeout it is answered as fail, whatever the policy
    pending.leaves[1].is_overdue = true;
    CHECK(rules::answer_for(*pending.state()) == answer);
  }
}

TEST_CASE("shadow checks are never counted") {
  Case c(of(all, 2), ".F");
  c.plan.checks[1].mode = Mode::shadow;
  CHECK(c.state() == State::pass);
  CHECK(c.causes().empty());
  Case q(of(quorum, 3, 2), "..F");
  q.plan.checks[0].mode = Mode::shadow;  // two of the two that are left
  CHECK(q.state() == State::fail);
  Case none(of(all, 1), "F");
  none.plan.checks[0].mode = Mode::shadow;
  CHECK_FALSE(none.state().has_value());
}

TEST_CASE("only what makes the rule worse is a cause, the worst first") {
  CHECK(Case(of(all, 4), "wF.s").causes() == "bda");
  CHECK(Case(of(any, 3), "FF.").causes().empty());
  CHECK(Case(of(any, 2), "FF").causes() == "ab");
  CHECK(Case(group(all, {leaf(CheckId(3)), group(any, {leaf(CheckId(0)), leaf(CheckId(1))})}), "F..w").causes() == "d");
}

TEST_CASE("the score is how much of a rule passes") {
  CHECK(Case(of(all, 4), "....").score() == 100);
  CHECK(Case(of(all, 4), ".F.w").score() == 62);
  CHECK(Case(of(all, 2), "Fs").score() == 0);
  CHECK(Case(weighted({3, 1}, 3, 1), ".F").score() == 75);
}

TEST_CASE("a rule reads as it was meant") {
  Case c(group(all, {leaf(CheckId(0)), group(any, {leaf(CheckId(1)), leaf(CheckId(2))})}), "....");
  CHECK(rules::text_of(c.plan, c.plan.services[0].rule) == "all(a, any(b, c))");
  CHECK(rules::text_of(c.plan, of(quorum, 3, 2)) == "quorum(2 of a, b, c)");
  CHECK(rules::text_of(c.plan, weighted({3, 1}, 3, 2)) == "weighted(a*3, b*1; pass 3, warn 2)");
  CHECK(rules::checks_of(c.plan, c.plan.services[0].rule) == std::vector<CheckId>{CheckId(0), CheckId(1), CheckId(2)});
}

TEST_CASE("a rule of shared and non-critical checks alone can never fail") {
  Case c(of(all, 2), "..");
  CHECK(rules::can_fail(c.plan, c.plan.services[0]));
  c.plan.checks[0].scope = Scope::shared;
  c.plan.checks[1].is_critical = false;
  CHECK_FALSE(rules::can_fail(c.plan, c.plan.services[0]));
  c.plan.services[0].fails_on_shared = true;
  CHECK(rules::can_fail(c.plan, c.plan.services[0]));
  Case a(of(any, 2), "..");
  a.plan.checks[1].is_critical = false;
  CHECK_FALSE(rules::can_fail(a.plan, a.plan.services[0]));
}

// The reference asks of each level "is this node at least that good?", and takes the best level that is true.
namespace {
struct Reference {
  const Plan& plan;
  const std::vector<State>& states;

  static int level(State s) {
    switch (s) {
      case State::pass:
        return 4;
      case State::warn:
        return 3;
      case State::pending:
        return 2;
      case State::stale:
        return 1;
      case State::fail:
        return 0;
    }
    return 0;
  }
  bool at_least(const Rule& r, int wanted) const {
    if (r.kind == Rule::Kind::check) return level(states[r.target]) >= wanted;
    unsigned good = 0, total = 0;
    for (std::size_t i = 0; i < r.members.size(); ++i) {
      const unsigned w = r.kind == Rule::Kind::weighted ? r.weights[i] : 1;
      total += w;
      if (at_least(r.members[i], wanted)) good += w;
    }
    if (r.kind == Rule::Kind::all) return good == total;
    if (r.kind == Rule::Kind::any) return good > 0;
    if (r.kind == Rule::Kind::quorum) return good >= r.need;
    return good >= (wanted == 4 || r.need_warn == 0 ? r.need : r.need_warn);
  }
  State state(const Rule& r) const {
    for (const State s : {State::pass, State::warn, State::pending, State::stale}) {
      if (at_least(r, level(s))) return s;
    }
    return State::fail;
  }
};

Rule random_rule(std::mt19937_64& random, unsigned depth) {
  if (depth == 0 || random() % 3 == 0) return leaf(CheckId(random() % 6));
  Rule r;
  r.kind = std::vector{Rule::Kind::all, Rule::Kind::any, Rule::Kind::quorum, Rule::Kind::weighted}[random() % 4];
  const unsigned count = 1 + random() % 4;
  unsigned total = 0;
  for (unsigned i = 0; i < count; ++i) {
    r.members.push_back(random_rule(random, depth - 1));
    r.weights.push_back(1 + random() % 3);
    total += r.weights.back();
  }
  if (r.kind == Rule::Kind::quorum) r.need = 1 + random() % count;
  if (r.kind == Rule::Kind::weighted) {
    r.need = 1 + random() % total;
    r.need_warn = random() % (r.need + 1);
  }
  return r;
}
}  // namespace

TEST_CASE("a million judgements of random trees agree with a reference") {
  std::mt19937_64 random(7);
  Plan plan;
  for (int i = 0; i < 6; ++i) plan.checks.push_back(a_check("c" + std::to_string(i)));
  std::vector<State> states(6);
  const rules::Checks checks = [&](CheckId id) {
    rules::Leaf l;
    l.state = states[id.value];
    return l;
  };
  const rules::Services services = [](ServiceId) { return State::pass; };
  for (int tree = 0; tree < 50'000; ++tree) {
    const ServicePlan service = a_service("s", random_rule(random, 3));
    for (int i = 0; i < 20; ++i) {
      for (State& s : states) s = static_cast<State>(random() % 5);
      const State expected = Reference{plan, states}.state(service.rule);
      const auto found = rules::evaluate(plan, service, checks, services);
      if (found != expected) {
        FAIL("tree " << tree << ": " << rules::text_of(plan, service.rule) << " gave "
                     << name(found.value_or(State::pending)) << ", not " << name(expected));
      }
    }
  }
}
