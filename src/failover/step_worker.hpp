// StepWorker: one verb of one action, done by a worker process of its own. At the deadline the worker is killed with
// all it started, and the answer is `timeout` there and then. [loop]
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/failover/seam.hpp"
#include "failover/action_plan.hpp"
#include "modules/channel.hpp"
#include "modules/launch.hpp"

namespace vital {

// What to do. `verb` is perform, verify, compensate, or check for a pre-flight.
struct StepJob {
  std::shared_ptr<const CheckSpec> spec;
  bool is_dry_run = false;
  std::string verb = "check";
  std::string topology, recovery, from, to;
  std::map<std::string, std::string> parameters;  // more words for braces
  std::int64_t token = 0;
  std::uint32_t step = 0, attempt = 0;
  Instant not_after{};  // the epoch = no matter when
  Instant deadline{};
};

// What came of it. `level` matters to a pre-flight, `outcome` to a step.
struct StepResult {
  failover::Outcome outcome = failover::Outcome::failed;
  failover::Finding::Level level = failover::Finding::Level::bad;
  std::string text;
};

// What a module said means for a verb; of a crash `result` is empty and `why` says how. Pure.
StepResult step_result(std::string_view verb, const std::optional<ProbeResult>& result, const std::string& why);

// The values the module is given: the configured ones with {from}, {to}, {topology} and the parameters filled in, and
// step.*. Secrets are never filled in. Pure.
wire::Values step_values(const StepJob& job, Duration slept);

class StepWorker {
 public:
  using Done = std::function<void(const StepResult&)>;
  // `done` comes once, later; it may destroy us. Destroying kills. Throws std::system_error if it cannot be started.
  StepWorker(Loop& loop, const std::string& worker, const StepJob& job, Done done);
  ~StepWorker();
  StepWorker(const StepWorker&) = delete;
  StepWorker& operator=(const StepWorker&) = delete;

 private:
  void take(std::string_view payload);
  void end(const StepResult& result);

  Loop& loop_;
  std::string verb_;
  Done done_;
  Launched launched_;
  std::optional<wire::Channel> channel_;
  Timer late_;
};

}  // namespace vital
