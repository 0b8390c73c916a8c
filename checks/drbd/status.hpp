// What `drbdsetup status --json` prints, as values, and what it means. Pure. The format is that of drbd-utils 9: a list
// of resources; keys mix hyphens and underscores, older versions leave out what they do not know, and a value missing
// here has the harmless meaning. [any]
#pragma once

#include <optional>
#include <string>
#include <vector>
#include <vitald/check.hpp>

#include "../findings.hpp"

namespace vital::drbd {

struct Device {
  int volume = 0;
  std::string disk;        // UpToDate, Inconsistent, Outdated, Consistent, Failed, Diskless, ...
  bool is_client = false;  // without a disk on purpose
  bool has_quorum = true;
};

struct PeerDevice {
  int volume = 0;
  std::string replication;  // Established, SyncSource, SyncTarget, Off, ...
  std::string disk;
  double out_of_sync = 0;  // bytes
  double percent_in_sync = 100;
};

struct Connection {
  std::string name, state, role;  // Connected, Connecting, StandAlone, ...; Primary, Secondary, Unknown
  std::vector<PeerDevice> devices;
  bool is_connected() const { return state == "Connected"; }
};

struct Resource {
  std::string name, role;
  std::string suspended;  // why its I/O waits: "quorum", "no-data"; empty: it does not
  bool forces_failures = false;
  std::vector<Device> devices;
  std::vector<Connection> connections;
};

// Empty if it is no such list.
std::optional<std::vector<Resource>> read_status(const std::string& text);

struct Demands {
  std::vector<std::string> resources;  // empty: all there are
  std::string role = "any";            // primary, secondary
  check::Limit out_of_sync;
};

// Whether a resource may be made primary here without losing what a peer has: empty, or why not.
std::string promotion_obstacle(const Resource& resource);

check::Result judge(const std::vector<Resource>& all, const Demands& demands);

}  // namespace vital::drbd
