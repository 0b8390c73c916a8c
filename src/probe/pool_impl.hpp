// The inside of Pool: its books. pool.cpp holds what every probe has in common, pool_deadlines.cpp
// the look at those that are about to miss theirs, pool_workers.cpp what every worker has in common, pool_blocking.cpp
// and pool_async.cpp the two lanes. All of it [loop].
//
// A probe is in one place: posted (refused; the answer is on its way), queued, running in a worker, or cancelling
// (given up, its worker has not confirmed yet). Whoever calls a handler has finished with the books first: the handler
// may start, abandon and retire.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "probe/backoff.hpp"
#include "probe/pool.hpp"
#include "probe/worker_process.hpp"

namespace vital {

// A module that is still being made ready: what goes wrong then is not what a probe found.
inline bool is_early(Stage stage) { return stage == Stage::loading || stage == Stage::creating; }
inline std::string early(Stage stage) { return stage == Stage::loading ? "being loaded" : "being set up"; }

struct Pool::Impl final : WorkerOwner {
  using Spec = std::shared_ptr<const CheckSpec>;

  enum class Place : std::uint8_t { posted, queued, running, cancelling };
  struct Probe {
    ProbeId id;
    Spec spec;
    std::uint32_t attempt = 0;
    Instant asked{};
    Instant deadline{};
    Place place = Place::posted;
    WorkerProcess* worker = nullptr;  // while running or cancelling
    Instant given{};                  // when a worker got it
    Duration starved_before{};        // blocking: how long that worker had been kept from running by then
    Instant look_at{};                // its entry in agenda_, if not zero
    bool was_announced = false;       // queued() was called for it
  };

  // Workers that run async probes: one for the builtin types, one for each foreign module, one for each culprit.
  struct AsyncLane {
    explicit AsyncLane(Loop& loop, std::function<void()> restart) : timer(loop, std::move(restart)) {}
    WorkerProcess* worker = nullptr;
    std::deque<std::uint64_t> waiting;
    unsigned crashes = 0;  // in short succession
    Instant crashed_at{};
    Instant may_start_at{};
    Timer timer;
  };

  // A check whose last worker is not dead yet: it must not run a second time beside itself.
  struct Held {
    WorkerProcess* worker = nullptr;
    bool is_unkillable = false;
  };

  // A process that a worker left behind and that SIGKILL has not ended yet.
  struct Orphaned {
    std::string check;  // whose worker it was
    Instant since{};
    std::string why;  // once it has had time enough to die: it is unkillable
  };

  Impl(Loop& loop, PoolOptions options, Handlers handlers);
  ~Impl() override;

  // pool.cpp
  void start(ProbeId id, Spec spec, std::uint32_t attempt, Instant deadline);
  void abandon(ProbeId id);
  void retire(const Spec& spec);
  void shut_down(Duration patience, std::function<void()> ended);
  PoolStats stats() const;

  Probe* find(std::uint64_t id);
  std::vector<std::uint64_t> probes_of(const WorkerProcess& worker) const;
  void post(std::function<void()> work);  // not run if we are gone by then
  void refuse(Probe& probe, std::string text);
  bool give(Probe& probe, WorkerProcess& worker);
  void erase(Probe& probe);
  void finish(Probe& probe, ProbeResult result);
  void finish_unknown(Probe& probe, std::string text);
  // Gives up what a running probe holds: its place in an async worker, or its blocking worker's life.
  void reclaim(Probe& probe, const std::string& why);
  void note(Note::Level level, std::string event, std::vector<std::pair<std::string, std::string>> fields);
  bool is_held(const Probe& probe) const {
    return held_.contains(probe.spec->check) || orphan_of(probe.spec->check) != nullptr;
  }
  void finish_shut_down();

  // pool_deadlines.cpp
  void look_later(Probe& probe, Instant when);
  void look_at_probes();
  void look(Probe& probe);
  std::string why_queued(const Probe& probe) const;
  Duration lost_by_worker(const Probe& probe) const;
  std::optional<std::string> our_trouble(const Probe& probe) const;

  // pool_workers.cpp; the WorkerOwner below, too
  void set_max_blocking(unsigned max_blocking);
  void set_limits(unsigned memory_mib, unsigned processes, std::string seccomp);
  WorkerProcess* launch(Lane lane, std::string* why);
  void kill(WorkerProcess& worker, std::string why);
  void hold(const std::string& check, WorkerProcess& worker);
  void sweep();
  void let_go(WorkerProcess& worker);
  void let_go_if_outdated(WorkerProcess& worker);

  // pool_blocking.cpp
  void dispatch();
  WorkerProcess* pick(const Probe& probe);
  void reclaim_blocking(Probe& probe, const std::string& why);

  // pool_orphans.cpp
  void adopt_orphans();
  const char* kill_method() const;
  void look_for_orphans(const std::string& check);
  const std::pair<const pid_t, Orphaned>* orphan_of(const std::string& check) const;
  bool is_unkillable(const std::string& check) const;
  void give_up_hopeless();

  // pool_async.cpp
  std::string lane_key(const CheckSpec& spec) const;
  AsyncLane& lane_of(const CheckSpec& spec);
  void start_async(Probe& probe);
  void dispatch(AsyncLane& lane);
  void lost_worker(AsyncLane& lane, const Ending& ending);
  void set_apart(const Spec& culprit, Stage stage);

  // WorkerOwner
  void worker_up(WorkerProcess& worker) override;
  void worker_result(WorkerProcess& worker, wire::Result result) override;
  void worker_cancelled(WorkerProcess& worker, std::uint64_t probe) override;
  void worker_line(WorkerProcess& worker, const wire::Line& line) override;
  void worker_nonsense(WorkerProcess& worker, const std::string& what) override;
  void worker_silent(WorkerProcess& worker) override;
  void worker_unkillable(WorkerProcess& worker) override;
  void worker_ended(WorkerProcess& worker, const Ending& ending) override;

  Loop& loop_;
  PoolOptions options_;
  Handlers handlers_;
  std::shared_ptr<Impl*> self_;

  std::unordered_map<std::uint64_t, Probe> probes_;
  std::set<std::pair<Instant, std::uint64_t>> agenda_;  // when to look at which probe
  Timer agenda_timer_;
  std::optional<Instant> agenda_armed_;

  std::list<std::unique_ptr<WorkerProcess>> workers_;
  Timer sweep_timer_;
  std::deque<std::uint64_t> queue_;  // for blocking workers
  std::map<std::string, std::unique_ptr<AsyncLane>> lanes_;
  std::set<std::string> apart_;  // culprits, by lane key: they get a worker of their own
  std::map<std::string, Held> held_;
  Backoff backoff_;  // "module:PATH" crashed at load, "check:NAME" at create, "worker" could not be started

  bool has_adopted_ = false;
  std::optional<std::string> control_group_;  // the directory workers' groups are made in
  std::map<pid_t, Orphaned> orphans_;
  std::vector<ControlGroup> graves_;  // groups of dead workers that cannot be removed yet
  Timer orphan_timer_;

  PoolStats counters_;
  bool is_shutting_down_ = false;
  std::function<void()> when_shut_down_;
  std::optional<Timer> shut_down_timer_;
};

}  // namespace vital
