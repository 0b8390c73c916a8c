// See scenario.hpp. One pass: definitions make the plan, the first "at" line starts the engine.
#include "scenarios/scenario.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <sstream>

#include "base/duration.hpp"
#include "core/replayed.hpp"
#include "core/rules.hpp"
#include "core/stage.hpp"
#include "core/timing.hpp"
#include "scenarios/words.hpp"

namespace vital::test {

namespace {

class Player {
 public:
  std::vector<std::string> play(const std::string& text) {
    std::istringstream in(text);
    int number = 0;
    for (std::string line; std::getline(in, line);) {
      ++number;
      line = line.substr(0, line.find('#'));
      Words words(line);
      if (words.empty()) continue;
      try {
        take(words);
        if (!words.empty()) throw Wrong("'" + words.peek() + "' is one word too many");
      } catch (const Wrong& e) {
        problems_.push_back("line " + std::to_string(number) + ": " + e.what());
        if (!is_running()) break;
      }
    }
    if (!is_running() && problems_.empty()) problems_.push_back("the story has no 'at' line");
    if (is_running() && stage_->is_recorded_whole()) {
      for (const ReplayDifference& d : replayed_otherwise(*stage_)) {
        problems_.push_back("played back, " + d.name + " would have been " + d.would_say + " instead of " + d.said +
                            " for " + friendly_duration(d.to - d.from));
      }
    }
    return problems_;
  }

 private:
  bool is_running() const { return stage_ != nullptr; }

  void take(Words& w) {
    const std::string first = w.next();
    if (first == "check" && !is_running()) return define_check(w);
    if (first == "service" && !is_running()) return define_service(w);
    if (first == "every") return repeat(w);
    if (first != "at") throw Wrong("a line begins with check, service, at or every, not '" + first + "'");
    go_to(w.duration());
    happen(w);
  }

  // ---- definitions

  void define_check(Words& w) {
    CheckPlan c = a_check(w.next());
    if (plan_.find_check(c.name)) throw Wrong("check " + c.name + " is there already");
    c.max_age = Duration::zero();
    options(c, w);
    plan_.checks.push_back(c);
  }

  void options(CheckPlan& c, Words& w) {
    while (!w.empty()) {
      const std::string key = w.next();
      if (key == "lenient" || key == "standard" || key == "strict")
        profile(c, key);
      else if (key == "interval")
        c.interval = w.duration();
      else if (key == "timeout")
        c.timeout = w.duration();
      else if (key == "retries")
        c.retries = w.number();
      else if (key == "retry_delay")
        c.retry_delay = w.duration();
      else if (key == "edge")
        c.edge_interval = w.duration();
      else if (key == "rise")
        c.rise = w.number();
      else if (key == "fall")
        c.fall = w.number();
      else if (key == "window")
        c.fall_window = w.n_of_m();
      else if (key == "warn_after")
        c.warn_after = w.duration();
      else if (key == "max_age")
        c.max_age = w.duration();
      else if (key == "start_delay")
        c.start_delay = w.duration();
      else if (key == "flap_half_life")
        c.flap.half_life = w.duration();
      else if (key == "not_critical")
        c.is_critical = false;
      else if (key == "shared")
        c.scope = Scope::shared;
      else if (key == "shadow")
        c.mode = Mode::shadow;
      else if (key == "passive")
        c.is_passive = true;
      else if (key == "depends_on")
        c.depends_on.push_back(check_named(w.next()));
      else
        throw Wrong("a check has no '" + key + "'");
    }
    if (c.max_age == Duration::zero()) c.max_age = 3 * c.interval + c.timeout;
  }

  static void profile(CheckPlan& c, const std::string& which) {
    const bool lenient = which == "lenient", standard = which == "standard";
    c.interval = lenient ? 10s : standard ? 5s : 2s;
    c.timeout = lenient ? 5s : standard ? 2s : 1s;
    c.retries = lenient ? 2 : standard ? 1 : 0;
    c.edge_interval = lenient ? 5s : standard ? 2s : 1s;
    c.rise = 2;
    c.fall = lenient || standard ? 3 : 2;
    c.retry_delay = std::min<Duration>(1s, c.timeout / 4);
    c.flap.half_life = 10 * c.interval;
  }

