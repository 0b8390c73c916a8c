// See leaving.hpp.
#include "core/leaving.hpp"

#include <algorithm>
#include <string_view>

#include "base/duration.hpp"

namespace vital {
namespace {

using namespace std::chrono_literals;

// Of a balancer nobody declared: what most need at the most, and a moment for its answer to arrive.
constexpr int assumed_fall = 3;
constexpr Duration answer_time = 1s;

constexpr std::string_view balancers[] = {"haproxy", "envoy", "kubernetes", "aws-elb",    "route53",
                                          "gcp",     "azure", "consul",     "keepalived", "nginx",
                                          "go",      "grpc",  "varnish",    "apache"};

// Who only looks sends nobody anywhere.
bool is_balancer(std::string_view kind) {
  return std::find(std::begin(balancers), std::end(balancers), kind) != std::end(balancers);
}

bool asks_about(const std::string& path, const std::string& service) {
  if (path.starts_with("/livez") || path.starts_with("/readyz") || path.starts_with("/metrics")) return false;
  return service.empty() || path == service || path.ends_with("/" + service);
}

// The lines are empty where nobody is left.
std::string line_of(const Leavers::Told& told) {
  if (!told.is_drained) return told.name + " has not been told yet" + (told.error.empty() ? "" : ": " + told.error);
  return told.sessions > 0 ? told.name + " still has " + std::to_string(told.sessions) + " sessions" : std::string();
}

std::string line_of(const Leavers::Declared& declared, Duration drained_for) {
  const Duration rest = declared.reaction - drained_for;
  if (rest <= Duration{}) return {};
  return "the balancer of " + declared.service + " may take " + friendly_duration(rest) + " more";
}

std::string line_of(const Leavers::Observed& seen, Duration drained_for) {
  const std::string who = seen.kind + " at " + seen.address;
  if (!seen.believes.empty()) {
    for (const char* out : {"DOWN", "MAINT", "DRAIN", "NOLB"}) {
      if (seen.believes.starts_with(out)) return {};
    }
    return who + " still believes " + seen.believes;
  }
  if (!seen.interval) return {};
  const Duration rest = assumed_fall * *seen.interval + answer_time - drained_for;
  if (rest <= Duration{}) return {};
  return who + " asks every " + friendly_duration(*seen.interval) + " and may take " + friendly_duration(rest) +
         " more";
}

}  // namespace

std::vector<std::string> who_is_left(const Leavers& leavers, const std::string& service, Duration drained_for) {
  std::vector<std::string> out;
  const auto add = [&](std::string line) {
    if (!line.empty()) out.push_back(std::move(line));
  };
  const auto is_of = [&](const std::string& other) { return service.empty() || other == service; };
  for (const auto& told : leavers.told) {
    if (is_of(told.service)) add(line_of(told));
  }
  for (const auto& declared : leavers.declared) {
    if (is_of(declared.service)) add(line_of(declared, drained_for));
  }
  for (const auto& seen : leavers.observed) {
    if (is_balancer(seen.kind) && asks_about(seen.path, service)) add(line_of(seen, drained_for));
  }
  return out;
}

}  // namespace vital
