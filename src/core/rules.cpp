// See rules.hpp.
#include "core/rules.hpp"

#include <algorithm>
#include <array>

namespace vital::rules {

namespace {

// Better is smaller.
unsigned rank(State s) {
  switch (s) {
    case State::pass:
      return 0;
    case State::warn:
      return 1;
    case State::pending:
      return 2;
    case State::stale:
      return 3;
    case State::fail:
      return 4;
  }
  return 4;
}
constexpr std::array by_rank{State::pass, State::warn, State::pending, State::stale, State::fail};

State no_worse_than_warn(State s) { return rank(s) > rank(State::warn) ? State::warn : s; }

// Ignorance under on_unknown: fail keeps its name (it is answered as fail), the others say what it counts as.
State under(OnUnknown policy, State ignorance) {
  switch (policy) {
    case OnUnknown::fail:
      return ignorance;
    case OnUnknown::warn:
      return State::warn;
    case OnUnknown::pass:
      return State::pass;
  }
  return ignorance;
}

struct Member {
  State state;
  unsigned weight;
};

unsigned weight_at(const Rule& rule, std::size_t i) { return i < rule.weights.size() ? rule.weights[i] : 1; }

// The best rank at which the members that good reach `need`.
State reached(const std::vector<Member>& members, unsigned need_pass, unsigned need_else) {
  unsigned sum = 0;
  for (unsigned r = 0; r < by_rank.size(); ++r) {
    for (const Member& m : members) {
      if (rank(m.state) == r) sum += m.weight;
    }
    if (sum >= (r == 0 ? need_pass : need_else)) return by_rank[r];
  }
  return State::fail;
}

std::optional<State> walk(const Plan& plan, const ServicePlan& service, const Rule& rule, const Checks& checks,
                          const Services& services) {
  if (rule.kind == Rule::Kind::check) {
    const CheckId id(rule.target);
    return judge_leaf(plan.at(id), service, checks(id));
  }
  if (rule.kind == Rule::Kind::service) return services(ServiceId(rule.target));

  std::vector<Member> members;
  unsigned total = 0;
  for (std::size_t i = 0; i < rule.members.size(); ++i) {
    const auto state = walk(plan, service, rule.members[i], checks, services);
    if (!state) continue;
    const unsigned weight = rule.kind == Rule::Kind::weighted ? weight_at(rule, i) : 1;
    members.push_back({*state, weight});
    total += weight;
  }
  if (members.empty()) return {};
  const auto count = static_cast<unsigned>(members.size());
  switch (rule.kind) {
    case Rule::Kind::all:
      return reached(members, count, count);
    case Rule::Kind::any:
      return reached(members, 1, 1);
    case Rule::Kind::quorum: {
      const unsigned need = std::clamp(rule.need, 1U, count);
      return reached(members, need, need);
    }
    case Rule::Kind::weighted: {
      const unsigned need = std::clamp(rule.need, 1U, std::max(total, 1U));
      return reached(members, need, rule.need_warn == 0 ? need : std::min(rule.need_warn, need));
    }
    case Rule::Kind::check:
    case Rule::Kind::service:
      break;
  }
  return {};
}

// Hundredths, so that a tree of means does not round on every level.
std::optional<unsigned> walk_score(const Plan& plan, const ServicePlan& service, const Rule& rule, const Checks& checks,
                                   const Services& services) {
  const auto points = [](State s) { return s == State::pass ? 10000U : s == State::warn ? 5000U : 0U; };
  if (rule.kind == Rule::Kind::check) {
    const CheckId id(rule.target);
    const auto s = judge_leaf(plan.at(id), service, checks(id));
    if (!s) return {};
    return points(*s);
  }
  if (rule.kind == Rule::Kind::service) return points(services(ServiceId(rule.target)));
  std::uint64_t sum = 0, weights = 0;
  for (std::size_t i = 0; i < rule.members.size(); ++i) {
    const auto s = walk_score(plan, service, rule.members[i], checks, services);
    if (!s) continue;
    const unsigned weight = rule.kind == Rule::Kind::weighted ? weight_at(rule, i) : 1;
    sum += std::uint64_t{*s} * weight;
    weights += weight;
  }
  if (weights == 0) return {};
  return static_cast<unsigned>(sum / weights);
}

void find_causes(const Plan& plan, const ServicePlan& service, const Rule& rule, const Checks& checks,
                 const Services& services, std::vector<Culprit>& out) {
  const auto state = walk(plan, service, rule, checks, services);
  if (!state || *state == State::pass) return;
  if (rule.kind == Rule::Kind::check) {
    const CheckId id(rule.target);
    const bool is_known = std::any_of(out.begin(), out.end(), [&](const Culprit& c) { return c.check == id; });
    if (!is_known) out.push_back({id, *state});
  } else if (rule.kind == Rule::Kind::service) {
    const ServicePlan& inner = plan.at(ServiceId(rule.target));
    find_causes(plan, inner, inner.rule, checks, services, out);
  }
  for (const Rule& m : rule.members) find_causes(plan, service, m, checks, services, out);
}

void collect(const Plan& plan, const Rule& rule, std::vector<CheckId>& out) {
  if (rule.kind == Rule::Kind::check) {
    const CheckId id(rule.target);
    if (std::find(out.begin(), out.end(), id) == out.end()) out.push_back(id);
  } else if (rule.kind == Rule::Kind::service) {
    collect(plan, plan.at(ServiceId(rule.target)).rule, out);
  }
  for (const Rule& m : rule.members) collect(plan, m, out);
}

}  // namespace

std::optional<State> judge_leaf(const CheckPlan& check, const ServicePlan& service, const Leaf& leaf) {
  if (check.mode == Mode::shadow || leaf.is_ignored) return {};
  State s = leaf.state;
  if (s == State::pending) {
    if (!check.is_critical) return State::warn;
    return leaf.is_overdue ? under(service.on_unknown, s) : s;
  }
  if (s == State::stale || leaf.is_unproven) s = under(service.on_unknown, State::stale);
  const bool is_shared = check.scope == Scope::shared || (s == State::fail && leaf.is_explained_shared);
  if (!check.is_critical || (is_shared && !service.fails_on_shared)) s = no_worse_than_warn(s);
  return s;
}

std::optional<State> evaluate(const Plan& plan, const ServicePlan& service, const Checks& checks,
                              const Services& services) {
  return walk(plan, service, service.rule, checks, services);
}

unsigned score(const Plan& plan, const ServicePlan& service, const Checks& checks, const Services& services) {
  return walk_score(plan, service, service.rule, checks, services).value_or(10000) / 100;
}

std::vector<Culprit> causes(const Plan& plan, const ServicePlan& service, const Checks& checks,
                            const Services& services) {
  std::vector<Culprit> out;
  find_causes(plan, service, service.rule, checks, services, out);
  std::stable_sort(out.begin(), out.end(),
                   [](const Culprit& a, const Culprit& b) { return rank(a.counted_as) > rank(b.counted_as); });
  return out;
}

Verdict answer_for(State state) {
  switch (state) {
    case State::pass:
      return Verdict::pass;
    case State::warn:
      return Verdict::warn;
    case State::pending:
    case State::stale:
    case State::fail:
      return Verdict::fail;
  }
  return Verdict::fail;
}

std::vector<CheckId> checks_of(const Plan& plan, const Rule& rule) {
  std::vector<CheckId> out;
  collect(plan, rule, out);
  return out;
}

std::string text_of(const Plan& plan, const Rule& rule) {
  if (rule.kind == Rule::Kind::check) return plan.at(CheckId(rule.target)).name;
  if (rule.kind == Rule::Kind::service) return "service " + plan.at(ServiceId(rule.target)).name;
  std::string inner;
  for (std::size_t i = 0; i < rule.members.size(); ++i) {
    if (i > 0) inner += ", ";
    inner += text_of(plan, rule.members[i]);
    if (rule.kind == Rule::Kind::weighted) inner += "*" + std::to_string(weight_at(rule, i));
  }
  switch (rule.kind) {
    case Rule::Kind::all:
      return "all(" + inner + ")";
    case Rule::Kind::any:
      return "any(" + inner + ")";
    case Rule::Kind::quorum:
      return "quorum(" + std::to_string(rule.need) + " of " + inner + ")";
    case Rule::Kind::weighted:
      return "weighted(" + inner + "; pass " + std::to_string(rule.need) +
             (rule.need_warn > 0 ? ", warn " + std::to_string(rule.need_warn) : "") + ")";
    case Rule::Kind::check:
    case Rule::Kind::service:
      break;
  }
  return inner;
}

}  // namespace vital::rules
