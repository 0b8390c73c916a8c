// What a policy shares with those of other agents: the edits it wants in the record, and what it reads there; see
// policy.hpp and record.hpp.
#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "core/failover/policy.hpp"

namespace vital::failover {
namespace {

constexpr Duration write_again = std::chrono::seconds(2);

bool is_open(const Entry& e) {
  return e.phase == Phase::fencing || e.phase == Phase::promoting || e.phase == Phase::moving;
}

std::string phase_key(const Entry& e) { return e.id + "/" + std::string(name(e.phase)); }

}  // namespace

Entry Policy::entry(Now now, Phase phase, const std::string& why) const {
  const std::int64_t wall = now.wall.time_since_epoch().count();
  const Entry* there = record_.find(recovery_.id);
  return {recovery_.id,
          plan_.topology,
          node_,
          recovery_.token,
          recovery_.from,
          recovery_.to,
          phase,
          recovery_.tries,
          there != nullptr ? there->began : 0,
          wall,
          there != nullptr && there->is_forgiven,
          recovery_.is_bound,
          one_line(why, 256)};
}

void Policy::edit(Edit edit) {
  const auto is_asked = [&](const Edit& e) {
    return e.kind == edit.kind && e.entry.id == edit.entry.id && e.entry.phase == edit.entry.phase &&
           e.pause.topology == edit.pause.topology;
  };
  if (std::any_of(edits_.begin(), edits_.end(), is_asked)) return;
  // Whatever has to be decided does not wait for what is written down for people, nor for its answer: of two that are
  // written over the same revision, one is there.
  if (std::erase_if(edits_, [](const Edit& e) { return e.kind == Edit::Kind::primary; }) > 0) written_over_.reset();
  if (edits_.size() >= most_edits) edits_.pop_front();
  edits_.push_back(std::move(edit));
}

// Who was last active, off this node (the other agents and the store outlive it).
void Policy::tell_primary(Now now) {
  std::erase_if(edits_, [](const Edit& e) { return e.kind == Edit::Kind::primary; });
  const bool is_steady = steady_since_ && now.mono - *steady_since_ >= plan_.hold_down;
  if (state_ != State::observing || !edits_.empty() || !is_steady) return;
  if (!is_cluster_heard_ || cluster_.health != StoreHealth::ok) return;
  Edit e;
  e.kind = Edit::Kind::primary;
  e.primary = {plan_.topology, seen_well_, node_, one_line(position_, 200), well_at_.time_since_epoch().count()};
  const auto result = failover::apply(record_, e);
  if (result && !(*result == record_)) edits_.push_back(std::move(e));
}

// One edit after the other, each until the record shows it.
void Policy::write(Now now) {
  while (!edits_.empty() && is_cluster_heard_ && cluster_.health == StoreHealth::ok) {
    const Edit& next = edits_.front();
    const bool is_dead = needs_lease(next.kind) && (!owns_lease(now.mono) || next.entry.token != recovery_.token);
    const auto result = is_dead ? std::nullopt : failover::apply(record_, next);
    if (!result || *result == record_) {
      edits_.pop_front();
      written_over_.reset();
      continue;
    }
    if (written_over_ == cluster_.record.revision && now.mono - written_at_ < write_again) return;
    written_over_ = cluster_.record.revision;
    written_at_ = now.mono;
    const bool is_guarded = needs_lease(next.kind);
    effects_.emplace_back(WriteRecord{is_guarded ? plan_.topology : std::string(), is_guarded ? next.entry.token : 0,
                                      cluster_.record.revision, encode(*result)});
    return;
  }
}

// An entry's age when it was first seen is what the wall clocks say; from then on only our monotonic clock counts, so
// that no jump of a clock ends a cool-down.
void Policy::learn_ages(Now now) {
  std::map<std::string, Age> ages;
  const auto learn = [&](const std::string& key, std::int64_t wall) {
    const auto known = ages_.find(key);
    ages[key] = known != ages_.end() ? known->second
                                     : Age{now.mono, std::max<Millis>(0, now.wall.time_since_epoch().count() - wall)};
  };
  for (const Entry& e : record_.entries) {
    learn(e.id, e.began);
    learn(phase_key(e), e.since);
  }
  ages_ = std::move(ages);
}

Millis Policy::age_of(const std::string& key, Now now) const {
  const auto found = ages_.find(key);
  return found == ages_.end() ? 0 : found->second.then + milliseconds(now.mono - found->second.at);
}

void Policy::facts_of_record(Now now, Facts& f) const {
  const LeaseSeen* l = lease();
  f.is_brake_on = record_.is_brake_on;
  f.is_paused = record_.is_paused(plan_.topology);
  for (const Edit& e : edits_) f.is_paused = f.is_paused || e.kind == Edit::Kind::pause;
  std::set<std::string_view> others;
  for (const Entry& e : record_.entries) {
    if (e.topology != plan_.topology) {
      if (e.began > 0 && !e.is_forgiven && age_of(e.id, now) < milliseconds(plan_.brake_window))
        others.insert(e.topology);
      continue;
    }
    if (e.id == recovery_.id) {
      if (e.token == recovery_.token) f.shown = e.phase;
      continue;
    }
    // One that was parked after its promotion was a failover, too.
    const bool is_over = e.phase == Phase::parked || e.phase == Phase::closed;
    bool is_done = e.phase == Phase::done || (is_over && e.is_bound && e.to == sight_.primary);
    if (e.phase == Phase::parked) f.parked_recovery = e.id;
    if (is_open(e)) {
      const bool is_owner_there = l != nullptr && l->token != 0 && l->token == e.token;
      if (is_owner_there) {
        f.other_recovery = e.id;
      } else if (e.from == sight_.primary) {
        f.orphan = e.id;
        f.orphan_tries = e.tries;
        f.orphan_to = e.phase == Phase::fencing && !e.is_bound ? std::string() : e.to;
      } else if (e.to == sight_.primary) {
        is_done = e.phase != Phase::fencing;
        const bool is_recent = age_of(phase_key(e), now) < milliseconds(plan_.cool_down);
        f.is_left_unmoved = f.is_left_unmoved || (is_done && is_recent);
      }
    }
    if (!is_done) continue;
    const Millis age = age_of(phase_key(e), now);
    f.cool_down_left = std::max<Millis>(f.cool_down_left, milliseconds(plan_.cool_down) - age);
    for (MemberFact& m : f.members) {
      if (m.name == e.from && (m.lost_role == never || age < m.lost_role)) m.lost_role = age;
    }
  }
  // Its entry is closed since ours stands for it, and what it may have done is ours to keep to.
  if (recovery_.is_bound && f.orphan_to.empty()) f.orphan_to = recovery_.to;
  f.recoveries = static_cast<unsigned>(others.size());
}

}  // namespace vital::failover
