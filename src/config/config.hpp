// Config: one file (and what it includes) read, checked and compiled, immutable. load() finds every problem at once and
// either gives a whole Config or none. [control]
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "cluster/plan.hpp"
#include "core/failover/plan.hpp"
#include "core/plan.hpp"
#include "core/topology.hpp"
#include "failover/action_plan.hpp"
#include "modules/option.hpp"
#include "modules/registry.hpp"
#include "outputs/spec.hpp"

namespace vital {

// One line: "file:line:column: path: what is wrong, and what to write instead".
struct Problem {
  std::string file;
  int line = 0;      // from 1; 0 = the whole file
  int column = 0;    // from 1
  std::string path;  // "checks.db.interval"
  std::string text;
  std::string format() const;
};

struct TlsFiles {
  std::string certificate;
  std::string key;
  std::string client_ca;  // empty = no client certificates asked for
  bool is_client_required = true;
  bool operator==(const TlsFiles&) const = default;
};

// What somebody who knows TLS found in these files; `key` is the one of listen.*.tls it is about.
struct TlsRemark {
  std::string key;
  std::string text;
  bool is_warning = false;
};

enum class Details : std::uint8_t { loopback, always, never, authorized };

struct HealthListener {
  std::vector<std::string>
      addresses;  // "0.0.0.0:9180", "[::]:9180"; numeric host, port 0 allowed (tests); "/run/x.sock"
  std::optional<TlsFiles> tls;
  Details details = Details::loopback;
  std::vector<std::string> proxy_protocol;  // networks: "10.0.0.0/8"
  std::string token;                        // who brings it is authorized; a secret; empty = nobody
  unsigned mode = 0660;                     // of a unix socket's file
  std::string group;
  bool operator==(const HealthListener&) const = default;
};

// What HAProxy is told while the agent stops, since it keeps what it was told last.
enum class Farewell : std::uint8_t { drain, ready, down, maint };

struct HaproxyListener {
  std::vector<std::string> addresses;
  Farewell farewell = Farewell::drain;
  bool operator==(const HaproxyListener&) const = default;
};

struct GrpcListener {
  std::vector<std::string> addresses;
  std::optional<TlsFiles> tls;
  bool operator==(const GrpcListener&) const = default;
};

struct AdminListener {
  std::string socket = "/run/vitald/admin.sock";
  unsigned mode = 0660;
  std::string group;  // empty = ours
};

struct LogConfig {
  enum class Format : std::uint8_t { logfmt, json };
  Format format = Format::logfmt;
  std::string file;  // empty = stderr
};

// The agent's memory on disk: state_dir/journal.db.
struct JournalConfig {
  bool is_enabled = true;
  std::uint64_t max_bytes = 256ULL << 20U;
  Duration max_age = std::chrono::hours(24 * 366);
  bool operator==(const JournalConfig&) const = default;
};

// One effective option of a check, for `vitald explain`. Of a secret the value says only that it is one.
struct Setting {
  std::string name;
  std::string value;
  std::string from;  // "check", "defaults", "profile lenient", "default"
};

struct Config {
  std::string file;                // as given
  std::vector<std::string> files;  // it and everything it included
  std::shared_ptr<const Plan> plan;
  std::vector<std::shared_ptr<const CheckSpec>> specs;  // as plan->checks

  std::vector<std::vector<Setting>> settings;  // as plan->checks
  std::string profile;
  std::vector<std::string> disabled;  // checks that say enabled: false, which the plan does not hold

  std::vector<HealthListener> health;  // at least one
  std::optional<HaproxyListener> haproxy;
  std::optional<GrpcListener> grpc;
  AdminListener admin;
  LogConfig log;
  JournalConfig journal;
  std::string state_dir = "/var/lib/vitald";
  std::string spool;                     // where overlay files are dropped; empty = nowhere
  std::vector<std::string> module_path;  // what the config adds
  unsigned workers_max = 8;
  unsigned workers_memory_mib = 512;  // of data, each; 0 = no limit
  unsigned workers_processes = 0;     // their user may have; 0 = no limit
  std::string workers_seccomp = "off";
  bool leaves_when_left = false;         // shutdown.leave
  std::vector<OutputSpec> outputs;       // in the order written
  std::vector<TopologyPlan> topologies;  // failover.topologies, in the order written
  ClusterPlan cluster;
  std::vector<failover::FailoverPolicyPlan> policies;  // of topologies that do more than observe
  ActionPlans actions;                                 // failover.actions
};

struct LoadOptions {
  std::string file;
  std::string worker;                     // path of vitald-worker
  std::vector<std::string> builtin_path;  // directories of the agent's own modules
  std::vector<std::string> actions_path;  // directories of the kinds of failover action
  std::function<std::optional<std::string>(const std::string&)> environment;  // empty = the process's
  // Looks into the files of a TLS listener; empty = only that they can be read. It may take its time.
  std::function<std::vector<TlsRemark>(const TlsFiles&)> inspect_tls;
  bool read_secrets = true;  // false: only look that the files are there
};

struct Loaded {
  std::shared_ptr<const Config> config;  // null if there is any problem
  std::vector<Problem> problems;         // sorted by file and position
  std::vector<Problem> warnings;
  std::shared_ptr<Registry> registry;  // may be null if the file could not be read at all
};

Loaded load_config(const LoadOptions& options);

}  // namespace vital
