// From a snapshot to outcomes, and from an outcome to the bytes balancers read; see outcome.hpp.
#include "publish/outcome.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "core/rules.hpp"

namespace vital {
namespace {

constexpr Duration longest_retry = std::chrono::seconds(60);

const Overlay* find_overlay(const Snapshot& snapshot, OverlayKind kind, std::string_view service) {
  const Overlay* found = nullptr;
  for (const Overlay& o : snapshot.overlays) {
    if (o.kind == kind && o.service == service) return &o;
    if (o.kind == kind && o.service.empty()) found = &o;
  }
  return found;
}

// "db: fail/timeout": a state in words that no server and no person chose.
std::string terse_cause(const Snapshot& snapshot, CheckId id) {
  const CheckView& check = snapshot.at(id);
  std::string out = fmt::format("{}: {}", snapshot.plan->at(id).name, name(check.state));
  if (check.last && check.last->cause != Cause::none) out += fmt::format("/{}", name(check.last->cause));
  return out;
}

// How soon the answer can change: the shortest interval of the checks behind it.
Duration retry_after(const Snapshot& snapshot, const std::vector<CheckId>& causes) {
  Duration soonest = longest_retry;
  for (const CheckId id : causes) {
    const CheckPlan& plan = snapshot.plan->at(id);
    soonest = std::min(soonest, plan.edge_interval > Duration{} ? plan.edge_interval : plan.interval);
  }
  return causes.empty() ? std::chrono::seconds(1) : soonest;
}

struct Codes {
  int warn = 200;
  int fail = 503;
  int drain = 503;
};

Codes codes_of(const ServicePlan& plan) { return {plan.warn_code, plan.fail_code, plan.drain_code}; }

int code_of(Verdict status, OverlayKind overlay, const Codes& codes) {
  if (overlay != OverlayKind::none) return codes.drain;
  switch (status) {
    case Verdict::pass:
      return 200;
    case Verdict::warn:
      return codes.warn;
    case Verdict::fail:
    case Verdict::unknown:
      return codes.fail;
  }
  return codes.fail;
}

Outcome outcome_of(const Snapshot& snapshot, const ServiceView& view, std::string title, std::string_view service,
                   const Codes& codes, WallTime now) {
  Outcome out;
  out.name = std::move(title);
  out.status = view.answer == Verdict::unknown ? Verdict::fail : view.answer;
  out.state = view.state;
  out.overlay = view.overlay;
  out.weight = out.status == Verdict::fail ? 0 : std::min(view.weight, 100U);
  out.oldest_evidence = view.oldest_evidence;
  out.code = code_of(out.status, out.overlay, codes);
  out.retry_after = retry_after(snapshot, view.causes);
  if (out.overlay != OverlayKind::none) {
    out.terse_reason = name(out.overlay);
    out.reason = name(out.overlay);
    if (const Overlay* overlay = find_overlay(snapshot, out.overlay, service)) {
      if (!overlay->owner.empty()) out.reason += " by " + overlay->owner;
      if (!overlay->reason.empty()) out.reason += ": " + overlay->reason;
      out.retry_after = longest_retry;
      if (overlay->until) {
        out.retry_after = std::clamp<Duration>(*overlay->until - now, std::chrono::seconds(1), longest_retry);
      }
    } else if (!view.reason.empty()) {
      out.reason = view.reason;
    }
  } else if (out.status != Verdict::pass || view.is_withheld) {
    out.reason = view.reason.empty() ? std::string(name(out.state)) : view.reason;
    out.terse_reason = view.causes.empty() ? std::string(name(out.state)) : terse_cause(snapshot, view.causes.front());
  }
  out.reason = one_line(out.reason, 400);
  return out;
}

// What may stand in a header field: printable ASCII.
std::string header_text(std::string_view text) {
  std::string out = one_line(text, 200);
  std::replace_if(
      out.begin(), out.end(),
      [](char c) { return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7E; }, '?');
  return out;
}

std::string header_lines(const Outcome& o, const std::string& reason) {
  std::string out = fmt::format("Cache-Control: no-store\r\nX-Health-Status: {}\r\n", name(o.status));
  if (!reason.empty()) out += fmt::format("X-Health-Reason: {}\r\n", header_text(reason));
  out += fmt::format("X-Load-Balancing-Endpoint-Weight: {}\r\n", o.weight);
  if (o.code == 503) {
    const auto wait = std::chrono::ceil<std::chrono::seconds>(o.retry_after).count();
    out += fmt::format("Retry-After: {}\r\n", std::max<long long>(1, wait));
  }
  out += fmt::format("x-envoy-upstream-healthchecked-cluster: {}\r\n", header_text(o.name));
  if (o.status == Verdict::warn) out += "x-envoy-degraded: true\r\n";
  if (o.status == Verdict::fail) out += "x-envoy-immediate-health-check-fail: true\r\n";
  return out;
}

// Always the complete state, since HAProxy keeps what it was told last. "#" begins a description only as a word.
std::string haproxy_line(const Outcome& o) {
  const bool is_up = o.state == State::pass || o.state == State::warn;
  const std::string reason = one_line(o.reason, 200);
  switch (o.overlay) {
    case OverlayKind::drain:
      return fmt::format("{} drain # {}\n", is_up ? "up" : "down", reason);
    case OverlayKind::maintenance:
      return fmt::format("{} maint # {}\n", is_up ? "up" : "down", reason);
    case OverlayKind::none:
      break;
  }
  if (o.status == Verdict::fail) return fmt::format("down ready # {}\n", reason);
  return fmt::format("up ready {}%\n", o.weight);
}

bool contains(const std::vector<CheckId>& ids, CheckId id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

// The state of a service by its rule, with the excluded checks left out of it.
State state_without(const Snapshot& snapshot, ServiceId service, const std::vector<CheckId>& excluded, Instant now) {
  const Plan& plan = *snapshot.plan;
  const auto leaf = [&](CheckId id) {
    const CheckView& check = snapshot.at(id);
    rules::Leaf out;
    out.state = check.state;
    out.is_unproven = check.evidence_at && now - *check.evidence_at > plan.at(id).max_age;
    out.is_explained_shared = check.suppressed_by && plan.at(*check.suppressed_by).scope == Scope::shared;
    out.is_ignored = contains(excluded, id);
    return out;
  };
  const auto nested = [&](ServiceId id) { return state_without(snapshot, id, excluded, now); };
  return rules::evaluate(plan, plan.at(service), leaf, nested).value_or(State::pass);
}

unsigned badness(Verdict v) { return v == Verdict::pass ? 0 : v == Verdict::warn ? 1 : 2; }

// "db: fail/timeout: no answer in 5s"
std::string full_cause(const Snapshot& snapshot, CheckId id) {
  const CheckView& check = snapshot.at(id);
  std::string out = terse_cause(snapshot, id);
  if (check.last && !check.last->text.empty()) out += ": " + check.last->text;
  return one_line(out, 400);
}

}  // namespace

Outcome node_outcome(const Snapshot& snapshot, WallTime now) {
  const Plan& plan = *snapshot.plan;
  // Where there is one service, the node is that service, with its codes.
  const Codes codes = plan.services.size() == 1 ? codes_of(plan.services.front()) : Codes{};
  return outcome_of(snapshot, snapshot.node, plan.node, "", codes, now);
}

Outcome service_outcome(const Snapshot& snapshot, ServiceId id, WallTime now) {
  const ServicePlan& plan = snapshot.plan->at(id);
  return outcome_of(snapshot, snapshot.at(id), plan.name, plan.name, codes_of(plan), now);
}

Outcome outcome_without(const Snapshot& snapshot, std::optional<ServiceId> service,
                        const std::vector<CheckId>& excluded, Now now) {
  if (!service) {
    Outcome worst = node_outcome(snapshot, now.wall);
    if (worst.overlay != OverlayKind::none || snapshot.services.empty()) return worst;
    const std::string title = worst.name;
    for (std::uint32_t i = 0; i < snapshot.services.size(); ++i) {
      Outcome each = outcome_without(snapshot, ServiceId(i), excluded, now);
      if (i == 0 || badness(each.status) > badness(worst.status)) worst = std::move(each);
    }
    worst.name = title;
    if (snapshot.services.size() > 1) worst.code = code_of(worst.status, worst.overlay, {});
    return worst;
  }
  Outcome out = service_outcome(snapshot, *service, now.wall);
  if (out.overlay != OverlayKind::none) return out;
  const std::vector<CheckId> members = checks_behind(*snapshot.plan, service);
  const bool is_touched =
      std::any_of(excluded.begin(), excluded.end(), [&](CheckId id) { return contains(members, id); });
  if (!is_touched) return out;
  const State state = state_without(snapshot, *service, excluded, now.mono);
  const ServiceView& view = snapshot.at(*service);
  // The same rule, the same answer: what holds the service up or down besides its rule stays.
  if (state != view.state) {
    out.state = state;
    out.status = rules::answer_for(state);
    if (out.status == Verdict::unknown) out.status = Verdict::fail;
    out.code = code_of(out.status, OverlayKind::none, codes_of(snapshot.plan->at(*service)));
    out.weight = out.status == Verdict::fail ? 0 : 100;
  }
  out.reason.clear();
  out.terse_reason.clear();
  if (out.status == Verdict::pass) return out;
  out.reason = out.terse_reason = name(out.state);
  for (const CheckId id : view.causes) {
    if (contains(excluded, id)) continue;
    out.reason = full_cause(snapshot, id);
    out.terse_reason = terse_cause(snapshot, id);
    break;
  }
  return out;
}

Outcome check_outcome(const Snapshot& snapshot, ServiceId service, CheckId check) {
  const CheckView& view = snapshot.at(check);
  Outcome out;
  out.name = snapshot.plan->at(check).name;
  out.state = view.state;
  switch (view.state) {
    case State::pass:
      out.status = Verdict::pass;
      break;
    case State::warn:
      out.status = Verdict::warn;
      break;
    case State::fail:
    case State::pending:
    case State::stale:
      out.status = Verdict::fail;
      break;
  }
  out.code = code_of(out.status, OverlayKind::none, codes_of(snapshot.plan->at(service)));
  out.weight = out.status == Verdict::fail ? 0 : 100;
  out.oldest_evidence = view.evidence_at;
  out.retry_after = retry_after(snapshot, {check});
  if (out.status != Verdict::pass) {
    out.terse_reason = terse_cause(snapshot, check);
    out.reason = full_cause(snapshot, check);
  }
  return out;
}

Outcome stalled_outcome(std::string name, Duration since) {
  Outcome out;
  out.name = std::move(name);
  out.state = State::stale;
  out.retry_after = std::chrono::seconds(1);
  fail_outcome(out, 503,
               fmt::format("vitald: the agent's loop stalled, its answers ran out {} ago", friendly_duration(since)));
  return out;
}

Outcome starting_outcome() {
  Outcome out;
  out.name = "vitald";
  out.retry_after = std::chrono::seconds(1);
  fail_outcome(out, 503, "vitald: starting, nothing is known yet");
  return out;
}

void fail_outcome(Outcome& outcome, int code, const std::string& reason) {
  outcome.status = Verdict::fail;
  outcome.overlay = OverlayKind::none;
  outcome.code = code;
  outcome.weight = 0;
  outcome.reason = outcome.terse_reason = reason;
  if (outcome.state == State::pass || outcome.state == State::warn) outcome.state = State::stale;
}

Answer render_answer(const Outcome& o) {
  Answer out;
  out.status = o.status;
  out.code = o.code;
  out.overlay = o.overlay;
  out.state = o.state;
  out.headers = header_lines(o, o.reason);
  out.terse_headers = header_lines(o, o.terse_reason);
  out.terse_json = fmt::format(R"({{"status":"{}"}})", name(o.status)) + "\n";
  out.text = fmt::format("{}\n", name(o.status));
  out.haproxy = haproxy_line(o);
  out.oldest_evidence = o.oldest_evidence;
  return out;
}

std::vector<CheckId> checks_behind(const Plan& plan, std::optional<ServiceId> service) {
  if (service) return rules::checks_of(plan, plan.at(*service).rule);
  std::vector<CheckId> out;
  for (const ServicePlan& each : plan.services) {
    for (const CheckId id : rules::checks_of(plan, each.rule)) {
      if (!contains(out, id)) out.push_back(id);
    }
  }
  return out;
}

}  // namespace vital