  void define_service(Words& w) {
    ServicePlan s = a_service(w.next(), {});
    std::string rule = w.next();
    while (std::count(rule.begin(), rule.end(), '(') > std::count(rule.begin(), rule.end(), ')')) rule += w.next();
    s.rule = parse_rule(rule);
    while (!w.empty()) {
      const std::string key = w.next();
      if (key == "on_unknown") {
        s.on_unknown = named<OnUnknown>(std::array<std::string_view, 3>{"fail", "warn", "pass"}, w.next());
      } else if (key == "fails_on_shared")
        s.fails_on_shared = true;
      else if (key == "startup_timeout")
        s.startup_timeout = w.duration();
      else if (key == "budget") {
        s.budget.ejections = w.number();
        w.need("in");
        s.budget.window = w.duration();
      } else if (key == "min_uptime")
        s.budget.min_uptime = w.duration();
      else if (key == "hold_down")
        s.budget.hold_down = w.duration();
      else if (key == "slow_start")
        s.slow_start = w.duration();
      else if (key == "warn_weight")
        s.warn_weight = w.number();
      else if (key == "lb") {
        s.lb.emplace();
        s.lb->interval = w.duration();
        s.lb->timeout = w.duration();
        s.lb->fall = w.number();
        s.lb->rise = w.number();
      } else
        throw Wrong("a service has no '" + key + "'");
    }
    plan_.services.push_back(s);
  }

  // all(app,any(db,replica)), quorum(2;a,b,c), weighted(3;2;a*3,b*1), service:data, app
  Rule parse_rule(const std::string& text) const {
    std::size_t at = 0;
    Rule r = parse_rule(text, &at);
    if (at != text.size()) throw Wrong("the rule goes on after it ended: " + text.substr(at));
    return r;
  }
  Rule parse_rule(const std::string& text, std::size_t* at) const {
    const std::size_t end = text.find_first_of("(),;*", *at);
    const std::string word = text.substr(*at, end - *at);
    *at = std::min(end, text.size());
    if (*at >= text.size() || text[*at] != '(') {
      if (word.rfind("service:", 0) == 0) {
        Rule r;
        r.kind = Rule::Kind::service;
        const auto id = plan_.find_service(word.substr(8));
        if (!id) throw Wrong("no service " + word.substr(8));
        r.target = id->value;
        return r;
      }
      return leaf(check_named(word));
    }
    Rule r;
    r.kind = named<Rule::Kind>(std::array<std::string_view, 6>{"check", "service", "all", "any", "quorum", "weighted"},
                               word);
    ++*at;
    const auto number = [&] {
      const std::size_t stop = text.find(';', *at);
      const auto n = static_cast<unsigned>(std::stoul(text.substr(*at, stop - *at)));
      *at = stop + 1;
      return n;
    };
    if (r.kind == Rule::Kind::quorum || r.kind == Rule::Kind::weighted) r.need = number();
    if (r.kind == Rule::Kind::weighted) r.need_warn = number();
    while (*at < text.size() && text[*at] != ')') {
      r.members.push_back(parse_rule(text, at));
      if (*at < text.size() && text[*at] == '*') {
        std::size_t used = 0;
        r.weights.push_back(static_cast<unsigned>(std::stoul(text.substr(*at + 1), &used)));
        *at += 1 + used;
      }
      if (*at < text.size() && text[*at] == ',') ++*at;
    }
    if (*at >= text.size()) throw Wrong("the rule is not closed: " + text);
    ++*at;
    return r;
  }

  CheckId check_named(const std::string& check) const {
    const auto id = plan_.find_check(check);
    if (!id) throw Wrong("no check " + check);
    return *id;
  }

  // ---- time

  void start() {
    if (plan_.services.empty()) plan_ = all_of(plan_.checks);
    stage_ = std::make_unique<Stage>(plan_);
    begun_ = stage_->now().mono;
  }

  // Runs to this moment of the story, with what was asked for "every" so often on the way.
  void go_to(Duration moment) {
    if (!is_running()) start();
    if (begun_ + moment < stage_->now().mono) throw Wrong("time goes backwards");
    while (true) {
      auto next = std::min_element(repeats_.begin(), repeats_.end(),
                                   [](const Repeat& a, const Repeat& b) { return a.next < b.next; });
      if (next == repeats_.end() || next->next > begun_ + moment) break;
      stage_->run(std::max(next->next - stage_->now().mono, Duration::zero()));
      Target& target = stage_->target(next->check);
      if (next->is_on) {
        target.well();
      } else {
        next->ill == "hangs" ? target.hang() : target.refuse();
      }
      next->next += next->is_on ? next->every - next->lasts : next->lasts;
      next->is_on = !next->is_on;
      if (!next->is_on && next->next > next->until) repeats_.erase(next);
    }
    stage_->run(begun_ + moment - stage_->now().mono);
  }

