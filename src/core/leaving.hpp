// Who has not left yet: after a drain, from what is known of those who send users here. vitalctl drain --wait and the
// agent's own stop ask the same question. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"

namespace vital {

struct Leavers {
  // Who is told (an output of the configuration).
  struct Told {
    std::string name;
    std::string service;
    bool is_drained = false;  // it confirmed that it holds drain or maintenance
    std::string error;        // of the last look, or empty
    long sessions = 0;        // that it still counts for us
  };
  // Who asks, as the configuration declares it (lb: of a service).
  struct Declared {
    std::string service;
    Duration reaction{};
  };
  // Who asks, as it was observed.
  struct Observed {
    std::string kind;  // "haproxy", "envoy", ... as the endpoint recognises them
    std::string address;
    std::string path;                  // asked for: "/health/web"
    std::optional<Duration> interval;  // unknown: it came once or twice
    std::string believes;              // HAProxy's word for us: "UP", "DOWN", "NOLB"; empty: it does not say
  };
  std::vector<Told> told;
  std::vector<Declared> declared;
  std::vector<Observed> observed;
};

// One line for each that may still send users to the node, or to `service` if it is not empty; none when it is safe to
// stop. `drained_for` is how long the drain has been told. Who is told has left when he holds the drain and counts no
// sessions; who was declared, after his reaction; who was observed, when he says so himself, else after he had time to
// ask three times. Who only looks (Prometheus, a browser) is not waited for, nor who asks about something else.
std::vector<std::string> who_is_left(const Leavers& leavers, const std::string& service, Duration drained_for);

}  // namespace vital
