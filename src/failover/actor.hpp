// Actor: does the steps the policy asks for. A step is written to the journal before it begins and when it has ended,
// is done once however often it is asked for, and is killed at its deadline. Nothing here decides. [loop]
//
//   Actor actor(loop, {worker, state_dir + "/failover.journal"}, [&](const failover::StepDone& done) {
//   policy.heard(done); }); actor.adopt(plans); actor.run(step);
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/failover/seam.hpp"
#include "failover/action_plan.hpp"
#include "failover/step_journal.hpp"
#include "failover/step_worker.hpp"

namespace vital {

struct ActorOptions {
  std::string worker;   // path of vitald-worker
  std::string journal;  // path; empty = none is kept, for tests
};

class Actor {
 public:
  using Done = std::function<void(const failover::StepDone&)>;
  // Steps that were under way when the last agent ended, each told once as `timeout` by `done` too.
  using Interrupted = std::function<void(const std::vector<StepEntry>& steps, const std::string& trouble)>;
  Actor(Loop& loop, ActorOptions options, Done done, Interrupted interrupted);
  ~Actor();
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;

  // Steps under way keep what they began with.
  void adopt(ActionPlans plans) { plans_ = std::move(plans); }

  // Answered once by `done`, later. The same step (recovery, step, attempt, verb) again is not done again: it gets the
  // same answer.
  void run(const failover::RunStep& step);
  // Kills it; no answer comes.
  void stop(const failover::StopStep& step);

  // Asks actions whether they would work now: `check` of each name, filled in for a failover from one member to
  // another. Told once, later.
  using Checked = std::function<void(std::vector<failover::Finding>)>;
  struct Question {
    std::string what;  // "fence: stop-one"
    std::string action, topology, from, to;
    std::map<std::string, std::string> parameters;
  };
  void check(std::vector<Question> questions, Duration patience, Checked told);

  std::size_t running() const { return running_.size(); }
  static constexpr std::size_t most_running = 8;

 private:
  using Key = std::pair<std::string, std::array<std::uint32_t, 3>>;  // recovery; step, attempt, verb
  struct Running {
    failover::RunStep step;
    std::unique_ptr<StepWorker> worker;  // null until the journal has it
  };
  struct Checking;
  static Key key_of(const failover::RunStep& step);
  const ActionPlan* find(const std::string& action, const std::string& from, const std::string& to,
                         const std::string& topology) const;
  void begin(const Key& key);
  void ended(const Key& key, failover::Outcome outcome, const std::string& text);
  void answer(const failover::RunStep& step, failover::Outcome outcome, const std::string& text);
  void next_check(const std::shared_ptr<Checking>& checking);
  StepEntry entry_of(const failover::RunStep& step) const;

  Loop& loop_;
  ActorOptions options_;
  Done done_;
  ActionPlans plans_;
  std::map<Key, Running> running_;
  std::list<std::pair<Key, failover::StepDone>> answered_;  // the newest last, at most 256
  std::vector<std::shared_ptr<Checking>> checkings_;        // under way
  std::shared_ptr<int> life_ = std::make_shared<int>(0);
  StepJournal journal_;
};

}  // namespace vital
