// A small world for the deciding half of failover: agents with the real FailoverWatch and the real Policy, in virtual
// time, against a fake store of leases, fake databases, a network that can be cut in each direction, and operators. The
// world knows the truth and holds every act of every agent to it:
//
//   - an act happens under a lease that its agent really holds then, with the token of today; a token never goes back
//   - what one agent may do to a topology, another may not do at the same time: one recovery with an owner
//   - nobody is promoted while another one still takes writes
//   - no more recoveries within the window than the brake allows
//   - an effect that was to begin by a moment does not begin after it
//
// A broken promise throws Broken with the seed. The world plays what src/cluster promises in seam.hpp: send times, ages
// of votes, nothing believed that was not read.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/failover/policy.hpp"

namespace vital::sim::fail {

using namespace std::chrono_literals;

struct Broken : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Shape {
  std::uint64_t seed = 1;
  unsigned agents = 3;
  unsigned members = 2;  // of each topology; member i lives on the node of agent i
  unsigned topologies = 1;
  std::vector<std::string> zones;     // of nodes; empty = all in one
  failover::FailoverPolicyPlan plan;  // topology and zones are filled in
  Duration ttl = 10s, margin = 3s;
  Duration interval = 3s;  // of checks
};

struct Member {
  bool is_up = true;
  bool is_primary = false;
  bool is_overloaded = false;  // takes connections, answers nothing
  bool is_fenced = false;
  double lag = 0;
  bool is_paused = false;
  std::uint64_t written = 0;  // how far it is: those that are up and fed follow the writer
  Instant fed_at{};           // when it last got what was written, or wrote it
  Instant well_at{};          // when it last wrote and would have answered a check
};

class World {
 public:
  explicit World(Shape shape);
  void run_until(Duration since_start);

  // -- what a story does to it
  Member& member(unsigned topology, unsigned i) { return members_[topology][i]; }
  void kill_node(unsigned node);                      // its agent and its servers are gone at once
  void stop_agent(unsigned node, Duration how_long);  // SIGSTOP
  void restart_agent(unsigned node);
  void cut(unsigned node, unsigned other);  // from node to other: nothing arrives
  void heal();
  void cut_from_store(unsigned node, bool requests, bool replies);
  void cut_zone(const std::string& zone, bool has_store);  // both ways
  void stop_store() { is_store_up_ = false; }
  void start_store() { is_store_up_ = true; }
  void skew(unsigned node, Duration by);
  void lead_clients(unsigned topology, unsigned member) { endpoint_[topology] = member; }
  void tell(unsigned node, const failover::Input& input);
  enum class Fence { works, lies, fails, hangs } fence = Fence::works;
  bool promote_hangs = false;

  // -- what became of it
  Instant now() const { return now_; }
  unsigned acts() const { return acts_; }  // performed effects, of all agents
  unsigned promotions(unsigned topology) const { return promotions_[topology]; }
  bool is_writable(unsigned topology) const;  // exactly one takes writes, and the endpoint leads there
  unsigned fenced() const { return fenced_; }
  failover::Policy& policy(unsigned node, unsigned topology = 0) { return *agents_[node].policies[topology]; }
  bool is_running(unsigned node) const { return agents_[node].is_running; }
  const failover::Record record() const { return failover::decode_record(record_text_); }
  const std::vector<failover::Decision>& decisions() const { return decisions_; }
  const std::vector<std::pair<Instant, Note>>& notes() const { return notes_; }
  std::uint64_t draw(std::uint64_t n) { return random_() % n; }
  const Shape& shape() const { return shape_; }
  [[noreturn]] void broken(const std::string& what) const;

 private:
  struct Agent {
    bool is_running = true;
    Instant stopped_until{};
    std::uint64_t life = 1;
    Duration offset{};  // of its monotonic clock
    Duration wall_offset{};
    std::vector<std::unique_ptr<FailoverWatch>> watches;
    std::vector<std::unique_ptr<failover::Policy>> policies;
    std::vector<bool> wants;
    std::map<std::pair<std::string, std::string>, std::pair<std::uint64_t, Instant>> first_seen;  // votes
    std::optional<Instant> read_at;                                                               // its own clock
    std::set<std::string> stopped_steps;
    std::map<std::string, failover::PublishVote> votes;
  };
  struct Key {  // a lease of a topology
    unsigned node = 0;
    std::uint64_t life = 0;
    std::int64_t token = 0;
    Instant expires{};
  };
  struct Vote {
    failover::PublishVote vote;
    Duration age_at_send{};
    std::optional<Duration> good_at_send{};
    std::uint64_t revision = 0;
    Instant expires{};
  };
  enum class What { probe, tick, poll, woke, at_store, at_agent, step, step_done, write };
  struct Event {
    Instant at;
    std::uint64_t order;
    What what;
    unsigned node;
    std::uint64_t life;
    unsigned topology = 0, member = 0;
    Instant sent{};  // the agent's clock
    std::shared_ptr<const failover::ClusterSeen> seen;
    std::shared_ptr<const failover::RunStep> step;
    std::shared_ptr<const failover::StepDone> done;
    std::shared_ptr<const failover::WriteRecord> record;
    bool is_lost = false;
    bool operator<(const Event& o) const { return at != o.at ? at > o.at : order > o.order; }
  };

  void push(Event e);
  void happen(Event e);
  Now clock(const Agent& a) const;
  void start(unsigned node, bool is_first);
  void give(unsigned node, unsigned topology, const failover::Input& input);
  void replicate();
  void look(unsigned node, unsigned topology);
  bool is_fed(unsigned topology, unsigned member) const;
  ProbeResult probe(unsigned node, unsigned topology, int member) const;
  void store_answers(const Event& e);
  void act(const Event& e);
  void expire();
  bool reaches(unsigned node, unsigned other) const { return !cut_[node][other] && !cut_[other][node]; }
  Duration delay() { return 1ms + std::chrono::milliseconds(draw(draw(20) == 0 ? 1500 : 20)); }

  Shape shape_;
  std::mt19937_64 random_;
  Instant now_{};
  std::uint64_t order_ = 0;
  std::priority_queue<Event> events_;
  std::vector<Agent> agents_;
  std::vector<std::vector<Member>> members_;
  std::vector<unsigned> endpoint_;  // by topology: the member it leads to
  std::array<std::array<bool, 8>, 8> cut_{};
  std::array<bool, 8> no_requests_{}, no_replies_{};
  bool is_store_up_ = true;
  std::int64_t revision_ = 1;
  std::map<std::string, Key> keys_;
  std::map<std::pair<std::string, std::string>, Vote> votes_;  // node, topology/member
  std::string record_text_;
  std::int64_t record_revision_ = 0;
  std::map<std::string, std::int64_t> highest_token_;
  std::map<std::string, Instant> begun_;  // by topology: the last act
  Instant brake_released_{};
  unsigned acts_ = 0, fenced_ = 0;
  std::vector<unsigned> promotions_;
  std::vector<failover::Decision> decisions_;
  std::vector<std::pair<Instant, Note>> notes_;
  bool is_traced_ = false;
};

}  // namespace vital::sim::fail
