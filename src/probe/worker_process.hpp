// WorkerProcess: one vitald-worker as the agent sees it: the process, its socket, which instances it knows, whether it
// still turns, and how it came to its end. It decides nothing about probes; its owner does. [loop]
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/time.hpp"
#include "loop/control_group.hpp"
#include "loop/loop.hpp"
#include "modules/channel.hpp"
#include "modules/launch.hpp"
#include "modules/mark.hpp"
#include "modules/option.hpp"
#include "modules/wire.hpp"
#include "probe/run_delay.hpp"

namespace vital {

class WorkerProcess;

// How a worker ended.
struct Ending {
  std::string how;            // "crashed (signal 11)"; what we killed it for, if we did
  bool is_ours = false;       // we killed it, or asked it to end
  bool is_asked_for = false;  // it ended because we asked
  bool was_up = false;        // it had said hello
  Stage stage = Stage::idle;
  std::shared_ptr<const CheckSpec> culprit;  // whose code ran then; may be null
};

// What a worker's owner hears. The owner may destroy the worker only in worker_ended().
class WorkerOwner {
 public:
  virtual ~WorkerOwner() = default;
  virtual void worker_up(WorkerProcess& worker) = 0;
  virtual void worker_result(WorkerProcess& worker, wire::Result result) = 0;
  virtual void worker_cancelled(WorkerProcess& worker, std::uint64_t probe) = 0;
  virtual void worker_line(WorkerProcess& worker, const wire::Line& line) = 0;
  virtual void worker_nonsense(WorkerProcess& worker, const std::string& what) = 0;  // it is killed already
  virtual void worker_silent(WorkerProcess& worker) = 0;      // it does not turn; the owner should kill it
  virtual void worker_unkillable(WorkerProcess& worker) = 0;  // SIGKILL was a second ago, and it is still there
  virtual void worker_ended(WorkerProcess& worker, const Ending& ending) = 0;  // the last word
};

class WorkerProcess {
 public:
  enum class State : std::uint8_t { starting, up, stopping, killed, unkillable, dead };

  struct Options {
    std::string program;
    Lane lane = Lane::blocking;
    unsigned memory_mib = 512;
    Duration grace{};
    unsigned processes = 0;
    std::string seccomp = "off";
    std::string control_group;  // the directory its own group is made in; empty = none
  };

  // Throws std::system_error if it cannot be started.
  WorkerProcess(Loop& loop, WorkerOwner& owner, const Options& options);
  ~WorkerProcess();  // kills it if it is still there
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  // Sends a probe, and first what its instance is made of if the worker does not know it yet. False if that does not
  // fit into a message.
  bool run(std::uint64_t probe, const std::shared_ptr<const CheckSpec>& spec, std::uint32_t attempt, Instant deadline);
  void cancel(std::uint64_t probe);
  void forget(const std::shared_ptr<const CheckSpec>& spec);

  // Has it got probes to turn for? While it has, an async worker is asked now and then whether it does.
  void expect_life(bool is_expected);
  // How long it was kept from running although it could, since it began.
  Duration starved() const { return run_delay_->total(); }
  // How long nothing has been heard although something was asked for.
  Duration silence() const;

  void stop();                 // politely; killed if that takes longer than grace
  void kill(std::string why);  // at once, with its whole group, and with all it started where it has a control group
  void read_all() { channel_->read_all(); }

  State state() const { return state_; }
  bool is_usable() const { return (state_ == State::starting || state_ == State::up) && !is_cut_off_; }
  pid_t pid() const { return child_->pid(); }
  bool has_control_group() const { return control_group_.has_value(); }
  // Once it has ended: what is left of its group, to be removed when the kernel lets go.
  std::optional<ControlGroup> take_control_group() { return std::exchange(control_group_, std::nullopt); }
  Lane lane() const { return options_.lane; }
  bool knows(const std::shared_ptr<const CheckSpec>& spec) const { return instances_.contains(spec.get()); }
  bool has_loaded(const std::string& path) const { return paths_.contains(path); }
  bool knows_anything() const { return !instances_.empty(); }
  Stage stage() const { return mark_->stage(); }
  std::shared_ptr<const CheckSpec> culprit() const;  // whose code runs right now, as far as it says

  // For the owner's books.
  std::string last_check;  // whose probe it was given last
  unsigned in_flight = 0;
  Instant idle_since{};
  std::optional<Instant> kill_at;  // it may finish what it does until then
  bool is_outdated = false;        // its limits hold no longer: it gets no further probes, and goes when it has none

 private:
  void take(std::string_view payload);
  std::shared_ptr<const CheckSpec> spec_of(std::uint32_t number) const;
  void cut_off();
  void broke(const std::string& what);
  void ended(int status);
  void look();

  struct Known {
    std::uint32_t number;
    std::shared_ptr<const CheckSpec> spec;
  };

  Loop& loop_;
  WorkerOwner& owner_;
  const Options options_;
  State state_ = State::starting;
  std::string why_killed_;
  bool was_up_ = false;
  std::optional<wire::Channel> channel_;
  std::optional<MarkPage> mark_;
  std::unique_ptr<Child> child_;
  std::optional<ControlGroup> control_group_;
  std::optional<RunDelay> run_delay_;
  std::unordered_map<const CheckSpec*, Known> instances_;
  std::unordered_map<std::uint32_t, const CheckSpec*> by_number_;
  std::set<std::string> paths_;
  std::uint32_t next_number_ = 1;

  Timer timer_;  // liveness while up, the bound of a stop, the patience of a kill
  Instant timer_due_{};
  bool is_life_expected_ = false;
  bool is_watching_ = false;  // timer_ is armed for that
  bool is_cut_off_ = false;   // its socket is closed; its end should be near
  std::uint64_t pings_ = 0;
  std::optional<Instant> asked_at_;  // something is asked that must be answered at once
  Duration starved_when_asked_{};
  Instant heard_at_{};
  std::uint32_t seen_last_ = 0;  // whose code had run last when we looked
  Instant moved_at_{};           // when that was another one than before
  std::optional<Instant> in_slow_stage_since_;
};

}  // namespace vital
