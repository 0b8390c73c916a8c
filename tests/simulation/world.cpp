// See world.hpp.
#include "simulation/world.hpp"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <sstream>

#include "base/text.hpp"
#include "core/schedule.hpp"

namespace vital::sim {

using namespace std::chrono_literals;

namespace {
constexpr Duration believed_for = 3s;  // a published answer may be served this long without the loop turning

std::chrono::milliseconds wall(Duration d) { return std::chrono::duration_cast<std::chrono::milliseconds>(d); }
}  // namespace

World::World(Life life)
    : life_(std::move(life)),
      plan_(std::make_shared<const Plan>(life_.plan)),
      random_(life_.seed ^ 0x5eed),
      now_{zero(), WallTime(std::chrono::hours(24 * 365 * 50))},
      engine_(std::make_unique<Engine>(plan_, now_)),
      checks_(plan_->checks.size()),
      services_seen_(plan_->services.size()),
      is_traced_(std::getenv("VITALD_SIM_TRACE") != nullptr) {
  if (is_traced_) {
    for (std::size_t i = 0; i < plan_->checks.size(); ++i) {
      const CheckPlan& c = plan_->checks[i];
      const TargetScript& t = life_.targets[i];
      std::cerr << c.name << " interval " << seconds(c.interval) << " timeout " << seconds(c.timeout) << " retries "
                << c.retries << " delay " << seconds(c.retry_delay) << " edge " << seconds(c.edge_interval) << " rise "
                << c.rise << " fall " << c.fall << " answers in " << seconds(t.answers_in) << " fault "
                << static_cast<int>(t.fault) << " from " << seconds(t.fault_from - zero()) << " to "
                << seconds(t.fault_to - zero()) << "\n";
    }
    for (const Trouble& t : life_.troubles) {
      std::cerr << "trouble " << static_cast<int>(t.kind) << " at " << seconds(t.at - zero()) << " for "
                << seconds(t.how_long) << "\n";
    }
  }
  for (std::size_t i = 0; i < life_.troubles.size(); ++i) push({life_.troubles[i].at, 0, What::trouble, i});
  for (std::size_t i = 0; i < life_.targets.size(); ++i) {
    const TargetScript& t = life_.targets[i];
    if (t.fault_from == t.fault_to) continue;
    push({t.fault_from, 0, What::fault_begins, i});
    push({t.fault_to, 0, What::fault_ends, i});
  }
}

void World::broken(const std::string& what) const {
  std::ostringstream out;
  out << "seed " << life_.seed << " at " << seconds(now_.mono - zero()) << " s: " << what;
  throw Broken(out.str());
}

void World::push(Event e) {
  e.order = order_++;
  events_.push(std::move(e));
}

Duration World::some_jitter() {
  return life_.jitter <= Duration::zero()
             ? Duration::zero()
             : Duration(static_cast<Duration::rep>(draw(static_cast<std::uint64_t>(life_.jitter.count()))));
}

void World::go_to(Instant when) {
  if (when <= now_.mono) return;
  now_.wall += wall(when.time_since_epoch()) - wall(now_.mono.time_since_epoch());
  now_.mono = when;
}

void World::run() {
  give(Tick{});
  while (now_.mono < life_.end) {
    Instant next = std::max(tick_at_, blocked_until_);
    const bool is_event = !events_.empty() && events_.top().at <= next;
    if (is_event) next = events_.top().at;
    if (next > life_.end) break;
    if (!is_event) {
      go_to(next);
      look_at_host();
      give(Tick{});
      continue;
    }
    Event e = events_.top();
    events_.pop();
    const bool is_worlds_own = e.what == What::fault_begins || e.what == What::fault_ends || e.what == What::trouble;
    if (!is_worlds_own && e.at < blocked_until_) {  // the loop stands still: it waits in a socket
      e.at = blocked_until_;
      push(std::move(e));
      continue;
    }
    go_to(e.at);
    if (!is_worlds_own) look_at_host();
    handle(e);
  }
  for (const Instant r : resumed_) check_burst_after(r);
}

void World::give(const Input& in) {
  inbox_.push_back(in);
  if (inbox_.size() > 1) return;  // what an effect asks for comes after the effects of the step it came from
  for (std::size_t i = 0; i < inbox_.size(); ++i) step(Input(inbox_[i]));
  inbox_.clear();
  if (!std::holds_alternative<Tick>(in)) return;
  for (std::size_t i = 0; i < checks_.size(); ++i) {
    const auto& flying = checks_[i].flying;
    if (flying && flying->deadline <= now_.mono) broken(plan_->checks[i].name + " has no verdict at its deadline");
  }
}

// The agent looks at its control group before it acts.
void World::look_at_host() {
  const Duration now_throttled = throttled_before_ + (std::min(now_.mono, throttled_until_) - throttled_from_);
  if (now_throttled == throttled_told_) return;
  throttled_told_ = now_throttled;
  give(Pressure{0, now_throttled});
}

void World::step(const Input& in) {
  ++steps_;
  // Before a sleep is known of, nobody can answer for it.
  if (steps_ > 1 && !std::holds_alternative<Slept>(in))
    check_no_stale_pass(*engine_->snapshot(), std::min(now_.mono, valid_until_));
  const Step step = engine_->apply(now_, in);
  if (step.wake_at > now_.mono + 1s) broken("the engine does not want to be woken within a second");
  if (step.wake_at < now_.mono) broken("the engine wants to be woken in the past");
  wake_at_ = step.wake_at;
  tick_at_ = wake_at_ + some_jitter();
  valid_until_ = step.valid_until;
  for (const Effect& e : step.effects) perform(e);
}

void World::perform(const Effect& e) {
  if (is_traced_) trace(e);
  if (const auto* s = std::get_if<StartProbe>(&e)) {
    launch(*s);
  } else if (const auto* a = std::get_if<AbandonProbe>(&e)) {
    for (std::size_t i = 0; i < checks_.size(); ++i) {
      Check& c = checks_[i];
      if (!c.flying || c.flying->id != a->id) continue;
      // What timed out on time is evidence; the engine says itself which it was.
      c.flying.reset();
    }
  } else if (const auto* p = std::get_if<Publish>(&e)) {
    look_at(*p->snapshot);
  }
}

// With VITALD_SIM_TRACE set: what the engine does, line by line, to read one seed's life.
void World::trace(const Effect& e) const {
  std::ostringstream line;
  line << seconds(now_.mono - zero()) << " ";
  if (const auto* s = std::get_if<StartProbe>(&e)) {
    line << "start " << plan_->at(s->check).name << " #" << s->id.value << " attempt " << s->attempt << " until "
         << seconds(s->deadline - zero());
  } else if (const auto* a = std::get_if<AbandonProbe>(&e)) {
    line << "abandon #" << a->id.value;
  } else if (const auto* n = std::get_if<Note>(&e)) {
    line << "note " << n->event;
    for (const auto& [key, value] : n->fields) line << " " << key << "=" << value;
  } else if (const auto* d = std::get_if<ProbeEnded>(&e)) {
    line << "ended " << plan_->at(d->check).name << " " << name(d->result.verdict) << "/" << name(d->result.cause);
  } else {
    return;
  }
  std::cerr << line.str() << "\n";
}

bool World::is_well(std::uint32_t check, Instant at) const {
  const TargetScript& t = life_.targets[check];
  return at < t.fault_from || at >= t.fault_to;
}

void World::launch(const StartProbe& s) {
  Check& c = checks_[s.check.value];
  const CheckPlan& plan = plan_->at(s.check);
  if (c.flying) broken("two probes of " + plan.name + " in flight");
  if (s.deadline <= now_.mono) broken("a probe of " + plan.name + " starts past its deadline");
  if (s.deadline > now_.mono + plan.timeout) broken("a probe of " + plan.name + " gets more than its timeout");
  if (s.attempt > plan.retries) broken("too many retries of " + plan.name);
  if (s.attempt == 0) {
    const Duration nearest = std::min(plan.edge_interval, plan.interval / 2);
    if (c.last_cycle && *c.last_cycle >= quiet_from_ && now_.mono - *c.last_cycle < nearest * 3 / 4 - life_.jitter) {
      broken(plan.name + " is looked at again too soon");
    }
    c.last_cycle = now_.mono;
    starts_.push_back({now_.mono, s.check.value});
  }
  Probe p{s.id, now_.mono, s.deadline};
  // A dead worker is replaced: until then its probes wait as those for a full pool do.
  if (const Instant free_at = std::max(pool_full_until_, worker_dead_until_); now_.mono < free_at) {
    p.is_queued = true;
    c.flying = p;
    give(ProbeQueued{s.id});
    push({free_at, 0, What::unqueue, s.id.value});
    return;
  }
  c.flying = p;
  answer_from(s.check.value, now_.mono, p);
  if (now_.mono < worker_late_until_) give(ProbeDelayed{s.id, worker_late_until_ - now_.mono});
}

// The target meets a probe that reached it at `begun`.
void World::answer_from(std::uint32_t check, Instant begun, const Probe& probe) {
  const TargetScript& t = life_.targets[check];
  ProbeResult r;
  Instant found = begun;
  Health health = is_well(check, begun) ? Health::well : t.fault;
  const Instant well_at = begun + t.answers_in;
  if (health == Health::well && t.cuts_in_flight && begun < t.fault_from && well_at >= t.fault_from &&
      t.fault_from != t.fault_to) {
    health = Health::refuses;  // the fault cuts what is in flight, at the moment it strikes
    found = t.fault_from;
  } else if (health == Health::well) {
    found = well_at;
  } else if (health == Health::fails_slowly) {
    found = begun + plan_->checks[check].timeout * 9 / 10;
  }
  if (health == Health::hangs) {
    // It would answer when the fault is over, if somebody still waited.
    if (t.fault_to + t.answers_in >= probe.deadline) return;
    found = t.fault_to + t.answers_in;
    health = Health::well;
  }
  r.verdict = health == Health::well ? Verdict::pass : Verdict::fail;
  r.cause = health == Health::well ? Cause::none : Cause::refused;
  r.text = health == Health::well ? "" : "refused";
  if (found >= probe.deadline) return;
  r.duration = found - begun;
  Instant handed_over = found;
  if (handed_over < worker_dead_until_) return;  // nobody will ever hear of it
  if (handed_over < worker_late_until_) {
    r.evidence.worker_lag = worker_late_until_ - handed_over;
    handed_over = worker_late_until_;
  }
  handed_over = std::max(handed_over, throttled_until_);
  r.evidence.queue_delay = begun - probe.started;
  push({handed_over + some_jitter(), 0, What::reply, probe.id.value, found, r});
}

void World::handle(const Event& e) {
  switch (e.what) {
    case What::reply: {
      for (std::size_t i = 0; i < checks_.size(); ++i) {
        Check& c = checks_[i];
        if (!c.flying || c.flying->id.value != e.id) continue;
        // Whether the engine takes it is its own business; the truth is when the target was met.
        const bool in_time = now_.mono < c.flying->deadline;
        c.flying.reset();
        if (in_time || e.found < now_.mono) c.looked_at = std::max(c.looked_at.value_or(e.found), e.found);
        break;
      }
      give(ProbeDone{ProbeId(e.id), *e.result});
      if (draw(64) == 0 && !life_.troubles.empty()) give(ProbeDone{ProbeId(e.id), *e.result});
      return;
    }
    case What::unqueue: {
      for (std::uint32_t i = 0; i < checks_.size(); ++i) {
        auto& flying = checks_[i].flying;
        if (!flying || flying->id.value != e.id) continue;
        if (const Instant free_at = std::max(pool_full_until_, worker_dead_until_); now_.mono < free_at) {
          push({free_at, 0, What::unqueue, e.id});
          return;
        }
        flying->is_queued = false;
        const Probe p = *flying;
        give(ProbeTaken{p.id});
        answer_from(i, now_.mono, p);
        if (now_.mono < worker_late_until_) give(ProbeDelayed{p.id, worker_late_until_ - now_.mono});
        return;
      }
      return;
    }
    case What::worker_died:
    case What::worker_lags: {
      std::vector<ProbeId> hit;
      for (const Check& c : checks_) {
        if (c.flying && !c.flying->is_queued) hit.push_back(c.flying->id);
      }
      for (const ProbeId id : hit) {
        if (e.what == What::worker_lags) {
          give(ProbeDelayed{id, Duration(static_cast<Duration::rep>(e.id))});
          continue;
        }
        for (Check& c : checks_) {
          if (c.flying && c.flying->id == id) c.flying.reset();
        }
        ProbeResult died;
        died.text = "the worker died";
        give(ProbeDone{id, died});
      }
      return;
    }
    case What::fault_begins:
    case What::fault_ends: {
      const bool was_calm = !engine_->snapshot()->checks[e.id].pending_change;
      Check& c = checks_[e.id];
      // The snapshot may be a moment old; ask again with a step of its own, which replaces it.
      if (now_.mono >= blocked_until_) give(Tick{});
      const bool is_calm = was_calm && !engine_->snapshot()->checks[e.id].pending_change;
      const State s = engine_->snapshot()->checks[e.id].state;
      if (e.what == What::fault_begins) c.settled_at_fault = is_calm && s == State::pass;
      if (e.what == What::fault_ends) c.settled_at_end = is_calm && s == State::fail;
      return;
    }
    case What::trouble:
      meet(life_.troubles[e.id]);
      return;
  }
}

// Takes the replies out that would be handed over before this moment.
std::vector<World::Event> World::forget_replies(Instant before) {
  std::vector<Event> taken, kept;
  while (!events_.empty()) {
    Event e = events_.top();
    events_.pop();
    (e.what == What::reply && e.at < before ? taken : kept).push_back(std::move(e));
  }
  for (Event& e : kept) events_.push(std::move(e));
  return taken;
}

void World::meet(const Trouble& t) {
  // It ends when its script says, also where the agent was not there when it began.
  const Instant until = t.at + t.how_long;
  switch (t.kind) {
    case Trouble::Kind::stall:
      blocked_until_ = std::max(blocked_until_, until);
      if (t.how_long > 2s) resumed_.push_back(blocked_until_);
      return;
    case Trouble::Kind::full_pool:
      pool_full_until_ = until;
      return;
    case Trouble::Kind::late_worker:
    case Trouble::Kind::dead_worker: {
      // Replies not yet handed over wait, or never come; the pool notices and says for whom.
      const bool is_dead = t.kind == Trouble::Kind::dead_worker;
      if (until <= now_.mono) return;
      (is_dead ? worker_dead_until_ : worker_late_until_) = until;
      for (Event& e : forget_replies(until)) {
        if (is_dead) continue;
        e.result->evidence.worker_lag = until - e.at;
        e.at = until;
        events_.push(std::move(e));
      }
      // The pool notices when its loop turns.
      push({std::max(now_.mono, blocked_until_), 0, is_dead ? What::worker_died : What::worker_lags,
            static_cast<std::uint64_t>((until - now_.mono).count())});
      return;
    }
    case Trouble::Kind::throttled: {
      if (now_.mono < throttled_until_ || now_.mono < blocked_until_ || until <= now_.mono) return;
      throttled_before_ += throttled_until_ - throttled_from_;
      throttled_from_ = now_.mono;
      throttled_until_ = until;
      // What the workers would hand over waits; nobody says for whom, only the group's own counter tells.
      for (Event& e : forget_replies(throttled_until_)) {
        e.at = throttled_until_;
        events_.push(std::move(e));
      }
      return;
    }
    case Trouble::Kind::wall_jump:
      now_.wall += wall(draw(2) == 0 ? t.how_long * 1000 : -t.how_long * 1000);
      return;
    case Trouble::Kind::sleep: {
      if (now_.mono < blocked_until_) return;
      now_.wall += wall(t.how_long);
      for (Check& c : checks_) {
        if (c.looked_at) *c.looked_at -= t.how_long;
      }
      quiet_from_ = now_.mono + 1ns;
      resumed_.push_back(now_.mono);
      give(Slept{t.how_long});
      return;
    }
    case Trouble::Kind::restart: {
      if (now_.mono < blocked_until_) return;
      const SavedState saved = engine_->save(now_);
      forget_replies(Instant::max());  // the workers end with their agent
      go_to(now_.mono + t.how_long);
      for (Check& c : checks_) c.flying.reset();
      quiet_from_ = now_.mono + 1ns;
      resumed_.push_back(now_.mono);
      engine_ = std::make_unique<Engine>(plan_, now_, saved, t.how_long);
      throttled_before_ = throttled_told_ = Duration::zero();  // it counts from its own start
      throttled_from_ = now_.mono;
      throttled_until_ = std::max(throttled_until_, now_.mono);
      valid_until_ = now_.mono;
      give(Tick{});
      return;
    }
    case Trouble::Kind::reload:
      if (now_.mono < blocked_until_) return;
      plan_ = std::make_shared<const Plan>(life_.plan);
      give(PlanChanged{plan_});
      return;
    case Trouble::Kind::run_now:
      if (now_.mono < blocked_until_) return;
      quiet_from_ = now_.mono + plan_->checks[0].interval;
      give(RunNow{CheckId(static_cast<std::uint32_t>(draw(plan_->checks.size())))});
      return;
    case Trouble::Kind::noise:
      if (now_.mono < blocked_until_) return;
      // A result nobody waits for: long answered, abandoned, or never asked for.
      if (const ProbeId id(draw(1000)); std::none_of(checks_.begin(), checks_.end(),
                                                     [&](const Check& c) { return c.flying && c.flying->id == id; })) {
        give(ProbeDone{id, ProbeResult{}});
      }
      give(Pressure{static_cast<double>(draw(100))});
      return;
  }
}

void World::look_at(const Snapshot& s) {
  for (std::size_t i = 0; i < checks_.size(); ++i) {
    const CheckView& v = s.checks[i];
    Check& c = checks_[i];
    // A timeout the core believed was a look as well: the target had its time and said nothing.
    if (v.last && v.last->verdict == Verdict::fail && v.evidence_at && v.last->cause == Cause::timeout) {
      c.looked_at = std::max(c.looked_at.value_or(*v.evidence_at), *v.evidence_at);
    }
    if (c.seen.empty() || c.seen.back().state != v.state) {
      if (v.state == State::fail && life_.targets[i].fault_from == life_.targets[i].fault_to) {
        broken(plan_->checks[i].name + " says fail while its target was never ill: " + v.history + " " + v.last->text);
      }
      c.seen.push_back({now_.mono, v.state, !v.pending_change.has_value()});
    }
  }
  for (std::size_t i = 0; i < services_seen_.size(); ++i) {
    const Verdict a = s.services[i].answer;
    const State told = a == Verdict::pass ? State::pass : a == Verdict::warn ? State::warn : s.services[i].state;
    auto& seen = services_seen_[i];
    if (seen.empty() || seen.back().state != told) seen.push_back({now_.mono, told, true});
  }
  check_no_stale_pass(s, now_.mono);
}

// What is told as pass or warn must have been looked at within max_age, by the world's own book. A served answer may be
// as much older as it takes the front to notice that the loop stands still.
void World::check_no_stale_pass(const Snapshot& s, Instant at) const {
  for (std::size_t i = 0; i < plan_->services.size(); ++i) {
    if (s.services[i].answer == Verdict::fail) continue;
    const ServicePlan& service = plan_->services[i];
    unsigned proven = 0, counted = 0;
    for (const Rule& m : service.rule.members) {
      const CheckPlan& plan = plan_->checks[m.target];
      const Check& c = checks_[m.target];
      ++counted;
      const bool may_fail = plan.is_critical && (plan.scope == Scope::local || service.fails_on_shared);
      const Duration allowed = plan.max_age + (at > s.made_at ? believed_for : Duration::zero()) + life_.jitter;
      if (!may_fail || (c.looked_at && at - *c.looked_at <= allowed)) ++proven;
    }
    const unsigned need = service.rule.kind == Rule::Kind::all   ? counted
                          : service.rule.kind == Rule::Kind::any ? 1
                                                                 : service.rule.need;
    if (proven < need)
      broken(service.name + " answers " + std::string(name(s.services[i].answer)) + " of what is stale");
  }
}

// After the agent was away, looks come spread over a second as at a start: no window holds many more than the names'
// own places put there.
void World::check_burst_after(Instant resumed) {
  if (plan_->checks.size() < 8) return;
  constexpr Duration window = 50ms;
  std::vector<Instant> natural, seen;
  for (const CheckPlan& c : plan_->checks)
    natural.push_back(schedule::first_look(stable_hash(c.name), resumed, c.interval));
  // The first look at each; later ones are on the checks' own cadence.
  std::vector<bool> counted(plan_->checks.size());
  for (const Start& s : starts_) {
    if (s.at < resumed || s.at >= resumed + 1s || counted[s.check]) continue;
    counted[s.check] = true;
    seen.push_back(s.at);
  }
  const auto densest = [&](std::vector<Instant> v) {
    std::sort(v.begin(), v.end());
    std::size_t most = 0;
    for (std::size_t a = 0, b = 0; b < v.size(); ++b) {
      while (v[b] - v[a] > window) ++a;
      most = std::max(most, b - a + 1);
    }
    return most;
  };
  if (densest(seen) > densest(natural) + plan_->checks.size() / 4 + 1)
    broken("a burst of probes after the agent was away");
}

}  // namespace vital::sim
