// A topology over time; see failover_watch.hpp.
#include "core/failover_watch.hpp"

#include <algorithm>
#include <utility>

#include "base/duration.hpp"

namespace vital {
namespace {

std::string text_of(const std::optional<WallTime>& t) { return t ? format_wall(*t) : std::string(); }

std::string between(const std::optional<WallTime>& from, const std::optional<WallTime>& to) {
  if (!from || !to) return {};
  return std::to_string(std::max<long long>(0, milliseconds(std::chrono::duration_cast<Duration>(*to - *from))));
}

}  // namespace

std::string_view name(FailoverRecord::End end) {
  switch (end) {
    case FailoverRecord::End::open:
      return "open";
    case FailoverRecord::End::moved:
      return "moved";
    case FailoverRecord::End::returned:
      return "returned";
  }
  return "open";
}

std::vector<std::pair<std::string, std::string>> fields_of(const std::string& topology, const FailoverRecord& r) {
  return {{"id", r.id},
          {"topology", topology},
          {"end", std::string(name(r.end))},
          {"from", r.from},
          {"to", r.to},
          {"why", r.why},
          {"last_good", text_of(r.last_good)},
          {"first_bad", format_wall(r.first_bad)},
          {"detected", text_of(r.detected)},
          {"decided", text_of(r.decided)},
          {"fenced", text_of(r.fenced)},
          {"promoted", text_of(r.promoted)},
          {"moved", text_of(r.moved)},
          {"first_write", text_of(r.first_write)},
          {"ended", text_of(r.ended)},
          {"unseen_ms", between(r.last_good, r.first_bad)},
          {"detect_ms", between(r.first_bad, r.detected)},
          {"decide_ms", between(r.detected, r.decided)},
          {"fence_ms", between(r.decided, r.fenced)},
          {"promote_ms", between(r.fenced ? r.fenced : r.decided, r.promoted)},
          {"leaderless_ms", between(r.first_bad, r.promoted)},
          {"follow_ms", between(r.promoted, r.first_write)},
          {"down_ms", between(r.first_bad, r.ended)},
          {"two_primaries_ms", std::to_string(milliseconds(r.two_primaries))},
          {"last_position", r.last_position}};
}

FailoverWatch::FailoverWatch(TopologyPlan plan)
    : plan_(std::move(plan)), seen_(plan_.members.size()), ignorance_(plan_.members.size()) {}

void FailoverWatch::replan(TopologyPlan plan) {
  const std::string last = primary();
  std::vector<std::optional<MemberSeen>> seen(plan.members.size());
  std::vector<std::string> ignorance(plan.members.size());
  std::optional<std::size_t> now_primary;
  for (std::size_t i = 0; i < plan.members.size(); ++i) {
    for (std::size_t old = 0; old < plan_.members.size(); ++old) {
      if (plan_.members[old].name != plan.members[i].name) continue;
      seen[i] = seen_[old];
      ignorance[i] = ignorance_[old];
    }
    if (plan.members[i].name == last) now_primary = i;
  }
  if (!now_primary) open_.reset();  // whom it was about is gone
  plan_ = std::move(plan);
  seen_ = std::move(seen);
  ignorance_ = std::move(ignorance);
  primary_ = now_primary;
}

void FailoverWatch::remember_primary(const std::string& member) {
  for (std::size_t i = 0; i < plan_.members.size() && !primary_; ++i) {
    if (plan_.members[i].name == member) primary_ = i;
  }
}

std::string FailoverWatch::primary() const { return primary_ ? plan_.members[*primary_].name : std::string(); }

std::vector<MemberView> FailoverWatch::members(Instant now) const {
  auto out = members_of(plan_, seen_, primary_good_, now);
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (!out[i].is_seen && !ignorance_[i].empty()) out[i].text = ignorance_[i];
  }
  return out;
}

