// Performer: effects meet ports. It feeds the engine, performs what it answers with, and keeps what the effects refer
// to: which spec a check has now, and who waits for a result. It owns no clock, descriptor or thread; the agent wires
// its ports to the pool, the board and the log, tests wire them to fakes. [loop]
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config_diff.hpp"
#include "core/engine.hpp"
#include "modules/option.hpp"

namespace vital {

// Where effects go. All are called from within apply() and the like, and must not call back into the performer.
struct Ports {
  std::function<void(ProbeId, std::shared_ptr<const CheckSpec>, std::uint32_t attempt, Instant deadline)> start_probe;
  std::function<void(ProbeId)> abandon_probe;
  std::function<void(const std::shared_ptr<const CheckSpec>&)> retire;  // no further probes of this spec
  std::function<void(std::shared_ptr<const Snapshot>)> publish;
  std::function<void(Now, const Note&)> note;
  std::function<void(Now, std::string_view check, const ProbeEnded&)> ended;
  std::function<void(const Step&)> timed;  // wake_at and valid_until of a step
};

class Performer {
 public:
  // `specs` as plan->checks; null for a check that is never probed. With `saved`, it goes on from there.
  Performer(std::shared_ptr<const Plan> plan, Specs specs, Ports ports, Now now,
            const std::optional<SavedState>& saved = {});

  void apply(Now now, const Input& input);

  // A reload. Specs that are in use no longer are retired.
  void adopt(Now now, std::shared_ptr<const Plan> plan, Specs specs);

  // Probes now, or joins the probe in flight; `ended` gets the snapshot that holds the result, or null when none came
  // by `patience` or the check is gone.
  void run(Now now, CheckId check, Instant patience, std::function<void(std::shared_ptr<const Snapshot>)> ended);

  const Plan& plan() const { return *plan_; }
  std::shared_ptr<const Snapshot> snapshot() const { return engine_->snapshot(); }
  SavedState save(Now now) const { return engine_->save(now); }

 private:
  struct Waiting {
    std::string check;
    std::optional<Instant> last_before;  // the result that was there already
    Instant patience;
    std::function<void(std::shared_ptr<const Snapshot>)> ended;
  };
  void perform(Now now, const Effect& effect);
  void answer_waiting(Now now);

  std::shared_ptr<const Plan> plan_;
  Specs specs_;
  Ports ports_;
  std::unique_ptr<Engine> engine_;
  std::vector<Waiting> waiting_;
};

}  // namespace vital
