// The front: its thread, its listeners, and what a reload changes; see front.hpp. Connections are in peer.cpp, HTTP in
// http_peer.cpp and http_room.cpp, the agent check in haproxy_agent.cpp.
#include "publish/front.hpp"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <thread>
#include <utility>

#include "publish/consumers.hpp"
#include "publish/doors.hpp"
#include "publish/grpc_peer.hpp"
#include "publish/haproxy_agent.hpp"
#include "publish/http_peer.hpp"
#include "publish/listener.hpp"
#include "publish/peer.hpp"
#include "publish/tls.hpp"

namespace vital {
namespace {

constexpr unsigned accepts_a_turn = 64;
constexpr Duration accept_pause = std::chrono::milliseconds(100);  // when there are no descriptors left
constexpr Duration stop_time = std::chrono::seconds(2);            // whatever those do who are still connected
constexpr Duration consumers_looked_for_every = std::chrono::seconds(1);
constexpr rlim_t spare_descriptors = 512;  // of the agent, besides connections

// Systemd starts a service with 1,024 descriptors, fewer than the connections promised.
void raise_descriptor_limit(std::size_t connections) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = static_cast<rlim_t>(connections) + spare_descriptors;
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

bool origin_of(int fd, const SocketAddress& from, const ListeningSocket& at,
               const std::shared_ptr<const DoorPolicy>& door, Origin& out) {
  out.listener = at.kind();
  out.door = door;
  out.is_local = at.is_local();
  if (at.kind() == ListenerKind::admin) {
    // Who cannot be named cannot command.
    ucred peer{};
    socklen_t length = sizeof peer;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return false;
    out.uid = peer.uid;
    out.pid = peer.pid;
    return true;
  }
  out.address = HostAddress::of(from);
  out.may_proxy = std::any_of(door->proxies.begin(), door->proxies.end(),
                              [&](const Network& n) { return n.contains(out.address); });
  return true;
}

}  // namespace

struct Front::Impl {
  // One listening socket and its watch. Loop only.
  struct Door {
    std::shared_ptr<ListeningSocket> socket;
    std::shared_ptr<DoorPolicy> policy;
    std::optional<FdWatch> watch;
  };

