// HTTP/2 by nghttp2, gRPC health by hand; see grpc_peer.hpp. The session is fed what the peer sent and asked for what
// to send; it never sees the socket.
#include "publish/grpc_peer.hpp"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "publish/grpc_health.hpp"

namespace vital {
namespace {

constexpr Duration look_every = std::chrono::milliseconds(100);
constexpr std::uint32_t most_streams = 64;
constexpr std::size_t most_header_bytes = 8 * 1024;
constexpr std::size_t most_body_bytes = 1100;  // a message of 1,024 and what stands before it
constexpr std::size_t most_queued = 256 * 1024;

struct SessionFreer {
  void operator()(nghttp2_session* s) const { nghttp2_session_del(s); }
};

nghttp2_nv field(std::string_view name, std::string_view value) {
  const auto bytes = [](std::string_view text) {
    return const_cast<std::uint8_t*>(static_cast<const std::uint8_t*>(static_cast<const void*>(text.data())));
  };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

}  // namespace

class GrpcPeer : public Peer {
 public:
  GrpcPeer(Hall& hall, GrpcRoom& room, int fd, std::unique_ptr<Stream> stream, const Origin& origin)
      : Peer(hall, fd, std::move(stream), origin.door->tls ? Awaited::handshake : Awaited::first_byte),
        room_(room),
        origin_(origin),
        session_(make_session()) {
    const std::array<nghttp2_settings_entry, 3> settings{{
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, most_streams},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, most_header_bytes},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 16 * 1024},
    }};
    nghttp2_submit_settings(session_.get(), NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  }
  ~GrpcPeer() override {
    if (watches_ > 0) {
      for (; watches_ > 0; --watches_) room_.end_watch(id(), watches_ == 1);
    }
  }

  // Something may have changed: tells those who watch.
  void look() {
    if (is_finishing()) return;
    for (auto& [number, call] : calls_) {
      if (call.is_watch) tell(number, call);
    }
    pump();
    resume();
  }

 private:
  struct Call {
    std::string path;
    std::string content_type;
    std::string user_agent;
    std::string body;
    std::string output;  // framed messages not sent yet
    std::string service;
    std::size_t header_bytes = 0;
    bool is_answered = false;
    bool is_watch = false;
    Serving told = Serving::service_unknown;
    bool has_told = false;
  };

  // ---- Peer

  std::size_t take(std::string_view bytes) override {
    if (!is_waiting_for(Awaited::next_request)) wait_for(Awaited::next_request);
    const auto* from = static_cast<const std::uint8_t*>(static_cast<const void*>(bytes.data()));
    if (nghttp2_session_mem_recv(session_.get(), from, bytes.size()) < 0) {
      nghttp2_session_terminate_session(session_.get(), NGHTTP2_PROTOCOL_ERROR);
    }
    pump();
    if (nghttp2_session_want_read(session_.get()) == 0 && nghttp2_session_want_write(session_.get()) == 0) finish();
    return bytes.size();
  }

