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

#include "publish/haproxy_agent.hpp"
#include "publish/http_peer.hpp"
#include "publish/listener.hpp"
#include "publish/peer.hpp"

namespace vital {
namespace {

constexpr unsigned accepts_a_turn = 64;
constexpr Duration accept_pause = std::chrono::milliseconds(100);  // when there are no descriptors left
constexpr Duration stop_time = std::chrono::milliseconds(500);     // for answers under way at the end
constexpr rlim_t spare_descriptors = 512;                          // of the agent, besides connections

using Listeners = std::vector<std::shared_ptr<ListeningSocket>>;

// Systemd starts a service with 1,024 descriptors, fewer than the connections promised.
void raise_descriptor_limit(std::size_t connections) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = static_cast<rlim_t>(connections) + spare_descriptors;
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

std::vector<Network> parse_networks(const std::vector<std::string>& texts) {
  std::vector<Network> out;
  for (const std::string& text : texts) {
    try {
      out.push_back(Network::parse(text));
    } catch (const std::invalid_argument& e) {
      throw FrontError(std::string("proxy_protocol: ") + e.what());
    }
  }
  return out;
}

Origin origin_of(int fd, const SocketAddress& from, ListenerKind kind, const std::vector<Network>& proxies) {
  Origin out;
  out.listener = kind;
  if (kind == ListenerKind::admin) {
    ucred peer{};
    socklen_t length = sizeof peer;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0) {
      out.uid = peer.uid;
      out.pid = peer.pid;
    }
    return out;
  }
  out.address = HostAddress::of(from);
  out.may_proxy =
      std::any_of(proxies.begin(), proxies.end(), [&](const Network& n) { return n.contains(out.address); });
  return out;
}

}  // namespace

struct Front::Impl {
  // One listening socket and its watch. Loop only.
  struct Door {
    std::shared_ptr<ListeningSocket> socket;
    std::optional<FdWatch> watch;
  };

  Impl(const FrontOptions& asked, const Board& from, AdminPort admin)
      : board(from),
        options(asked),
        networks(parse_networks(asked.proxy_protocol)),
        listeners(open(asked, {})),
        hall(loop, asked.limits, stats),
        room(hall, from, std::move(admin), asked.details),
        accept_timer(loop, [this] { pause_accepting(false); }),
        stop_timer(loop, [this] { loop.stop(); }),
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

  // Every listener the options ask for, taken over from `have` where it is the same.
  static Listeners open(const FrontOptions& asked, const Listeners& have) {
    Listeners out;
    const auto wanted = [&](const ListeningSocket& l) {
      switch (l.kind()) {
        case ListenerKind::health:
          return std::find(asked.health.begin(), asked.health.end(), l.asked()) != asked.health.end();
        case ListenerKind::haproxy:
          return std::find(asked.haproxy.begin(), asked.haproxy.end(), l.asked()) != asked.haproxy.end();
        case ListenerKind::admin:
          return asked.admin && asked.admin->path == l.asked();
      }
      return false;
    };
    Listeners leaving;
    for (const auto& l : have) {
      if (!wanted(*l) && l->kind() != ListenerKind::admin) leaving.push_back(l);
    }
    const auto kept = [&](ListenerKind kind, const std::string& address) -> std::shared_ptr<ListeningSocket> {
      for (const auto& l : have) {
        if (l->kind() == kind && l->asked() == address && std::find(out.begin(), out.end(), l) == out.end()) return l;
      }
      return {};
    };
    const auto tcp = [&](ListenerKind kind, const std::vector<std::string>& addresses) {
      for (const std::string& address : addresses) {
        auto listener = kept(kind, address);
        out.push_back(listener ? listener : ListeningSocket::tcp(kind, address, addresses, leaving));
      }
    };
    tcp(ListenerKind::health, asked.health);
    tcp(ListenerKind::haproxy, asked.haproxy);
    if (asked.admin) {
      auto listener = kept(ListenerKind::admin, asked.admin->path);
      if (listener) listener->dress(*asked.admin);
      out.push_back(listener ? listener : ListeningSocket::local(*asked.admin));
    }
    return out;
  }

