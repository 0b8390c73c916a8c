// The inside of the engine, shared by its source files: engine.cpp (a step, being late, the inputs), engine_probes.cpp
// (probes), engine_plans.cpp (reload, save, restore), engine_services.cpp (what it adds up to: dependencies, services,
// snapshots). Nobody else includes this. One thread.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/check_state.hpp"
#include "core/engine.hpp"
#include "core/overlays.hpp"
#include "core/probe_cycle.hpp"
#include "core/rules.hpp"
#include "core/service_state.hpp"

namespace vital {

struct Engine::Impl {
  // One check: what is known of it, and when it is probed (not at all if passive).
  struct Slot {
    CheckState state;
    std::optional<ProbeCycle> cycle;
    std::optional<CheckId> suppressed_by;
    bool is_explained_shared = false;
    unsigned bad_since_explained = 0;  // bad outcomes since the dependency that explained it is well again
    bool is_suspect = false;           // an attempt of the cycle that runs has failed
    bool was_unproven = false;         // as the services were last told
    bool was_discounted = false;       // the last outcome was a timeout taken back
  };

  Impl(std::shared_ptr<const Plan> plan, Now now, bool only_reports = false);
  Step apply(Now now, const Input& input);
  void restore(Now now, const SavedState& saved, Duration elapsed, bool is_restart);

  // -- inputs, each in the file that it is about
  void take(Now now, const Tick&) { (void)now; }
  void take(Now now, const ProbeDone& in);
  void take(Now now, const PlanChanged& in);
  void take(Now now, const RunNow& in);
  void take(Now now, const Report& in);
  void take(Now now, const SetOverlay& in);
  void take(Now now, const ClearOverlay& in);
  void take(Now now, const Stop&);
  void take(Now now, const ProbeQueued& in);
  void take(Now now, const ProbeTaken& in);
  void take(Now now, const ProbeDelayed& in);
  void take(Now now, const Slept& in);
  void take(Now now, const Pressure& in);

  // -- a step, engine.cpp
  Slot make_slot(const CheckPlan& plan, Now now) const;
  void notice_lateness(Now now);
  void resume_after_stall(Now now, Duration late);
  static void look_anew(Now now, Slot& slot);
  void note(Note::Level level, std::string event, std::vector<std::pair<std::string, std::string>> fields);

  // -- probes, engine_probes.cpp
  void run_due(Now now, bool may_pass_deadlines);
  void run_due(Now now, std::uint32_t check, bool may_pass_deadlines);
  void launch(Now now, std::uint32_t check, const Flight& flight);
  void look_at_watchers(Now now, std::uint32_t check);
  void drop_flight(std::uint32_t check, bool abandon);
  void pass_deadline(Now now, std::uint32_t check);
  void conclude(Now now, std::uint32_t check, const ProbeResult& result, Instant found_at, bool discounted);
  void outcome(Now now, std::uint32_t check, const ProbeResult& result, Instant found_at);
  void changed(Now now, std::uint32_t check, State from);
  void look_at_dependencies(Now now, std::uint32_t check);
  void tell_flapping(std::uint32_t check, bool before);
  void reckon_wake(Instant now, std::uint32_t check);
  Flight* flight_of(ProbeId id, std::uint32_t* check);
  Evidence evidence_of(const Flight& flight, Instant now) const;

  // -- what it adds up to, engine_services.cpp
  void list_dependents();
  void explain_failures();
  rules::Leaf leaf(const ServiceState& service, const ServicePlan& plan, CheckId id, Instant now,
                   std::optional<Instant>* wake) const;
  State by_rule(ServiceId id, Instant now, std::optional<Instant>* wake) const;
  State nested_state(ServiceId id) const;
  OverlayKind overlay_on(const std::string& service) const;
  void judge_services(Now now);
  std::string reason_for(const ServiceView& view, const ServiceState& state, const std::string& service,
                         const std::vector<CheckView>& checks, Instant now) const;
  ServiceView view_of(ServiceId id, const std::vector<CheckView>& checks, Instant now) const;
  ServiceView view_of_node(const std::vector<ServiceView>& services, WallTime wall);
  std::vector<CheckView> check_views(Instant now) const;
  void publish(Now now);
  Duration quiet_time() const;

  std::shared_ptr<const Plan> plan_;
  std::vector<Slot> slots_;                // as plan_->checks
  std::vector<Instant> wakes_;             // as slots_: when each next needs a hand; kept apart to be scanned fast
  std::vector<std::uint32_t> dependents_;  // the checks that depend on others
  std::vector<std::vector<std::uint32_t>> watchers_;  // as slots_: the composites that look at each
  std::vector<ServiceState> services_;                // as plan_->services
  bool only_reports_ = false;                         // a replay: nothing is probed, every check is reported
  std::optional<Instant> services_wake_;
  Overlays overlays_;
  bool is_stopping_ = false;
  double pressure_ = 0;   // percent
  Duration throttled_{};  // all told, as last read
  Duration loop_late_{};  // all told, moments left out

  std::uint64_t next_probe_ = 1;
  std::unordered_map<std::uint64_t, std::uint32_t> flights_;  // probe -> check
  std::unordered_set<std::uint64_t> answered_;                // lately, to tell a duplicate from a late result; bounded
  std::deque<std::uint64_t> answered_order_;

  CoreCounters counters_;
  std::optional<Instant> promised_;  // the wake_at of the last step
  Instant last_now_{};
  bool services_dirty_ = true;
  bool is_loud_ = true;    // something changed that must be published at once
  bool is_quiet_ = false;  // something changed that may wait a moment
  std::optional<Instant> published_at_;
  State node_state_ = State::pending;
  Verdict node_answer_ = Verdict::fail;
  WallTime node_since_{};
  std::uint64_t seq_ = 0;
  std::shared_ptr<const Snapshot> snapshot_;
  std::vector<Effect> effects_;
};

}  // namespace vital
