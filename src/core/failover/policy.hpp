// Policy: what one agent decides about one topology. It is told what its own checks see, what the store of leases says,
// how steps ended, what operators want; it answers with what to do. Which state follows which stands in table.hpp, the
// questions in guards.hpp; here is only what they need to be remembered between two moments.
//
//   Policy policy(plan, "web1", now);
//   for (const Effect& e : policy.apply(now, sight_of(watch, now.mono))) perform(e);   // after each result, and once a
//   second for (const Effect& e : policy.apply(now, cluster_seen)) perform(e); for (const Effect& e : policy.apply(now,
//   Tick{})) perform(e);                       // once a second and at wake_at()
//
// Pure; times are arguments. One thread, the agent's loop. Bounded: edits, decisions, votes and names it keeps.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/failover/ledger.hpp"
#include "core/failover/record.hpp"
#include "core/failover/steps.hpp"
#include "core/failover_watch.hpp"

namespace vital::failover {

// What our own checks see of the topology.
struct Sight {
  std::vector<MemberView> members;
  TopologyStatus status = TopologyStatus::unknown;
  std::string primary;                     // that is, or was last
  std::optional<Instant> primary_good_at;  // when we saw it well last
  bool is_endpoint_good = true;
  std::optional<Instant> endpoint_seen_at;  // by a sample that said good or bad
};
Sight sight_of(const FailoverWatch& watch, Instant now);

using Input = std::variant<Tick, Sight, ClusterSeen, StepDone, SelfSeen, MaintenanceSeen, Command>;
using Effect = std::variant<WantLease, GiveUpLease, PublishVote, WriteRecord, RunStep, StopStep, Note, Decision>;

class Policy {
 public:
  Policy(FailoverPolicyPlan plan, std::string node, Now started);
  // A restart: `saved` as save() gave it. What was under way is not gone on with: the record says where it stood, and
  // whoever holds the lease next takes it from there.
  Policy(FailoverPolicyPlan plan, std::string node, Now started, std::string_view saved);

  std::vector<Effect> apply(Now now, const Input& input);
  void replan(FailoverPolicyPlan plan);
  // The agent ends, or the topology is gone: a step that runs is stopped, the lease given up. The record says the rest.
  std::vector<Effect> leave(Now now);
  std::string save() const;

  State state() const { return state_; }
  std::string_view reason() const { return reason_; }  // of the last decision, in words
  const FailoverPolicyPlan& plan() const { return plan_; }
  Facts facts(Now now) const;
  // Why a planned switchover may not begin now; empty = it may.
  std::string why_not_switched(Now now, const Switchover& asked) const;
  // Whether a recovery of that id is parked, or was left alone by its owner: an operator may acknowledge it.
  bool waits_for_word_on(std::string_view recovery) const;
  // What is asked for, under way or parked; empty id = nothing.
  struct Recovery {
    std::string id, from, to;
    std::int64_t token = 0;
    Instant deadline{};
    WallTime began{};
    unsigned tries = 0;
    std::string continues;
    bool is_bound = false;  // `to` may have been promoted by who began it: nobody else may be
  };
  const Recovery& recovery() const { return recovery_; }
  // Who was primary when it was last seen well, as the record has it, or as we do; null = nobody ever was.
  std::optional<LastPrimary> last_primary() const;
  const std::deque<Decision>& decisions() const { return decisions_; }  // the newest, at most kept_decisions
  Instant wake_at(Instant now) const;

  static constexpr std::size_t kept_decisions = 256;
  static constexpr std::size_t most_edits = 16;
  static constexpr Duration late_loop = std::chrono::seconds(2);
  static constexpr Duration jumped = std::chrono::seconds(5);
  static constexpr Duration vote_every = std::chrono::seconds(3);

 private:
  struct Age {
    Instant at{};
    Millis then = 0;
  };
  struct Fed {  // whether a standby still receives, since the primary is down
    std::string position;
    std::optional<Instant> moved_at;
  };
  struct Told {
    PublishVote vote;
    Instant at{};
  };

