// Plan: what to check, how leniently, and what a service is made of. Compiled from a config once, immutable, shared by
// every thread. Holds nothing a core does not need: how to probe (module options, secrets) stays in config/. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "core/verdict.hpp"

namespace vital {

struct CompositePlan;  // composite.hpp

// local: this node's own trouble, ejects it. shared: everybody has it at once, so it degrades instead of ejecting.
enum class Scope : std::uint8_t { local, shared };

// shadow: judged and recorded, never counted.
enum class Mode : std::uint8_t { active, shadow };

// A fall adds 1 to a penalty that halves every half_life; at `suppress` the check is flapping and is held down until
// the penalty is below `reuse`. half_life zero = off.
struct FlapPlan {
  double suppress = 3.0;
  double reuse = 1.5;
  Duration half_life{};
};

struct CheckPlan {
  std::string name;
  std::string type;
  std::string description;
  std::map<std::string, std::string> labels;

  Duration interval{};                                       // planned start to planned start
  Duration timeout{};                                        // of one attempt
  unsigned retries = 0;                                      // further attempts within a cycle
  Duration retry_delay{};                                    // upper bound of the full-jitter wait before a retry
  Duration edge_interval{};                                  // the interval while a change is pending
  unsigned rise = 2;                                         // 1..: consecutive good outcomes to recover
  unsigned fall = 3;                                         // 1..: consecutive bad outcomes to fail
  std::optional<std::pair<unsigned, unsigned>> fall_window;  // "n of m" instead of consecutive, m <= 64
  std::optional<Duration> warn_after;                        // slower than this is warn/latency
  Duration max_age{};                                        // older than this is stale
  Duration start_delay{};
  FlapPlan flap;  // config's default for the half-life: ten intervals
  bool is_critical = true;
  Scope scope = Scope::local;
  Mode mode = Mode::active;
  bool is_passive = false;  // never probed, somebody reports (heartbeat)
  std::vector<CheckId> depends_on;
  std::shared_ptr<const CompositePlan> composite;  // never probed, judged by its rules; null for all other checks

  // Changes when anything that decides a verdict changes (options and secrets included): a reload keeps the state of a
  // check whose name and fingerprint are the same.
  std::uint64_t fingerprint = 0;
};

// A rule is a tree: leaves are checks or services, inner nodes combine.
struct Rule {
  enum class Kind : std::uint8_t { check, service, all, any, quorum, weighted };
  Kind kind = Kind::all;
  std::uint32_t target = 0;  // CheckId or ServiceId value, for leaves
  unsigned need = 0;         // quorum: how many must pass; weighted: the sum needed to pass
  unsigned need_warn = 0;    // weighted: the sum needed to warn
  std::vector<Rule> members;
  std::vector<unsigned> weights;  // weighted: one for each member
  bool operator==(const Rule&) const = default;
};

enum class OnUnknown : std::uint8_t { fail, warn, pass };

// At most `ejections` falls to fail within `window`; see docs/verdicts.md.
struct EjectionBudget {
  unsigned ejections = 0;  // 0 = unlimited
  Duration window{};
  Duration min_uptime{};  // after a recovery, not again before this
  Duration hold_down{};   // the second fall within the window stays down at least this long, the third twice that, ...
  bool operator==(const EjectionBudget&) const = default;
};

// Who asks us, and how: what its own probes are set to. For the timing calculator only.
struct Consumer {
  Duration interval{};
  Duration timeout{};
  unsigned fall = 1;
  unsigned rise = 1;
  bool operator==(const Consumer&) const = default;
};

struct ServicePlan {
  std::string name;
  std::string description;
  Rule rule;
  bool fails_on_shared = false;  // on_shared_failure: fail
  OnUnknown on_unknown = OnUnknown::fail;
  Duration startup_timeout{};
  int warn_code = 200;  // http_codes
  int fail_code = 503;
  int drain_code = 503;
  unsigned warn_weight = 100;  // percent told to balancers on warn
  Duration slow_start{};       // ramp of the weight after a recovery
  EjectionBudget budget;
  std::optional<Consumer> lb;                           // declared consumer, for end-to-end times
  std::optional<Duration> detect_within;                // the time to fail that was promised to somebody
  bool operator==(const ServicePlan&) const = default;  // rules name checks by number: only within one plan
};

struct Plan {
  std::string node;
  std::string zone;
  std::map<std::string, std::string> labels;
  std::vector<CheckPlan> checks;      // CheckId is the index
  std::vector<ServicePlan> services;  // ServiceId is the index; members come before the services that name them
  Duration shutdown_drain{};
  std::uint64_t fingerprint = 0;  // of the whole config as adopted

  const CheckPlan& at(CheckId id) const { return checks.at(id.value); }
  const ServicePlan& at(ServiceId id) const { return services.at(id.value); }
  std::optional<CheckId> find_check(std::string_view name) const {
    for (std::uint32_t i = 0; i < checks.size(); ++i) {
      if (checks[i].name == name) return CheckId(i);
    }
    return {};
  }
  std::optional<ServiceId> find_service(std::string_view name) const {
    for (std::uint32_t i = 0; i < services.size(); ++i) {
      if (services[i].name == name) return ServiceId(i);
    }
    return {};
  }
};

}  // namespace vital
