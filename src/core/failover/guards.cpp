// The guards; see guards.hpp.
#include "core/failover/guards.hpp"

#include <algorithm>
#include <set>
#include <tuple>

#include "base/duration.hpp"

namespace vital::failover {
namespace {

std::string span(Millis ms) { return friendly_duration(std::chrono::milliseconds(std::max<Millis>(0, ms))); }

constexpr Duration reassert_every = std::chrono::minutes(1);

bool is_fresh(Millis age, const FailoverPolicyPlan& p) {
  return age != never && age <= milliseconds(p.evidence_max_age);
}

std::string zone_of(const Facts& f, std::string_view member) {
  const MemberFact* m = f.find(member);
  return m == nullptr ? std::string() : m->zone;
}

// Agents, this one included, whose fresh word is that the primary is down; and standbys that lost it.
std::set<std::string> who_sees_it_down(const Facts& f, const FailoverPolicyPlan& p) {
  std::set<std::string> out;
  const MemberFact* m = f.find(f.primary);
  if (m != nullptr && m->is_seen && m->is_down && is_fresh(m->age, p)) out.insert(f.node);
  for (const VoteFact& v : f.votes) {
    if (v.member == f.primary && v.is_down && is_fresh(v.age, p)) out.insert(v.node);
  }
  for (const MemberFact& s : f.members) {
    if (s.name != f.primary && s.is_seen && s.lost_primary && is_fresh(s.age, p)) out.insert("standby " + s.name);
  }
  return out;
}

}  // namespace

std::string unfit(const MemberFact& m, const Facts& f, const FailoverPolicyPlan& p) {
  if (m.name == f.primary || m.name == f.from) return "it is the old primary";
  if (!m.is_seen || !is_fresh(m.age, p)) return "nobody looked at it lately";
  if (m.role != ServerRole::standby) return "it is no standby";
  if (!m.is_promotable) return m.why_not.empty() ? "its check says it is not fit" : m.why_not;
  if (m.unfollowed > milliseconds(p.evidence_max_age))
    return "it was cut off " + span(m.unfollowed) + " before somebody last saw the primary well";
  if (p.max_lag && (m.lag == never || m.lag > milliseconds(*p.max_lag))) {
    return m.lag == never ? "nobody knows how far it is behind" : "it is " + span(m.lag) + " behind";
  }
  if (p.max_lag_bytes && (m.lag_bytes < 0 || static_cast<double>(m.lag_bytes) > *p.max_lag_bytes)) {
    return m.lag_bytes < 0 ? "nobody knows how many bytes it is behind"
                           : "it is " + std::to_string(m.lag_bytes) + " bytes behind";
  }
  if (!m.timeline.empty() && !f.primary_timeline.empty() && m.timeline != f.primary_timeline) {
    return "its timeline is " + m.timeline + ", the primary's was " + f.primary_timeline;
  }
  if (m.lost_role != never && m.lost_role < milliseconds(p.cool_down)) {
    return "a failover took the role from it " + span(m.lost_role) + " ago";
  }
  for (const VoteFact& v : f.votes) {
    if (v.member == m.name && v.is_down && is_fresh(v.age, p)) return v.node + " sees it down";
  }
  return {};
}

Candidate choose(const Facts& f, const FailoverPolicyPlan& p) {
  Candidate out;
  const std::string home = zone_of(f, f.primary);
  // In its own zone before another, the nearest first, by name at last: every agent finds the same one.
  const auto rank = [&](const MemberFact& m) {
    return std::tuple(m.zone != home, m.lag_bytes < 0, m.lag_bytes, m.lag == never, m.lag, m.name);
  };
  const MemberFact* best = nullptr;
  for (const MemberFact& m : f.members) {
    if (m.name == f.primary) continue;
    std::string why = unfit(m, f, p);
    if (why.empty() && !f.planned_to.empty() && m.name != f.planned_to) why = "it was not asked for";
    if (why.empty() && !f.orphan_to.empty() && m.name != f.orphan_to)
      why = f.orphan_to + " may have been promoted already";
    if (why.empty() && m.zone != home && p.cross_zone == CrossZone::refuse) why = "it is in another zone";
    if (!why.empty()) {
      out.why += (out.why.empty() ? "" : "; ") + m.name + ": " + why;
    } else if (best == nullptr || rank(m) < rank(*best)) {
      best = &m;
    }
  }
  if (best == nullptr) return out;
  out.name = best->name;
  out.must_ask = best->zone != home && p.cross_zone == CrossZone::ask;
  out.why.clear();
  return out;
}

namespace guards {

Held planned(const Facts& f, const FailoverPolicyPlan&) {
  return f.planned_to.empty() ? std::string() : "an operator moves the role from " + f.primary + " to " + f.planned_to;
}

Held not_planned(const Facts& f, const FailoverPolicyPlan& p) {
  if (p.mode != Mode::assist && p.mode != Mode::automatic)
    return "mode " + std::string(name(p.mode)) + " moves nothing";
  if (p.fence.empty() && p.demote.empty()) return "there is no fence and no demote: nothing would stop the old primary";
  if (f.status != TopologyStatus::steady || f.steady_for == never)
    return "the topology is " + std::string(name(f.status)) + ": a switchover begins from a primary that is well";
  for (const auto guard : {stopped_by_human, doubting, starting, storeless, brake_on, brake_due, parked_before,
                           others_at_work, cooling_down, nobody_fit}) {
    if (std::string held = guard(f, p); !held.empty()) return held;
  }
  return {};
}

Held primary_is_bad(const Facts& f, const FailoverPolicyPlan& p) {
  if (!f.planned_to.empty()) return planned(f, p);
  if (f.primary.empty() || f.bad_for == never) return {};
  return f.primary + " is no primary any more as we see it" + (f.bad_for >= 1000 ? ", for " + span(f.bad_for) : "");
}

Held only_demoted(const Facts& f, const FailoverPolicyPlan&) {
  const MemberFact* m = f.find(f.primary);
  if (m == nullptr || m->is_down) return {};
  return f.primary + " lives and is a standby: somebody else is at work";
}

Held too_fresh(const Facts& f, const FailoverPolicyPlan& p) {
  if (f.bad_for >= milliseconds(p.hold_down)) return {};
  return "down for " + span(f.bad_for) + ", less than hold_down " + friendly_duration(p.hold_down);
}

Held overloaded(const Facts& f, const FailoverPolicyPlan& p) {
  for (const MemberFact& m : f.members) {
    if (m.name != f.primary && m.is_moving && is_fresh(m.age, p)) return m.name + " still receives from " + f.primary;
  }
  const MemberFact* m = f.find(f.primary);
  if (m == nullptr || !m->is_reached || f.bad_for >= milliseconds(p.overload_grace)) return {};
  return f.primary + " takes connections: slow is not dead, before overload_grace " +
         friendly_duration(p.overload_grace);
}

Held contradicted(const Facts& f, const FailoverPolicyPlan& p) {
  if (!f.planned_to.empty()) return {};  // that it is well is known
  for (const VoteFact& v : f.votes) {
    if (!is_fresh(v.age, p)) continue;
    if (v.member == f.primary && (v.is_well || v.role == ServerRole::primary))
      return v.node + " sees " + f.primary + " well";
    if (v.member != f.primary && v.role == ServerRole::primary) return v.node + " sees " + v.member + " as the primary";
  }
  return {};
}

Held uncorroborated(const Facts& f, const FailoverPolicyPlan& p) {
  if (!f.planned_to.empty()) return {};
  const auto who = who_sees_it_down(f, p);
  if (p.witnesses > 0 && who.size() >= p.witnesses) return {};
  return std::to_string(who.size()) + " of " + std::to_string(p.witnesses) + " witnesses see " + f.primary +
         " down, within " + friendly_duration(p.evidence_max_age);
}

Held stopped_by_human(const Facts& f, const FailoverPolicyPlan&) {
  if (f.is_paused) return "an operator paused it";
  if (f.is_maintenance) return "it is in maintenance";
  return {};
}

Held doubting(const Facts& f, const FailoverPolicyPlan&) {
  if (f.doubt_left <= 0) return {};
  return "this agent had trouble of its own, for " + span(f.doubt_left) + " more it does nothing";
}

Held starting(const Facts& f, const FailoverPolicyPlan&) {
  if (f.grace_left > 0) return "started a moment ago, for " + span(f.grace_left) + " more nothing is done";
  if (f.primary.empty()) return "nobody has been seen as the primary yet";
  if (!f.was_seen_well) return "this agent has never seen " + f.primary + " well as the primary";
  return {};
}

Held storeless(const Facts& f, const FailoverPolicyPlan& p) {
  if (f.store != StoreHealth::ok) return "the store of leases is " + std::string(name(f.store));
  if (!is_fresh(f.store_age, p)) return "the store of leases was not heard lately";
  return {};
}

Held brake_on(const Facts& f, const FailoverPolicyPlan&) {
  // What all can read of was counted before, and let through.
  return f.is_brake_on && f.shown != Phase::fencing ? "the brake is on, until an operator releases it" : std::string();
}

Held brake_due(const Facts& f, const FailoverPolicyPlan& p) {
  if (f.is_brake_on || f.recoveries < p.brake_max) return {};
  return std::to_string(f.recoveries) + " other topologies within " + friendly_duration(p.brake_window) +
         " are as many as the brake allows";
}

Held cooling_down(const Facts& f, const FailoverPolicyPlan&) {
  if (f.cool_down_left <= 0) return {};
  return "the last failover is too recent, for " + span(f.cool_down_left) + " more";
}

Held others_at_work(const Facts& f, const FailoverPolicyPlan&) {
  if (!f.other_recovery.empty()) return "recovery " + f.other_recovery + " of " + f.lease_holder + " is under way";
  if (!f.is_lease_ours && !f.lease_holder.empty()) return f.lease_holder + " holds the lease";
  return {};
}

Held parked_before(const Facts& f, const FailoverPolicyPlan&) {
  if (f.parked_recovery.empty()) return {};
  return "recovery " + f.parked_recovery + " is parked, until an operator acknowledges it";
}

Held tried_too_often(const Facts& f, const FailoverPolicyPlan&) {
  if (f.orphan.empty() || f.orphan_tries < 3) return {};
  return "recovery " + f.orphan + " lost its owner " + std::to_string(f.orphan_tries) + " times";
}

Held nobody_fit(const Facts& f, const FailoverPolicyPlan& p) {
  const Candidate c = choose(f, p);
  return c.name.empty() ? "nobody is fit to be promoted: " + (c.why.empty() ? "there is no other member" : c.why)
                        : std::string();
}

Held needs_approval(const Facts& f, const FailoverPolicyPlan& p) {
  if (f.approval_left > 0 || !f.planned_to.empty()) return {};
  if (p.mode == Mode::assist) return "mode assist waits for an operator";
  if (p.fence.empty()) return "there is no fence: an operator sees to the old primary";
  return choose(f, p).must_ask ? "the candidate is in another zone: an operator decides" : std::string();
}

Held astray(const Facts& f, const FailoverPolicyPlan& p) {
  if (f.astray_for == never || f.astray_for < milliseconds(p.hold_down)) return {};
  return "clients are not led to " + f.primary + ", for " + span(f.astray_for);
}

Held not_reasserted(const Facts& f, const FailoverPolicyPlan& p) {
  // Whoever promoted this primary and was lost before it moved the clients is gone: that is done to its end.
  if ((!p.is_reasserted && !f.is_left_unmoved) || p.move.empty()) return "reassert is not configured";
  if (p.mode != Mode::assist && p.mode != Mode::automatic) return "mode " + std::string(name(p.mode));
  for (const auto guard : {stopped_by_human, doubting, starting, storeless, brake_on, parked_before, others_at_work}) {
    if (std::string held = guard(f, p); !held.empty()) return held;
  }
  if (f.recovery.empty() && f.reasserted != never && f.reasserted < milliseconds(reassert_every))
    return "it was tried " + span(f.reasserted) + " ago";
  return {};
}

}  // namespace guards
}  // namespace vital::failover
