// Stage: the real engine in virtual time, with scripted targets. It answers probes, keeps the loop's promises (or
// breaks them on purpose) and remembers all that was done. Used by the unit tests, the scenarios and the simulator.
//
//   Stage stage(plan);
//   stage.target("db").hang();
//   stage.run(30s);
//   CHECK(stage.check("db").state == State::fail);
#pragma once

#include <map>
#include <queue>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/text.hpp"
#include "core/engine.hpp"

namespace vital::test {

using namespace std::chrono_literals;

// What a probe of this check meets.
struct Target {
  enum class Kind { answer, hang };
  Kind kind = Kind::answer;
  Verdict verdict = Verdict::pass;
  Cause cause = Cause::none;
  Duration takes = 1ms;
  std::string text = "fine";
  std::vector<Measure> measures{};
  std::vector<std::pair<std::string, std::string>> facts{};

  void well(Duration after = 1ms) { *this = Target{Kind::answer, Verdict::pass, Cause::none, after, "fine"}; }
  void refuse(Duration after = 1ms) {
    *this = Target{Kind::answer, Verdict::fail, Cause::refused, after, "connection refused"};
  }
  void hang() { *this = Target{Kind::hang, Verdict::fail, Cause::timeout, 0ms, "no answer"}; }
  void say(Verdict v, Cause c, std::string what, Duration after = 1ms) {
    *this = Target{Kind::answer, v, c, after, std::move(what)};
  }
};

class Stage {
 public:
  explicit Stage(Plan plan, Now start = Now{Instant(1000s), WallTime(std::chrono::hours(24 * 365 * 50))})
      : plan_(std::make_shared<const Plan>(std::move(plan))),
        now_(start),
        engine_(std::make_unique<Engine>(plan_, now_)) {
    input(Tick{});
  }

  Target& target(const std::string& check) { return targets_[check]; }
  const Plan& plan() const { return *plan_; }
  Engine& engine() { return *engine_; }
  Now now() const { return now_; }
  Instant start() const { return Instant(1000s); }

  // Gives one input at this moment and performs what comes of it.
  void input(const Input& in) {
    if (const auto* set = std::get_if<SetOverlay>(&in)) record.push_back({now_.mono, now_.wall, {}, *set});
    if (const auto* clear = std::get_if<ClearOverlay>(&in)) record.push_back({now_.mono, now_.wall, {}, *clear});
    if (const auto* slept = std::get_if<Slept>(&in)) record.push_back({now_.mono, now_.wall, {}, *slept});
    if (std::holds_alternative<Stop>(in) || std::holds_alternative<PlanChanged>(in)) is_recording_ = false;
    const Step step = engine_->apply(now_, in);
    wake_at_ = step.wake_at;
    for (const Effect& e : step.effects) perform(e);
    for (const ProbeId waits : std::exchange(queued_, {})) input(ProbeQueued{waits});
  }

  // A worker hands this result over now.
  void answer(ProbeId probe, const ProbeResult& result) {
    flights.erase(probe.value);
    input(ProbeDone{probe, result});
  }

  // Time passes; every wake and every reply comes exactly when it should.
  void run(Duration how_long) {
    const Instant end = now_.mono + how_long;
    while (true) {
      Instant next = std::min(end, wake_at_);
      if (!replies_.empty()) next = std::min(next, std::max(replies_.top().at, now_.mono));
      move_to(next);
      if (!replies_.empty() && replies_.top().at <= now_.mono) {
        const Reply r = replies_.top();
        replies_.pop();
        if (!flights.contains(r.probe.value)) continue;
        if (r.is_taken) {
          input(ProbeTaken{r.probe});
          if (flights.contains(r.probe.value)) meet(flights.at(r.probe.value), now_.mono);
        } else {
          answer(r.probe, r.result);
        }
        continue;
      }
      if (wake_at_ <= now_.mono) {
        input(Tick{});
        continue;
      }
      if (now_.mono >= end) return;
    }
  }