  // every 2m from 1m until 1h CHECK hangs|refuses for 20s
  void repeat(Words& w) {
    if (!is_running()) start();
    Repeat r;
    r.every = w.duration();
    w.need("from");
    r.next = begun_ + w.duration();
    w.need("until");
    r.until = begun_ + w.duration();
    r.check = w.next();
    check_named(r.check);
    r.ill = w.next();
    if (r.ill != "hangs" && r.ill != "refuses") throw Wrong("it hangs or refuses, not '" + r.ill + "'");
    w.need("for");
    r.lasts = w.duration();
    repeats_.push_back(r);
  }

  // ---- what happens

  void happen(Words& w) {
    const std::string first = w.next();
    if (first == "expect") return expect(w);
    if (first == "agent") return agent(w);
    if (first == "host") {
      w.need("sleeps");
      return stage_->input(Slept{w.duration()});
    }
    if (first == "clock") {
      w.need("jumps");
      const bool back = w.eat("back");
      const auto by = std::chrono::duration_cast<std::chrono::milliseconds>(w.duration());
      return stage_->move_wall(back ? -by : by);
    }
    if (first == "pool") {
      w.need("full");
      w.need("for");
      return stage_->fill_pool(w.duration());
    }
    if (first == "drain" || first == "maintenance") {
      return overlay(first == "drain" ? OverlayKind::drain : OverlayKind::maintenance, w);
    }
    if (first == "resume" || first == "removed") return clear(w);
    if (first == "run") return stage_->input(RunNow{check_named(w.next())});
    if (first == "report") return report(w);
    if (first == "reload") return reload(w);
    check_named(first);
    target(stage_->target(first), w);
  }

  void target(Target& t, Words& w) {
    const std::string does = w.next();
    if (does == "well") {
      t.well(w.eat("in") ? w.duration() : 1ms);
    } else if (does == "refuses") {
      t.refuse();
    } else if (does == "hangs") {
      t.hang();
    } else if (does == "says") {
      const auto verdict = named<Verdict>(detail::verdict_names, w.next());
      const auto cause = named<Cause>(detail::cause_names, w.next());
      t.say(verdict, cause, w.rest());
    } else {
      throw Wrong("a target is well, refuses, hangs or says something, not '" + does + "'");
    }
  }

  void agent(Words& w) {
    const std::string what = w.next();
    if (what == "stops") {
      w.need("for");
      stage_->stall(w.duration());
      stage_->input(Tick{});
    } else if (what == "restarts") {
      w.need("after");
      stage_->restart(w.duration());
    } else if (what == "throttled") {
      stage_->input(Pressure{0, throttled_ += w.duration()});
    } else if (what == "ends") {
      stage_->input(Stop{});
    } else {
      throw Wrong("an agent stops, restarts, ends or is throttled, not '" + what + "'");
    }
  }

  void overlay(OverlayKind kind, Words& w) {
    Overlay o;
    o.kind = kind;
    if (!w.eat("node")) o.service = w.next();
    if (w.eat("for"))
      o.until = stage_->now().wall + std::chrono::duration_cast<std::chrono::milliseconds>(w.duration());
    if (w.eat("by")) o.owner = w.next();
    if (w.eat("file")) o.source = w.next();
    if (w.eat("because")) o.reason = w.rest();
    stage_->input(SetOverlay{o});
  }

  void clear(Words& w) {
    const std::string service = w.eat("node") ? "" : w.next();
    stage_->input(ClearOverlay{service, w.eat("file") ? w.next() : ""});
  }

  void report(Words& w) {
    const CheckId check = check_named(w.next());
    ProbeResult r;
    r.verdict = named<Verdict>(detail::verdict_names, w.next());
    r.cause = r.verdict == Verdict::pass ? Cause::none : Cause::content;
    stage_->input(Report{check, r});
  }

