// What crm_mon says of a cluster (its XML, since Pacemaker 2.0), and what follows from it for our actions: whether they
// may be asked for, and whether they have come true. Pure. [any]
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vital::action::pacemaker {

struct Node {
  std::string name;
  bool is_online = false;
  bool is_standby = false;
  bool is_in_maintenance = false;
  bool is_pending = false;
  bool is_unclean = false;
};

// One instance of a resource on one node; `node` is empty where it is stopped.
struct Instance {
  std::vector<std::string> names;  // its own, and those of the groups, clones and bundles it is in
  std::string role;                // Started, Promoted, Unpromoted, Stopped, Starting, ...
  std::string node;
  bool is_managed = true;
  bool is_failed = false;
  bool is_changing = false;  // an operation is under way
};

struct Ban {
  std::string resource, node;
  bool is_of_promoted = false;
};

struct Status {
  std::string dc;  // the node that decides; empty without one
  bool has_quorum = false;
  bool is_in_maintenance = false;
  bool has_fencing = false;
  std::vector<Node> nodes;
  std::vector<Instance> instances;
  std::vector<std::string> promotable;  // clones
  std::vector<Ban> bans;                // constraints with -INFINITY
};

// Empty, with why, if it is not a whole answer.
std::optional<Status> read_status(std::string_view xml, std::string& why);

// What crm_mon says of its own trouble; empty if it says nothing.
std::string trouble_in(std::string_view xml);

// The state of the one that decides, in what `crmadmin -S` says: S_IDLE when nothing is under way.
std::string controller_state_in(std::string_view xml);

// The ids of the constraints in what `cibadmin -Q -o constraints` says.
std::vector<std::string> constraints_in(std::string_view xml);

enum class Wish { standby, move, ban };

// What is asked of Pacemaker. `resource` is empty for standby, which is of all resources.
struct Asked {
  Wish wish = Wish::standby;
  std::string node, resource;
  bool is_of_promoted = false;  // the promoted role, not the resource
};

// Why Pacemaker must not be asked for this, or would not do it; empty if nothing speaks against it.
std::string obstacle(const Status& seen, const Asked& asked);

struct Claim {
  bool holds = false;
  std::string text;
};
Claim judge(const Status& seen, const Asked& asked);

}  // namespace vital::action::pacemaker