  // The loop does not run for a while; replies wait and come afterwards.
  void stall(Duration how_long) { move_to(now_.mono + how_long); }

  void reload(Plan plan) {
    plan_ = std::make_shared<const Plan>(std::move(plan));
    input(PlanChanged{plan_});
  }

  // The agent is stopped, `down` passes, and it starts anew from what was saved.
  void restart(Duration down) {
    const SavedState saved = engine_->save(now_);
    const Instant stopped_at = now_.mono;
    move_to(now_.mono + down);
    if (is_recording_) record.push_back({now_.mono, now_.wall, {}, Restarted{stopped_at}});
    flights.clear();
    replies_ = {};
    engine_ = std::make_unique<Engine>(plan_, now_, saved, down);
    input(Tick{});
    if (is_recording_) remember_shown();
  }

  // No worker is free for a while: probes wait in a queue and are taken when one is.
  void fill_pool(Duration how_long) { pool_full_until_ = now_.mono + how_long; }

  void move_wall(std::chrono::milliseconds by) { now_.wall += by; }

  const CheckView& check(const std::string& name) const { return snapshot().at(*plan_->find_check(name)); }
  const ServiceView& service(const std::string& name) const { return snapshot().at(*plan_->find_service(name)); }
  const Snapshot& snapshot() const { return *engine_->snapshot(); }
  CheckId id(const std::string& name) const { return *plan_->find_check(name); }

  // Notes of this event, in order.
  std::vector<Note> noted(const std::string& event) const {
    std::vector<Note> out;
    for (const Note& n : notes) {
      if (n.event == event) out.push_back(n);
    }
    return out;
  }
  static std::string field(const Note& n, const std::string& name) {
    for (const auto& [key, value] : n.fields) {
      if (key == name) return value;
    }
    return {};
  }

  struct Start {
    Instant at;
    StartProbe probe;
    std::string check;
  };
  std::vector<Start> starts;
  std::vector<StartProbe> flying() const {
    std::vector<StartProbe> out;
    for (const auto& [id, probe] : flights) out.push_back(probe);
    return out;
  }
  std::map<std::uint64_t, StartProbe> flights;
  std::vector<AbandonProbe> abandoned;
  void forget_notes() {
    notes.clear();
    noted_at.clear();
  }
  std::vector<Note> notes;
  std::vector<Instant> noted_at;  // as notes

  // What a journal would hold, up to the first reload and the agent's end; see replayed.hpp.
  struct Stalled {
    Duration how_long{};
  };
  struct Restarted {
    Instant stopped_at{};
  };
  struct Recorded {
    Instant at{};
    WallTime wall{};
    std::string check;  // of a ProbeEnded
    std::variant<ProbeEnded, Note, SetOverlay, ClearOverlay, Slept, Stalled, Restarted> what;
  };
  std::vector<Recorded> record;
  bool is_recorded_whole() const { return is_recording_; }
  unsigned published = 0;
  bool answers_itself = true;  // false: the test answers probes with input(ProbeDone{...})

 private:
  struct Reply {
    Instant at;
    std::uint64_t order;
    ProbeId probe;
    ProbeResult result;
    bool is_taken = false;  // not a reply: a worker became free for this probe
    bool operator<(const Reply& other) const { return std::pair(at, order) > std::pair(other.at, other.order); }
  };

  void move_to(Instant when) {
    if (when <= now_.mono) return;
    now_.wall += std::chrono::duration_cast<std::chrono::milliseconds>(when.time_since_epoch()) -
                 std::chrono::duration_cast<std::chrono::milliseconds>(now_.mono.time_since_epoch());
    now_.mono = when;
  }

  // The target meets a probe.
  void meet(const StartProbe& s, Instant when) {
    const Target& t = targets_[plan_->at(s.check).name];
    if (t.kind == Target::Kind::hang) return;
    ProbeResult r;
    r.verdict = t.verdict;
    r.cause = t.cause;
    r.text = t.text;
    r.duration = t.takes;
    r.measures = t.measures;
    r.facts = t.facts;
    replies_.push({when + t.takes, order_++, s.id, r, false});
  }