  // reload add NAME options | reload change NAME options | reload same; a new check joins every service's rule
  void reload(Words& w) {
    const std::string what = w.next();
    if (what == "add") {
      CheckPlan c = a_check(w.next());
      c.max_age = Duration::zero();
      options(c, w);
      plan_.checks.push_back(c);
      for (ServicePlan& s : plan_.services) {
        s.rule.members.push_back(leaf(CheckId(static_cast<std::uint32_t>(plan_.checks.size() - 1))));
      }
    } else if (what == "change") {
      CheckPlan& c = plan_.checks[check_named(w.next()).value];
      c.max_age = Duration::zero();
      options(c, w);
      ++c.fingerprint;
    } else if (what != "same") {
      throw Wrong("a reload is add, change or same, not '" + what + "'");
    }
    stage_->reload(plan_);
  }

  // ---- what is expected

  static void same(const std::string& what, const std::string& expected, const std::string& found) {
    if (expected != found) throw Wrong("expected " + what + " " + expected + ", found " + found);
  }

  void expect(Words& w) {
    stage_->run(Duration::zero());
    const std::string first = w.next();
    if (first == "no") return expect_no(w);
    if (first == "falls") return expect_falls(w);
    if (first == "timing") return expect_timing(w);
    if (first == "note") {
      const std::string event = w.next();
      if (stage_->noted(event).empty()) throw Wrong("expected a note " + event);
      return;
    }
    if (first == "probes") return expect_probes(w);
    if (first == "node") return expect_service("node", stage_->snapshot().node, w);
    if (const auto id = plan_.find_service(first)) return expect_service(first, stage_->snapshot().at(*id), w);
    check_named(first);
    expect_check(first, w);
  }

  void expect_check(const std::string& check, Words& w) {
    const CheckView& v = stage_->check(check);
    if (w.eat("suppressed")) {
      w.need("by");
      const std::string by = w.next();
      same(check + " suppressed by", by, v.suppressed_by ? plan_.at(*v.suppressed_by).name : "nothing");
    } else if (w.eat("history")) {
      same(check + " history", w.next(), v.history);
    } else if (w.eat("change")) {
      const auto [seen, needed] = w.n_of_m();
      const auto& p = v.pending_change;
      same(check + " change", std::to_string(seen) + " of " + std::to_string(needed),
           p ? std::to_string(p->seen) + " of " + std::to_string(p->needed) : "none");
    } else if (w.eat("last")) {
      const std::string found =
          v.last ? std::string(name(v.last->verdict)) + "/" + std::string(name(v.last->cause)) : "nothing";
      same(check + " last", w.next(), found);
    } else if (w.eat("flapping")) {
      same(check + " flapping", "yes", v.is_flapping ? "yes" : "no");
    } else if (w.eat("unproven")) {
      same(check + " unproven", "yes", v.is_unproven ? "yes" : "no");
    } else {
      same(check, w.next(), std::string(name(v.state)));
    }
  }

  void expect_service(const std::string& service, const ServiceView& v, Words& w) {
    const std::string what = w.next();
    if (what == "answers") {
      same(service + " answers", w.next(), std::string(name(v.answer)));
      if (w.eat("because")) {
        const std::string reason = w.rest();
        if (v.reason.find(reason) == std::string::npos) {
          throw Wrong("expected " + service + " because '" + reason + "', found '" + v.reason + "'");
        }
      }
    } else if (what == "state") {
      same(service + " state", w.next(), std::string(name(v.state)));
    } else if (what == "overlay") {
      same(service + " overlay", w.next(), std::string(name(v.overlay)));
    } else if (what == "weight" || what == "score") {
      const unsigned low = w.number();
      const unsigned high = w.eat("to") ? w.number() : low;
      const unsigned found = what == "weight" ? v.weight : v.score;
      if (found < low || found > high) throw Wrong("expected another " + what + ", found " + std::to_string(found));
    } else if (what == "withheld") {
      same(service + " withheld", std::to_string(w.number()), std::to_string(v.withheld));
    } else if (what == "age") {
      w.need("below");
      const Duration limit = w.duration();
      if (!v.oldest_evidence || stage_->now().mono - *v.oldest_evidence >= limit) throw Wrong("it is older");
    } else {
      throw Wrong("nothing can be expected of a service's '" + what + "'");
    }
  }

