// See render.hpp.
#include "outputs/render.hpp"

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

}  // namespace vital
