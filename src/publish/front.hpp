// Front: the endpoint. One thread with its own loop owns every socket: the health addresses, the HAProxy agent-check
// addresses and the admin socket. It reads the Board and answers; it never runs, waits for or delays a check, and when
// the agent's loop stalls it says so by itself.
//
//   Board board;
//   Front front(options, board, {&agent_loop, [](AdminRequest request, AdminReply reply) { reply({200, "{}"}); }});
//   front.add_get("/api/v1/events", [](GetRequest request, GetReply reply) { ... });
//   front.start();
//   ...
//   front.reconfigure(new_options);     // a reload; addresses that stay are not touched
//
// Not for the outside: cpp-httplib parses requests (request_parser.cpp), but its sockets and threads are not used.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "loop/inherited.hpp"
#include "loop/loop.hpp"
#include "publish/view.hpp"

namespace vital {

class TlsContext;
struct SeenConsumer;

// Who sees more than the verdict on the health addresses. The admin socket always does.
enum class ShowDetails : std::uint8_t { loopback, always, never, authorized };

// The contract's numbers; tests make them smaller.
struct FrontLimits {
  std::size_t header_bytes = 8 * 1024;
  std::size_t body_bytes = 64 * 1024;
  Duration handshake_time = std::chrono::seconds(5);  // of TLS, from the accept
  std::size_t handshakes = 512;                       // under way at a time; the oldest gives way
  Duration header_time = std::chrono::seconds(5);     // from a request's first byte to the end of its header
  Duration body_time = std::chrono::seconds(5);       // from there to the end of its body
  Duration idle_time = std::chrono::seconds(75);
  Duration write_time = std::chrono::seconds(10);  // for the peer to take an answer
  Duration drain_time = std::chrono::seconds(1);   // after our FIN, for the peer's
  // When the front stops: for the request of somebody who has just connected, and on a connection kept alive.
  Duration last_first_time = std::chrono::seconds(1);
  Duration last_next_time = std::chrono::milliseconds(250);
  std::size_t drain_bytes = 256 * 1024;
  std::size_t connections = 4096;
  std::size_t connections_per_source = 1024;  // of one address (IPv6: of one /64); loopback and proxies are not counted
  bool counts_loopback = false;               // for tests, whose connections all come from there
  std::size_t pending_output_bytes = 64 * 1024 * 1024;  // answers not yet taken by their peers, all together
  Duration agent_line_time = std::chrono::milliseconds(100);
  Duration admin_time = std::chrono::seconds(60);  // for the agent to answer a write request
  Duration get_time = std::chrono::seconds(10);    // for a registered GET handler
  std::size_t waiting_requests = 256;              // of both
  std::size_t streams = 256;                       // readers of /api/v1/stream at the same time
};

struct AdminSocket {
  std::string path;
  unsigned mode = 0660;
  std::string group;  // empty = ours
};

// One address that is asked for health, and what is particular about it.
struct Doorway {
  std::string address;  // "0.0.0.0:9180", "[::]:9180", numeric, port 0 = any free one; "/run/x.sock" a unix socket
  ShowDetails details = ShowDetails::loopback;
  std::vector<std::string> proxy_protocol;  // networks whose connections may begin with a PROXY header: "10.0.0.0/8"
  std::shared_ptr<const TlsContext> tls;    // null = in the clear
  std::string token;                        // who brings it as "Authorization: Bearer" is authorized; empty = nobody
  unsigned mode = 0660;                     // of a unix socket's file
  std::string group;

