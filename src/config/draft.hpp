// What is known of checks and services while a config is being compiled: values with the place they were written at,
// names that are not resolved yet. Private to config/. [control]
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/config.hpp"
#include "config/expand.hpp"
#include "config/problems.hpp"
#include "config/section.hpp"
#include "config/source.hpp"
#include "config/tree.hpp"
#include "core/plan.hpp"

namespace vital::config {

// A value, and where it was written.
template <typename T>
struct Written {
  T value{};
  Mark mark;
  std::string path;
};

struct Name {
  std::string text;
  Mark mark;
};

// The options every check has, as far as they were written: of `defaults`, or of one check.
struct CommonOptions {
  std::optional<Written<Duration>> interval, timeout, retry_delay, edge_interval, warn_after, max_age, start_delay;
  std::optional<Written<Duration>> flap_half_life;
  std::optional<Written<double>> flap_suppress, flap_reuse;
  std::optional<Written<unsigned>> retries, rise, fall;
  std::optional<Written<std::pair<unsigned, unsigned>>> fall_window;
  std::optional<Written<bool>> is_critical, is_enabled;
  std::optional<Written<Scope>> scope;
  std::optional<Written<Mode>> mode;
  std::vector<std::pair<std::string, std::string>> labels;
};
CommonOptions read_common(const Section& section);

struct Profile {
  std::string_view name;
  Duration interval, timeout;
  unsigned retries;
  Duration edge_interval;
  unsigned rise, fall;
};
const Profile& profile_named(std::string_view name);

struct CheckDraft {
  CheckPlan plan;
  std::shared_ptr<CheckSpec> spec;  // null if its options are no good
  const Entry* entry = nullptr;     // in the tree
  std::vector<Name> depends_on;
  bool is_enabled = true;
  std::vector<Setting> settings;
  std::string path() const { return "checks." + plan.name; }
};

// Fills the plan's times, thresholds and policies from the check, the defaults and the profile, in this order.
void apply_common(CheckDraft& check, const CommonOptions& own, const CommonOptions& defaults, const Profile& profile,
                  Problems& problems);

struct Context {
  Problems& problems;
  const Environment& environment;
  ModuleSource& modules;
  bool read_secrets = true;
  const std::function<std::vector<TlsRemark>(const TlsFiles&)>& inspect_tls;
};

// One check: common options, then its module's. `entry` outlives the draft.
CheckDraft read_check(const Entry& entry, const CommonOptions& defaults, const Profile& profile, const Context& cx);

// What a file holds that an option NAME_file names. `text` is empty where secrets are only looked for.
struct Secret {
  std::string text;
  std::string file;
};
// Says what is wrong with it, if something is.
std::optional<Secret> read_secret_file(const Node& written, const std::string& path, const Context& cx);

// The module's options: fills values and secrets of `spec`, and settings. False if any was no good.
bool read_options(const Entry& check, const std::vector<const Entry*>& written, CheckSpec& spec,
                  std::vector<Setting>& settings, const Context& cx);
// The same of an action: `path` is where it stands, "failover.actions.stop".
bool read_action_options(const Entry& action, const std::string& path, const std::vector<const Entry*>& written,
                         CheckSpec& spec, const Context& cx);

// Where an option stands in the tree, or the nearest thing around it.
Mark place_of_option(const Entry& check, const std::string& option);

// Resolves depends_on, refuses cycles. `drafts` are all that were written, `plan` holds those that are enabled.
void resolve_dependencies(const std::vector<CheckDraft>& drafts, Plan& plan, Problems& problems);

// Parses the rules of composites and finds the checks they name; refuses circles.
void resolve_composites(const std::vector<CheckDraft>& drafts, Plan& plan, Problems& problems);

// The services section, or without one the one called `default`.
void read_services(const Entry* section, const std::vector<CheckDraft>& drafts, Plan& plan, Problems& problems);

// A name a check or a service may have; says so if not.
bool is_good_name(const std::string& name, Mark mark, const std::string& path, Problems& problems);

// The outputs section; services are those of `plan`.
std::vector<OutputSpec> read_outputs(const Node* section, const Plan& plan, const Context& cx);

// The failover section; checks are those of `plan`.
std::vector<TopologyPlan> read_failover(const Section& failover, const std::vector<CheckDraft>& drafts,
                                        const Plan& plan);

// The cluster section; node and zone are those of `plan`.
ClusterPlan read_cluster(const Section& cluster, const Plan& plan, const Context& cx);

// failover.actions.
struct ActionDraft {
  std::string name;
  const Entry* entry = nullptr;
  std::shared_ptr<CheckSpec> spec;  // null if its options are no good
  bool is_enabled = false;
  std::string path() const { return "failover.actions." + name; }
};
std::vector<ActionDraft> read_actions(const Section& failover, const Context& cx);

// What may be done about each of config.topologies, with config.cluster; those that only watch are left out.
void read_policies(const Section& failover, const std::vector<ActionDraft>& actions, Config& config);

void read_listen(const Section& listen, Config& config, const Context& cx);
void read_log(const Section& log, Config& config);
void read_journal(const Section& journal, Config& config);
void read_node(const Section& node, Plan& plan, const Environment& environment);

std::uint64_t fingerprint_of(const CheckPlan& check, const CheckSpec& spec);

// A way of `names` (edges by index) that comes back to where it began, or empty. Each is found once.
std::vector<std::vector<std::uint32_t>> find_cycles(const std::vector<std::vector<std::uint32_t>>& edges);

}  // namespace vital::config
