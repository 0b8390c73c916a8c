// See world.hpp.
#include "simulation/failover/world.hpp"

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "base/duration.hpp"

namespace vital::sim::fail {

using namespace failover;

namespace {
const Instant zero = Instant{} + 1000s;
std::string node_name(unsigned i) { return "n" + std::to_string(i); }
std::string member_name(unsigned i) { return "db" + std::to_string(i); }
std::string topology_name(unsigned i) { return "t" + std::to_string(i); }
unsigned number_of(const std::string& text) { return static_cast<unsigned>(text.back() - '0'); }
}  // namespace

World::World(Shape shape) : shape_(std::move(shape)), random_(shape_.seed), now_(zero) {
  is_traced_ = std::getenv("VITALD_SIM_TRACE") != nullptr;
  agents_.resize(shape_.agents);
  members_.resize(shape_.topologies, std::vector<Member>(shape_.members));
  endpoint_.resize(shape_.topologies);
  promotions_.resize(shape_.topologies);
  for (auto& of : members_) of[0].is_primary = true;
  for (unsigned n = 0; n < shape_.agents; ++n) {
    agents_[n].offset = std::chrono::seconds(draw(100000));
    agents_[n].wall_offset = std::chrono::milliseconds(draw(2000));
    start(n, true);
  }
}

void World::broken(const std::string& what) const {
  throw Broken("seed " + std::to_string(shape_.seed) + " at " + std::to_string(seconds(now_ - zero)) + " s: " + what);
}

Now World::clock(const Agent& a) const {
  const Duration wall = now_ - zero + a.wall_offset;
  return {now_ + a.offset, WallTime{} + 24h * 365 * 56 + std::chrono::duration_cast<WallTime::duration>(wall)};
}

void World::push(Event e) {
  e.order = ++order_;
  events_.push(std::move(e));
}

void World::start(unsigned node, bool is_first) {
  Agent& a = agents_[node];
  std::vector<std::string> saved(shape_.topologies);
  std::vector<std::string> primaries(shape_.topologies);
  for (unsigned t = 0; t < shape_.topologies && !is_first; ++t) {
    saved[t] = a.policies[t]->save();
    primaries[t] = a.watches[t]->primary();
  }
  a.watches.clear();
  a.policies.clear();
  a.wants.assign(shape_.topologies, false);
  a.votes.clear();
  a.first_seen.clear();
  a.read_at.reset();
  a.is_running = true;
  a.stopped_until = now_;
  for (unsigned t = 0; t < shape_.topologies; ++t) {
    TopologyPlan plan;
    plan.name = topology_name(t);
    FailoverPolicyPlan policy = shape_.plan;
    policy.topology = plan.name;
    for (unsigned m = 0; m < shape_.members; ++m) {
      plan.members.push_back({member_name(m), CheckId(t * 8 + m), 3 * shape_.interval});
      if (m < shape_.zones.size()) policy.zones[member_name(m)] = shape_.zones[m];
    }
    plan.endpoint = CheckId(t * 8 + 7);
    a.watches.push_back(std::make_unique<FailoverWatch>(plan));
    if (!is_first) a.watches.back()->remember_primary(primaries[t]);
    a.policies.push_back(std::make_unique<Policy>(policy, node_name(node), clock(a), saved[t]));
    for (unsigned m = 0; m <= shape_.members; ++m) {
      push({now_ + std::chrono::milliseconds(draw(static_cast<std::uint64_t>(milliseconds(shape_.interval)))),
            0,
            What::probe,
            node,
            a.life,
            t,
            m == shape_.members ? 7 : m,
            {},
            {},
            {},
            {},
            {}});
    }
  }
  push({now_ + std::chrono::milliseconds(draw(1000)), 0, What::tick, node, a.life, 0, 0, {}, {}, {}, {}, {}});
  push({now_ + std::chrono::milliseconds(draw(1000)), 0, What::poll, node, a.life, 0, 0, {}, {}, {}, {}, {}});
}

void World::run_until(Duration since_start) {
  const Instant end = zero + since_start;
  while (!events_.empty() && events_.top().at <= end) {
    Event e = events_.top();
    events_.pop();
    now_ = std::max(now_, e.at);
    happen(std::move(e));
  }
  now_ = end;
}

void World::happen(Event e) {
  Agent& a = agents_[e.node];
  if (e.what == What::at_store || e.what == What::write) return store_answers(e);
  if (e.life != a.life || !a.is_running) return;
  if (e.what == What::step) return act(e);
  if (now_ < a.stopped_until) {  // it stands still; what is for it waits
    e.at = a.stopped_until + 1us;
    return push(std::move(e));
  }
  switch (e.what) {
    case What::probe: {
      const auto found = probe(e.node, e.topology, static_cast<int>(e.member));
      for (const Note& n : a.watches[e.topology]->observe(clock(a), CheckId(e.topology * 8 + e.member), found)) (void)n;
      look(e.node, e.topology);
      e.at = now_ + shape_.interval;
      return push(std::move(e));
    }
    case What::tick:
      replicate();
      for (unsigned t = 0; t < shape_.topologies; ++t) {
        (void)a.watches[t]->tick(clock(a));
        look(e.node, t);
        give(e.node, t, Tick{});
      }
      e.at = now_ + 2s;
      return push(std::move(e));
    case What::poll: {
      Event ask = e;
      ask.what = What::at_store;
      ask.sent = clock(a).mono;
      ask.at = now_ + delay();
      ask.is_lost = no_requests_[e.node];
      push(std::move(ask));
      bool is_busy = false;
      for (const bool w : a.wants) is_busy = is_busy || w;
      e.at = now_ + (is_busy ? 400ms : 2000ms);
      return push(std::move(e));
    }
    case What::at_agent:
      if (a.read_at && e.seen->at < *a.read_at) return;
      if (e.seen->health == StoreHealth::ok) a.read_at = e.seen->at;
      for (unsigned t = 0; t < shape_.topologies; ++t) give(e.node, t, *e.seen);
      return;
    case What::step_done:
      give(e.node, e.topology, *e.done);
      return;
    case What::woke:
      for (unsigned t = 0; t < shape_.topologies; ++t) give(e.node, t, SelfSeen{e.sent - Instant{}, {}, {}, 0, 0});
      return;
    case What::step:
    case What::at_store:
    case What::write:
      return;
  }
}

// The writer writes, and who is fed by it follows.
void World::replicate() {
  for (auto& of : members_) {
    for (unsigned w = 0; w < of.size(); ++w) {
      if (!of[w].is_up || !of[w].is_primary) continue;
      ++of[w].written;
      of[w].fed_at = now_;
      if (!of[w].is_overloaded) of[w].well_at = now_;
      for (unsigned m = 0; m < of.size(); ++m) {
        if (m != w && of[m].is_up && !of[m].is_primary && !of[m].is_paused && reaches(w, m)) {
          of[m].written = of[w].written;
          of[m].fed_at = now_;
        }
      }
    }
  }
}

void World::look(unsigned node, unsigned topology) {
  Agent& a = agents_[node];
  give(node, topology, sight_of(*a.watches[topology], clock(a).mono));
}

ProbeResult World::probe(unsigned node, unsigned topology, int member) const {
  const unsigned m = member == 7 ? endpoint_[topology] : static_cast<unsigned>(member);
  const Member& db = members_[topology][m];
  ProbeResult r;
  r.verdict = Verdict::fail;
  if (!reaches(node, m) || !db.is_up) {
    r.cause = db.is_up ? Cause::timeout : Cause::refused;
    r.text = "no connection";
    return r;
  }
  if (db.is_overloaded) {
    r.cause = Cause::timeout;
    r.text = "no answer";
    r.phases = {{vital::Phase::connect, 1ms}, {vital::Phase::exchange, 2s}};
    return r;
  }
  if (member == 7) {
    r.verdict = db.is_primary ? Verdict::pass : Verdict::fail;
    r.cause = db.is_primary ? Cause::none : Cause::role;
    return r;
  }
  r.verdict = Verdict::pass;
  r.cause = Cause::none;
  r.facts = {{"role", db.is_primary ? "primary" : "standby"},
             {"lsn", std::to_string(db.written)},
             {"replay_paused", db.is_paused ? "true" : "false"}};
  if (db.is_primary || is_fed(topology, m)) {
    r.measures = {{"lag", db.lag, "s", 0, 0}};
    if (!db.is_primary) r.facts.emplace_back("link", "up");
  } else {
    r.verdict = Verdict::fail;
    r.cause = Cause::content;
    r.facts.emplace_back("link", "down");
    r.facts.emplace_back("apart_from_link", "pass");
  }
  return r;
}

bool World::is_fed(unsigned topology, unsigned m) const {
  const auto& of = members_[topology];
  for (unsigned w = 0; w < of.size(); ++w) {
    if (w != m && of[w].is_up && of[w].is_primary && reaches(w, m)) return true;
  }
  return false;
}

void World::give(unsigned node, unsigned topology, const failover::Input& input) {
  Agent& a = agents_[node];
  const std::string life = std::to_string(a.life);
  for (const failover::Effect& effect : a.policies[topology]->apply(clock(a), input)) {
    if (std::holds_alternative<WantLease>(effect)) a.wants[topology] = true;
    if (std::holds_alternative<GiveUpLease>(effect)) {
      a.wants[topology] = false;
      const auto key = keys_.find(topology_name(topology));
      // Given up at once where the store hears it; where not, it runs out.
      if (key != keys_.end() && key->second.node == node && key->second.life == a.life && is_store_up_ &&
          !no_requests_[node]) {
        keys_.erase(key);
        ++revision_;
      }
    }
    if (const auto* v = std::get_if<PublishVote>(&effect)) a.votes[v->topology + "/" + v->member] = *v;
    if (const auto* w = std::get_if<WriteRecord>(&effect)) {
      Event e{now_ + delay(),
              0,
              What::write,
              node,
              a.life,
              topology,
              0,
              clock(a).mono,
              {},
              {},
              {},
              std::make_shared<const WriteRecord>(*w)};
      e.is_lost = no_requests_[node];
      if (draw(15) == 0) push(e);  // doubled on the way
      push(std::move(e));
    }
    if (const auto* s = std::get_if<RunStep>(&effect)) {
      const Duration takes = std::chrono::milliseconds(10 + draw(draw(5) == 0 ? 8000 : 300));
      push({now_ + takes,
            0,
            What::step,
            node,
            a.life,
            topology,
            0,
            {},
            {},
            std::make_shared<const RunStep>(*s),
            {},
            {}});
      if (is_traced_)
        std::cerr << seconds(now_ - zero) << " " << node_name(node) << " runs " << s->action << " " << name(s->verb)
                  << " token " << s->token << "\n";
    }
    if (const auto* s = std::get_if<StopStep>(&effect))
      a.stopped_steps.insert(s->recovery + "/" + std::to_string(s->step) + "/" + std::to_string(s->attempt));
    if (const auto* n = std::get_if<Note>(&effect)) {
      notes_.emplace_back(now_, *n);
      if (is_traced_) {
        std::cerr << seconds(now_ - zero) << " " << node_name(node) << " " << n->event;
        for (const auto& [k, v] : n->fields) std::cerr << " " << k << "=" << v;
        std::cerr << "\n";
      }
    }
    if (const auto* d = std::get_if<Decision>(&effect)) decisions_.push_back(*d);
  }
}

void World::expire() {
  std::erase_if(keys_, [&](const auto& k) { return k.second.expires <= now_; });
  std::erase_if(votes_, [&](const auto& v) { return v.second.expires <= now_; });
}

void World::store_answers(const Event& e) {
  Agent& a = agents_[e.node];
  const bool is_alive = e.life == a.life;
  Event back = e;
  back.what = What::at_agent;
  back.at = now_ + delay();
  auto seen = std::make_shared<ClusterSeen>();
  seen->at = e.sent;
  if (!is_store_up_ || e.is_lost) {
    if (e.what == What::write || !is_alive) return;
    seen->health = StoreHealth::unreachable;
    back.at = now_ + 2s;
    back.seen = std::move(seen);
    return push(std::move(back));
  }
  expire();
  if (e.what == What::write) {
    const WriteRecord& w = *e.record;
    const auto key = keys_.find(w.topology);
    const bool may = w.token == 0 || (key != keys_.end() && key->second.token == w.token);
    if (may && w.expected == record_revision_) {
      record_text_ = w.text;
      record_revision_ = ++revision_;
    }
    return;
  }
  if (!is_alive) return;
  for (unsigned t = 0; t < shape_.topologies; ++t) {
    const std::string name = topology_name(t);
    auto key = keys_.find(name);
    if (key == keys_.end() && a.wants[t]) key = keys_.emplace(name, Key{e.node, e.life, ++revision_, now_}).first;
    LeaseSeen l;
    l.topology = name;
    if (key != keys_.end()) {
      Key& k = key->second;
      l.holder = node_name(k.node);
      l.token = k.token;
      if (k.node == e.node && k.life == e.life) {
        k.expires = now_ + shape_.ttl;
        l.is_ours = true;
        l.until = e.sent + shape_.ttl - shape_.margin;
      }
    }
    seen->leases.push_back(std::move(l));
  }
  for (const auto& [name, vote] : a.votes) {
    Vote& v = votes_[{node_name(e.node), name}];
    if (v.vote.seen_at != vote.seen_at || v.vote.is_down != vote.is_down)
      v.revision = static_cast<std::uint64_t>(++revision_);
    v.vote = vote;
    v.age_at_send = e.sent - vote.seen_at;
    v.good_at_send = vote.good_at ? std::optional(e.sent - *vote.good_at) : std::nullopt;
    v.expires = now_ + shape_.ttl;
  }
  seen->health = StoreHealth::ok;
  seen->revision = ++revision_;
  const Now mine = clock(a);
  seen->votes.reserve(votes_.size());
  for (const auto& [key, v] : votes_) {
    if (key.first == node_name(e.node)) continue;
    auto& first = a.first_seen[key];
    // As far back as the last read that did not have it; or its whole life.
    if (first.first != v.revision) first = {v.revision, a.read_at.value_or(mine.mono - shape_.ttl)};
    PeerVote out{key.first, "", v.vote.topology, v.vote.member, v.vote.role, v.vote.is_down, v.vote.is_well, {},
                 {},        {}};
    const Duration since = std::max<Duration>(Duration::zero(), e.sent - first.second);
    out.age = v.age_at_send + since;
    if (v.good_at_send) out.good_age = *v.good_at_send + since;
    seen->votes.push_back(std::move(out));
  }
  seen->record = {record_text_, record_revision_};
  if (no_replies_[e.node] || draw(40) == 0) {
    seen = std::make_shared<ClusterSeen>();
    seen->at = e.sent;
    seen->health = StoreHealth::unreachable;
    back.at = now_ + 2s;
  }
  back.seen = std::move(seen);
  push(std::move(back));
}

void World::act(const Event& e) {
  const RunStep& s = *e.step;
  Agent& a = agents_[e.node];
  const auto answer = [&](Outcome outcome, Duration in = 5ms) {
    auto done =
        std::make_shared<StepDone>(StepDone{s.recovery, s.step, s.attempt, s.verb, outcome, "told by the world"});
    Event back{now_ + in, 0, What::step_done, e.node, e.life, e.topology, 0, {}, {}, {}, std::move(done), {}};
    if (draw(20) == 0) push(back);
    push(std::move(back));
  };
  if (a.stopped_steps.count(s.recovery + "/" + std::to_string(s.step) + "/" + std::to_string(s.attempt)) > 0) return;
  const unsigned from = number_of(s.from), to = number_of(s.to);
  Member& old = members_[e.topology][from];
  Member& young = members_[e.topology][to];
  const Instant mine = clock(a).mono;
  const bool is_fence = s.action == "fence", is_promote = s.action == "promote";
  if (mine >= s.deadline) return answer(Outcome::timeout);
  if (s.verb == Verb::verify) {
    const bool is_so = is_fence     ? old.is_fenced && !old.is_up
                       : is_promote ? young.is_primary && young.is_up && reaches(e.node, to)
                                    : endpoint_[e.topology] == to;
    return answer(is_so ? Outcome::done : Outcome::unverified);
  }
  if (mine >= s.not_after) return answer(Outcome::too_late);
  if (is_fence && fence == Fence::fails) return answer(Outcome::failed);
  if (is_fence && fence == Fence::hangs) return answer(Outcome::timeout, 20s);
  if (is_promote && promote_hangs) return answer(Outcome::timeout, 20s);
  if (is_promote && (!reaches(e.node, to) || !young.is_up)) return answer(Outcome::failed);

  // An effect, now.
  expire();
  const auto key = keys_.find(s.topology);
  if (key == keys_.end() || key->second.node != e.node || key->second.life != e.life || key->second.token != s.token)
    broken(node_name(e.node) + " performs " + s.action + " on " + s.topology + " without its lease");
  if (s.token < highest_token_[s.topology]) broken("a token went back");
  highest_token_[s.topology] = s.token;
  ++acts_;
  // Clients are led again to who is primary: no recovery, and nothing else.
  if (s.recovery.find("-again-") != std::string::npos) {
    if (is_fence || is_promote || s.verb != Verb::perform) broken("more is done again than leading clients");
    if (!young.is_primary) broken("clients are led to " + s.to + ", which is no primary");
    endpoint_[e.topology] = to;
    return answer(Outcome::done);
  }
  const Record known = record();
  const Entry* entry = known.find(s.recovery);
  if (entry == nullptr || entry->token != s.token) broken(s.action + " of a recovery nobody can read of");
  begun_[s.topology] = now_;
  const auto within = std::count_if(begun_.begin(), begun_.end(), [&](const auto& b) {
    return b.second >= brake_released_ && now_ - b.second < shape_.plan.brake_window;
  });
  if (within > static_cast<std::ptrdiff_t>(shape_.plan.brake_max)) broken("more recoveries than the brake allows");
  if (s.verb == Verb::compensate) {
    if (is_fence) {
      for (unsigned m = 0; m < shape_.members; ++m) {
        if (m != from && members_[e.topology][m].is_primary && members_[e.topology][m].is_up)
          broken("the old primary is started beside the new one");
      }
      old.is_fenced = false;
    }
    return answer(Outcome::done);
  }
  if (is_fence) {
    if (fence == Fence::works) {
      old.is_up = false;
      old.is_fenced = true;
      ++fenced_;
    }
  } else if (is_promote) {
    for (unsigned m = 0; m < shape_.members; ++m) {
      const Member& other = members_[e.topology][m];
      if (m != to && other.is_primary && other.is_up)
        broken(s.to + " is promoted while " + member_name(m) + " takes writes");
    }
    if (!shape_.plan.fence.empty() && !old.is_fenced) broken(s.to + " is promoted, " + s.from + " was not fenced");
    // What a primary wrote that answered nobody any more, no check can know; only synchronous replication bounds it.
    const Duration lost = old.well_at - young.fed_at;
    if (shape_.plan.max_lag && lost > *shape_.plan.max_lag + shape_.plan.evidence_max_age)
      broken(s.to + " is promoted, and lacks what was written in " + friendly_duration(lost));
    young.is_primary = true;
    ++promotions_[e.topology];
  } else {
    endpoint_[e.topology] = to;
  }
  answer(draw(10) == 0 ? Outcome::timeout : Outcome::done);
}

bool World::is_writable(unsigned topology) const {
  unsigned writers = 0;
  for (const Member& m : members_[topology]) writers += m.is_up && m.is_primary && !m.is_overloaded ? 1 : 0;
  const Member& at = members_[topology][endpoint_[topology]];
  return writers == 1 && at.is_up && at.is_primary;
}

void World::kill_node(unsigned node) {
  agents_[node].is_running = false;
  ++agents_[node].life;
  if (node >= shape_.members) return;
  for (auto& of : members_) of[node].is_up = false;
}

void World::stop_agent(unsigned node, Duration how_long) {
  Agent& a = agents_[node];
  if (!a.is_running || now_ < a.stopped_until) return;
  a.stopped_until = now_ + how_long;
  // The first thing a loop does when it turns again: it notices.
  push({a.stopped_until, 0, What::woke, node, a.life, 0, 0, Instant{} + how_long, {}, {}, {}, {}});
}

void World::restart_agent(unsigned node) {
  Agent& a = agents_[node];
  ++a.life;
  a.stopped_steps.clear();
  start(node, false);
}

void World::cut(unsigned node, unsigned other) { cut_[node][other] = true; }

void World::heal() {
  cut_ = {};
  no_requests_ = no_replies_ = {};
}

void World::cut_from_store(unsigned node, bool requests, bool replies) {
  no_requests_[node] = requests;
  no_replies_[node] = replies;
}

void World::cut_zone(const std::string& zone, bool has_store) {
  for (unsigned n = 0; n < shape_.agents; ++n) {
    const bool is_in = shape_.zones[n] == zone;
    if (is_in != has_store) cut_from_store(n, true, true);
    for (unsigned o = 0; o < shape_.agents; ++o) {
      if ((shape_.zones[o] == zone) != is_in) cut(n, o);
    }
  }
}

void World::skew(unsigned node, Duration by) {
  agents_[node].wall_offset += by;
  if (!agents_[node].is_running || now_ < agents_[node].stopped_until) return;
  for (unsigned t = 0; t < shape_.topologies; ++t) give(node, t, SelfSeen{{}, {}, by, 0, 0});
}

void World::tell(unsigned node, const failover::Input& input) {
  if (const auto* c = std::get_if<Command>(&input); c != nullptr && std::holds_alternative<ReleaseBrake>(*c))
    brake_released_ = now_;
  if (!agents_[node].is_running || now_ < agents_[node].stopped_until) return;
  for (unsigned t = 0; t < shape_.topologies; ++t) give(node, t, input);
}

}  // namespace vital::sim::fail