  // expect no change since 10s: no check and no service changed. expect no change of db since 10s: this one did not.
  // expect no answer fail of web since 20s: it never said so.
  // What happened so far, played back through the plan, or one in which a check has other settings.
  void expect_falls(Words& w) {
    const unsigned wanted = w.number();
    w.need("of");
    const std::string service = w.next();
    Plan plan = stage_->plan();
    std::string changed;
    if (w.eat("with")) {
      changed = w.next();
      const auto id = plan.find_check(changed);
      if (!id) throw Wrong("there is no check " + changed);
      options(plan.checks[id->value], w);
    }
    for (const ReplayedService& s : play_back(*stage_, std::make_shared<const Plan>(plan), changed).services) {
      if (s.name == service && s.falls != wanted) {
        throw Wrong("expected " + std::to_string(wanted) + " falls, found " + std::to_string(s.falls));
      }
    }
  }

  void expect_no(Words& w) {
    if (w.eat("answer")) return expect_no_answer(w);
    w.need("change");
    const std::string of = w.eat("of") ? w.next() : "";
    w.need("since");
    const Instant since = begun_ + w.duration();
    for (std::size_t i = 0; i < stage_->notes.size(); ++i) {
      const Note& n = stage_->notes[i];
      const bool is_change = n.event == "check_state" || n.event == "service_state";
      if (is_change && stage_->noted_at[i] >= since && (of.empty() || of == n.fields[0].second)) {
        throw Wrong("expected no change, but at " + friendly_duration(stage_->noted_at[i] - begun_) + " " + n.event +
                    " " + n.fields[0].second + " " + Stage::field(n, "from") + " to " + Stage::field(n, "to") + ": " +
                    Stage::field(n, "reason"));
      }
    }
  }

  void expect_no_answer(Words& w) {
    const std::string answer = w.next();
    w.need("of");
    const std::string of = w.next();
    w.need("since");
    const Instant since = begun_ + w.duration();
    for (std::size_t i = 0; i < stage_->notes.size(); ++i) {
      const Note& n = stage_->notes[i];
      if (n.event != "service_state" || n.fields[0].second != of || stage_->noted_at[i] < since) continue;
      if (Stage::field(n, "answer") == answer) {
        throw Wrong("expected no answer " + answer + ", but at " + friendly_duration(stage_->noted_at[i] - begun_) +
                    " it was: " + Stage::field(n, "reason"));
      }
    }
  }

  // expect probes of app 10 to 12 since 30s; expect probes at once 3 since 30s (the most within 100 ms)
  void expect_probes(Words& w) {
    const bool at_once = w.eat("at");
    std::string of;
    if (at_once) {
      w.need("once");
    } else {
      w.need("of");
      of = w.next();
    }
    const unsigned low = w.number();
    const unsigned high = w.eat("to") ? w.number() : low;
    w.need("since");
    const Instant since = begun_ + w.duration();
    std::vector<Instant> seen;
    for (const auto& s : stage_->starts) {
      if (s.at >= since && (at_once || s.check == of)) seen.push_back(s.at);
    }
    std::size_t found = seen.size();
    if (at_once) {
      found = 0;
      for (std::size_t a = 0, b = 0; b < seen.size(); ++b) {
        while (seen[b] - seen[a] > 100ms) ++a;
        found = std::max(found, b - a + 1);
      }
    }
    if (found < low || found > high) throw Wrong("expected another number of probes, found " + std::to_string(found));
  }

  // expect timing db fail 2s to 18500ms; expect timing web seen 30s to 90s
  void expect_timing(Words& w) {
    const std::string of = w.next();
    const std::string what = w.next();
    const Duration best = w.duration();
    w.need("to");
    const Duration worst = w.duration();
    timing::Range found;
    if (const auto service = plan_.find_service(of)) {
      const auto t = timing::of_service(plan_, *service);
      const auto& range = what == "fail" ? t.to_fail : what == "pass" ? t.to_pass : t.seen_down;
      if (!range) throw Wrong("it never does");
      found = *range;
    } else {
      const auto t = timing::of_check(plan_.at(check_named(of)));
      found = what == "fail" ? t.to_fail : t.to_pass;
    }
    same(of + " " + what, format_duration(best) + " to " + format_duration(worst),
         format_duration(found.best) + " to " + format_duration(found.worst));
  }

  struct Repeat {
    Duration every{}, lasts{};
    Instant next{}, until{};
    std::string check, ill;
    bool is_on = false;
  };

  Plan plan_;
  std::unique_ptr<Stage> stage_;
  Duration throttled_{};
  Instant begun_{};
  std::vector<Repeat> repeats_;
  std::vector<std::string> problems_;
};

}  // namespace

std::vector<std::string> play_scenario(const std::string& text) { return Player().play(text); }

}  // namespace vital::test
