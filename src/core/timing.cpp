// See timing.hpp. The reasoning behind each bound stands beside it; docs/verdicts.md has the picture.
#include "core/timing.hpp"

#include <algorithm>
#include <cmath>

#include "base/duration.hpp"
#include "core/flapping.hpp"
#include "core/rules.hpp"

namespace vital::timing {

namespace {

Duration edge_of(const CheckPlan& c) {
  return c.edge_interval > Duration::zero() ? std::min(c.edge_interval, c.interval) : c.interval;
}

// The longest a cycle can take: every attempt fails as late as it can, every wait is as long as it can be, and the last
// retry ends with the interval.
Duration longest_cycle(const CheckPlan& c) {
  const auto retries = static_cast<int>(c.retries);
  return std::max(c.timeout, std::min(c.timeout + retries * (c.retry_delay + c.timeout), c.interval));
}

// One node of a rule, seen by its failing: the times at which it can have failed.
struct Reach {
  bool can_fail = false;
  Range to_fail, to_pass;
};

void widen(Reach* all, const Reach& one) {
  if (!all->can_fail) {
    *all = one;
    return;
  }
  all->to_fail.best = std::min(all->to_fail.best, one.to_fail.best);
  all->to_fail.worst = std::max(all->to_fail.worst, one.to_fail.worst);
  all->to_pass.best = std::min(all->to_pass.best, one.to_pass.best);
  all->to_pass.worst = std::max(all->to_pass.worst, one.to_pass.worst);
}

Reach walk(const Plan& plan, const ServicePlan& service, const Rule& rule);

Reach leaf(const CheckPlan& c, const ServicePlan& service) {
  Reach r;
  r.can_fail = c.mode == Mode::active && c.is_critical && (c.scope == Scope::local || service.fails_on_shared);
  const CheckTiming t = of_check(c);
  r.to_fail = t.to_fail;
  r.to_pass = t.to_pass;
  return r;
}

struct Weighed {
  Reach reach;
  unsigned weight = 1;
};

// The node fails once the weight of what still stands is below `need`: the earliest is when the quickest members that
// suffice have failed, the latest when the slowest has.
Reach combine(std::vector<Weighed> members, unsigned total, unsigned need) {
  Reach out;
  std::erase_if(members, [](const Weighed& m) { return !m.reach.can_fail; });
  for (const Weighed& m : members) widen(&out, m.reach);
  std::sort(members.begin(), members.end(),
            [](const Weighed& a, const Weighed& b) { return a.reach.to_fail.best < b.reach.to_fail.best; });
  unsigned standing = total;
  out.can_fail = false;
  for (const Weighed& m : members) {
    standing -= m.weight;
    if (standing < need) {
      out.can_fail = true;
      out.to_fail.best = m.reach.to_fail.best;
      break;
    }
  }
  return out;
}

bool counts(const Plan& plan, const Rule& rule) {
  if (rule.kind == Rule::Kind::check) return plan.at(CheckId(rule.target)).mode == Mode::active;
  if (rule.kind == Rule::Kind::service) return true;
  return std::any_of(rule.members.begin(), rule.members.end(), [&](const Rule& m) { return counts(plan, m); });
}

Reach walk(const Plan& plan, const ServicePlan& service, const Rule& rule) {
  if (rule.kind == Rule::Kind::check) return leaf(plan.at(CheckId(rule.target)), service);
  if (rule.kind == Rule::Kind::service) {
    const ServicePlan& inner = plan.at(ServiceId(rule.target));
    return walk(plan, inner, inner.rule);
  }
  std::vector<Weighed> members;
  unsigned total = 0;
  for (std::size_t i = 0; i < rule.members.size(); ++i) {
    if (!counts(plan, rule.members[i])) continue;
    const bool weighted = rule.kind == Rule::Kind::weighted && i < rule.weights.size();
    members.push_back({walk(plan, service, rule.members[i]), weighted ? rule.weights[i] : 1});
    total += members.back().weight;
  }
  const auto count = static_cast<unsigned>(members.size());
  unsigned need = count;
  switch (rule.kind) {
    case Rule::Kind::any:
      need = 1;
      break;
    case Rule::Kind::quorum:
      need = std::clamp(rule.need, 1U, std::max(count, 1U));
      break;
    case Rule::Kind::weighted:
      need = std::clamp(rule.need, 1U, std::max(total, 1U));
      if (rule.need_warn > 0) need = std::min(need, rule.need_warn);
      break;
    case Rule::Kind::all:
    case Rule::Kind::check:
    case Rule::Kind::service:
      break;
  }
  return combine(std::move(members), total, need);
}

std::string text_of(const Range& r) {
  const std::string best = r.best == Duration::zero() ? "0s" : friendly_duration(r.best);
  return r.best == r.worst ? best : best + " to " + friendly_duration(r.worst);
}

}  // namespace

CheckTiming of_check(const CheckPlan& c) {
  CheckTiming t;
  t.to_stale = c.max_age;
  if (c.flap.half_life > Duration::zero() && c.flap.suppress > 0 && c.flap.reuse > 0) {
    const double half_lives = std::log2(std::max(FlapPenalty::cap / c.flap.reuse, 1.0));
    t.flap_hold = Duration(static_cast<Duration::rep>(half_lives * static_cast<double>(c.flap.half_life.count())));
  }
  if (c.is_passive) {
    // At best somebody reports the failure himself. Else silence is it, counted from the last report; the next ends it.
    t.to_fail = {Duration::zero(), c.max_age};
    return t;
  }
  const Duration edge = edge_of(c);
  const Duration cycle = t.longest_cycle = longest_cycle(c);
  const auto bad = static_cast<int>(c.fall_window ? c.fall_window->first : std::max(c.fall, 1U));
  const auto good = static_cast<int>(std::max(c.rise, 1U));

  // Best: a probe is in flight when the fault strikes, as old as a probe can be, and shows it at once; the others
  // follow an edge interval apart and fail at once too.
  t.to_fail.best = std::max(Duration::zero(), (bad - 1) * edge - c.timeout);
  // Worst: the fault strikes just behind a probe that still passed. The next starts an interval later, and each cycle
  // takes as long as it can.
  t.to_fail.worst = c.interval + cycle + (bad - 1) * std::max(edge, cycle);

  // Best: the fault ends within a cycle that is as old as it can be, its attempt passes at once.
  t.to_pass.best = std::max(Duration::zero(), (good - 1) * edge - cycle);
  // Worst: it ends just behind the start of an attempt that is lost; then slow answers, each just within the timeout.
  t.to_pass.worst = c.interval + (good - 1) * std::max(edge, c.timeout) + c.timeout;
  return t;
}

ServiceTiming of_service(const Plan& plan, ServiceId id) {
  const ServicePlan& service = plan.at(id);
  ServiceTiming t;
  const Reach r = walk(plan, service, service.rule);
  if (r.can_fail) {
    t.to_fail = r.to_fail;
    t.to_pass = r.to_pass;
  } else {
    t.warnings.push_back(service.name + ": its checks can only make it warn, never fail");
  }
  if (service.lb) {
    const Consumer& lb = *service.lb;
    const auto seen = [&](const Range& told, unsigned count) {
      const auto n = static_cast<int>(std::max(count, 1U));
      return Range{told.best + (n - 1) * lb.interval, told.worst + n * lb.interval + lb.timeout};
    };
    if (t.to_fail) t.seen_down = seen(*t.to_fail, lb.fall);
    if (t.to_pass) t.seen_up = seen(*t.to_pass, lb.rise);
    for (const CheckId check : rules::checks_of(plan, service.rule)) {
      const CheckPlan& c = plan.at(check);
      if (c.is_passive || lb.timeout >= c.timeout) continue;
      t.warnings.push_back(service.name + ": the consumer's timeout " + format_duration(lb.timeout) +
                           " is below the timeout " + format_duration(c.timeout) + " of check " + c.name +
                           ": on a node that hangs altogether the consumer gives up before we have a verdict");
      break;
    }
  }
  if (service.detect_within && t.to_fail) {
    const Duration worst = t.seen_down ? t.seen_down->worst : t.to_fail->worst;
    if (worst > *service.detect_within) {
      t.warnings.push_back(service.name + ": detect_within " + format_duration(*service.detect_within) +
                           " cannot be kept: it may take " + friendly_duration(worst) +
                           (t.seen_down ? " until the consumer has acted" : " to fail") +
                           "; lower interval, timeout, retries or fall of its checks");
    }
  }
  if (service.budget.ejections > 0 || service.budget.min_uptime > Duration::zero()) {
    t.warnings.push_back(service.name + ": its ejection budget can withhold a fail for longer than this");
  }
  return t;
}

std::string table(const Plan& plan) {
  std::string out;
  for (const CheckPlan& c : plan.checks) {
    const CheckTiming t = of_check(c);
    out += "check " + c.name + ": fail after " + text_of(t.to_fail) + ", pass again after " + text_of(t.to_pass);
    out += c.is_passive ? ", by its reports or by their absence"
                        : ", stale after " + friendly_duration(t.to_stale) + " without evidence";
    if (t.flap_hold > Duration::zero())
      out += ", held at most " + friendly_duration(t.flap_hold) + " more while flapping";
    out += "\n";
  }
  std::string warnings;
  for (std::uint32_t i = 0; i < plan.services.size(); ++i) {
    const ServiceTiming t = of_service(plan, ServiceId(i));
    out += "service " + plan.services[i].name + ": ";
    out +=
        t.to_fail ? "fail after " + text_of(*t.to_fail) + ", pass again after " + text_of(*t.to_pass) : "never fails";
    if (t.seen_down) out += ", seen by its consumer after " + text_of(*t.seen_down) + " and " + text_of(*t.seen_up);
    out += "\n";
    for (const std::string& w : t.warnings) warnings += "warning: " + w + "\n";
  }
  return out + warnings;
}

}  // namespace vital::timing

namespace vital::rules {

bool can_fail(const Plan& plan, const ServicePlan& service) {
  return timing::walk(plan, service, service.rule).can_fail;
}

}  // namespace vital::rules
