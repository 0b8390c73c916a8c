// What the policy knows, and the facts it makes of that for a decision; see policy.hpp.
#include <algorithm>
#include <cmath>

#include "core/failover/guards.hpp"
#include "core/failover/policy.hpp"

namespace vital::failover {
namespace {

Millis left(std::optional<Instant> since, Duration whole, Instant now) {
  return since ? std::max<Millis>(0, milliseconds(*since + whole - now)) : 0;
}

std::int64_t whole(double value, double scale) {
  const double scaled = value * scale;
  return std::isfinite(scaled) && scaled >= 0 && scaled < 9e15 ? static_cast<std::int64_t>(std::ceil(scaled)) : -1;
}

}  // namespace

const LeaseSeen* Policy::lease() const {
  for (const LeaseSeen& l : cluster_.leases) {
    if (l.topology == plan_.topology) return &l;
  }
  return nullptr;
}

bool Policy::owns_lease(Instant now) const {
  const LeaseSeen* l = lease();
  return l != nullptr && l->is_ours && l->token != 0 && l->token == recovery_.token && now < l->until;
}

// What the primary wrote while others saw it well, and the standby was cut off already, we know nothing of.
void Policy::reckon_unfollowed(const MemberView& v, MemberFact& m) const {
  const Duration gap = std::max(
      Duration::zero(), std::max(sight_.primary_good_at, others_saw_well_).value_or(*v.followed_at) - *v.followed_at);
  m.unfollowed = milliseconds(gap);
  if (v.followed_lag)
    m.lag = std::max(m.lag, whole(*v.followed_lag + std::chrono::duration<double>(gap).count(), 1000));
  const bool is_news = others_saw_well_ && (!sight_.primary_good_at ||
                                            *others_saw_well_ - *sight_.primary_good_at > plan_.evidence_max_age);
  if (is_news) m.lag_bytes = -1;
}

void Policy::facts_of_members(Instant now, Facts& f) const {
  for (const MemberView& v : sight_.members) {
    MemberFact m;
    m.name = v.name;
    if (const auto zone = plan_.zones.find(v.name); zone != plan_.zones.end()) m.zone = zone->second;
    m.is_seen = v.is_seen && v.seen_at && (!doubted_at_ || *v.seen_at > *doubted_at_);
    m.role = v.role;
    m.is_down = v.is_down;
    m.is_reached = v.is_down && v.is_reached;
    m.is_promotable = v.is_promotable;
    m.why_not = v.why_not;
    if (v.seen_at) m.age = milliseconds(now - *v.seen_at);
    if (v.lag) m.lag = whole(*v.lag, 1000);
    if (v.lag_bytes) m.lag_bytes = whole(*v.lag_bytes, 1);
    m.lost_primary = v.lost_primary;
    if (v.followed_at) reckon_unfollowed(v, m);
    m.timeline = v.timeline;
    if (const auto fed = fed_.find(v.name); bad_since_ && fed != fed_.end() && fed->second.moved_at)
      m.is_moving = now - *fed->second.moved_at <= plan_.evidence_max_age;
    f.members.push_back(std::move(m));
  }
}

Facts Policy::facts(Now now) const {
  Facts f;
  f.node = node_;
  f.in_state = milliseconds(now.mono - entered_);
  f.status = sight_.status;
  f.primary = sight_.primary;
  f.primary_timeline = timeline_;
  if (bad_since_) f.bad_for = milliseconds(now.mono - *bad_since_);
  if (steady_since_) f.steady_for = milliseconds(now.mono - *steady_since_);
  f.is_endpoint_good = sight_.is_endpoint_good;
  if (astray_since_) f.astray_for = milliseconds(now.mono - *astray_since_);
  if (reasserted_at_) f.reasserted = milliseconds(now.mono - *reasserted_at_);
  facts_of_members(now.mono, f);
  const Millis since_told = std::max<Millis>(0, milliseconds(now.mono - cluster_.at));
  for (const PeerVote& v : cluster_.votes)
    f.votes.push_back({v.node, v.member, v.role, v.is_down, v.is_well, milliseconds(v.age) + since_told});

  f.store = cluster_.health;
  const bool is_heard_since = is_cluster_heard_ && (!doubted_at_ || cluster_.at > *doubted_at_);
  f.store_age = is_heard_since ? since_told : never;
  if (const LeaseSeen* l = lease()) {
    f.lease_holder = l->holder;
    f.is_lease_ours = l->is_ours && l->token != 0;
    f.lease_left = f.is_lease_ours ? std::max<Millis>(0, milliseconds(l->until - now.mono)) : 0;
  }
  f.doubt_left = left(doubted_at_, plan_.doubt, now.mono);
  f.grace_left = left(started_, plan_.grace, now.mono);
  f.was_seen_well = !sight_.primary.empty() && seen_well_ == sight_.primary;
  f.is_maintenance = is_maintenance_ || is_all_maintenance_;
  facts_of_record(now, f);

  f.planned_to = planned_to_;
  f.recovery = recovery_.id;
  f.from = recovery_.from;
  f.to = recovery_.to;
  f.left = recovery_.id.empty() ? 0 : milliseconds(recovery_.deadline - now.mono);
  f.has_lost_lease = !owns_lease(now.mono);
  f.steps = steps_.status(now.mono);
  f.is_touched = has_begun_step_;
  f.may_be_promoted = may_be_promoted_ || (state_ == State::promoting && steps_.may_have_acted());
  for (const MemberView& m : sight_.members) {
    if (m.name == recovery_.from && m.role == ServerRole::primary && m.is_seen && fenced_at_ && m.seen_at > fenced_at_)
      f.is_old_back = true;
  }
  f.is_declined = is_declined_;
  f.is_acknowledged = is_acknowledged_;
  if (approved_until_ && now.mono < *approved_until_) {
    const std::string to = recovery_.to.empty() ? choose(f, plan_).name : recovery_.to;
    if (to == approved_to_) f.approval_left = milliseconds(*approved_until_ - now.mono);
  }
  return f;
}

}  // namespace vital::failover