  Doorway() = default;
  Doorway(std::string at) : address(std::move(at)) {}
  Doorway(const char* at) : address(at) {}
};

// What HAProxy is told while the agent stops: it keeps what it was told last.
enum class HaproxyFarewell : std::uint8_t { drain, ready, down, maint };

struct FrontOptions {
  std::vector<Doorway> health;
  std::vector<std::string> haproxy;  // agent-check; addresses as in Doorway
  HaproxyFarewell farewell = HaproxyFarewell::drain;
  std::vector<Doorway> grpc;  // address and tls of each are used
  std::optional<AdminSocket> admin;
  // Sockets somebody else listens on for us. One named "health", "haproxy", "grpc" or "admin" takes the place of the
  // address it is bound to, or serves beside those there are, with the first one's options. Never closed here.
  std::vector<InheritedSocket> inherited;
  std::vector<std::pair<std::string, std::string>> report_tokens;  // check and token: who may report over `health`
  FrontLimits limits;
};

using QueryList = std::vector<std::pair<std::string, std::string>>;  // decoded, in the order of their names

// A write request that came through the admin socket: any POST, PUT, PATCH or DELETE under /api/; or the report of a
// check whose token came with it, through a health listener.
struct AdminRequest {
  std::string method;
  std::string path;  // decoded, without the query
  QueryList query;
  std::string body;
  uid_t uid = 0;  // of the process at the other end
  pid_t pid = 0;
  bool is_by_token = false;  // a report that came through a health listener; uid and pid say nothing then
};
struct AdminAnswer {
  int status = 200;
  std::string json_body;
};
// May be called from any thread, once, later; a second call, a call after admin_time and a call after the front is gone
// do nothing.
using AdminReply = std::function<void(AdminAnswer)>;
using AdminHandler = std::function<void(AdminRequest, AdminReply)>;

// Where write requests go: posted to `loop`, where `handler` runs. Both may be empty: then they get 501.
struct AdminPort {
  Loop* loop = nullptr;
  AdminHandler handler;
};

// A read-only page of another room.
struct GetRequest {
  std::string path;  // decoded, without the query
  QueryList query;
  bool is_admin = false;     // came through the admin socket
  bool is_detailed = false;  // may see more than the verdict
};
struct GetAnswer {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
};
using GetReply = std::function<void(GetAnswer)>;               // as AdminReply, with get_time
using GetHandler = std::function<void(GetRequest, GetReply)>;  // called on the front's thread: must not block

// One event for the readers of /api/v1/stream. Ids only grow, over restarts too.
struct StreamEvent {
  std::int64_t id = 0;
  std::string event;  // check_state
  std::string check;  // that it is about, or empty
  std::string json;   // one line: what readers get as data
};
// Where readers that come back with an id from before catch up: answers the oldest `limit` events after it and whether
// there are more. Called on the front's thread, must not block; may answer on any thread, once.
using StreamReply = std::function<void(std::vector<StreamEvent>, bool has_more)>;
using StreamSource = std::function<void(std::int64_t after, std::size_t limit, StreamReply)>;

// What the front counted since it was made; only ever grows, but for `connections_open`.
struct FrontCounters {
  std::uint64_t connections = 0;
  std::uint64_t connections_open = 0;
  std::uint64_t silent = 0;           // ended without a byte sent to us
  std::uint64_t evicted = 0;          // gave way at the cap
  std::uint64_t over_source_cap = 0;  // gave way since their source held too many
  std::uint64_t timed_out = 0;        // 408, or a peer that did not take its answer
  std::uint64_t resets = 0;           // ended by the peer's RST
  std::uint64_t accept_errors = 0;    // out of descriptors, mostly
  std::uint64_t proxied = 0;          // with a PROXY header
  std::uint64_t tls_handshakes = 0;
  std::uint64_t tls_failures = 0;  // handshakes that came to nothing
  std::uint64_t agent_checks = 0;
  std::uint64_t agent_unknown_services = 0;
  std::uint64_t grpc_checks = 0;  // Check and Watch begun
  std::uint64_t grpc_unknown_services = 0;
  std::uint64_t grpc_watches = 0;                                // open now
  std::uint64_t reports_taken = 0;                               // of heartbeats, over a health listener
  std::uint64_t reports_unauthorized = 0;                        // without a good token
  std::uint64_t reports_limited = 0;                             // beyond the rate
  std::uint64_t reports_refused = 0;                             // too long, or no POST
  std::uint64_t stream_readers = 0;                              // now
  std::uint64_t stream_events = 0;                               // sent, to each reader
  std::uint64_t stream_readers_dropped = 0;                      // read too slowly
  std::vector<std::pair<int, std::uint64_t>> requests;           // by status code, ascending
  std::vector<std::pair<std::string, std::uint64_t>> consumers;  // that watch now, by kind; only in /metrics
  std::uint64_t consumers_evicted = 0;
  std::uint64_t consumer_events_dropped = 0;
};

// An address that cannot be listened on: one line that names it and says why.
class FrontError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Front {
 public:
  // Binds and listens; throws FrontError. Nothing is answered before start(). [control]
  Front(const FrontOptions& options, const Board& board, AdminPort admin = {});
  // Stops: closes the listeners, answers who is connected and asks within a moment, ends the others, joins the thread:
  // 2 s at the most. Who waits in the queue of an inherited socket waits for the next process. [control]
  ~Front();
  Front(const Front&) = delete;
  Front& operator=(const Front&) = delete;

  // A page for `path` and, if it ends in '/', for everything below; the longest match wins, over the built-in pages
  // too, but for /health, /livez and /readyz. Before start(). [control]
  void add_get(std::string path, GetHandler handler);
  // Before start(). [control]
  void set_stream_source(StreamSource source);
  // Called on the front's thread when somebody has begun to watch this node ("consumer_seen"), when he believes
  // something else of it ("consumer_believes") and when he has not come for too long ("consumer_lost"). Before start().
  // [control]
  void on_consumer(std::function<void(const char* event, const SeenConsumer&)> told);
  void start();  // [control]

  // Who watches this node now; `then` is called on the front's thread, once, or never if the front ends before. [any]
  void list_consumers(std::function<void(std::vector<SeenConsumer>)> then);

  // Tells the readers of /api/v1/stream. [any]
  void tell(StreamEvent event);

  // Adopts new addresses and options whole, or throws FrontError and changes nothing. [control]
  void reconfigure(const FrontOptions& options);

  // As bound, with the real port: "127.0.0.1:43121". In the order of the options. [control]
  std::vector<std::string> health_addresses() const;
  std::vector<std::string> haproxy_addresses() const;
  std::vector<std::string> grpc_addresses() const;

  FrontCounters counters() const;  // [any]

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace vital
