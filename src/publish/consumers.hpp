// Consumers: who watches this node. Each request that asks for health, each agent check and each scrape leaves a trace
// here: from where, what kind of program, which path, how often, what it was told, and, where it says so itself
// (HAProxy's send-state), what it believes. The table is bounded; who came once makes room before who comes always.
// One lookup a request, no allocation once a consumer is known. Front thread.
//
//   slot = consumers.see({address, "haproxy", "/health", user_agent, state}, slot, now);   // last time's slot, or none
//   consumers.answered(slot, 503);
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "publish/address.hpp"

namespace vital {

// What a request shows of who sent it.
struct ConsumerSigns {
  std::string_view user_agent;
  std::string_view server_state;  // x-haproxy-server-state
  std::string_view method;
  std::string_view target;
  bool is_1_0 = false;
  unsigned headers = 0;  // how many header lines
};
// "haproxy", "envoy", ..., "other". Static storage. Pure.
std::string_view recognise(const ConsumerSigns& signs);

// What HAProxy says of the server it checks: "UP 2/3; ...; name=web/s1; node=lb1; weight=100/200; ...". Pure.
struct ConsumerBelief {
  std::string state;   // "UP", "DOWN", "NOLB"
  std::string rank;    // "2/3": so far on the way to the other state
  std::string server;  // "web/s1"
  std::string node;    // the balancer's name
  std::string weight;  // "100/200": its own and that of the farm
};
ConsumerBelief read_server_state(std::string_view text);

struct SeenConsumer {
  std::string_view kind;
  std::string address;
  std::string path;
  std::string user_agent;
  ConsumerBelief belief;
  std::string believed_before;  // the state before the last change of it
  WallTime first_seen{};
  WallTime last_seen{};
  Instant last_at{};
  Duration interval{};  // mean of the last few, 0 before the third request
  Duration longest{};   // gap, of late
  std::uint64_t requests = 0;
  int last_code = 0;      // HTTP status; 0 for an agent check or gRPC
  std::string last_word;  // what those were told
  bool is_lost = false;
};

class Consumers {
 public:
  static constexpr std::size_t most = 256;
  static constexpr unsigned most_told_at_once = 32;  // then one every told_every: who scans us fills no journal
  static constexpr Duration told_every = std::chrono::seconds(10);
  static constexpr std::uint64_t settled_after = 3;  // requests: fewer may have been somebody who looked once

  using Slot = std::uint32_t;
  static constexpr Slot none = 0;

  struct Sighting {
    HostAddress address;  // unknown = over a unix socket
    std::string_view kind;
    std::string_view path;
    std::string_view user_agent;
    std::string_view server_state;
  };
  // `guess`: the slot of the last request on this connection.
  Slot see(const Sighting& sighting, Slot guess, Now now);
  void answered(Slot slot, int code, std::string_view word = {});

  // Called when a recognised consumer has settled, when it believes something else than before, and when it has not
  // come for too long: "consumer_seen", "consumer_believes", "consumer_lost". Not more often than the bound above.
  void when_changed(std::function<void(const char* event, const SeenConsumer&)> told) { told_ = std::move(told); }
  // Looks for who has not come; call about once a second.
  void sweep(Instant now);
  bool is_empty() const { return by_key_.empty(); }

  std::vector<SeenConsumer> list() const;                              // settled first, each group by address
  std::vector<std::pair<std::string, std::uint64_t>> by_kind() const;  // of those that settled and still come
  std::uint64_t evicted() const { return evicted_; }
  std::uint64_t untold() const { return untold_; }  // events beyond the bound

 private:
  struct Entry {
    SeenConsumer consumer;
    HostAddress address;
    std::uint64_t key = 0;
    bool is_used = false;
  };
  static std::uint64_t key_of(const Sighting& sighting);
  bool is_it(const Entry& entry, const Sighting& sighting) const;
  Slot place_for(const Sighting& sighting, std::uint64_t key, Now now);
  void forget(Slot slot);
  void tell(const char* event, const SeenConsumer& consumer, Instant now);

  std::vector<Entry> entries_ = std::vector<Entry>(1);  // [0] is none
  std::unordered_map<std::uint64_t, Slot> by_key_;
  std::vector<Slot> free_;
  std::function<void(const char*, const SeenConsumer&)> told_;
  std::uint64_t evicted_ = 0;
  std::uint64_t untold_ = 0;
  unsigned may_tell_ = most_told_at_once;
  Instant may_tell_from_{};  // when may_tell_ was last made more
};

// {"consumers": [...], "evicted": n, "events_dropped": n}
std::string consumers_document(const Consumers& consumers, Now now);

}  // namespace vital
