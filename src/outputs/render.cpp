// See render.hpp.
#include "outputs/render.hpp"

#include <array>
#include <nlohmann/json.hpp>

#include "base/duration.hpp"
#include "core/result.hpp"

namespace vital {
namespace {

using Json = nlohmann::ordered_json;

Json time_of(WallTime t) { return t == WallTime{} ? Json(nullptr) : Json(format_wall(t)); }

Json service_json(const std::string& called, const ServiceView& view) {
  const Verdict answer = view.answer == Verdict::unknown ? Verdict::fail : view.answer;
  return {{"name", called},
          {"status", name(answer)},
          {"state", name(view.state)},
          {"overlay", name(view.overlay)},
          {"weight", answer == Verdict::fail ? 0U : view.weight},
          {"since", time_of(view.since)},
          {"reason", view.reason}};
}

Json check_json(const CheckPlan& plan, const CheckView& view) {
  Json out = {{"name", plan.name}, {"type", plan.type}, {"state", name(view.state)}, {"since", time_of(view.since)}};
  out["verdict"] = view.last ? Json(name(view.last->verdict)) : Json(nullptr);
  out["cause"] = view.last ? Json(name(view.last->cause)) : Json(nullptr);
  out["output"] = view.last ? view.last->text : "";
  out["last_result"] = time_of(view.last_wall);
  return out;
}

}  // namespace

std::string snapshot_json(const Snapshot& snapshot) {
  const Plan& plan = *snapshot.plan;
  Json out = {{"node", service_json(plan.node, snapshot.node)},
              {"services", Json::array()},
              {"checks", Json::array()},
              {"seq", snapshot.seq},
              {"made", time_of(snapshot.made_wall)},
              {"is_stopping", snapshot.is_stopping}};
  for (std::size_t i = 0; i < plan.services.size(); ++i) {
    out["services"].push_back(service_json(plan.services[i].name, snapshot.services.at(i)));
  }
  for (std::size_t i = 0; i < plan.checks.size(); ++i) {
    out["checks"].push_back(check_json(plan.checks[i], snapshot.checks.at(i)));
  }
  return out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string track_file_text(const KeepalivedOutput& to, const Word& word) {
  return to.values.at(static_cast<std::size_t>(word.told)) + "\n";
}

std::string nginx_text(const NginxOutput& to, const std::vector<Word>& words) {
  std::string out = "# Written by vitald: change its configuration, not this file.\n";
  for (std::size_t i = 0; i < to.members.size(); ++i) {
    const Told told = words.at(i).told;
    out += "server " + to.members[i].server + (told == Told::pass || told == Told::warn ? ";\n" : " down;\n");
  }
  return out;
}

std::string envoy_text(const EnvoyOutput& to, const std::vector<Word>& words) {
  static constexpr std::array<std::string_view, told_names.size()> health{"HEALTHY", "DEGRADED", "UNHEALTHY",
                                                                          "DRAINING", "DRAINING"};
  Json endpoints = Json::array();
  for (std::size_t i = 0; i < to.members.size(); ++i) {
    const std::string& server = to.members[i].server;
    const std::size_t colon = server.rfind(':');
    std::string host = server.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    const Json where = {{"address", host}, {"port_value", std::stoul(server.substr(colon + 1))}};
    Json endpoint = {{"endpoint", {{"address", {{"socket_address", where}}}}},
                     {"health_status", health.at(static_cast<std::size_t>(words.at(i).told))}};
    if (words.at(i).weight > 0) endpoint["load_balancing_weight"] = words.at(i).weight;
    endpoints.push_back(std::move(endpoint));
  }
  const Json out = {
      {"resources", Json::array({{{"@type", "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"},
                                  {"cluster_name", to.cluster},
                                  {"endpoints", Json::array({{{"lb_endpoints", std::move(endpoints)}}})}}})}};
  return out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace vital
