// The agent and its outputs: what they say in the log, and what of them the endpoint shows; see agent.hpp.
#include <utility>

#include "agent/agent.hpp"
#include "core/leaving.hpp"
#include "publish/consumers.hpp"

namespace vital {

// The helper that speaks HTTP lies beside the worker.
PortOptions Agent::port_options() const {
  return {load_.worker.substr(0, load_.worker.rfind('/') + 1) + "vitald-deliver", config_->state_dir};
}

OutputHooks Agent::output_hooks() {
  OutputHooks hooks;
  hooks.note = [this](Note::Level level, std::string event, Fields fields) {
    say(level, std::move(event), std::move(fields));
  };
  hooks.changed = [this] { show_soon(); };
  return hooks;
}

std::vector<OutputFacts> Agent::output_facts() const {
  std::vector<OutputFacts> out;
  for (OutputView& v : outputs_->views()) {
    OutputFacts facts;
    facts.name = std::move(v.name);
    facts.type = std::move(v.type);
    facts.service = std::move(v.service);
    facts.state = name(v.state);
    facts.since = v.since;
    facts.told = std::move(v.told);
    facts.is_confirmed = v.is_confirmed;
    facts.error = std::move(v.error);
    facts.last_change = v.last_change;
    facts.looks = v.counters.looks;
    facts.changes = v.counters.changes;
    facts.repairs = v.counters.repairs;
    facts.failures = v.counters.failures;
    facts.timeouts = v.counters.timeouts;
    facts.queued = v.queued;
    facts.dropped = v.dropped;
    facts.users = v.users;
    out.push_back(std::move(facts));
  }
  return out;
}

// As vitalctl drain --wait asks.
std::vector<std::string> Agent::who_is_left(const std::vector<SeenConsumer>& seen) const {
  Leavers leavers;
  for (const OutputView& v : outputs_->views()) {
    if (v.type == "file") continue;  // for scripts: it sends nobody anywhere
    leavers.told.push_back({v.name, v.service, v.is_confirmed && (v.told == "drain" || v.told == "maintenance"),
                            v.error, static_cast<long>(v.users.value_or(0))});
  }
  for (const ServicePlan& s : config_->plan->services) {
    if (s.lb) leavers.declared.push_back({s.name, s.lb->interval * s.lb->fall + s.lb->timeout});
  }
  for (const SeenConsumer& c : seen) {
    if (c.is_lost) continue;
    leavers.observed.push_back({std::string(c.kind), c.address, c.path,
                                c.requests >= Consumers::settled_after ? std::optional(c.interval) : std::nullopt,
                                c.belief.state});
  }
  return vital::who_is_left(leavers, "", Loop::now() - drained_since_);
}

}  // namespace vital
