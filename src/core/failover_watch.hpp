// FailoverWatch: one topology over time. It learns who is primary, notices when that ends, and writes the timeline of
// every failover, whoever made it: when the primary was last good, first bad, when another was primary, when clients
// could write again. Nothing here acts.
//
//   FailoverWatch watch(plan);
//   for (const Note& note : watch.observe(now, check, result)) log(note);      // each outcome of a check
//   for (const Note& note : watch.tick(now)) log(note);                        // now and then: evidence grows old
//
// Pure; times are arguments. All its notes begin with the topology's name.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/engine.hpp"
#include "core/topology.hpp"

namespace vital {

// The story of one failover, or of a primary that was lost and came back. A moment nobody saw is empty.
struct FailoverRecord {
  enum class End : std::uint8_t {
    open,      // still under way
    moved,     // another member is primary, and clients can write again (or no endpoint is watched)
    returned,  // the same member is primary again
  };
  std::string id;  // "main-20261126T012233Z"
  std::string from, to;
  End end = End::open;
  std::optional<WallTime> last_good;    // the primary's last good sample
  WallTime first_bad{};                 // the first bad one: of the primary, or of the endpoint if that came first
  std::optional<WallTime> detected;     // when it was worth a line
  std::optional<WallTime> decided;      // of a recovery that this agent made: when it was to be made,
  std::optional<WallTime> fenced;       // when the old primary was off for certain,
  std::optional<WallTime> moved;        // and when its last action was done and read back
  std::optional<WallTime> promoted;     // the first sample in which another was primary
  std::optional<WallTime> first_write;  // the first good sample of the endpoint after that
  std::optional<WallTime> ended;
  std::string why;            // what was wrong with the primary
  std::string last_position;  // of the primary, when it was last seen
  Duration two_primaries{};   // how long two said so at once
};
std::string_view name(FailoverRecord::End end);

// The record as the fields of a note: id, topology, from, to, end, why, the moments (RFC 3339; empty = nobody saw it)
// and what lies between them in milliseconds: detect_ms (first_bad to detected), decide_ms (to decided), fence_ms (to
// fenced), promote_ms (to promoted), leaderless_ms (first_bad to promoted), follow_ms (promoted to first_write),
// down_ms (first_bad to the end), unseen_ms (last_good to first_bad: how much longer it may really have been).
std::vector<std::pair<std::string, std::string>> fields_of(const std::string& topology, const FailoverRecord& record);

class FailoverWatch {
 public:
  explicit FailoverWatch(TopologyPlan plan);

  // An outcome of any check; those of other topologies are no concern.
  std::vector<Note> observe(Now now, CheckId check, const ProbeResult& result);
  std::vector<Note> tick(Now now);

  // How far a recovery of our own has come; without an open record it is about nothing that was seen.
  enum class Step : std::uint8_t { decided, fenced, moved };
  void recovery(WallTime at, Step step);

  // A reload: members that stay keep what is known of them. Check ids are those of the new plan.
  void replan(TopologyPlan plan);
  // Who was primary before a restart, by name; without it the first primary seen is news to nobody.
  void remember_primary(const std::string& member);

  const TopologyPlan& plan() const { return plan_; }
  std::vector<MemberView> members(Instant now) const;
  TopologyStatus status() const { return status_; }
  WallTime since() const { return since_; }
  // The member that is primary, or was last; empty if none ever was.
  std::string primary() const;
  std::optional<Instant> primary_good_at() const { return primary_good_.at; }    // when it was last seen well
  std::optional<Instant> endpoint_seen_at() const { return endpoint_seen_at_; }  // said good or bad
  bool is_endpoint_good() const { return !endpoint_bad_since_; }                 // true without one
  std::optional<FailoverRecord> open() const { return open_; }

  static constexpr unsigned needed_to_tell = 2;  // bad samples in a row until a lost primary is worth a line

 private:
  void saw_member(Now now, std::size_t i, const ProbeResult& result);
  void saw_primary_well(const MemberSeen& seen);
  void saw_endpoint(Now now, const ProbeResult& result);
  void judge(Now now);
  void change_status(Now now, TopologyStatus status, const std::vector<MemberView>& members);
  bool has_been_looked_for(Instant now, std::size_t i) const;
  WallTime clients_lost_it(Now now) const;
  void begin(WallTime first_bad, const std::string& why);
  void told(WallTime at);
  void moved_to(Now now, std::size_t i);
  void close(Now now, FailoverRecord::End end);
  void note(Note::Level level, std::string event, std::vector<std::pair<std::string, std::string>> fields);

  TopologyPlan plan_;
  std::vector<std::optional<MemberSeen>> seen_;  // beside plan_.members
  std::vector<std::string> ignorance_;           // the same: what the newest result says, if it is no evidence
  std::optional<std::size_t> primary_;           // index of the last primary
  std::optional<WallTime> primary_good_at_;      // when it was last seen well, as primary
  PrimaryGood primary_good_;                     // the same, on the monotonic clock
  std::string primary_position_;                 // at that time
  TopologyStatus status_ = TopologyStatus::unknown;
  WallTime since_{};
  std::optional<Instant> began_;  // the first call
  std::optional<FailoverRecord> open_;
  unsigned bad_in_a_row_ = 0;         // samples of the primary
  bool is_told_ = false;              // somebody was told of the open record
  std::optional<Instant> two_since_;  // two primaries
  std::optional<WallTime> endpoint_bad_since_;
  std::optional<Instant> endpoint_seen_at_;
  std::vector<Note> notes_;
};

}  // namespace vital