  void late(Awaited kind) override {
    // Who watches is asked whether he still lives; who does not answer within another such time is gone.
    if (kind == Awaited::next_request && watches_ > 0 && !is_pinged_ && !hall().is_leaving()) {
      is_pinged_ = true;
      nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, nullptr);
      wait_for(Awaited::next_request);
      return pump();
    }
    nghttp2_session_terminate_session(session_.get(), NGHTTP2_NO_ERROR);
    pump();
    finish();
  }

  // ---- the session

  std::unique_ptr<nghttp2_session, SessionFreer> make_session() {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_begin_headers_callback(
        callbacks, [](auto*, const auto* frame, void* self) { return static_cast<GrpcPeer*>(self)->begun(*frame); });
    nghttp2_session_callbacks_set_on_header_callback(callbacks, [](auto*, const auto* frame, const std::uint8_t* name,
                                                                   std::size_t name_size, const std::uint8_t* value,
                                                                   std::size_t value_size, std::uint8_t, void* self) {
      const auto text = [](const std::uint8_t* bytes, std::size_t size) {
        return std::string_view(static_cast<const char*>(static_cast<const void*>(bytes)), size);
      };
      return static_cast<GrpcPeer*>(self)->header(frame->hd.stream_id, text(name, name_size), text(value, value_size));
    });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        callbacks,
        [](auto*, std::uint8_t, std::int32_t number, const std::uint8_t* data, std::size_t size, void* self) {
          return static_cast<GrpcPeer*>(self)->data(number,
                                                    {static_cast<const char*>(static_cast<const void*>(data)), size});
        });
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        callbacks, [](auto*, const auto* frame, void* self) { return static_cast<GrpcPeer*>(self)->received(*frame); });
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks,
                                                           [](auto*, std::int32_t number, std::uint32_t, void* self) {
                                                             static_cast<GrpcPeer*>(self)->closed(number);
                                                             return 0;
                                                           });
    nghttp2_session* session = nullptr;
    nghttp2_session_server_new(&session, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    return std::unique_ptr<nghttp2_session, SessionFreer>(session);
  }

  int begun(const nghttp2_frame& frame) {
    if (frame.hd.type == NGHTTP2_HEADERS && frame.headers.cat == NGHTTP2_HCAT_REQUEST) {
      calls_.try_emplace(frame.hd.stream_id);
    }
    return 0;
  }

  int header(std::int32_t number, std::string_view name, std::string_view value) {
    const auto found = calls_.find(number);
    if (found == calls_.end()) return 0;
    Call& call = found->second;
    call.header_bytes += name.size() + value.size() + 32;
    if (call.header_bytes > most_header_bytes) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (name == ":path") call.path = value;
    if (name == "content-type") call.content_type = value;
    if (name == "user-agent") call.user_agent = value;
    return 0;
  }

  int data(std::int32_t number, std::string_view bytes) {
    const auto found = calls_.find(number);
    if (found == calls_.end() || found->second.is_answered) return 0;
    Call& call = found->second;
    if (call.body.size() + bytes.size() > most_body_bytes) {
      refuse(number, call, GrpcStatus::resource_exhausted, "the message is longer than 1024 bytes");
      return 0;
    }
    call.body += bytes;
    return 0;
  }

  int received(const nghttp2_frame& frame) {
    if (frame.hd.type == NGHTTP2_PING && (frame.hd.flags & NGHTTP2_FLAG_ACK) != 0) is_pinged_ = false;
    const bool is_end = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (!is_end || (frame.hd.type != NGHTTP2_HEADERS && frame.hd.type != NGHTTP2_DATA)) return 0;
    const auto found = calls_.find(frame.hd.stream_id);
    if (found != calls_.end() && !found->second.is_answered) answer(frame.hd.stream_id, found->second);
    return 0;
  }

  void closed(std::int32_t number) {
    const auto found = calls_.find(number);
    if (found == calls_.end()) return;
    if (found->second.is_watch) {
      room_.end_watch(id(), watches_ == 1);
      --watches_;
    }
    calls_.erase(found);
  }

  // ---- the protocol

  void answer(std::int32_t number, Call& call) {
    if (!call.content_type.starts_with("application/grpc")) {
      call.is_answered = true;
      const std::array<nghttp2_nv, 1> fields{field(":status", "415")};
      nghttp2_submit_response(session_.get(), number, fields.data(), fields.size(), nullptr);
      return;
    }
    const bool is_watch = call.path == grpc_watch_path;
    if (!is_watch && call.path != grpc_check_path) {
      return refuse(number, call, GrpcStatus::unimplemented, "only grpc.health.v1.Health is served here");
    }
    const GrpcRequest request = read_health_request(call.body);
    switch (request.status) {
      case GrpcRequest::Status::need_more:
      case GrpcRequest::Status::malformed:
        return refuse(number, call, GrpcStatus::invalid_argument, "not a HealthCheckRequest");
      case GrpcRequest::Status::compressed:
        return refuse(number, call, GrpcStatus::unimplemented, "compressed messages are not read here");
      case GrpcRequest::Status::whole:
        break;
    }
    call.service = request.service;
    const auto serving = look_up(call.service);
    FrontStats::add(hall().stats().grpc_checks);
    wait_for(Awaited::next_request);
    if (!serving) FrontStats::add(hall().stats().grpc_unknown_services);
    remember(call, serving);
    if (!is_watch) {
      if (!serving) return refuse(number, call, GrpcStatus::not_found, "there is no service of that name");
      call.output = health_response(*serving);
      return respond(number, call);
    }
    if (!room_.begin_watch(id())) {
      return refuse(number, call, GrpcStatus::resource_exhausted, "too many watch already");
    }
    ++watches_;
    call.is_watch = true;
    call.told = serving.value_or(Serving::service_unknown);
    call.has_told = true;
    call.output = health_response(call.told);
    respond(number, call);
  }

  std::optional<Serving> look_up(const std::string& service) const {
    const Board& board = room_.board();
    return serving_of(board.view.take().get(), service, Loop::both(),
                      board.valid_until.load(std::memory_order_acquire));
  }

  void remember(const Call& call, const std::optional<Serving>& serving) {
    const std::string path = call.path + (call.service.empty() ? "" : ":" + call.service.substr(0, 64));
    const std::string_view kind = recognise({call.user_agent, {}, "POST", call.path, false, 8});
    const Consumers::Sighting sighting{origin_.address, kind == "other" ? "grpc" : kind, path, call.user_agent, {}};
    slot_ = room_.consumers().see(sighting, slot_, Loop::both());
    room_.consumers().answered(slot_, 0,
                               !serving                       ? "NOT_FOUND"
                               : *serving == Serving::serving ? "SERVING"
                                                              : "NOT_SERVING");
  }

  void tell(std::int32_t number, Call& call) {
    const Serving now = look_up(call.service).value_or(Serving::service_unknown);
    if (call.has_told && call.told == now) return;
    call.told = now;
    call.has_told = true;
    // Who does not read gets the newest when he does, not a history.
    if (call.output.size() > 64) call.output.resize(call.output.size() % 7);
    call.output += health_response(now);
    nghttp2_session_resume_data(session_.get(), number);
  }

  // The head, then what is in `output`; for a Check the trailers after it.
  void respond(std::int32_t number, Call& call) {
    call.is_answered = true;
    const std::array<nghttp2_nv, 2> fields{field(":status", "200"), field("content-type", "application/grpc")};
    nghttp2_data_provider provider{};
    provider.source.ptr = this;
    provider.read_callback = [](nghttp2_session* session, std::int32_t id, std::uint8_t* to, std::size_t size,
                                std::uint32_t* flags, nghttp2_data_source* source, void*) -> ssize_t {
      auto& calls = static_cast<GrpcPeer*>(source->ptr)->calls_;
      const auto found = calls.find(id);
      if (found == calls.end()) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
      Call& of = found->second;
      if (of.output.empty() && of.is_watch) return NGHTTP2_ERR_DEFERRED;
      const std::size_t n = std::min(size, of.output.size());
      std::memcpy(to, of.output.data(), n);
      of.output.erase(0, n);
      if (of.output.empty() && !of.is_watch) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        const std::array<nghttp2_nv, 1> trailers{field("grpc-status", "0")};
        nghttp2_submit_trailer(session, id, trailers.data(), trailers.size());
      }
      return static_cast<ssize_t>(n);
    };
    nghttp2_submit_response(session_.get(), number, fields.data(), fields.size(), &provider);
  }

  void refuse(std::int32_t number, Call& call, GrpcStatus status, std::string_view why) {
    call.is_answered = true;
    const std::string code = std::to_string(static_cast<unsigned>(status));
    const std::array<nghttp2_nv, 4> fields{field(":status", "200"), field("content-type", "application/grpc"),
                                           field("grpc-status", code), field("grpc-message", why)};
    nghttp2_submit_response(session_.get(), number, fields.data(), fields.size(), nullptr);
  }

  // Everything the session has to send. Who does not take it is ended: nothing of this may fill our memory.
  void pump() {
    while (queued() < most_queued) {
      const std::uint8_t* bytes = nullptr;
      const ssize_t n = nghttp2_session_mem_send(session_.get(), &bytes);
      if (n < 0) finish();
      if (n <= 0) return;
      send({static_cast<const char*>(static_cast<const void*>(bytes)), static_cast<std::size_t>(n)});
    }
    finish();
  }

  GrpcRoom& room_;
  Origin origin_;
  std::map<std::int32_t, Call> calls_;
  std::unique_ptr<nghttp2_session, SessionFreer> session_;
  std::size_t watches_ = 0;
  Consumers::Slot slot_ = Consumers::none;
  bool is_pinged_ = false;  // and has not answered yet
};

