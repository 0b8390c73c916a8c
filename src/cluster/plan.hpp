// ClusterPlan: where the agents of a cluster meet, as the config says it. Immutable values; any thread. Holds secrets:
// never print those.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/time.hpp"

namespace vital {

struct ClusterPlan {
  enum class Kind : std::uint8_t { standalone, etcd };
  Kind kind = Kind::standalone;
  std::string name = "default";
  std::string node, zone;
  std::string prefix = "/vitald";
  std::vector<std::string> endpoints;  // "https://10.0.0.5:2379"
  std::string ca, certificate, key;    // files; empty = the system's, none
  std::string user, password;          // the password is a secret; empty user = no login
  Duration ttl = std::chrono::seconds(15);
  Duration margin = std::chrono::seconds(5);    // a holder gives up so much before anybody else may take over
  Duration timeout = std::chrono::seconds(2);   // of one call
  Duration interval = std::chrono::seconds(1);  // between two looks at the store
  bool operator==(const ClusterPlan&) const = default;
};

}  // namespace vital
