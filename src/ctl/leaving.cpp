// See leaving.hpp.
#include "ctl/leaving.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/duration.hpp"
#include "base/text.hpp"

namespace vital::ctl {
namespace {

using Json = nlohmann::ordered_json;

std::string text_at(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? one_line(found->get<std::string>(), 256) : std::string();
}

// Empty if this output has nobody left.
std::string left_at(const Json& output) {
  const std::string told = text_at(output, "told"), error = text_at(output, "error");
  const bool is_drained = (told == "drain" || told == "maintenance") && output.value("is_confirmed", false);
  if (!is_drained) {
    return fmt::format("{} has not been told yet{}", text_at(output, "name"), error.empty() ? "" : ": " + error);
  }
  const auto users = output.find("users");
  if (users != output.end() && users->is_number() && users->get<long>() > 0) {
    return fmt::format("{} still has {} sessions", text_at(output, "name"), users->get<long>());
  }
  return {};
}

}  // namespace

std::vector<std::string> who_is_left(const Json& status, const std::string& service, Duration drained_for) {
  std::vector<std::string> out;
  for (const Json& output : status.value("outputs", Json::array())) {
    // The file for scripts sends nobody anywhere.
    if (text_at(output, "type") == "file" || (!service.empty() && text_at(output, "service") != service)) continue;
    if (std::string line = left_at(output); !line.empty()) out.push_back(std::move(line));
  }
  for (const Json& each : status.value("services", Json::array())) {
    const std::string called = text_at(each, "name");
    const auto reaction = each.find("reaction_ms");
    if ((!service.empty() && called != service) || reaction == each.end() || !reaction->is_number()) continue;
    const Duration rest = std::chrono::milliseconds(reaction->get<long long>()) - drained_for;
    if (rest > Duration{})
      out.push_back(fmt::format("the balancer of {} may take {} more", called, friendly_duration(rest)));
  }
  return out;
}

}  // namespace vital::ctl