bool has_grpc() { return true; }

GrpcRoom::GrpcRoom(Hall& hall, const Board& board, Consumers& consumers)
    : hall_(hall), board_(board), consumers_(consumers), timer_(hall.loop(), [this] { tick(); }) {}

std::unique_ptr<Peer> GrpcRoom::welcome(int fd, std::unique_ptr<Stream> stream, const Origin& origin) {
  return std::make_unique<GrpcPeer>(hall_, *this, fd, std::move(stream), origin);
}

bool GrpcRoom::begin_watch(std::uint64_t peer) {
  if (watches_ >= most_watches) return false;
  if (watches_++ == 0) timer_.arm_in(look_every);
  watching_.insert(peer);
  hall_.stats().grpc_watches.store(watches_, std::memory_order_relaxed);
  return true;
}

void GrpcRoom::end_watch(std::uint64_t peer, bool was_last_of_peer) {
  --watches_;
  if (was_last_of_peer) watching_.erase(peer);
  hall_.stats().grpc_watches.store(watches_, std::memory_order_relaxed);
}

void GrpcRoom::tick() {
  if (watches_ == 0) return;
  timer_.arm_in(look_every);
  auto view = board_.view.take();
  const bool is_stalled = Loop::now() > board_.valid_until.load(std::memory_order_acquire);
  if (view == told_ && is_stalled == was_stalled_) return;
  told_ = std::move(view);
  was_stalled_ = is_stalled;
  const std::set<std::uint64_t> peers = watching_;
  for (const std::uint64_t id : peers) {
    // Only gRPC peers are in the set.
    if (Peer* peer = hall_.find(id)) static_cast<GrpcPeer*>(peer)->look();
  }
}

}  // namespace vital