  void take(Now now, const Tick&);
  void take(Now now, const Sight& in);
  void take(Now now, const ClusterSeen& in);
  void take(Now now, const StepDone& in);
  void take(Now now, const SelfSeen& in);
  void take(Now now, const MaintenanceSeen& in);
  void take(Now now, const Command& in);
  void command(Now now, const Approve& in);
  void command(Now now, const Decline& in);
  void command(Now now, const Switchover& in);
  void command(Now now, const Pause& in);
  void command(Now now, const Resume& in);
  void command(Now now, const ReleaseBrake& in);
  void command(Now now, const Acknowledge& in);

  void doubt(Now now, const std::string& why);
  void publish_votes(Now now);
  bool is_calm() const;
  void judge(Now now);
  std::string reason_of(const Row& row, const Facts& f);
  void perform(Now now, const Row& row, const Facts& facts);
  void enter(Now now, State state);
  const std::vector<StepPlan>& stopping() const;
  void begin_recovery(Now now, const Facts& facts);
  void forget_recovery();
  void stop_step();
  void give_up_lease(Now now);
  void edit(Edit edit);
  void tell_primary(Now now);
  void claim(Now now, const Facts& facts);
  void alarm(const Facts& facts);
  void write(Now now);
  Entry entry(Now now, Phase phase, const std::string& why) const;
  const LeaseSeen* lease() const;
  const Entry* acknowledgeable(std::string_view recovery) const;
  bool owns_lease(Instant now) const;
  Millis age_of(const std::string& key, Now now) const;
  void learn_ages(Now now);
  void facts_of_record(Now now, Facts& out) const;
  void facts_of_members(Instant now, Facts& out) const;
  void reckon_unfollowed(const MemberView& view, MemberFact& out) const;
  void note(Note::Level level, std::string event, std::vector<std::pair<std::string, std::string>> fields);

  FailoverPolicyPlan plan_;
  std::string node_;
  Instant started_;

  State state_ = State::observing;
  Instant entered_;
  std::string reason_;
  std::string trouble_;     // why what was begun is taken back
  std::string parked_for_;  // why a human must look
  std::string last_id_;     // of recoveries, before the number that tells two of a second apart
  unsigned same_id_ = 0;
  const Row* last_row_ = nullptr;
  Recovery recovery_;
  StepRun steps_;
  std::vector<StepRun::Item> acted_;  // what stages before this one did
  bool has_begun_step_ = false;
  bool may_be_promoted_ = false;
  std::optional<Instant> fenced_at_;
  std::string planned_to_;
  std::string approved_to_;
  std::optional<Instant> approved_until_;
  bool is_declined_ = false, is_acknowledged_ = false;
  bool wants_lease_ = false;
  std::optional<Instant> gave_up_at_;

  Sight sight_;
  std::string seen_well_;                 // the primary we saw well once
  std::string timeline_;                  // of the primary, when it was seen last
  std::string position_;                  // the same
  WallTime well_at_{};                    // and when that was
  std::optional<Instant> astray_since_;   // clients are not led to the primary
  std::optional<Instant> reasserted_at_;  // we tried to put that right
  bool is_astray_told_ = false;
  std::optional<Instant> bad_since_, steady_since_;
  std::optional<Instant> others_saw_well_;  // when another agent last saw this primary well, at the earliest
  std::map<std::string, Fed> fed_;          // by member
  std::map<std::string, Told> told_;        // by member

  ClusterSeen cluster_;
  bool is_cluster_heard_ = false;
  Record record_;
  std::int64_t record_revision_ = 0;
  std::map<std::string, Age> ages_;  // of what the record holds
  std::deque<Edit> edits_;
  std::optional<std::int64_t> written_over_;
  Instant written_at_{};

  std::optional<Instant> doubted_at_;
  bool is_maintenance_ = false, is_all_maintenance_ = false;
  std::deque<Decision> decisions_;
  std::vector<Effect> effects_;
};

}  // namespace vital::failover
