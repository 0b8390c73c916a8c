// What the world may read of policies: their document and metrics, and the ledger; see failover_board.hpp.
#include "agent/failover_board.hpp"

#include <algorithm>
#include <utility>

#include "agent/failover_control.hpp"
#include "base/duration.hpp"
#include "core/failover/guards.hpp"
#include "publish/json_text.hpp"

namespace vital {
namespace {

using failover::Decision;
using failover::Policy;

std::vector<std::string> holds_of(const failover::Facts& f, const failover::FailoverPolicyPlan& p) {
  namespace g = failover::guards;
  std::vector<std::string> out;
  for (const auto guard : {g::stopped_by_human, g::doubting, g::starting, g::storeless, g::brake_on, g::parked_before,
                           g::tried_too_often, g::others_at_work, g::cooling_down, g::nobody_fit}) {
    if (std::string held = guard(f, p); !held.empty()) out.push_back(std::move(held));
  }
  return out;
}

}  // namespace

void FailoverControl::show(Now now) {
  shown_at_ = now.mono;
  const failover::ClusterSeen seen = cluster_->seen();
  JsonText out;
  std::string states, recoveries, leases, decisions, astray, reasserted;
  const auto line = [](std::string& to, const std::string& metric, const std::string& labels, double value) {
    JsonText number;
    number.value(value);
    to += metric + "{" + labels + "} " + number.take();  // ends the line
  };
  out.begin_array();
  policies_->each([&](const Policy& p) {
    const std::string& topology = p.plan().topology;
    const failover::Facts f = p.facts(now);
    const auto configured = std::find_if(config_->policies.begin(), config_->policies.end(),
                                         [&](const auto& c) { return c.topology == topology; });
    const auto waiting = not_ready_.find(topology);
    out.begin_object();
    out.field("topology", topology);
    out.field("mode", failover::name(configured == config_->policies.end() ? p.plan().mode : configured->mode));
    out.field("acts_as", failover::name(p.plan().mode));
    out.field("not_ready", waiting == not_ready_.end() ? std::nullopt : std::optional(waiting->second));
    out.field("state", failover::name(p.state()));
    out.field("reason", or_null(std::string(p.reason())));
    out.field("store", failover::name(f.store));
    out.field("lease_holder", or_null(f.lease_holder));
    out.field("is_lease_ours", f.is_lease_ours);
    out.field("is_paused", f.is_paused);
    out.field("is_brake_on", f.is_brake_on);
    out.field("recovery", or_null(p.recovery().id));
    out.field("from", or_null(p.recovery().from));
    out.field("to", or_null(p.recovery().to));
    out.field("parked", or_null(f.parked_recovery));
    out.field("astray", or_null(failover::guards::astray(f, p.plan())));
    if (const auto last = p.last_primary()) {
      out.begin_object("last_primary");
      out.field("member", last->member);
      out.field("position", or_null(last->position));
      out.field("at", format_wall(WallTime(WallTime::duration(last->at))));
      out.field("seen_by", last->node);
      out.end_object();
    } else {
      out.field("last_primary", nullptr);
    }
    out.begin_array("holds");
    for (const std::string& held : holds_of(f, p.plan())) out.value(held);
    out.end_array();
    out.end_object();
    for (std::size_t i = 0; i < failover::state_count; ++i) {
      const auto s = static_cast<failover::State>(i);
      line(states, "vitald_failover_state",
           "topology=\"" + topology + "\",state=\"" + std::string(failover::name(s)) + "\"", s == p.state() ? 1 : 0);
    }
    const Count& n = counts_[topology];
    const std::string label = "topology=\"" + topology + "\"";
    line(recoveries, "vitald_failover_recoveries_total", label + ",end=\"done\"", static_cast<double>(n.done));
    line(recoveries, "vitald_failover_recoveries_total", label + ",end=\"parked\"", static_cast<double>(n.parked));
    line(leases, "vitald_failover_lease_held", label, f.is_lease_ours && f.lease_left > 0 ? 1 : 0);
    line(astray, "vitald_failover_astray", label, failover::guards::astray(f, p.plan()).empty() ? 0 : 1);
    line(reasserted, "vitald_failover_reasserted_total", label, static_cast<double>(n.reasserted));
    line(decisions, "vitald_failover_decisions_total", label, static_cast<double>(n.decisions));
  });
  out.end_array();
  std::string text = out.take();
  text.pop_back();  // the newline
  std::string metrics = cluster_->metrics();
  const auto family = [&](const char* metric, const char* type, const char* help, const std::string& lines) {
    metrics += std::string("# HELP ") + metric + " " + help + "\n# TYPE " + metric + " " + type + "\n" + lines;
  };
  family("vitald_failover_state", "gauge", "1 for the state in which the policy of the topology is.", states);
  family("vitald_failover_recoveries_total", "counter", "Recoveries of this agent that ended.", recoveries);
  family("vitald_failover_lease_held", "gauge", "1 while this agent alone may act on the topology.", leases);
  family("vitald_failover_astray", "gauge", "1 while clients are not led to the primary, though it is well.", astray);
  family("vitald_failover_reasserted_total", "counter", "How often this agent led clients to the primary again.",
         reasserted);
  family("vitald_failover_decisions_total", "counter", "Decisions written to the ledger.", decisions);
  board_->put(std::move(text), std::move(metrics), plans());
}

void FailoverBoard::put(std::string document, std::string metrics, std::vector<failover::FailoverPolicyPlan> plans) {
  const std::lock_guard lock(m_);
  document_ = std::move(document);
  metrics_ = std::move(metrics);
  plans_ = std::move(plans);
}

std::string FailoverBoard::document() const {
  const std::lock_guard lock(m_);
  return document_;
}

std::string_view FailoverBoard::mode() const {
  const std::lock_guard lock(m_);
  auto out = failover::Mode::observe;
  for (const auto& plan : plans_) out = std::max(out, plan.mode);
  return failover::name(out);
}

std::string FailoverBoard::metrics() const {
  const std::lock_guard lock(m_);
  return metrics_;
}

std::string FailoverBoard::decisions(const std::vector<JournalEvent>& lines, const std::string& without) const {
  std::vector<failover::FailoverPolicyPlan> plans;
  {
    const std::lock_guard lock(m_);
    plans = plans_;
  }
  JsonText out;
  out.begin_object();
  out.begin_array("decisions");
  for (const JournalEvent& event : lines) {
    std::optional<Decision> decision;
    for (const auto& [key, value] : event.fields) {
      if (key == "line") decision = failover::decode_decision(value);
    }
    if (!decision) continue;
    const auto plan =
        std::find_if(plans.begin(), plans.end(), [&](const auto& p) { return p.topology == decision->topology; });
    if (plan == plans.end()) continue;
    failover::FailoverPolicyPlan as_it_was = *plan;
    if (decision->mode != failover::Mode::observe) as_it_was.mode = decision->mode;
    const auto again = failover::replay({*decision}, as_it_was, without);
    out.begin_object();
    out.field("at", format_wall(decision->at));
    out.field("topology", decision->topology);
    out.field("recovery", or_null(decision->facts.recovery));
    out.field("from", failover::name(decision->from));
    out.field("to", failover::name(decision->to));
    out.field("why", decision->why);
    out.field("text", failover::explain(*decision, *plan));
    out.field("is_same", !again.empty() && again.front().is_same);
    out.field("now_to", failover::name(again.empty() ? decision->to : again.front().now.to));
    out.field("now_why", again.empty() ? decision->why : again.front().now.why);
    out.end_object();
  }
  out.end_array();
  out.end_object();
  return out.take();
}

}  // namespace vital