  std::vector<std::string> addresses(ListenerKind kind) const {
    std::vector<std::string> out;
    for (const auto& l : listeners) {
      if (l->kind() == kind) out.push_back(l->bound());
    }
    return out;
  }

  // ---- loop

  void adopt(const FrontOptions& asked, std::vector<Network> proxies, const Listeners& wanted) {
    options = asked;
    networks = std::move(proxies);
    hall.set_limits(asked.limits);
    room.set_details(asked.details);
    room.set_reporters(asked.report_tokens);
    std::erase_if(doors, [&](const auto& door) {
      if (std::find(wanted.begin(), wanted.end(), door->socket) != wanted.end()) return false;
      accept_from(*door);  // who is in its queue already is still served
      return true;
    });
    for (const auto& socket : wanted) {
      const bool is_there = std::any_of(doors.begin(), doors.end(), [&](const auto& d) { return d->socket == socket; });
      if (!is_there) doors.push_back(make_door(socket));
    }
  }

  std::unique_ptr<Door> make_door(const std::shared_ptr<ListeningSocket>& socket) {
    auto door = std::make_unique<Door>();
    door->socket = socket;
    door->watch.emplace(loop, socket->fd(), [this, d = door.get()] { accept_from(*d); });
    return door;
  }

  void accept_from(Door& door) {
    for (unsigned i = 0; i < accepts_a_turn; ++i) {
      SocketAddress from;
      from.length = sizeof from.storage;
      UniqueFd fd(::accept4(door.socket->fd(), from.raw(), &from.length, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (fd) {
        welcome(std::move(fd), from, door.socket->kind());
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

  void welcome(UniqueFd fd, const SocketAddress& from, ListenerKind kind) {
    const int number = fd.get();
    const Origin origin = origin_of(number, from, kind, networks);
    const bool is_counted = !origin.may_proxy && (options.limits.counts_loopback || !origin.address.is_loopback());
    const HostAddress source = is_counted ? origin.address : HostAddress{};
    auto stream = plain_stream(std::move(fd));
    if (kind == ListenerKind::haproxy) {
      hall.add(std::make_unique<HaproxyAgentPeer>(hall, board, number, std::move(stream)), source);
    } else {
      hall.add(std::make_unique<HttpPeer>(hall, room, number, std::move(stream), origin), source);
    }
  }

  void stop() {
    for (auto& door : doors) accept_from(*door);
    doors.clear();
    hall.end_all();
    stop_timer.arm_in(stop_time);
    stop_when_empty();
  }
  void stop_when_empty() {
    if (hall.size() == 0) return loop.stop();
    hall.when_empty([this] { loop.stop(); });
  }

  const Board& board;
  FrontOptions options;           // loop only once started
  std::vector<Network> networks;  // the same
  Listeners listeners;            // control thread
  Loop loop;
  FrontStats stats;
  Hall hall;
  HttpRoom room;
  std::vector<std::unique_ptr<Door>> doors;
  Timer accept_timer;
  Timer stop_timer;
  UniqueFd spare;
  std::thread thread;
};

Front::Front(const FrontOptions& options, const Board& board, AdminPort admin) {
  raise_descriptor_limit(options.limits.connections);
  impl_ = std::make_unique<Impl>(options, board, std::move(admin));
}
Front::~Front() = default;

void Front::add_get(std::string path, GetHandler handler) { impl_->room.add_get(std::move(path), std::move(handler)); }

void Front::start() {
  Impl& self = *impl_;
  self.adopt(self.options, self.networks, self.listeners);
  self.thread = std::thread([&self] { self.loop.run(); });
}

void Front::reconfigure(const FrontOptions& options) {
  Impl& self = *impl_;
  std::vector<Network> networks = parse_networks(options.proxy_protocol);
  Listeners next = Impl::open(options, self.listeners);
  self.listeners = next;
  raise_descriptor_limit(options.limits.connections);
  self.loop.post([&self, options, networks = std::move(networks), next = std::move(next)] {
    self.adopt(options, networks, next);
  });
}

std::vector<std::string> Front::health_addresses() const { return impl_->addresses(ListenerKind::health); }
std::vector<std::string> Front::haproxy_addresses() const { return impl_->addresses(ListenerKind::haproxy); }
FrontCounters Front::counters() const { return impl_->stats.read(); }

}  // namespace vital
