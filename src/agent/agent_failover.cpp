// The agent and its failovers: what the policies are told, what operators may ask of them, what can be read; see
// agent.hpp.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/agent.hpp"
#include "agent/journal_pages.hpp"
#include "base/text.hpp"

namespace vital {
namespace {

constexpr std::size_t most_failovers_shown = 200;
constexpr std::size_t most_decisions_shown = 500;
constexpr std::string_view root = "/api/v1/failovers/";

using Json = nlohmann::ordered_json;

Json findings_of(const failover::Preflight& preflight) {
  Json out = Json::array();
  for (const failover::Finding& f : preflight.findings) {
    out.push_back({{"level", level_name(f.level)}, {"topology", f.topology}, {"what", f.what}, {"text", f.text}});
  }
  return out;
}

AdminAnswer answer(int status, const Json& body) {
  return {status, body.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"};
}

// The text of a key, or empty; *problem for a body that is none, or a key that is not known.
std::map<std::string, std::string> body_of(const AdminRequest& request, const std::vector<std::string>& known,
                                           std::string* problem) {
  std::map<std::string, std::string> out;
  if (trim(request.body).empty()) return out;
  const Json body = Json::parse(request.body, nullptr, false);
  if (!body.is_object()) {
    *problem = "the body must be a JSON object";
    return out;
  }
  for (const auto& [key, value] : body.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      *problem = "unknown key \"" + one_line(key, 64) + "\"; known are " + join(known, ", ");
    } else if (!value.is_string()) {
      *problem = key + " must be a string";
    } else {
      out[key] = one_line(value.get<std::string>(), 256);
    }
  }
  return out;
}

// What it means for the record that a recovery has come to this state.
std::optional<FailoverWatch::Step> step_into(failover::State state) {
  if (state == failover::State::leasing) return FailoverWatch::Step::decided;
  if (state == failover::State::confirming) return FailoverWatch::Step::fenced;
  if (state == failover::State::verifying) return FailoverWatch::Step::moved;
  return std::nullopt;
}

}  // namespace

void Agent::adopt_failover(Now now, const std::vector<std::string>& saved) {
  if (!control_ && !FailoverControl::is_wanted(*config_)) return;
  if (!control_) {
    FailoverControl::Paths paths{load_.worker, load_.worker.substr(0, load_.worker.rfind('/') + 1) + "vitald-cluster",
                                 config_->state_dir};
    FailoverControl::Hooks hooks{[this](const Note& n) { say(n.level, n.event, n.fields); },
                                 [this](const failover::Decision& d) { decided(d); }};
    control_ = std::make_unique<FailoverControl>(loop_, std::move(paths), std::move(hooks), failover_board_);
  }
  control_->adopt(now, *config_, join(saved, "\n"));
}

// Where the journal knows nothing: what the state file or the store says.
void Agent::remember_primaries() {
  control_->each_last_primary(
      [&](const std::string& topology, const std::string& member) { failovers_->remember_primary(topology, member); });
}

void Agent::look_at_topologies(Now now) {
  failovers_->each(
      [&](const FailoverWatch& watch) { control_->saw(now, watch.plan().name, failover::sight_of(watch, now.mono)); });
}

// The ledger: each decision with all it was made of, so that it can be made again.
void Agent::decided(const failover::Decision& d) {
  memory_.file(Loop::both(), {d.at,
                              Note::Level::info,
                              "failover_decision",
                              {{"topology", d.topology},
                               {"recovery", d.facts.recovery},
                               {"from", std::string(failover::name(d.from))},
                               {"to", std::string(failover::name(d.to))},
                               {"why", one_line(d.why, 512)},
                               {"line", failover::encode(d)}}});
  is_save_due_ = true;
  if (const auto step = step_into(d.to)) failovers_->recovery(d.topology, d.at, *step);
}

// POST failovers/ID/approve {"to"}, ID/decline, ID/acknowledge; switchover {"topology", "to", "echo"}; pause
// {"topology", "reason"}, resume {"topology"}, release-brake, check.
void Agent::handle_failover(const AdminRequest& request, const std::string& peer, const AdminReply& reply) {
  if (request.method != "POST") return reply(admin::refuse(405, "use POST"));
  if (!control_)
    return reply(admin::refuse(409, "no topology has a mode above observe, so there is nothing to decide"));
  const std::string_view rest = std::string_view(request.path).substr(root.size());
  const auto slash = rest.rfind('/');
  const std::string id = slash == std::string_view::npos ? "" : std::string(rest.substr(0, slash));
  const std::string verb(slash == std::string_view::npos ? rest : rest.substr(slash + 1));
  std::string problem;
  std::optional<failover::Command> command;
  if (!id.empty() && verb == "approve") {
    auto body = body_of(request, {"to"}, &problem);
    if (problem.empty() && body["to"].empty())
      problem = "write {\"to\": NAME}: the member that will be promoted, typed again";
    command = failover::Approve{id, body["to"], peer};
  } else if (!id.empty() && verb == "decline") {
    body_of(request, {}, &problem);
    command = failover::Decline{id, peer};
  } else if (!id.empty() && verb == "acknowledge") {
    body_of(request, {}, &problem);
    command = failover::Acknowledge{id, peer};
  } else if (id.empty() && verb == "switchover") {
    auto body = body_of(request, {"topology", "to", "echo"}, &problem);
    command = failover::Switchover{body["topology"], body["to"], body["echo"], peer};
  } else if (id.empty() && verb == "pause") {
    auto body = body_of(request, {"topology", "reason"}, &problem);
    command = failover::Pause{body["topology"], peer, body["reason"]};
  } else if (id.empty() && verb == "resume") {
    auto body = body_of(request, {"topology"}, &problem);
    command = failover::Resume{body["topology"], peer};
  } else if (id.empty() && verb == "release-brake") {
    body_of(request, {}, &problem);
    command = failover::ReleaseBrake{peer};
  } else if (id.empty() && verb == "check") {
    control_->check([reply](const failover::Preflight& preflight) {
      reply(answer(200, {{"is_green", is_green(preflight)},
                         {"findings", findings_of(preflight)},
                         {"text", preflight_text(preflight)}}));
    });
    return;
  } else {
    return reply(
        admin::refuse(404,
                      "known are failovers/ID/approve, decline and acknowledge, and failovers/switchover, pause, "
                      "resume, release-brake and check"));
  }
  if (!problem.empty()) return reply(admin::refuse(400, problem));
  const std::string refused = control_->command(Loop::both(), *command);
  if (!refused.empty()) return reply(admin::refuse(409, refused));
  say(Note::Level::info, "failover_command", {{"command", verb}, {"recovery", id}, {"by", peer}});
  reply(answer(200, {{"taken", true}, {"command", verb}}));
}

void Agent::add_failover_pages() {
  front_->add_get("/api/v1/failovers", [this](const GetRequest&, const GetReply& reply) {
    memory_.newest(failover_records(), most_failovers_shown,
                   [failovers = failovers_, board = failover_board_, reply](const std::vector<JournalEvent>& records) {
                     reply({200, "application/json",
                            failovers_document(records, failovers->topologies(), board->document(), board->mode())});
                   });
  });
  front_->add_get("/api/v1/failover-decisions", [this](const GetRequest& request, const GetReply& reply) {
    std::string without;
    for (const auto& [key, value] : request.query) {
      if (key != "without") return reply(journal_pages::refuse(400, "known is without=NODE"));
      without = value;
    }
    memory_.newest({"failover_decision"}, most_decisions_shown,
                   [board = failover_board_, without, reply](const std::vector<JournalEvent>& lines) {
                     reply({200, "application/json", board->decisions(lines, without)});
                   });
  });
}

}  // namespace vital
