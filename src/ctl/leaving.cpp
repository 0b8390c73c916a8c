// See leaving.hpp.
#include "ctl/leaving.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/duration.hpp"
#include "base/text.hpp"

namespace vital::ctl {
namespace {

using Json = nlohmann::ordered_json;
using namespace std::chrono_literals;

// Of a balancer nobody declared: what most need at the most, and a moment for its answer to arrive.
constexpr int assumed_fall = 3;
constexpr Duration answer_time = 1s;

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

// Who only looks sends nobody anywhere.
bool is_balancer(const std::string& kind) {
  constexpr std::string_view balancers[] = {"haproxy", "envoy", "kubernetes", "aws-elb",    "route53",
                                            "gcp",     "azure", "consul",     "keepalived", "nginx",
                                            "go",      "grpc",  "varnish",    "apache"};
  return std::find(std::begin(balancers), std::end(balancers), kind) != std::end(balancers);
}

bool asks_about(const std::string& path, const std::string& service) {
  if (path.starts_with("/livez") || path.starts_with("/readyz") || path.starts_with("/metrics")) return false;
  return service.empty() || path == service || path.ends_with("/" + service);
}

// Empty if this one has left, or nothing is known of its rhythm.
std::string left_at(const Json& consumer, Duration drained_for) {
  const std::string who = text_at(consumer, "kind") + " at " + text_at(consumer, "address");
  if (const auto believes = consumer.find("believes"); believes != consumer.end() && believes->is_object()) {
    const std::string state = text_at(*believes, "state");
    const bool is_out = state.starts_with("DOWN") || state.starts_with("MAINT") || state.starts_with("DRAIN") ||
                        state.starts_with("NOLB");
    return is_out ? std::string() : fmt::format("{} still believes {}", who, state);
  }
  const auto interval = consumer.find("interval_ms");
  if (interval == consumer.end() || !interval->is_number()) return {};
  const Duration every = std::chrono::milliseconds(interval->get<long long>());
  const Duration rest = assumed_fall * every + answer_time - drained_for;
  if (rest <= Duration{}) return {};
  return fmt::format("{} asks every {} and may take {} more", who, friendly_duration(every), friendly_duration(rest));
}

}  // namespace

std::vector<std::string> who_is_left(const Json& status, const Json& consumers, const std::string& service,
                                     Duration drained_for) {
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
  for (const Json& consumer : consumers.value("consumers", Json::array())) {
    if (consumer.value("is_lost", false) || !is_balancer(text_at(consumer, "kind")) ||
        !asks_about(text_at(consumer, "path"), service)) {
      continue;
    }
    if (std::string line = left_at(consumer, drained_for); !line.empty()) out.push_back(std::move(line));
  }
  return out;
}

}  // namespace vital::ctl
