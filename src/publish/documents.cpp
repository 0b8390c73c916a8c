// The JSON documents; see documents.hpp.
#include "publish/documents.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "core/evidence.hpp"
#include "publish/json_text.hpp"
#include "publish/tls.hpp"

namespace vital {
namespace {

// A health answer is for balancers, which read a kilobyte of it, some ten; all checks stand in the API.
constexpr std::size_t most_checks_in_health = 64;

// Milliseconds with three decimals.
double ms(Duration d) { return std::round(seconds(d) * 1e6) / 1e3; }

// A time that never was is null, not 1970.
std::optional<std::string> time_or_null(WallTime t) {
  if (t == WallTime{}) return {};
  return format_wall(t);
}
std::optional<long long> ms_since(const std::optional<Instant>& then, Instant now) {
  if (!then) return {};
  return milliseconds(std::max(Duration{}, now - *then));
}

void write_map(JsonText& out, std::string_view key, const std::map<std::string, std::string>& entries) {
  out.begin_object(key);
  for (const auto& [name, value] : entries) out.field(name, value);
  out.end_object();
}

void write_names(JsonText& out, std::string_view key, const Plan& plan, const std::vector<CheckId>& ids) {
  out.begin_array(key);
  for (const CheckId id : ids) out.value(plan.at(id).name);
  out.end_array();
}

void write_measure(JsonText& out, const Measure& m) {
  out.begin_object();
  out.field("name", m.name);
  out.field("value", m.value);
  out.field("unit", m.unit);
  out.field("warn", m.warn);
  out.field("fail", m.fail);
  out.end_object();
}

void write_result(JsonText& out, const CheckView& check, Instant now) {
  static const ProbeResult none;
  const ProbeResult& last = check.last ? *check.last : none;
  const auto if_any = [&](auto value) { return check.last ? std::optional(value) : std::nullopt; };
  out.field("verdict", if_any(name(last.verdict)));
  out.field("cause", if_any(name(last.cause)));
  out.field("output", last.text);
  out.field("since", time_or_null(check.since));
  out.field("age_ms", ms_since(check.last_at, now));
  out.field("duration_ms", if_any(ms(last.duration)));
  out.begin_object("phases");
  for (const auto& [phase, took] : last.phases) out.field(name(phase), ms(took));
  out.end_object();
  out.begin_array("measures");
  for (const Measure& m : last.measures) write_measure(out, m);
  out.end_array();
  out.begin_object("facts");
  for (const auto& [key, value] : last.facts) out.field(key, value);
  out.end_object();
}

// What the agent itself was like during the last probe.
void write_evidence(JsonText& out, const CheckView& check) {
  if (!check.last) return out.field("evidence", nullptr);
  const Evidence& e = check.last->evidence;
  out.begin_object("evidence");
  out.field("queue_delay_ms", ms(e.queue_delay));
  out.field("worker_lag_ms", ms(e.worker_lag));
  out.field("timer_overshoot_ms", ms(e.timer_overshoot));
  out.field("loop_lag_ms", ms(e.loop_lag));
  out.field("throttled_ms", ms(e.throttled));
  out.field("lost_ms", ms(evidence::lost(e)));
  out.field("cpu_pressure_percent", e.cpu_pressure);
  out.end_object();
}

void write_check(JsonText& out, const View& view, CheckId id, Now now) {
  const Plan& all = *view.snapshot->plan;
  const CheckPlan& plan = all.at(id);
  const CheckView& check = view.snapshot->at(id);
  out.begin_object();
  out.field("name", plan.name);
  out.field("type", plan.type);
  out.field("state", name(check.state));
  write_result(out, check, now.mono);
  out.field("streak", check.streak);
  out.field("history", check.history);
  if (check.pending_change) {
    out.begin_object("pending_change");
    out.field("to", name(check.pending_change->to));
    out.field("seen", check.pending_change->seen);
    out.field("needed", check.pending_change->needed);
    out.end_object();
  } else {
    out.field("pending_change", nullptr);
  }
  std::optional<std::string_view> explained;
  if (check.suppressed_by) explained = all.at(*check.suppressed_by).name;
  out.field("suppressed_by", explained);
  std::optional<long long> next;
  if (check.next_due) next = milliseconds(std::max(Duration{}, *check.next_due - now.mono));
  out.field("next_probe_ms", next);
  out.field("last_result", time_or_null(check.last_wall));
  out.field("evidence_age_ms", ms_since(check.evidence_at, now.mono));
  out.field("running_ms", ms_since(check.running_since, now.mono));
  out.field("is_flapping", check.is_flapping);
  out.field("is_critical", plan.is_critical);
  out.field("scope", plan.scope == Scope::shared ? "shared" : "local");
  out.field("mode", plan.mode == Mode::shadow ? "shadow" : "active");
  write_names(out, "depends_on", all, plan.depends_on);
  out.field("interval_ms", milliseconds(plan.interval));
  out.field("timeout_ms", milliseconds(plan.timeout));
  out.field("description", plan.description);
  write_map(out, "labels", plan.labels);
  out.field("is_unproven", check.is_unproven);
  write_evidence(out, check);
  out.end_object();
}

void write_service_fields(JsonText& out, const View& view, const ServiceView& service, const Answer& answer, Now now,
                          bool is_stalled) {
  const bool is_failing = is_stalled || service.answer == Verdict::fail;
  out.field("state", name(service.state));
  out.field("answer", name(is_stalled ? Verdict::fail : service.answer));
  out.field("code", is_stalled ? 503 : answer.code);
  out.field("overlay", name(service.overlay));
  out.field("since", time_or_null(service.since));
  out.field("reason", is_stalled ? "the agent's loop stalled" : std::string_view(service.reason));
  write_names(out, "causes", *view.snapshot->plan, service.causes);
  out.field("weight", is_failing ? 0 : service.weight);
  out.field("evidence_age_ms", ms_since(service.oldest_evidence, now.mono));
  out.field("is_withheld", service.is_withheld);
  out.field("is_held_down", service.is_held_down);
  out.field("withheld", service.withheld);
  out.field("score", service.score);
}

// {"all": [{"check": "app"}, {"quorum": 1, "of": [{"check": "a"}, {"service": "b"}]}]}: as the configuration writes it,
// with every leaf named by its kind. Inside an object that is open. `weight` is that of a member of a weighted rule.
void write_rule(JsonText& out, const Plan& plan, const Rule& rule, std::optional<unsigned> weight = {}) {
  const auto write_members = [&](std::string_view key) {
    out.begin_array(key);
    for (std::size_t i = 0; i < rule.members.size(); ++i) {
      out.begin_object();
      write_rule(out, plan, rule.members[i], i < rule.weights.size() ? std::optional(rule.weights[i]) : std::nullopt);
      out.end_object();
    }
    out.end_array();
  };
  switch (rule.kind) {
    case Rule::Kind::check:
      out.field("check", plan.at(CheckId(rule.target)).name);
      break;
    case Rule::Kind::service:
      out.field("service", plan.at(ServiceId(rule.target)).name);
      break;
    case Rule::Kind::all:
      write_members("all");
      break;
    case Rule::Kind::any:
      write_members("any");
      break;
    case Rule::Kind::quorum:
      out.field("quorum", rule.need);
      write_members("of");
      break;
    case Rule::Kind::weighted:
      write_members("weighted");
      out.field("pass", rule.need);
      if (rule.need_warn > 0) out.field("warn", rule.need_warn);
      break;
  }
  if (weight) out.field("weight", *weight);
}

void write_service(JsonText& out, const View& view, ServiceId id, Now now, bool is_stalled) {
  const Plan& plan = *view.snapshot->plan;
  out.begin_object();
  out.field("name", plan.at(id).name);
  write_service_fields(out, view, view.snapshot->at(id), view.services.at(id.value), now, is_stalled);
  write_names(out, "checks", plan, checks_behind(plan, id));
  out.field("description", plan.at(id).description);
  // The longest a balancer as declared by `lb:` takes to see a change.
  const auto& lb = plan.at(id).lb;
  out.field("reaction_ms", lb ? std::optional(milliseconds(lb->interval * lb->fall + lb->timeout)) : std::nullopt);
  out.begin_object("rule");
  write_rule(out, plan, plan.at(id).rule);
  out.end_object();
  out.end_object();
}

void write_services(JsonText& out, const View& view, Now now, bool is_stalled) {
  out.begin_array("services");
  for (std::uint32_t i = 0; i < view.services.size(); ++i) write_service(out, view, ServiceId(i), now, is_stalled);
  out.end_array();
}

void write_overlay(JsonText& out, const Overlay& o) {
  out.begin_object();
  out.field("kind", name(o.kind));
  out.field("service", o.service.empty() ? std::nullopt : std::optional(o.service));
  out.field("reason", o.reason);
  out.field("owner", o.owner);
  out.field("since", time_or_null(o.since));
  out.field("until", o.until ? std::optional(format_wall(*o.until)) : std::nullopt);
  out.field("file", o.source.empty() ? std::nullopt : std::optional(o.source));
  out.end_object();
}

void write_overlays(JsonText& out, const View& view) {
  out.begin_array("overlays");
  for (const Overlay& o : view.snapshot->overlays) write_overlay(out, o);
  out.end_array();
}

void write_journal(JsonText& out, const JournalFacts& j) {
  out.begin_object("journal");
  out.field("is_enabled", j.is_enabled);
  out.field("is_healthy", j.is_healthy);
  out.field("problem", j.problem);
  out.field("path", j.path);
  out.field("bytes", j.bytes);
  out.field("max_bytes", j.max_bytes);
  out.field("rows_written", j.written);
  out.field("rows_dropped", j.dropped_queue + j.dropped_disk);
  out.field("rows_pruned", j.pruned);
  out.end_object();
}

void write_workers(JsonText& out, const WorkerFacts& w) {
  out.begin_object("workers");
  out.field("idle", w.idle);
  out.field("busy", w.busy);
  out.field("starting", w.starting);
  out.field("unkillable", w.unkillable);
  out.field("unkillable_processes", w.unkillable_processes);
  out.field("kill_method", w.kill_method);
  out.field("started", w.started);
  out.field("killed", w.killed);
  out.field("crashed", w.crashed);
  out.end_object();
}

std::string_view component_type(std::string_view type) {
  constexpr std::array<std::string_view, 7> stores{"postgres",  "mysql",         "ldap", "redis",
                                                   "memcached", "elasticsearch", "etcd"};
  constexpr std::array<std::string_view, 5> host{"disk", "memory", "load", "clock", "systemd"};
  if (std::find(stores.begin(), stores.end(), type) != stores.end()) return "datastore";
  if (std::find(host.begin(), host.end(), type) != host.end()) return "system";
  return "component";
}

// The draft knows pass, warn and fail; the state says what kind of fail.
std::string_view draft_status(State state) {
  switch (state) {
    case State::pass:
      return "pass";
    case State::warn:
      return "warn";
    case State::pending:
    case State::fail:
    case State::stale:
      return "fail";
  }
  return "fail";
}

void write_observation(JsonText& out, const CheckPlan& plan, const CheckView& check, std::string_view what,
                       double value, std::string_view unit) {
  out.begin_array(plan.name + ":" + std::string(what));
  out.begin_object();
  out.field("componentId", plan.name);
  out.field("componentType", component_type(plan.type));
  out.field("observedValue", value);
  out.field("observedUnit", unit);
  out.field("status", draft_status(check.state));
  out.field("state", name(check.state));
  if (check.last) {
    out.field("time", format_wall(check.last_wall));
    if (check.last->cause != Cause::none) out.field("cause", name(check.last->cause));
    if (!check.last->text.empty()) out.field("output", check.last->text);
  }
  out.end_object();
  out.end_array();
}

// The response time, then each thing the check measured.
void write_observations(JsonText& out, const Snapshot& snapshot, CheckId id) {
  const CheckPlan& plan = snapshot.plan->at(id);
  const CheckView& check = snapshot.at(id);
  write_observation(out, plan, check, "responseTime", check.last ? ms(check.last->duration) : NAN, "ms");
  if (!check.last) return;
  for (const Measure& m : check.last->measures) write_observation(out, plan, check, m.name, m.value, m.unit);
}

// What is worse than pass stands first; the order of the config decides the rest.
std::vector<CheckId> worst_first(const Snapshot& snapshot, std::vector<CheckId> checks) {
  std::stable_partition(checks.begin(), checks.end(), [&](CheckId id) { return snapshot.at(id).state != State::pass; });
  return checks;
}

void write_outputs(JsonText& out, const View& view) {
  out.begin_array("outputs");
  for (const OutputFacts& o : view.facts.outputs) {
    out.begin_object();
    out.field("name", o.name);
    out.field("type", o.type);
    out.field("service", o.service.empty() ? std::nullopt : std::optional<std::string>(o.service));
    out.field("state", o.state);
    out.field("since", time_or_null(o.since));
    out.field("told", o.told.empty() ? std::nullopt : std::optional<std::string>(o.told));
    out.field("is_confirmed", o.is_confirmed);
    out.field("error", o.error);
    out.field("last_change", time_or_null(o.last_change));
    out.field("looks", o.looks);
    out.field("changes", o.changes);
    out.field("repairs", o.repairs);
    out.field("failures", o.failures);
    out.field("timeouts", o.timeouts);
    out.field("queued", o.queued);
    out.field("dropped", o.dropped);
    out.field("users", o.users);
    out.end_object();
  }
  out.end_array();
}

}  // namespace

std::string health_document(const View& view, const Outcome& outcome, const HealthScope& scope) {
  const Snapshot& snapshot = *view.snapshot;
  const std::vector<CheckId> checks = worst_first(snapshot, scope.checks);
  const std::size_t shown = std::min(checks.size(), most_checks_in_health);
  std::vector<std::string> notes = scope.warnings;
  if (outcome.overlay != OverlayKind::none) notes.push_back(outcome.reason);
  if (!view.facts.is_config_current) {
    notes.push_back("the last reload was refused, the config before it stays: " + view.facts.config_problem);
  }
  if (shown < checks.size()) {
    notes.push_back("the first " + std::to_string(shown) + " of " + std::to_string(checks.size()) +
                    " checks; all stand in /api/v1/checks");
  }
  JsonText out;
  out.begin_object();
  out.field("status", name(outcome.status));
  if (!outcome.reason.empty()) out.field("output", outcome.reason);
  out.field("serviceId", outcome.name);
  out.field("version", view.facts.version.substr(0, view.facts.version.find('.')));
  out.field("releaseId", view.facts.version);
  out.field("description", "health of " + outcome.name + " as vitald on " + snapshot.plan->node + " sees it");
  if (!notes.empty()) {
    out.begin_array("notes");
    for (const std::string& note : notes) out.value(one_line(note, 200));
    out.end_array();
  }
  out.begin_object("checks");
  for (std::size_t i = 0; i < shown; ++i) write_observations(out, snapshot, checks[i]);
  out.end_object();
  out.begin_object("links");
  out.field("self", scope.self);
  out.field("status", "/api/v1/status");
  out.end_object();
  out.end_object();
  return out.take();
}

std::string terse_document(const Outcome& outcome, const std::vector<std::string>& warnings) {
  JsonText out;
  out.begin_object();
  out.field("status", name(outcome.status));
  if (!warnings.empty()) {
    out.begin_array("notes");
    for (const std::string& warning : warnings) out.value(one_line(warning, 200));
    out.end_array();
  }
  out.end_object();
  return out.take();
}

std::string overlays_document(const View& view) {
  JsonText out;
  out.begin_object();
  write_overlays(out, view);
  out.end_object();
  return out.take();
}

std::string status_document(const View& view, Now now, Instant valid_until) {
  const Snapshot& snapshot = *view.snapshot;
  const AgentFacts& facts = view.facts;
  const bool is_stalled = now.mono > valid_until;
  JsonText out;
  out.begin_object();
  out.begin_object("node");
  out.field("name", snapshot.plan->node);
  out.field("zone", snapshot.plan->zone);
  write_map(out, "labels", snapshot.plan->labels);
  write_service_fields(out, view, snapshot.node, view.node, now, is_stalled);
  out.end_object();
  write_services(out, view, now, is_stalled);
  out.begin_object("checks");
  out.field("total", snapshot.checks.size());
  std::array<unsigned, detail::state_names.size()> states{};
  for (const CheckView& check : snapshot.checks) ++states.at(static_cast<std::size_t>(check.state));
  for (std::size_t i = 0; i < states.size(); ++i) out.field(detail::state_names.at(i), states.at(i));
  out.end_object();
  write_overlays(out, view);
  write_outputs(out, view);
  out.field("version", facts.version);
  out.field("started", time_or_null(facts.started));
  out.field("seq", snapshot.seq);
  out.field("made", time_or_null(snapshot.made_wall));
  out.field("valid_for_ms", milliseconds(valid_until - now.mono));
  out.field("is_stalled", is_stalled);
  out.field("is_stopping", snapshot.is_stopping);
  out.field("is_ready", view.is_ready);
  out.field("ready_reason", view.ready_reason);
  out.begin_object("config");
  out.field("is_current", facts.is_config_current);
  out.field("problem", facts.config_problem);
  out.field("loaded", time_or_null(facts.config_loaded));
  out.field("reloads", facts.reloads);
  out.field("refused_reloads", facts.refused_reloads);
  out.end_object();
  out.field("loop_lag_ms", ms(facts.loop_lag));
  write_journal(out, facts.journal);
  out.begin_array("certificates");
  for (const ListenerCertificate& c : facts.certificates) {
    out.begin_object();
    out.field("listener", c.listener);
    out.field("address", c.address);
    out.field("not_after", time_or_null(c.not_after));
    out.field("is_expiring", c.not_after - now.wall <= certificate_notice);
    out.end_object();
  }
  out.end_array();
  write_workers(out, facts.workers);
  out.end_object();
  return out.take();
}

std::string outputs_document(const View& view) {
  JsonText out;
  out.begin_object();
  write_outputs(out, view);
  out.end_object();
  return out.take();
}

std::string services_document(const View& view, Now now, bool is_stalled) {
  JsonText out;
  out.begin_object();
  write_services(out, view, now, is_stalled);
  out.end_object();
  return out.take();
}

std::string service_document(const View& view, ServiceId id, Now now, bool is_stalled) {
  JsonText out;
  write_service(out, view, id, now, is_stalled);
  return out.take();
}

std::string checks_document(const View& view, Now now) {
  JsonText out;
  out.begin_object();
  out.begin_array("checks");
  for (std::uint32_t i = 0; i < view.snapshot->checks.size(); ++i) write_check(out, view, CheckId(i), now);
  out.end_array();
  out.end_object();
  return out.take();
}

std::string check_document(const View& view, CheckId id, Now now) {
  JsonText out;
  write_check(out, view, id, now);
  return out.take();
}

}  // namespace vital