std::vector<Note> FailoverWatch::observe(Now now, CheckId check, const ProbeResult& result) {
  if (!began_) began_ = now.mono;
  for (std::size_t i = 0; i < plan_.members.size(); ++i) {
    if (plan_.members[i].check == check) saw_member(now, i, result);
  }
  judge(now);
  if (plan_.endpoint == check) saw_endpoint(now, result);
  return std::exchange(notes_, {});
}

std::vector<Note> FailoverWatch::tick(Now now) {
  if (!began_) began_ = now.mono;
  judge(now);
  return std::exchange(notes_, {});
}

void FailoverWatch::saw_member(Now now, std::size_t i, const ProbeResult& result) {
  auto found = evidence_of(result, now.mono, now.wall, seen_[i]);
  ignorance_[i] = found ? std::string() : result.text;
  if (!found) return;
  seen_[i] = std::move(found);
  if (primary_ != i) return;
  const MemberSeen& seen = *seen_[i];
  if (seen.role == ServerRole::primary) {
    bad_in_a_row_ = 0;
    if (seen.is_well) saw_primary_well(seen);
    // It is back, and nobody took its place. One bad sample alone was never worth a line.
    if (open_ && open_->to.empty() && status_ != TopologyStatus::two_primaries) {
      if (is_told_) {
        close(now, FailoverRecord::End::returned);
      } else {
        open_.reset();
      }
    }
    return;
  }
  ++bad_in_a_row_;
  if (!open_) {
    begin(clients_lost_it(now), seen.role == ServerRole::standby ? "it is a standby now" : seen.text);
  }
  if (bad_in_a_row_ >= needed_to_tell && !is_told_) {
    told(now.wall);
    note(Note::Level::warning, "primary_lost",
         {{"primary", open_->from},
          {"why", open_->why},
          {"last_good", text_of(open_->last_good)},
          {"first_bad", format_wall(open_->first_bad)}});
  }
}

void FailoverWatch::saw_primary_well(const MemberSeen& seen) {
  primary_good_at_ = seen.wall;
  primary_good_ = {seen.at, seen.position_bytes, seen.timeline};
  primary_position_ = seen.position;
}

void FailoverWatch::saw_endpoint(Now now, const ProbeResult& result) {
  const auto seen = evidence_of(result, now.mono, now.wall);
  const bool is_good = result.verdict == Verdict::pass || result.verdict == Verdict::warn;
  const bool is_standby = seen && seen->role == ServerRole::standby;
  if (result.verdict != Verdict::unknown || is_standby) endpoint_seen_at_ = now.mono;
  if (is_good && !is_standby) {
    endpoint_bad_since_.reset();
    if (open_ && open_->promoted) {
      open_->first_write = now.wall;
      close(now, FailoverRecord::End::moved);
    }
  } else if (result.verdict == Verdict::fail || is_standby) {
    if (!endpoint_bad_since_) endpoint_bad_since_ = now.wall;
  }
}

// Whether the member had time to be seen: who was not looked at yet cannot be said to be gone.
bool FailoverWatch::has_been_looked_for(Instant now, std::size_t i) const {
  return seen_[i].has_value() || now - *began_ > plan_.members[i].max_age;
}

void FailoverWatch::judge(Now now) {
  const std::vector<MemberView> views = members_of(plan_, seen_, primary_good_, now.mono);
  std::optional<std::size_t> other;
  for (std::size_t i = 0; i < views.size() && !other; ++i) {
    if (views[i].role == ServerRole::primary && primary_ != i) other = i;
  }
  change_status(now, status_of(views, primary_), views);
  if (!other) return;
  if (!primary_) {
    if (status_ != TopologyStatus::steady) return;
    primary_ = other;
    saw_primary_well(*seen_[*other]);
    note(Note::Level::info, "primary_seen", {{"primary", primary()}});
  } else if (views[*primary_].role != ServerRole::primary && has_been_looked_for(now.mono, *primary_)) {
    moved_to(now, *other);
  }
}

