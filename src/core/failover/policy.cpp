// What the policy does about a row of the table; see policy.hpp. What it is told stands in policy_told.cpp, what it
// knows in policy_facts.cpp, what it shares with other agents in policy_record.cpp.
#include "core/failover/policy.hpp"

#include <algorithm>
#include <utility>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "core/failover/guards.hpp"
#include "core/failover/lines.hpp"

namespace vital::failover {
namespace {

constexpr Duration park_patience = std::chrono::seconds(30);
constexpr int most_rows_at_once = 12;

bool keeps_recovery(State state) {
  return state != State::observing && state != State::suspect && state != State::held;
}

}  // namespace

Sight sight_of(const FailoverWatch& watch, Instant now) {
  return {watch.members(now),      watch.status(),           watch.primary(),
          watch.primary_good_at(), watch.is_endpoint_good(), watch.endpoint_seen_at()};
}

Policy::Policy(FailoverPolicyPlan plan, std::string node, Now started)
    : plan_(std::move(plan)), node_(std::move(node)), started_(started.mono), entered_(started.mono) {}

Policy::Policy(FailoverPolicyPlan plan, std::string node, Now started, std::string_view saved)
    : Policy(std::move(plan), std::move(node), started) {
  const LineReader in(saved);
  if (in.word() != "policy" || in.text("topology") != plan_.topology) return;
  seen_well_ = in.text("seen_well");
  position_ = in.text("position");
  well_at_ = WallTime(WallTime::duration(in.number("at")));
}

std::string Policy::save() const {
  return LineWriter("policy")
      .add("topology", plan_.topology)
      .add("seen_well", seen_well_)
      .add("position", position_)
      .add("at", well_at_.time_since_epoch().count())
      .text();
}

std::optional<LastPrimary> Policy::last_primary() const {
  if (const LastPrimary* shared = record_.last_primary(plan_.topology)) return *shared;
  if (seen_well_.empty()) return {};
  return LastPrimary{plan_.topology, seen_well_, node_, position_, well_at_.time_since_epoch().count()};
}

void Policy::replan(FailoverPolicyPlan plan) { plan_ = std::move(plan); }

std::vector<Effect> Policy::leave(Now now) {
  stop_step();
  give_up_lease(now);
  state_ = State::observing;
  entered_ = now.mono;
  forget_recovery();
  return std::exchange(effects_, {});
}

void Policy::give_up_lease(Now now) {
  if (!std::exchange(wants_lease_, false)) return;
  gave_up_at_ = now.mono;
  for (LeaseSeen& l : cluster_.leases) {
    if (l.topology == plan_.topology) l.is_ours = false;
  }
  effects_.emplace_back(GiveUpLease{plan_.topology});
}

void Policy::stop_step() {
  if (auto stopped = steps_.stop()) {
    stopped->recovery = recovery_.id;
    effects_.emplace_back(std::move(*stopped));
  }
}

std::vector<Effect> Policy::apply(Now now, const Input& input) {
  std::visit([&](const auto& in) { take(now, in); }, input);
  steps_.tick(now.mono);
  judge(now);
  tell_primary(now);
  write(now);
  return std::exchange(effects_, {});
}

Instant Policy::wake_at(Instant now) const {
  Instant out = now + std::chrono::seconds(1);
  if (const auto step = steps_.wake_at(); step && *step > now) out = std::min(out, *step);
  if (const LeaseSeen* l = lease(); l != nullptr && l->is_ours && l->until > now) out = std::min(out, l->until);
  return out;
}

// ---- what follows

// Nothing that the table could answer with more than "nothing to do".
bool Policy::is_calm() const {
  if (state_ != State::observing || bad_since_ || astray_since_ || !planned_to_.empty() || last_row_ == nullptr ||
      last_row_->when != When::always)
    return false;
  return std::none_of(record_.entries.begin(), record_.entries.end(),
                      [&](const Entry& e) { return e.topology == plan_.topology && e.phase == Phase::parked; });
}

// In words. Whoever looks at a parked recovery wants to know what went wrong first.
std::string Policy::reason_of(const Row& row, const Facts& f) {
  std::string out = row.when == When::always ? std::string(row.reason) : why(row.when, f, plan_);
  if (row.when == When::step_failed || row.when == When::step_vetoed) {
    if (!steps_.text().empty()) out += ": " + one_line(steps_.text(), 200);
  }
  if (row.to == State::undoing && state_ != State::undoing) trouble_ = out;
  if (row.to == State::parked && state_ == State::undoing) {
    out = trouble_ + "; " + (row.when == When::steps_finished ? std::string(row.reason) : out);
  }
  if (row.to == State::parked && state_ != State::parked) parked_for_ = out;
  if (row.to == State::parked && state_ == State::parked && !parked_for_.empty()) out = parked_for_ + "; " + out;
  return out;
}

void Policy::judge(Now now) {
  if (is_calm()) return;
  for (int i = 0; i < most_rows_at_once; ++i) {
    const Facts f = facts(now);
    const Row& row = decide(state_, f, plan_);
    reason_ = reason_of(row, f);
    const bool is_news = &row != last_row_;
    last_row_ = &row;
    if (is_news || row.to != state_ || row.effect == Do::run_next) {
      Decision d{now.wall, plan_.topology, state_, row.to, row.when, row.effect, reason_, f, plan_.mode};
      if (is_news || row.to != state_) {
        decisions_.push_back(d);
        if (decisions_.size() > kept_decisions) decisions_.pop_front();
        effects_.emplace_back(std::move(d));
      }
    }
    const State before = state_;
    if (row.to != state_ || row.effect == Do::run_next || row.effect == Do::write_closed || row.effect == Do::brake ||
        row.effect == Do::alarm)
      perform(now, row, f);
    if (state_ == before && row.effect == Do::nothing) break;
    if (state_ == before && row.effect != Do::run_next) break;
  }
  // The lease of a parked recovery is kept until all can read that it is parked.
  if (state_ == State::parked && wants_lease_) {
    const Entry* there = record_.find(recovery_.id);
    const bool is_shown = there != nullptr && (there->phase == Phase::parked || there->phase == Phase::closed);
    if (is_shown || now.mono - entered_ > park_patience) {
      give_up_lease(now);
    }
  }
}

void Policy::perform(Now now, const Row& row, const Facts& f) {
  const std::string why = reason_;
  const auto advance = [&](Phase phase) {
    Edit e;
    e.kind = Edit::Kind::advance;
    e.entry = entry(now, phase, why);
    edit(std::move(e));
  };
  switch (row.effect) {
    case Do::nothing:
      break;
    case Do::advise:
    case Do::ask: {
      begin_recovery(now, f);
      std::vector<std::pair<std::string, std::string>> fields{
          {"recovery", recovery_.id}, {"from", recovery_.from}, {"to", recovery_.to}, {"why", why}};
      std::string steps;
      for (const auto* list : {&plan_.fence, &plan_.promote, &plan_.move}) {
        for (const StepPlan& s : *list) steps += (steps.empty() ? "" : ", ") + s.action;
      }
      fields.emplace_back("steps", steps);
      if (plan_.fence.empty()) fields.emplace_back("fence", "none: whoever approves sees to the old primary");
      note(Note::Level::warning, row.effect == Do::ask ? "failover_asked" : "failover_advised", std::move(fields));
      break;
    }
    case Do::want_lease:
      if (state_ == State::suspect || state_ == State::observing) begin_recovery(now, f);
      recovery_.deadline = now.mono + plan_.deadline;
      recovery_.continues = f.orphan;
      recovery_.tries = f.orphan.empty() ? 0 : f.orphan_tries + 1;
      recovery_.is_bound = may_be_promoted_ = !f.orphan_to.empty();
      wants_lease_ = true;
      effects_.emplace_back(WantLease{plan_.topology});
      break;
    case Do::give_up_lease:
      give_up_lease(now);
      break;
    case Do::brake: {
      give_up_lease(now);
      Edit e;
      e.kind = Edit::Kind::brake;
      e.pause.reason = plan_.topology + ": " + why;
      edit(std::move(e));
      if (row.to != state_) note(Note::Level::error, "failover_brake", {{"why", why}});
      break;
    }
    case Do::write_fencing: {
      recovery_.token = lease()->token;
      Edit e;
      e.kind = Edit::Kind::begin;
      e.entry = entry(now, Phase::fencing, f.planned_to.empty() ? f.primary + " is down" : guards::planned(f, plan_));
      e.entry.began = now.wall.time_since_epoch().count();
      e.continues = recovery_.continues;
      e.brake_max = plan_.brake_max;
      for (const Entry& other : record_.entries) {
        if (age_of(other.id, now) >= milliseconds(plan_.brake_window)) e.expired.push_back(other.id);
      }
      edit(std::move(e));
      break;
    }
    case Do::write_promoting:
      fenced_at_ = now.mono;
      advance(Phase::promoting);
      break;
    case Do::write_moving:
      advance(Phase::moving);
      break;
    case Do::write_done:
      advance(Phase::done);
      note(Note::Level::warning, "failover_done",
           {{"recovery", recovery_.id}, {"from", recovery_.from}, {"to", recovery_.to}});
      break;
    case Do::write_parked: {
      stop_step();
      recovery_.is_bound = recovery_.is_bound || f.may_be_promoted;
      Edit e;
      e.kind = Edit::Kind::park;
      e.entry = entry(now, Phase::parked, why);
      edit(std::move(e));
      break;
    }
    case Do::write_closed: {
      Edit e;
      e.kind = Edit::Kind::close;
      e.entry.id = state_ == State::parked ? recovery_.id : f.parked_recovery;
      edit(std::move(e));
      give_up_lease(now);
      break;
    }
    case Do::alarm:
      alarm(f);
      break;
    case Do::claim:
      claim(now, f);
      break;
    case Do::reassert:
      recovery_.token = lease()->token;
      break;
    case Do::run_next: {
      RunStep s = steps_.begin(now.mono, lease()->until);
      s.recovery = recovery_.id;
      s.topology = plan_.topology;
      s.from = recovery_.from;
      s.to = recovery_.to;
      s.token = recovery_.token;
      s.deadline = std::min(s.deadline, recovery_.deadline + (state_ == State::undoing ? plan_.deadline : Duration{}));
      has_begun_step_ = has_begun_step_ || s.verb == Verb::perform;
      effects_.emplace_back(std::move(s));
      break;
    }
    case Do::stop:
      stop_step();
      if (row.to == State::suspect || row.to == State::observing) give_up_lease(now);
      break;
  }
  if (row.to != state_) enter(now, row.to);
}

void Policy::enter(Now now, State state) {
  const State before = std::exchange(state_, state);
  entered_ = now.mono;
  const bool is_quiet = !keeps_recovery(before) && !keeps_recovery(state);
  note(state == State::parked ? Note::Level::error
       : is_quiet             ? Note::Level::info
                              : Note::Level::warning,
       "failover_state",
       {{"recovery", recovery_.id},
        {"from", std::string(name(before))},
        {"to", std::string(name(state))},
        {"why", reason_}});
  std::uint32_t number = 0;
  const auto stage = [&](const std::vector<StepPlan>& plans, std::size_t first) {
    std::vector<StepRun::Item> items;
    number = static_cast<std::uint32_t>(first);
    for (const StepPlan& p : plans) items.push_back({p, number++});
    return StepRun(std::move(items));
  };
  const auto keep_what_acted = [&] {
    const auto acted = steps_.acted();
    acted_.insert(acted_.begin(), acted.begin(), acted.end());
    steps_ = StepRun();
  };
  switch (state) {
    case State::fencing:
      approved_until_.reset();  // it is used now
      steps_ = stage(stopping(), 0);
      break;
    case State::confirming:
      keep_what_acted();
      break;
    case State::promoting:
      steps_ = stage(plan_.promote, stopping().size());
      break;
    case State::moving:
      keep_what_acted();
      may_be_promoted_ = true;
      steps_ = stage(plan_.move, stopping().size() + plan_.promote.size());
      break;
    case State::undoing: {
      keep_what_acted();
      std::vector<StepRun::Item> back;
      for (const StepRun::Item& item : acted_) {
        if (item.plan.is_undone && !may_be_promoted_) back.push_back(item);
      }
      steps_ = StepRun(std::move(back), true);
      break;
    }
    case State::reasserting:
      steps_ = stage(plan_.move, 0);
      break;
    case State::observing:
    case State::suspect:
    case State::held:
      forget_recovery();
      break;
    case State::advised:
    case State::awaiting:
    case State::leasing:
    case State::registering:
    case State::claiming:
    case State::verifying:
    case State::closing:
    case State::parked:
      break;
  }
}

void Policy::alarm(const Facts& f) {
  if (std::exchange(is_astray_told_, true)) return;
  note(Note::Level::error, "endpoint_astray",
       {{"primary", f.primary},
        {"why", guards::astray(f, plan_)},
        {"not_reasserted", guards::not_reasserted(f, plan_)}});
}

// What is done again is the last part of a failover, to whoever is primary now: nothing is failed over or back.
void Policy::claim(Now now, const Facts& f) {
  alarm(f);
  forget_recovery();
  reasserted_at_ = now.mono;
  recovery_.id = plan_.topology + "-again-" + compact_wall(now.wall) + "-" + node_;
  recovery_.to = f.primary;
  for (const MemberFact& m : f.members) {
    if (m.name != f.primary && recovery_.from.empty()) recovery_.from = m.name;
  }
  for (const Entry& e : record_.entries) {
    if (e.topology == plan_.topology && e.to == f.primary && f.find(e.from) != nullptr) recovery_.from = e.from;
  }
  recovery_.began = now.wall;
  recovery_.deadline = now.mono + plan_.deadline;
  wants_lease_ = true;
  effects_.emplace_back(WantLease{plan_.topology});
}

// What stops the old primary. One that is to live on is demoted, where that is configured.
const std::vector<StepPlan>& Policy::stopping() const {
  return planned_to_.empty() || plan_.demote.empty() ? plan_.fence : plan_.demote;
}

void Policy::begin_recovery(Now now, const Facts& f) {
  forget_recovery();
  planned_to_ = f.planned_to;
  const std::string id = plan_.topology + "-" + compact_wall(now.wall) + "-" + node_;
  same_id_ = id == last_id_ ? same_id_ + 1 : 1;
  last_id_ = id;
  recovery_.id = same_id_ > 1 ? id + "-" + std::to_string(same_id_) : id;  // two within one second
  recovery_.from = f.primary;
  recovery_.to = choose(f, plan_).name;
  recovery_.began = now.wall;
  recovery_.deadline = now.mono + plan_.deadline;
}

void Policy::forget_recovery() {
  recovery_ = {};
  steps_ = StepRun();
  acted_.clear();
  planned_to_.clear();
  trouble_.clear();
  parked_for_.clear();
  has_begun_step_ = may_be_promoted_ = is_declined_ = is_acknowledged_ = false;
  fenced_at_.reset();
}

void Policy::note(Note::Level level, std::string event, std::vector<std::pair<std::string, std::string>> fields) {
  std::erase_if(fields, [](const auto& f) { return f.second.empty(); });
  fields.insert(fields.begin(), {"topology", plan_.topology});
  effects_.emplace_back(Note{level, std::move(event), std::move(fields)});
}

}  // namespace vital::failover
