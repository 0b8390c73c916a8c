// The JSON documents; see documents.hpp. Outside text may hold bytes that are not UTF-8: they become U+FFFD.
#include "publish/documents.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/duration.hpp"
#include "base/text.hpp"

namespace vital {
namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

// Milliseconds with three decimals, as a number.
double ms(Duration d) { return std::round(seconds(d) * 1e6) / 1e3; }

Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
// A time that never was is null, not 1970.
Json time_or_null(WallTime t) { return t == WallTime{} ? Json(nullptr) : Json(format_wall(t)); }
Json ms_since(const std::optional<Instant>& then, Instant now) {
  return then ? Json(milliseconds(std::max(Duration{}, now - *then))) : Json(nullptr);
}
Json object_of(const std::map<std::string, std::string>& entries) {
  Json out = Json::object();
  for (const auto& [key, value] : entries) out[key] = value;
  return out;
}

std::string_view name_of(Scope scope) { return scope == Scope::shared ? "shared" : "local"; }
std::string_view name_of(Mode mode) { return mode == Mode::shadow ? "shadow" : "active"; }

Json measure_json(const Measure& m) {
  return {{"name", m.name},
          {"value", number_or_null(m.value)},
          {"unit", m.unit},
          {"warn", number_or_null(m.warn)},
          {"fail", number_or_null(m.fail)}};
}

Json names_json(const Plan& plan, const std::vector<CheckId>& ids) {
  Json out = Json::array();
  for (const CheckId id : ids) out.push_back(plan.at(id).name);
  return out;
}

Json check_json(const View& view, CheckId id, Now now) {
  const Snapshot& snapshot = *view.snapshot;
  const CheckPlan& plan = snapshot.plan->at(id);
  const CheckView& check = snapshot.at(id);
  const ProbeResult* last = check.last ? &*check.last : nullptr;
  Json phases = Json::object();
  Json measures = Json::array();
  Json facts = Json::object();
  if (last != nullptr) {
    for (const auto& [phase, took] : last->phases) phases[std::string(name(phase))] = ms(took);
    for (const Measure& m : last->measures) measures.push_back(measure_json(m));
    for (const auto& [key, value] : last->facts) facts[key] = value;
  }
  Json pending = nullptr;
  if (check.pending_change) {
    const PendingChange& p = *check.pending_change;
    pending = {{"to", name(p.to)}, {"seen", p.seen}, {"needed", p.needed}};
  }
  Json next = nullptr;
  if (check.next_due) next = milliseconds(std::max(Duration{}, *check.next_due - now.mono));
  return {{"name", plan.name},
          {"type", plan.type},
          {"state", name(check.state)},
          {"verdict", last != nullptr ? Json(name(last->verdict)) : Json(nullptr)},
          {"cause", last != nullptr ? Json(name(last->cause)) : Json(nullptr)},
          {"output", last != nullptr ? last->text : ""},
          {"since", time_or_null(check.since)},
          {"age_ms", ms_since(check.last_at, now.mono)},
          {"duration_ms", last != nullptr ? Json(ms(last->duration)) : Json(nullptr)},
          {"phases", phases},
          {"measures", measures},
          {"facts", facts},
          {"streak", check.streak},
          {"history", check.history},
          {"pending_change", pending},
          {"suppressed_by", check.suppressed_by ? Json(snapshot.plan->at(*check.suppressed_by).name) : Json(nullptr)},
          {"next_probe_ms", next},
          {"last_result", time_or_null(check.last_wall)},
          {"evidence_age_ms", ms_since(check.evidence_at, now.mono)},
          {"running_ms", ms_since(check.running_since, now.mono)},
          {"is_flapping", check.is_flapping},
          {"is_critical", plan.is_critical},
          {"scope", name_of(plan.scope)},
          {"mode", name_of(plan.mode)},
          {"depends_on", names_json(*snapshot.plan, plan.depends_on)},
          {"interval_ms", milliseconds(plan.interval)},
          {"timeout_ms", milliseconds(plan.timeout)},
          {"description", plan.description},
          {"labels", object_of(plan.labels)}};
}

Json service_json(const View& view, const ServiceView& service, const Answer& answer, Now now, bool is_stalled) {
  Json out = {{"state", name(service.state)},
              {"answer", is_stalled ? name(Verdict::fail) : name(service.answer)},
              {"code", is_stalled ? 503 : answer.code},
              {"overlay", name(service.overlay)},
              {"since", time_or_null(service.since)},
              {"reason", is_stalled ? "the agent's loop stalled" : service.reason},
              {"causes", names_json(*view.snapshot->plan, service.causes)},
              {"weight", is_stalled || service.answer == Verdict::fail ? 0 : service.weight},
              {"evidence_age_ms", ms_since(service.oldest_evidence, now.mono)},
              {"is_withheld", service.is_withheld}};
  return out;
}

Json named_service_json(const View& view, ServiceId id, Now now, bool is_stalled) {
  const Plan& plan = *view.snapshot->plan;
  Json out = {{"name", plan.at(id).name}};
  out.update(service_json(view, view.snapshot->at(id), view.services.at(id.value), now, is_stalled));
  out["checks"] = names_json(plan, checks_behind(plan, id));
  out["description"] = plan.at(id).description;
  return out;
}

Json services_json(const View& view, Now now, bool is_stalled) {
  Json out = Json::array();
  for (std::uint32_t i = 0; i < view.services.size(); ++i) {
    out.push_back(named_service_json(view, ServiceId(i), now, is_stalled));
  }
  return out;
}

Json overlay_json(const Overlay& o) {
  return {{"kind", name(o.kind)},
          {"service", o.service.empty() ? Json(nullptr) : Json(o.service)},
          {"reason", o.reason},
          {"owner", o.owner},
          {"since", time_or_null(o.since)},
          {"until", o.until ? Json(format_wall(*o.until)) : Json(nullptr)}};
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

// The entries of one check: its response time, then each thing it measured.
void add_check(Json& checks, const Snapshot& snapshot, CheckId id) {
  const CheckPlan& plan = snapshot.plan->at(id);
  const CheckView& check = snapshot.at(id);
  const auto entry = [&](double value, std::string_view unit) {
    Json out = {{"componentId", plan.name}, {"componentType", component_type(plan.type)}};
    out["observedValue"] = number_or_null(value);
    out["observedUnit"] = unit;
    out["status"] = draft_status(check.state);
    out["state"] = name(check.state);
    if (check.last) {
      out["time"] = format_wall(check.last_wall);
      if (check.last->cause != Cause::none) out["cause"] = name(check.last->cause);
      if (!check.last->text.empty()) out["output"] = check.last->text;
    }
    return Json::array({std::move(out)});
  };
  checks[plan.name + ":responseTime"] = entry(check.last ? ms(check.last->duration) : NAN, "ms");
  if (!check.last) return;
  for (const Measure& m : check.last->measures) checks[plan.name + ":" + m.name] = entry(m.value, m.unit);
}

}  // namespace

std::string health_document(const View& view, const Outcome& outcome, const HealthScope& scope) {
  const Snapshot& snapshot = *view.snapshot;
  Json out = {{"status", name(outcome.status)}};
  if (!outcome.reason.empty()) out["output"] = outcome.reason;
  out["serviceId"] = outcome.name;
  out["version"] = view.facts.version.substr(0, view.facts.version.find('.'));
  out["releaseId"] = view.facts.version;
  out["description"] = "health of " + outcome.name + " as vitald on " + snapshot.plan->node + " sees it";
  Json notes = Json::array();
  for (const std::string& warning : scope.warnings) notes.push_back(one_line(warning, 200));
  if (outcome.overlay != OverlayKind::none) notes.push_back(outcome.reason);
  if (!view.facts.is_config_current) {
    notes.push_back("the last reload was refused, the config before it stays: " + view.facts.config_problem);
  }
  if (!notes.empty()) out["notes"] = notes;
  Json checks = Json::object();
  for (const CheckId id : scope.checks) add_check(checks, snapshot, id);
  out["checks"] = checks;
  out["links"] = {{"self", scope.self}, {"status", "/api/v1/status"}};
  return text_of(out);
}

std::string terse_document(const Outcome& outcome, const std::vector<std::string>& warnings) {
  Json out = {{"status", name(outcome.status)}};
  for (const std::string& warning : warnings) out["notes"].push_back(one_line(warning, 200));
  return text_of(out);
}

std::string status_document(const View& view, Now now, Instant valid_until) {
  const Snapshot& snapshot = *view.snapshot;
  const Plan& plan = *snapshot.plan;
  const AgentFacts& facts = view.facts;
  const bool is_stalled = now.mono > valid_until;
  Json node = {{"name", plan.node}, {"zone", plan.zone}, {"labels", object_of(plan.labels)}};
  node.update(service_json(view, snapshot.node, view.node, now, is_stalled));
  std::array<unsigned, detail::state_names.size()> states{};
  for (const CheckView& check : snapshot.checks) ++states.at(static_cast<std::size_t>(check.state));
  Json checks = {{"total", snapshot.checks.size()}};
  for (std::size_t i = 0; i < states.size(); ++i) checks[std::string(detail::state_names.at(i))] = states.at(i);
  Json overlays = Json::array();
  for (const Overlay& o : snapshot.overlays) overlays.push_back(overlay_json(o));
  return text_of({{"node", node},
                  {"services", services_json(view, now, is_stalled)},
                  {"checks", checks},
                  {"overlays", overlays},
                  {"version", facts.version},
                  {"started", time_or_null(facts.started)},
                  {"seq", snapshot.seq},
                  {"made", time_or_null(snapshot.made_wall)},
                  {"valid_for_ms", milliseconds(valid_until - now.mono)},
                  {"is_stalled", is_stalled},
                  {"is_stopping", snapshot.is_stopping},
                  {"is_ready", view.is_ready},
                  {"ready_reason", view.ready_reason},
                  {"config",
                   {{"is_current", facts.is_config_current},
                    {"problem", facts.config_problem},
                    {"loaded", time_or_null(facts.config_loaded)},
                    {"reloads", facts.reloads},
                    {"refused_reloads", facts.refused_reloads}}},
                  {"loop_lag_ms", ms(facts.loop_lag)}});
}

std::string services_document(const View& view, Now now, bool is_stalled) {
  return text_of({{"services", services_json(view, now, is_stalled)}});
}

std::string service_document(const View& view, ServiceId id, Now now, bool is_stalled) {
  return text_of(named_service_json(view, id, now, is_stalled));
}

std::string checks_document(const View& view, Now now) {
  Json checks = Json::array();
  for (std::uint32_t i = 0; i < view.snapshot->checks.size(); ++i) checks.push_back(check_json(view, CheckId(i), now));
  return text_of({{"checks", std::move(checks)}});
}

std::string check_document(const View& view, CheckId id, Now now) { return text_of(check_json(view, id, now)); }

}  // namespace vital
