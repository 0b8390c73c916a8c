// The agent and its outputs: what they say in the log, and what of them the endpoint shows; see agent.hpp.
#include <utility>

#include "agent/agent.hpp"

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

}  // namespace vital