  // As a journal keeps the whole state at each start.
  void remember_shown() {
    for (const ServicePlan& s : plan_->services) {
      const ServiceView& v = service(s.name);
      record.push_back(
          {now_.mono,
           now_.wall,
           {},
           Note{Note::Level::info,
                "service_state",
                {{"service", s.name}, {"to", std::string(name(v.state))}, {"answer", std::string(name(v.answer))}}}});
    }
  }

  void remember(const Note& n) {
    if (n.event == "agent_stalled") {
      record.push_back({now_.mono, now_.wall, {}, Stalled{std::chrono::milliseconds(std::stoll(field(n, "for_ms")))}});
    } else if (n.event == "check_state" || n.event == "service_state" || n.event == "ejection_withheld") {
      record.push_back({now_.mono, now_.wall, {}, n});
    }
  }

  void perform(const Effect& e) {
    if (const auto* s = std::get_if<StartProbe>(&e)) {
      const std::string& name = plan_->at(s->check).name;
      starts.push_back({now_.mono, *s, name});
      for (const auto& [id, other] : flights) {
        if (other.check == s->check) throw std::logic_error("two probes of " + name + " at once");
      }
      flights.emplace(s->id.value, *s);
      if (!answers_itself) return;
      if (now_.mono < pool_full_until_) {
        queued_.push_back(s->id);
        replies_.push({pool_full_until_, order_++, s->id, {}, true});
      } else {
        meet(*s, now_.mono);
      }
    } else if (const auto* a = std::get_if<AbandonProbe>(&e)) {
      flights.erase(a->id.value);
      abandoned.push_back(*a);
    } else if (const auto* ended = std::get_if<ProbeEnded>(&e)) {
      if (is_recording_) record.push_back({now_.mono, now_.wall, plan_->at(ended->check).name, *ended});
    } else if (const auto* n = std::get_if<Note>(&e)) {
      if (is_recording_) remember(*n);
      notes.push_back(*n);
      noted_at.push_back(now_.mono);
    } else if (std::holds_alternative<Publish>(e)) {
      ++published;
    }
  }

  std::shared_ptr<const Plan> plan_;
  Now now_;
  std::unique_ptr<Engine> engine_;
  Instant wake_at_{};
  std::map<std::string, Target> targets_;
  std::priority_queue<Reply> replies_;
  std::vector<ProbeId> queued_;
  Instant pool_full_until_{};
  std::uint64_t order_ = 0;
  bool is_recording_ = true;
};

// A check with the standard profile's numbers and no retries unless told.
inline CheckPlan a_check(std::string name) {
  CheckPlan c;
  c.name = std::move(name);
  c.type = "test";
  c.interval = 5s;
  c.timeout = 2s;
  c.edge_interval = 2s;
  c.rise = 2;
  c.fall = 3;
  c.max_age = 3 * c.interval + c.timeout;
  c.fingerprint = 1;
  return c;
}

inline Rule leaf(CheckId id) {
  Rule r;
  r.kind = Rule::Kind::check;
  r.target = id.value;
  return r;
}

inline Rule group(Rule::Kind kind, std::vector<Rule> members, unsigned need = 0) {
  Rule r;
  r.kind = kind;
  r.members = std::move(members);
  r.need = need;
  return r;
}

inline ServicePlan a_service(std::string name, Rule rule) {
  ServicePlan s;
  s.name = std::move(name);
  s.rule = std::move(rule);
  s.startup_timeout = 60s;
  return s;
}

// These checks, and one service "web" that needs them all.
inline Plan all_of(std::vector<CheckPlan> checks) {
  Plan p;
  p.node = "node-1";
  std::vector<Rule> members;
  for (std::uint32_t i = 0; i < checks.size(); ++i) members.push_back(leaf(CheckId(i)));
  p.checks = std::move(checks);
  p.services.push_back(a_service("web", group(Rule::Kind::all, std::move(members))));
  return p;
}

}  // namespace vital::test