  Impl(const FrontOptions& asked, const Board& from, AdminPort admin)
      : board(from),
        options(asked),
        listeners(open_doors(asked, {})),
        hall(loop, asked.limits, stats),
        room(hall, from, std::move(admin), consumers),
        grpc(hall, from, consumers),
        accept_timer(loop, [this] { pause_accepting(false); }),
        stop_timer(loop, [this] { loop.stop(); }),
        consumer_timer(loop, [this] { look_for_consumers(); }),
        spare(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {}

  ~Impl() {
    if (thread.joinable()) {
      loop.post([this] { stop(); });
      thread.join();
    }
    doors.clear();
    hall.clear();  // its peers speak to the room
  }

  // ---- control thread

  std::vector<std::string> addresses(ListenerKind kind) const {
    std::vector<std::string> out;
    for (const OpenDoor& l : listeners) {
      if (l.socket->kind() == kind) out.push_back(l.socket->bound());
    }
    return out;
  }

  // ---- loop

  void adopt(const FrontOptions& asked, const OpenDoors& wanted) {
    options = asked;
    hall.set_limits(asked.limits);
    room.set_reporters(asked.report_tokens);
    std::erase_if(doors, [&](const auto& door) {
      if (std::any_of(wanted.begin(), wanted.end(), [&](const OpenDoor& w) { return w.socket == door->socket; })) {
        return false;
      }
      if (!door->socket->is_inherited()) accept_from(*door);  // who is in its queue already is still served
      return true;
    });
    for (const OpenDoor& door : wanted) {
      const auto found =
          std::find_if(doors.begin(), doors.end(), [&](const auto& d) { return d->socket == door.socket; });
      if (found == doors.end()) {
        doors.push_back(make_door(door));
      } else {
        *(*found)->policy = *door.policy;
      }
    }
  }

  std::unique_ptr<Door> make_door(const OpenDoor& from) {
    auto door = std::make_unique<Door>();
    door->socket = from.socket;
    door->policy = std::make_shared<DoorPolicy>(*from.policy);
    door->watch.emplace(loop, from.socket->fd(), [this, d = door.get()] { accept_from(*d); });
    return door;
  }

  void accept_from(Door& door) {
    for (unsigned i = 0; i < accepts_a_turn; ++i) {
      SocketAddress from;
      from.length = sizeof from.storage;
      UniqueFd fd(::accept4(door.socket->fd(), from.raw(), &from.length, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (fd) {
        welcome(std::move(fd), from, door);
        continue;
      }
      if (errno == EAGAIN || errno == EWOULDBLOCK) return;
      if (errno == ECONNABORTED || errno == EINTR) continue;
      FrontStats::add(stats.accept_errors);
      if (errno == EMFILE || errno == ENFILE) return shed(door);
      return pause_accepting(true);
    }
  }

  // Out of descriptors: the one kept for this takes the waiting connection and closes it, so that its peer sees an end
  // instead of silence; then we wait a moment.
  void shed(Door& door) {
    spare.reset();
    UniqueFd turned_away(::accept4(door.socket->fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    turned_away.reset();
    spare.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    pause_accepting(true);
  }

  void pause_accepting(bool is_paused) {
    for (auto& door : doors) door->watch->want_read(!is_paused);
    if (is_paused) accept_timer.arm_in(accept_pause);
  }

  void welcome(UniqueFd fd, const SocketAddress& from, const Door& door) {
    const int number = fd.get();
    Origin origin;
    if (!origin_of(number, from, *door.socket, door.policy, origin)) return;
    const bool is_counted = !origin.may_proxy && (options.limits.counts_loopback || !origin.address.is_loopback());
    const HostAddress source = is_counted ? origin.address : HostAddress{};
    auto stream =
        door.policy->tls ? door.policy->tls->accept(std::move(fd), origin.may_proxy) : plain_stream(std::move(fd));
    if (!stream) return FrontStats::add(stats.accept_errors);
    if (origin.listener == ListenerKind::haproxy) {
      auto peer = std::make_unique<HaproxyAgentPeer>(hall, board, number, std::move(stream), options.farewell);
      peer->remember_in(consumers, origin.address);
      hall.add(std::move(peer), source);
    } else if (origin.listener == ListenerKind::grpc) {
      hall.add(grpc.welcome(number, std::move(stream), origin), source);
    } else {
      hall.add(std::make_unique<HttpPeer>(hall, room, number, std::move(stream), origin), source);
    }
  }

  void look_for_consumers() {
    consumers.sweep(Loop::now());
    consumer_timer.arm_in(consumers_looked_for_every);
  }

  // What waits in the queue of an inherited socket is for the successor, who goes on with it.
  void stop() {
    for (auto& door : doors) {
      if (!door->socket->is_inherited()) accept_from(*door);
    }
    doors.clear();
    listeners.clear();  // the control thread waits for us; the last owner closes
    stop_timer.arm_in(stop_time);
    hall.leave([this] { loop.stop(); });
  }

  const Board& board;
  FrontOptions options;  // loop only once started
  OpenDoors listeners;   // control thread
  Loop loop;
  FrontStats stats;
  Consumers consumers;
  Hall hall;
  HttpRoom room;
  GrpcRoom grpc;
  std::vector<std::unique_ptr<Door>> doors;
  Timer accept_timer;
  Timer stop_timer;
  Timer consumer_timer;
  UniqueFd spare;
  std::thread thread;
};

Front::Front(const FrontOptions& options, const Board& board, AdminPort admin) {
  raise_descriptor_limit(options.limits.connections);
  impl_ = std::make_unique<Impl>(options, board, std::move(admin));
}
Front::~Front() = default;

void Front::add_get(std::string path, GetHandler handler) { impl_->room.add_get(std::move(path), std::move(handler)); }

void Front::set_stream_source(StreamSource source) { impl_->room.stream().set_source(std::move(source)); }

void Front::tell(StreamEvent event) { impl_->room.stream().tell(std::move(event)); }

void Front::on_consumer(std::function<void(const char* event, const SeenConsumer&)> told) {
  impl_->consumers.when_changed(std::move(told));
}

void Front::list_consumers(std::function<void(std::vector<SeenConsumer>)> then) {
  impl_->loop.post([self = impl_.get(), then = std::move(then)] { then(self->consumers.list()); });
}

void Front::start() {
  Impl& self = *impl_;
  self.adopt(self.options, self.listeners);
  self.look_for_consumers();
  self.thread = std::thread([&self] { self.loop.run(); });
}

void Front::reconfigure(const FrontOptions& options) {
  Impl& self = *impl_;
  OpenDoors next = open_doors(options, self.listeners);
  self.listeners = next;
  raise_descriptor_limit(options.limits.connections);
  self.loop.post([&self, options, next = std::move(next)] { self.adopt(options, next); });
}

std::vector<std::string> Front::health_addresses() const { return impl_->addresses(ListenerKind::health); }
std::vector<std::string> Front::haproxy_addresses() const { return impl_->addresses(ListenerKind::haproxy); }
std::vector<std::string> Front::grpc_addresses() const { return impl_->addresses(ListenerKind::grpc); }
FrontCounters Front::counters() const { return impl_->stats.read(); }

}  // namespace vital
