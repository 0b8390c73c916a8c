// See canned.hpp.
#include "tests/publish/canned.hpp"

#include <cmath>
#include <utility>

#include "base/duration.hpp"

namespace vital::canned {
namespace {

using namespace std::chrono_literals;

Rule leaf(std::uint32_t check) {
  Rule out;
  out.kind = Rule::Kind::check;
  out.target = check;
  return out;
}

std::shared_ptr<const Plan> plan() {
  auto out = std::make_shared<Plan>();
  out->node = "node-1";
  out->zone = "az-1";
  out->labels = {{"role", "web"}};
  const auto add = [&](const char* name, const char* type) -> CheckPlan& {
    CheckPlan check;
    check.name = name;
    check.type = type;
    check.interval = 10s;
    check.edge_interval = 5s;
    check.timeout = 5s;
    check.max_age = 35s;
    out->checks.push_back(check);
    return out->checks.back();
  };
  add("app", "http").description = "the application itself";
  add("db", "postgres").labels = {{"tier", "data"}};
  CheckPlan& cache = add("cache", "redis");
  cache.is_critical = false;
  cache.depends_on = {CheckId(1)};
  add("smtp", "tcp");
  ServicePlan web;
  web.name = "web";
  web.description = "the shop";
  web.rule.members = {leaf(0), leaf(1), leaf(2)};
  ServicePlan mail;
  mail.name = "mail";
  mail.rule.members = {leaf(3)};
  mail.warn_code = 429;
  mail.drain_code = 404;
  out->services = {web, mail};
  return out;
}

CheckView passing(Now now) {
  CheckView out;
  out.state = State::pass;
  out.since = now.wall - 2h;
  out.streak = 720;
  ProbeResult result;
  result.verdict = Verdict::pass;
  result.cause = Cause::none;
  result.text = "200 OK";
  result.duration = 12345us;
  result.phases = {{Phase::connect, 300us}, {Phase::exchange, 12ms}};
  out.last = result;
  out.last_at = now.mono - 3s;
  out.last_wall = now.wall - 3s;
  out.evidence_at = now.mono - 3s;
  out.history = ".................";
  out.next_due = now.mono + 7s;
  return out;
}

void make_worse(CheckView& check, Now now, State state, Verdict verdict, Cause cause, const char* text) {
  check.state = state;
  check.since = now.wall - 10s;
  check.streak = 3;
  check.last->verdict = verdict;
  check.last->cause = cause;
  check.last->text = text;
  check.last->duration = 5001ms;
  check.history = "..............FFF";
}

ServiceView service_passing(Now now) {
  ServiceView out;
  out.state = State::pass;
  out.answer = Verdict::pass;
  out.since = now.wall - 2h;
  out.oldest_evidence = now.mono - 3s;
  return out;
}

}  // namespace

Now moment() { return {Instant(100h), *parse_wall("2026-11-21T10:03:00.123Z")}; }

std::shared_ptr<const Snapshot> snapshot(Mood mood, Now now) {
  auto out = std::make_shared<Snapshot>();
  out->seq = 42;
  out->made_at = now.mono;
  out->made_wall = now.wall;
  out->valid_until = now.mono + 5s;
  out->plan = plan();
  out->checks.assign(4, passing(now));
  out->services.assign(2, service_passing(now));
  CheckView& db = out->checks[1];
  db.last->text = "1 row";
  db.last->facts = {{"role", "primary"}};
  db.last->measures = {{"lag", 0.25, "s", 1, 5}, {"connections", 17, "", NAN, NAN}};
  ServiceView& web = out->services[0];
  const auto overlay = [&](OverlayKind kind) {
    out->overlays = {{kind, "", "kernel update", "alice", now.wall - 60s, now.wall + 59min}};
    for (ServiceView& service : out->services) {
      service.overlay = kind;
      service.answer = Verdict::fail;
      service.reason = std::string(name(kind)) + ": kernel update";
    }
  };
  switch (mood) {
    case Mood::pending:
      out->checks.assign(4, CheckView{});
      out->services.assign(2, ServiceView{});
      break;
    case Mood::pass:
      break;
    case Mood::warn:
      make_worse(out->checks[2], now, State::fail, Verdict::fail, Cause::refused, "connection refused");
      web.state = State::warn;
      web.answer = Verdict::warn;
      web.reason = "cache: fail/refused: connection refused";
      web.causes = {CheckId(2)};
      web.since = now.wall - 10s;
      break;
    case Mood::fail:
      make_worse(db, now, State::fail, Verdict::fail, Cause::timeout, "no answer in 5s");
      db.pending_change = PendingChange{State::pass, 1, 2};
      make_worse(out->checks[2], now, State::fail, Verdict::fail, Cause::refused, "connection refused");
      out->checks[2].suppressed_by = CheckId(1);
      web.state = State::fail;
      web.answer = Verdict::fail;
      web.reason = "db: fail/timeout: no answer in 5s";
      web.causes = {CheckId(1)};
      web.since = now.wall - 10s;
      break;
    case Mood::drain:
      overlay(OverlayKind::drain);
      break;
    case Mood::maintenance:
      overlay(OverlayKind::maintenance);
      break;
  }
  out->node = web;
  return out;
}

AgentFacts facts() {
  AgentFacts out;
  out.version = "0.1.0";
  out.started = moment().wall - 3h;
  out.config_loaded = moment().wall - 3h;
  out.loop_lag = 2ms;
  out.workers.idle = 2;
  out.workers.busy = 1;
  out.workers.unkillable_processes = 1;
  out.workers.kill_method = "subreaper";
  out.workers.started = 5;
  out.workers.killed = 2;
  return out;
}

std::shared_ptr<const View> view(Mood mood, Now now) { return make_view(snapshot(mood, now), facts()); }

}  // namespace vital::canned
