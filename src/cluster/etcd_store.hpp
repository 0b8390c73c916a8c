// EtcdStore: leases, votes and the shared record in etcd, as a state machine: it is told the time and the answers, and
// says what to call. It owns no clock, socket or thread, so whole clusters of it run in a test with time of their own.
//
// What makes a lease safe:
//   - its end is counted from before the request that granted or renewed it left, less the margin, on our own clock;
//   - a renewal counts only once a linearizable read, asked for after it was answered, shows our key with our token, in
//     the same term of raft: a leader that had been frozen or cut off renews leases nobody else knows of;
//   - one that ended by our clock is never taken up again, whatever etcd says later: a new one has a new token;
//   - the host slept: all of them are over.
//
//   EtcdStore store(plan, [&](const EtcdStore::Call& call) { courier.send(call); });
//   store.want("main");
//   store.tick(now, slept);                    // a few times a second
//   store.answered(now, id, reply);
//   const failover::ClusterSeen seen = store.seen(now);
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "cluster/etcd_answer.hpp"
#include "cluster/plan.hpp"
#include "cluster/vote_book.hpp"
#include "core/failover/seam.hpp"

namespace vital {

class EtcdStore {
 public:
  struct Call {
    std::uint64_t id = 0;
    std::string endpoint, path, authorization, body;  // authorization is a secret
    Instant not_after{};  // it must not leave later, and its answer is not waited for longer
  };
  using Send = std::function<void(const Call&)>;
  EtcdStore(ClusterPlan plan, Send send);
  EtcdStore(const EtcdStore&) = delete;
  EtcdStore& operator=(const EtcdStore&) = delete;

  // `slept`: how long the host has slept in all (CLOCK_BOOTTIME less CLOCK_MONOTONIC).
  void tick(Instant now, Duration slept);
  void answered(Instant now, std::uint64_t id, const etcd::Reply& reply);

  void want(const std::string& topology);
  void give_up(Instant now, const std::string& topology);
  void publish(const failover::PublishVote& vote);
  void forget_votes(const std::string& topology);  // it is gone from the config
  void write(const failover::WriteRecord& record);
  // Gives everything back: call once, and let a moment pass for the calls to leave.
  void leave(Instant now);

  failover::ClusterSeen seen(Instant now) const;

  struct Counts {
    std::uint64_t calls = 0, late = 0, refused = 0, rotations = 0, logins = 0;
    std::uint64_t gained = 0, lost = 0, unconfirmed = 0;  // leases; renewals a later read did not confirm
    std::uint64_t dropped = 0;                            // calls, votes and records for which there was no room
  };
  const Counts& counts() const { return counts_; }
  bool is_waiting() const { return !pending_.empty(); }
  const std::string& endpoint() const { return plan_.endpoints.at(endpoint_); }

 private:
  struct Claim {
    enum class State : std::uint8_t { idle, granting, claiming, held, returning };
    State state = State::idle;
    bool is_wanted = false;
    std::string lease;
    Instant lease_issued{};
    Duration ttl{};
    std::int64_t token = 0;
    Instant held_from{};  // reads asked for before do not show it
    Instant until{};
    Instant next_at{};
    bool is_renewing = false;
    struct Renewal {
      Instant issued{}, answered{};
      std::string term;
    };
    std::optional<Renewal> renewal;  // to be confirmed
  };
  struct Pending {
    Instant deadline{};
    std::size_t endpoint = 0;
    std::function<void(Instant, const etcd::Reply&)> next;
  };
  struct Session {  // the lease of our votes
    std::string lease;
    Instant next_at{};
    bool is_busy = false;
  };

  std::uint64_t call(Instant now, std::string path, std::string body, Duration patience,
                     std::function<void(Instant, const etcd::Reply&)> next);
  void expire(Instant now);
  void heed(const etcd::Judged& judged, std::size_t endpoint);
  bool may_call() const { return plan_.user.empty() || !token_.empty(); }

  void log_in(Instant now);
  void look(Instant now);
  void looked(Instant issued, const etcd::Ranged& found);
  void confirm(Instant issued, const std::string& topology, Claim& claim, const etcd::Ranged& found);

  void mind(Instant now, const std::string& topology, Claim& claim);
  void grant(Instant now, const std::string& topology);
  void take(Instant now, const std::string& topology);
  void renew(Instant now, const std::string& topology, Claim& claim);
  void lose(Instant now, Claim& claim);
  void give_back(Instant now, const std::string& topology, Claim& claim);

  void mind_session(Instant now);
  void vote(Instant now);
  void mind_record(Instant now);

  std::string key_of(std::string_view what, std::string_view rest) const;

  ClusterPlan plan_;
  Send send_;
  std::size_t endpoint_ = 0;
  std::uint64_t last_id_ = 0;
  std::size_t answered_by_ = 0;  // endpoint of the answer being handled
  std::map<std::uint64_t, Pending> pending_;
  std::optional<Duration> slept_;

  std::string token_;
  bool is_logging_in_ = false;
  Instant next_login_{};

  bool is_looking_ = false;
  Instant next_look_{};
  std::optional<Instant> looked_at_;  // when the last good look was asked for
  bool must_look_ = false;            // somebody took what it showed as free
  std::int64_t revision_ = 0;
  failover::StoreHealth trouble_ = failover::StoreHealth::unreachable;  // what it is if the last look is too old
  std::string trouble_text_ = "has not answered yet";
  std::map<std::string, etcd::Entry> holders_;  // by topology

  std::map<std::string, Claim> claims_;  // by topology
  Session session_;
  std::map<std::string, failover::PublishVote> own_votes_;  // by topology/member
  std::string vote_cursor_;
  bool is_voting_ = false;
  Instant next_vote_{};
  VoteBook book_;

  failover::SharedRecord record_;
  std::optional<failover::WriteRecord> to_write_;
  bool is_writing_ = false;
  Counts counts_;
};

}  // namespace vital
