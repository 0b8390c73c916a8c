// What a policy is told: sights, answers of the store, ends of steps, its own trouble, operators; see policy.hpp.
#include <algorithm>
#include <utility>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "core/failover/guards.hpp"
#include "core/failover/policy.hpp"

namespace vital::failover {

void Policy::take(Now now, const Sight& in) {
  if (in.primary != sight_.primary) others_saw_well_.reset();
  sight_ = in;
  const auto primary =
      std::find_if(in.members.begin(), in.members.end(), [&](const MemberView& m) { return m.name == in.primary; });
  const auto is_newer = [&](const MemberView& m) { return m.is_seen && (!doubted_at_ || m.seen_at > doubted_at_); };
  const bool is_known = primary != in.members.end() && is_newer(*primary);
  const bool is_bad = is_known && in.status == TopologyStatus::no_primary && primary->role != ServerRole::primary;
  const bool is_well =
      is_known && in.status == TopologyStatus::steady && primary->role == ServerRole::primary && primary->is_well;
  if (!is_bad) bad_since_.reset();
  if (is_bad && !bad_since_) {
    bad_since_ = now.mono;
    fed_.clear();
  }
  if (!is_well) steady_since_.reset();
  const bool is_endpoint_news = in.endpoint_seen_at && now.mono - *in.endpoint_seen_at <= plan_.evidence_max_age &&
                                (!doubted_at_ || *in.endpoint_seen_at > *doubted_at_);
  const bool is_astray = is_well && !in.is_endpoint_good && is_endpoint_news;
  if (!is_astray) {
    astray_since_.reset();
    if (in.is_endpoint_good && std::exchange(is_astray_told_, false))
      note(Note::Level::info, "endpoint_back", {{"primary", in.primary}});
  } else if (!astray_since_) {
    astray_since_ = now.mono;
  }
  if (is_well) {
    position_ = primary->position;
    well_at_ = now.wall;
    if (!steady_since_) steady_since_ = now.mono;
    seen_well_ = in.primary;
    timeline_ = primary->timeline;
  }
  if (bad_since_) {
    for (const MemberView& m : in.members) {
      if (m.role != ServerRole::standby || !m.seen_at || *m.seen_at < *bad_since_) continue;
      const auto [found, is_new] = fed_.try_emplace(m.name, Fed{m.position, {}});
      if (is_new || found->second.position == m.position) continue;
      found->second = {m.position, *m.seen_at};
    }
  }
  publish_votes(now);
}

void Policy::publish_votes(Now now) {
  if (cluster_.health == StoreHealth::standalone) return;
  std::erase_if(told_, [&](const auto& t) {
    return std::none_of(sight_.members.begin(), sight_.members.end(),
                        [&](const MemberView& m) { return m.name == t.first; });
  });
  for (const MemberView& m : sight_.members) {
    if (!m.is_seen || !m.seen_at || (doubted_at_ && *m.seen_at <= *doubted_at_)) continue;
    PublishVote vote{plan_.topology, m.name, m.role, m.is_down, m.is_well, *m.seen_at, m.text, {}};
    if (m.name == sight_.primary) vote.good_at = sight_.primary_good_at;
    Told& told = told_[m.name];
    const bool is_same = told.vote.role == vote.role && told.vote.is_down == vote.is_down &&
                         told.vote.is_well == vote.is_well && told.vote.topology == vote.topology;
    if (vote.seen_at == told.vote.seen_at && is_same) continue;
    if (is_same && now.mono - told.at < vote_every) continue;
    told = {vote, now.mono};
    effects_.emplace_back(std::move(vote));
  }
}

void Policy::take(Now, const Tick&) {}

void Policy::take(Now now, const StepDone& in) {
  if (in.recovery != recovery_.id || !steps_.done(now.mono, in)) return;
  note(in.outcome == Outcome::done ? Note::Level::info : Note::Level::warning, "failover_step",
       {{"recovery", in.recovery},
        {"step", std::to_string(in.step)},
        {"attempt", std::to_string(in.attempt)},
        {"verb", std::string(name(in.verb))},
        {"outcome", std::string(name(in.outcome))},
        {"text", one_line(in.text, 256)}});
}

void Policy::take(Now now, const SelfSeen& in) {
  if (in.slept > Duration::zero()) {
    // The monotonic clock stood still while the lease ran out.
    for (LeaseSeen& l : cluster_.leases) l.is_ours = false;
    doubt(now, "the host slept " + friendly_duration(in.slept));
  } else if (in.loop_late > late_loop) {
    doubt(now, "the loop was late by " + friendly_duration(in.loop_late));
  } else if (in.clock_jump > jumped || in.clock_jump < -jumped) {
    doubt(now, "the clock jumped by " + std::to_string(milliseconds(in.clock_jump)) + " ms");
  } else if (in.unrelated_checks >= 3 && in.share_of_bad_checks > 0.5) {
    doubt(now, "most checks that have nothing to do with it turned bad at once");
  }
}

void Policy::doubt(Now now, const std::string& why) {
  const bool is_news = !doubted_at_ || now.mono - *doubted_at_ > plan_.doubt;
  doubted_at_ = now.mono;
  bad_since_.reset();  // what was seen before is seen again, or it does not count
  steady_since_.reset();
  astray_since_.reset();
  if (is_news) note(Note::Level::warning, "self_suspect", {{"why", why}});
}

void Policy::take(Now, const MaintenanceSeen& in) {
  if (in.topology.empty()) is_all_maintenance_ = in.is_on;
  if (in.topology == plan_.topology) is_maintenance_ = in.is_on;
}

void Policy::take(Now now, const ClusterSeen& in) {
  // A member of the store that answers from the past is one that answers nothing.
  const bool is_stale = is_cluster_heard_ && in.health == StoreHealth::ok && in.revision < cluster_.revision;
  if (is_cluster_heard_ && in.at < cluster_.at) return;
  is_cluster_heard_ = true;
  if (in.health != StoreHealth::ok || is_stale) {
    cluster_.health = is_stale ? StoreHealth::refused : in.health;
    // What we hold we hold until its time is over; that others let go is not known.
    for (const LeaseSeen& l : in.leases) {
      for (LeaseSeen& known : cluster_.leases) {
        if (!is_stale && known.topology == l.topology && known.token == l.token && known.is_ours && l.is_ours)
          known.until = std::max(known.until, l.until);
      }
    }
    return;
  }
  cluster_ = in;
  // What was read before we gave the lease up says nothing of whether we hold it.
  for (LeaseSeen& l : cluster_.leases) {
    if (l.topology == plan_.topology && gave_up_at_ && in.at <= *gave_up_at_) l.is_ours = false;
  }
  std::erase_if(cluster_.votes, [&](const PeerVote& v) { return v.topology != plan_.topology || v.node == node_; });
  if (cluster_.votes.size() > max_votes) cluster_.votes.resize(max_votes);
  // What another does about it counts as a try of ours.
  if (const LeaseSeen* l = lease(); l != nullptr && !l->holder.empty() && !l->is_ours) reasserted_at_ = now.mono;
  for (const PeerVote& v : cluster_.votes) {
    if (v.member != sight_.primary) continue;
    if (v.is_well) others_saw_well_ = std::max(others_saw_well_, {in.at - v.age});
    if (!v.good_age) continue;
    // Only what is far from our own last sight of it: a second more or less would make another candidate the nearest.
    const Instant good_at = in.at - *v.good_age;
    if (!sight_.primary_good_at || good_at - *sight_.primary_good_at > plan_.evidence_max_age)
      others_saw_well_ = std::max(others_saw_well_, {good_at});
  }
  if (in.record.revision == record_revision_) return;
  record_revision_ = in.record.revision;
  record_ = decode_record(in.record.text);
  learn_ages(now);
}

void Policy::take(Now now, const Command& in) {
  std::visit([&](const auto& c) { command(now, c); }, in);
}

void Policy::command(Now now, const Approve& in) {
  if (in.recovery != recovery_.id || recovery_.id.empty()) return;
  if (state_ != State::awaiting || in.echo != recovery_.to) {
    note(Note::Level::warning, "failover_refused",
         {{"recovery", in.recovery},
          {"by", in.by},
          {"why", state_ != State::awaiting ? "nothing is asked for now"
                                            : "it would promote " + recovery_.to + ", not " + one_line(in.echo, 64)}});
    return;
  }
  approved_to_ = recovery_.to;
  approved_until_ = now.mono + plan_.approval_for;
  note(Note::Level::info, "failover_approved", {{"recovery", in.recovery}, {"by", in.by}});
}

void Policy::command(Now, const Decline& in) {
  if (in.recovery != recovery_.id || state_ != State::awaiting) return;
  is_declined_ = true;
  note(Note::Level::info, "failover_declined", {{"recovery", in.recovery}, {"by", in.by}});
}

std::string Policy::why_not_switched(Now now, const Switchover& asked) const {
  if (asked.echo != plan_.topology) return "type the name of the topology again: " + plan_.topology;
  if (state_ != State::observing) return "it is " + std::string(name(state_)) + " now: " + reason_;
  Facts f = facts(now);
  if (f.find(asked.to) == nullptr) return plan_.topology + " has no member " + one_line(asked.to, 64);
  if (asked.to == f.primary) return asked.to + " is the primary already";
  f.planned_to = asked.to;
  return guards::not_planned(f, plan_);
}

void Policy::command(Now now, const Switchover& in) {
  if (in.topology != plan_.topology) return;
  const std::string why = why_not_switched(now, in);
  if (why.empty()) planned_to_ = in.to;
  note(Note::Level::warning, why.empty() ? "failover_planned" : "failover_refused",
       {{"from", sight_.primary}, {"to", one_line(in.to, 64)}, {"by", in.by}, {"why", why}});
}

void Policy::command(Now, const Pause& in) {
  if (!in.topology.empty() && in.topology != plan_.topology) return;
  Edit e;
  e.kind = Edit::Kind::pause;
  e.pause = {in.topology, in.by, in.reason};
  edit(std::move(e));
}

void Policy::command(Now, const Resume& in) {
  if (!in.topology.empty() && in.topology != plan_.topology) return;
  std::erase_if(edits_, [&](const Edit& e) { return e.kind == Edit::Kind::pause && e.pause.topology == in.topology; });
  Edit e;
  e.kind = Edit::Kind::resume;
  e.pause = {in.topology, in.by, {}};
  edit(std::move(e));
}

void Policy::command(Now, const ReleaseBrake& in) {
  Edit e;
  e.kind = Edit::Kind::release_brake;
  e.pause.by = in.by;
  edit(std::move(e));
}

// An entry that is parked, or that was begun and whose owner is gone.
const Entry* Policy::acknowledgeable(std::string_view recovery) const {
  const Entry* there = record_.find(recovery);
  if (there == nullptr || there->topology != plan_.topology) return nullptr;
  const bool is_begun =
      there->phase == Phase::fencing || there->phase == Phase::promoting || there->phase == Phase::moving;
  const bool is_left_alone =
      is_begun && there->id != recovery_.id && (lease() == nullptr || lease()->token != there->token);
  return there->phase == Phase::parked || is_left_alone ? there : nullptr;
}

bool Policy::waits_for_word_on(std::string_view recovery) const {
  return (state_ == State::parked && recovery == recovery_.id) || acknowledgeable(recovery) != nullptr;
}

void Policy::command(Now, const Acknowledge& in) {
  const bool is_ours = state_ == State::parked && in.recovery == recovery_.id;
  if (is_ours) is_acknowledged_ = true;
  const Entry* there = acknowledgeable(in.recovery);
  if (there == nullptr) return;
  const bool is_left_alone = there->phase != Phase::parked;
  Edit e;
  e.kind = Edit::Kind::close;
  e.entry.id = in.recovery;
  e.entry.token = is_left_alone ? there->token : 0;
  edit(std::move(e));
  note(Note::Level::info, "failover_acknowledged", {{"recovery", in.recovery}, {"by", in.by}});
}

}  // namespace vital::failover