void FailoverWatch::change_status(Now now, TopologyStatus status, const std::vector<MemberView>& members) {
  if (status == status_) return;
  if (two_since_) {
    if (open_) open_->two_primaries += now.mono - *two_since_;
    two_since_.reset();
    if (open_ && open_->to.empty() && primary_ && members[*primary_].role == ServerRole::primary) {
      close(now, FailoverRecord::End::returned);
    }
  }
  const TopologyStatus before = std::exchange(status_, status);
  since_ = now.wall;
  if (status == TopologyStatus::two_primaries) {
    two_since_ = now.mono;
    std::string who;
    for (const MemberView& m : members) {
      if (m.role == ServerRole::primary) who += (who.empty() ? "" : ", ") + m.name;
    }
    if (!open_ && primary_) begin(now.wall, "another says it is primary too");
    told(now.wall);
    note(Note::Level::error, "two_primaries", {{"members", who}});
  } else if (status == TopologyStatus::no_primary && !primary_) {
    note(Note::Level::warning, "no_primary", {{"before", std::string(name(before))}});
  }
}

// When it began: with this sample, or with the endpoint's first failure since the primary was last seen well.
WallTime FailoverWatch::clients_lost_it(Now now) const {
  if (!endpoint_bad_since_ || (primary_good_at_ && *endpoint_bad_since_ < *primary_good_at_)) return now.wall;
  return std::min(*endpoint_bad_since_, now.wall);
}

void FailoverWatch::begin(WallTime first_bad, const std::string& why) {
  open_.emplace();
  open_->id = plan_.name + "-" + compact_wall(first_bad);
  open_->from = primary();
  open_->last_good = primary_good_at_;
  open_->first_bad = first_bad;
  open_->why = why;
  open_->last_position = primary_position_;
  is_told_ = false;
}

void FailoverWatch::told(WallTime at) {
  is_told_ = true;
  if (open_ && !open_->detected) open_->detected = std::max(at, open_->first_bad);
}

void FailoverWatch::recovery(WallTime at, Step step) {
  if (!open_) return;
  auto& moment = step == Step::decided ? open_->decided : step == Step::fenced ? open_->fenced : open_->moved;
  if (!moment) moment = std::max(at, open_->first_bad);
}

void FailoverWatch::moved_to(Now now, std::size_t i) {
  if (open_ && !open_->to.empty()) close(now, FailoverRecord::End::moved);  // and on to a third one
  if (!open_) begin(clients_lost_it(now), "another became primary");
  open_->to = plan_.members[i].name;
  const Duration was_primary_for = seen_[i]->primary_since ? seen_[i]->at - *seen_[i]->primary_since : Duration{};
  open_->promoted =
      std::max(seen_[i]->wall - std::chrono::duration_cast<WallTime::duration>(was_primary_for), open_->first_bad);
  primary_ = i;
  saw_primary_well(*seen_[i]);
  bad_in_a_row_ = 0;
  told(now.wall);
  note(Note::Level::warning, "failover_seen",
       {{"from", open_->from},
        {"to", open_->to},
        {"first_bad", format_wall(open_->first_bad)},
        {"promoted", text_of(open_->promoted)},
        {"timeline", seen_[i]->timeline}});
  if (!plan_.endpoint) close(now, FailoverRecord::End::moved);
}

void FailoverWatch::close(Now now, FailoverRecord::End end) {
  if (two_since_) {
    open_->two_primaries += now.mono - *two_since_;
    two_since_ = now.mono;
  }
  open_->end = end;
  open_->ended = now.wall;
  Note out{Note::Level::warning, end == FailoverRecord::End::moved ? "failover" : "primary_back",
           fields_of(plan_.name, *open_)};
  notes_.push_back(std::move(out));
  open_.reset();
  is_told_ = false;
  bad_in_a_row_ = 0;
}

void FailoverWatch::note(Note::Level level, std::string event,
                         std::vector<std::pair<std::string, std::string>> fields) {
  fields.insert(fields.begin(), {"topology", plan_.name});
  notes_.push_back({level, std::move(event), std::move(fields)});
}

}  // namespace vital
