// HttpPeer: one connection that speaks HTTP, and HttpRoom: what all of them share. A peer frames requests and writes
// answers; the room decides which page, callback or error answers one. Front thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "publish/address.hpp"
#include "publish/consumers.hpp"
#include "publish/event_stream.hpp"
#include "publish/front.hpp"
#include "publish/listener.hpp"
#include "publish/pages.hpp"
#include "publish/peer.hpp"
#include "publish/reporters.hpp"
#include "publish/request_framer.hpp"
#include "publish/request_parser.hpp"
#include "publish/response.hpp"

namespace vital {

// Who is at the other end.
struct Origin {
  ListenerKind listener = ListenerKind::health;
  HostAddress address;
  bool is_local = false;                   // over a unix socket
  bool may_proxy = false;                  // its connection may begin with a PROXY header
  std::shared_ptr<const DoorPolicy> door;  // never null but for admin
  uid_t uid = 0;                           // admin only
  pid_t pid = 0;
};

class HttpPeer;

class HttpRoom {
 public:
  HttpRoom(Hall& hall, const Board& board, AdminPort admin, Consumers& consumers);
  ~HttpRoom();
  HttpRoom(const HttpRoom&) = delete;
  HttpRoom& operator=(const HttpRoom&) = delete;

  void add_get(std::string path, GetHandler handler);
  void set_reporters(const std::vector<std::pair<std::string, std::string>>& tokens) { reporters_.set(tokens); }

  // Answers now, or makes the peer wait and answers later.
  void handle(HttpPeer& peer, const Frame& frame);
  void answer(HttpPeer& peer, const Response& response);
  // What it waits for is not wanted any more.
  void forget(const HttpPeer& peer);
  EventStream& stream() { return stream_; }
  // The peer's socket has taken all it was sent.
  void taken(const HttpPeer& peer);
  // The bytes of an answer that no peer waits for in the usual way.
  std::string bytes_of(const Response& response, const ResponseForm& form);

 private:
  struct Mailbox;
  void route(HttpPeer& peer, Request& request);
  void remember(HttpPeer& peer, const Frame& frame, std::string_view path);
  void route_write(HttpPeer& peer, const Request& request);
  void route_report(HttpPeer& peer, const Request& request);
  void hand_to_agent(HttpPeer& peer, const Request& request);
  void route_stream(HttpPeer& peer, const Request& request);
  EventStream::Wire wire();
  HttpPeer* find(std::uint64_t peer);
  bool route_registered(HttpPeer& peer, const Request& request);
  void answer_in_turn(HttpPeer& peer, Request request);
  void answer_next();
  bool may_wait(HttpPeer& peer);
  void deliver(std::uint64_t peer, std::uint64_t ticket, const Response& response);
  static bool is_detailed(const HttpPeer& peer, std::string_view authorization);
  std::string_view date(WallTime now);

  Hall& hall_;
  AdminPort admin_;
  Reporters reporters_;
  Consumers& consumers_;
  Pages pages_;
  RequestParser parser_;
  std::vector<std::pair<std::string, GetHandler>> gets_;  // longest path first
  std::shared_ptr<Mailbox> mailbox_;
  EventStream stream_;
  // Requests that cost more than picking bytes: one a turn, so that polls of /health pass between them.
  struct Turn {
    std::uint64_t peer, ticket;
    Request request;
  };
  std::deque<Turn> turns_;
  std::set<std::pair<std::uint64_t, std::uint64_t>> waiting_;  // peer and ticket, for other rooms
  std::string date_;
  std::int64_t date_second_ = -1;
  std::string scratch_;
};

class HttpPeer : public Peer {
 public:
  HttpPeer(Hall& hall, HttpRoom& room, int fd, std::unique_ptr<Stream> stream, const Origin& origin);
  ~HttpPeer() override;

  const Origin& origin() const { return origin_; }
  bool is_authorized() const { return stream().is_authorized(); }

 private:
  friend class HttpRoom;
  std::size_t take(std::string_view bytes) override;
  void late(Awaited kind) override;
  std::string farewell() override;
  void handshaken() override;
  void adopt_proxied(const ProxyHeader& header);
  Awaited after_output() const override { return is_streaming_ ? Awaited::stream : Awaited::next_request; }
  void taken() override;
  void was_too_slow() override;
  std::size_t take_proxy_header(std::string_view bytes);
  void refuse(int code, std::string_view problem);
  void park(Awaited kind);

  HttpRoom& room_;
  Origin origin_;
  RequestFramer framer_;
  ResponseForm form_;         // of the request being answered
  std::uint64_t ticket_ = 0;  // of the answer awaited: one for another ticket comes too late
  Consumers::Slot consumer_ = Consumers::none;
  bool is_consumer_asking_ = false;  // the answer awaited is one to remember
  bool is_proxy_read_ = false;       // or there can be none
  bool has_continued_ = false;
  bool is_streaming_ = false;  // reads /api/v1/stream, to its end
};

}  // namespace vital
