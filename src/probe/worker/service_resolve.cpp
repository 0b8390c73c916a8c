// "vital.resolve/1" over c-ares: hosts file, then DNS, without a thread and without waiting; see ext/resolve.h.
//
// One c-ares channel serves the whole worker. Before each query we look whether resolv.conf changed; if so, a new
// channel takes over and the old one ends with its last query, so that a changed resolver needs no restart. Each query
// has its own timer: c-ares keeps asking for a while after we have told the module that time is up, which is bounded by
// the channel's tries. [loop]
#include <ares.h>
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/stat.h>

#include <array>
#include <chrono>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "probe/worker/host.hpp"
#include "probe/worker/services.hpp"

namespace vital::worker {
namespace {

using namespace std::chrono_literals;

// The first try of each server; c-ares doubles it in the second and third round.
constexpr int first_try_ms = 700;
constexpr int tries = 3;
constexpr std::size_t max_addresses = 64;
constexpr std::size_t max_name = 255;

struct Answer {
  std::uint32_t status = VITAL_RESOLVE_UNAVAILABLE;
  std::vector<std::string> addresses;
  std::string text;
};

struct Query final : vital_query {
  Query() = default;
  ~Query() override;
  Instance* instance = nullptr;
  std::string name;
  void (*done)(void* user, const vital_addresses* answer) = nullptr;
  void* user = nullptr;
  Duration limit{};
  std::optional<Timer> timer;     // the limit, if somebody has to be asked
  std::optional<Answer> answer;   // there, but not told yet
  std::shared_ptr<Query*> still;  // what a posted delivery may still find
};

// Not at once: resolve() must have returned.
void tell_soon(Query& query, Answer answer);

// What c-ares holds on to: outlives the query if that was told "timeout" or was withdrawn.
struct Ticket {
  Query* query;
};

// One c-ares channel and its sockets on the loop.
class Channel {
 public:
  explicit Channel(Loop& loop) : loop_(loop), timer_(loop, [this] { turn(ARES_SOCKET_BAD, ARES_SOCKET_BAD); }) {
    ares_options options{};
    options.timeout = first_try_ms;
    options.tries = tries;
    options.sock_state_cb = [](void* self, ares_socket_t fd, int is_readable, int is_writable) {
      static_cast<Channel*>(self)->socket_changed(fd, is_readable != 0, is_writable != 0);
    };
    options.sock_state_cb_data = this;
    status_ = ares_init_options(&channel_, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
  }
  ~Channel() {
    if (status_ == ARES_SUCCESS) ares_destroy(channel_);
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  bool is_idle() const { return pending_ == 0; }

  void ask(Query& query, int family) {
    if (status_ != ARES_SUCCESS) {
      return tell_soon(query, {VITAL_RESOLVE_UNAVAILABLE, {}, fmt::format("no resolver: {}", ares_strerror(status_))});
    }
    auto ticket = std::make_unique<Ticket>(Ticket{&query});
    tickets_.emplace(&query, ticket.get());
    ++pending_;
    ares_addrinfo_hints hints{};
    hints.ai_family = family;
    hints.ai_socktype = SOCK_STREAM;
    auto* const context =
        new std::pair<Channel*, std::unique_ptr<Ticket>>(this, std::move(ticket));  // back in the callback
    ares_getaddrinfo(
        channel_, query.name.c_str(), nullptr, &hints,
        [](void* raw, int status, int, ares_addrinfo* found) {
          const std::unique_ptr<std::pair<Channel*, std::unique_ptr<Ticket>>> own(
              static_cast<std::pair<Channel*, std::unique_ptr<Ticket>>*>(raw));
          own->first->answered(*own->second, status, found);
        },
        context);
    arm();
  }

  // The query does not wait any longer.
  void forget(const Query& query) {
    const auto found = tickets_.find(&query);
    if (found == tickets_.end()) return;
    found->second->query = nullptr;
    tickets_.erase(found);
  }

 private:
  void socket_changed(ares_socket_t fd, bool is_readable, bool is_writable) {
    if (!is_readable && !is_writable) {
      watches_.erase(fd);
      return;
    }
    auto found = watches_.find(fd);
    if (found == watches_.end()) {
      found = watches_
                  .emplace(fd, std::make_unique<FdWatch>(
                                   loop_, fd, [this, fd] { turn(fd, ARES_SOCKET_BAD); },
                                   [this, fd] { turn(ARES_SOCKET_BAD, fd); }))
                  .first;
    }
    found->second->want_read(is_readable);
    found->second->want_write(is_writable);
  }

  void turn(ares_socket_t readable, ares_socket_t writable) {
    ares_process_fd(channel_, readable, writable);
    arm();
  }

  void arm() {
    timeval storage{};
    const timeval* next = ares_timeout(channel_, nullptr, &storage);
    if (next == nullptr) return timer_.disarm();
    // One millisecond more: c-ares rounds down and would turn in vain.
    timer_.arm_in(std::chrono::seconds(next->tv_sec) + std::chrono::microseconds(next->tv_usec) + 1ms);
  }

  void answered(const Ticket& ticket, int status, ares_addrinfo* found);

  Loop& loop_;
  ares_channel channel_ = nullptr;
  int status_ = ARES_SUCCESS;
  Timer timer_;
  std::map<ares_socket_t, std::unique_ptr<FdWatch>> watches_;
  std::map<const Query*, Ticket*> tickets_;
  std::size_t pending_ = 0;
};

Answer make_answer(const std::string& name, int status, const ares_addrinfo* found) {
  Answer out;
  if (status == ARES_SUCCESS && found != nullptr) {
    for (const ares_addrinfo_node* node = found->nodes; node != nullptr; node = node->ai_next) {
      std::array<char, INET6_ADDRSTRLEN> text{};
      const void* address =
          node->ai_family == AF_INET6
              ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(node->ai_addr)->sin6_addr)
              : static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(node->ai_addr)->sin_addr);
      if (inet_ntop(node->ai_family, address, text.data(), text.size()) == nullptr) continue;
      if (out.addresses.size() < max_addresses) out.addresses.emplace_back(text.data());
    }
    status = out.addresses.empty() ? ARES_ENODATA : status;
  }
  switch (status) {
    case ARES_SUCCESS:
      out.status = VITAL_RESOLVED;
      out.text = fmt::format("{} is {}", name, out.addresses.front());
      break;
    case ARES_ENOTFOUND:
      out.status = VITAL_RESOLVE_NOT_FOUND;
      out.text = fmt::format("the name {} does not exist", name);
      break;
    case ARES_ENODATA:
      out.status = VITAL_RESOLVE_NOT_FOUND;
      out.text = fmt::format("the name {} has no address", name);
      break;
    case ARES_EBADNAME:
      out.status = VITAL_RESOLVE_NOT_FOUND;
      out.text = fmt::format("{} cannot be a host name", name);
      break;
    case ARES_ETIMEOUT:
      out.status = VITAL_RESOLVE_TIMEOUT;
      out.text = fmt::format("no name server answered for {}", name);
      break;
    default:
      out.status = VITAL_RESOLVE_UNAVAILABLE;
      out.text = fmt::format("no name server could answer for {}: {}", name, ares_strerror(status));
      break;
  }
  return out;
}

void Channel::answered(const Ticket& ticket, int status, ares_addrinfo* found) {
  --pending_;
  if (ticket.query != nullptr) {
    tickets_.erase(ticket.query);
    tell_soon(*ticket.query, make_answer(ticket.query->name, status, found));
  }
  if (found != nullptr) ares_freeaddrinfo(found);
}

}  // namespace

// The channels of a worker: the newest, and old ones with queries left.
class Resolver {
 public:
  explicit Resolver(Loop& loop) : loop_(loop) { ares_library_init(ARES_LIB_INIT_ALL); }

  Channel& channel() {
    std::erase_if(old_, [](const auto& c) { return c->is_idle(); });
    const Stamp seen = stamp();
    if (current_ == nullptr || seen != stamp_) {
      if (current_ != nullptr && old_.size() < 4) old_.push_back(std::move(current_));
      current_ = std::make_unique<Channel>(loop_);
      stamp_ = seen;
    }
    return *current_;
  }
  void forget(const Query& query) {
    if (current_ != nullptr) current_->forget(query);
    for (const auto& channel : old_) channel->forget(query);
  }

 private:
  // Says whether the files that c-ares reads are still the ones it read.
  using Stamp = std::array<std::int64_t, 6>;
  static Stamp stamp() {
    Stamp out{};
    std::size_t at = 0;
    for (const char* path : {"/etc/resolv.conf", "/etc/nsswitch.conf"}) {
      struct stat seen {};
      if (stat(path, &seen) == 0) {
        out[at] = seen.st_mtim.tv_sec * 1'000'000'000 + seen.st_mtim.tv_nsec;
        out[at + 1] = static_cast<std::int64_t>(seen.st_ino);
        out[at + 2] = seen.st_size;
      }
      at += 3;
    }
    return out;
  }

  Loop& loop_;
  std::unique_ptr<Channel> current_;
  std::vector<std::unique_ptr<Channel>> old_;
  Stamp stamp_{};
};

namespace {

Resolver& resolver(Host& host) {
  if (host.resolver() == nullptr) host.resolver() = std::make_shared<Resolver>(host.loop());
  return *host.resolver();
}

// Also when the instance ends with queries left: c-ares must not find a query that is gone.
Query::~Query() {
  if (still) *still = nullptr;
  if (instance != nullptr) resolver(instance->host()).forget(*this);
}

std::optional<Answer> numeric(const std::string& name, std::uint32_t family) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  const bool is_v4 = inet_pton(AF_INET, name.c_str(), bytes.data()) == 1;
  const bool is_v6 = !is_v4 && inet_pton(AF_INET6, name.c_str(), bytes.data()) == 1;
  if (!is_v4 && !is_v6) return {};
  if ((is_v4 && family == 6) || (is_v6 && family == 4)) {
    return Answer{VITAL_RESOLVE_NOT_FOUND, {}, fmt::format("{} is not an IPv{} address", name, family)};
  }
  return Answer{VITAL_RESOLVED, {name}, fmt::format("{} is an address", name)};
}

// The query's timer fired: there is an answer, or time is up.
void deliver(Query* query) {
  Instance& instance = *query->instance;
  if (!query->answer) {
    query->answer =
        Answer{VITAL_RESOLVE_TIMEOUT,
               {},
               fmt::format("no name server answered for {} in {}", query->name, friendly_duration(query->limit))};
  }
  const Answer answer = std::move(*query->answer);
  const auto done = query->done;
  void* const user = query->user;
  instance.queries.erase(query);  // gone before it is told
  std::vector<const char*> pointers;
  for (const std::string& address : answer.addresses) pointers.push_back(address.c_str());
  const vital_addresses out{sizeof out, answer.status, static_cast<std::uint32_t>(pointers.size()), pointers.data(),
                            answer.text.c_str()};
  instance.host().call_back(instance, [&] { done(user, &out); });
}

void tell_soon(Query& query, Answer answer) {
  query.answer = std::move(answer);
  query.still = std::make_shared<Query*>(&query);
  query.instance->host().loop().post([still = query.still] {
    if (*still != nullptr) deliver(*still);
  });
}

vital_query* resolve(const vital_host* host, const char* name, std::uint32_t family, std::uint64_t timeout_ns,
                     void (*done)(void* user, const vital_addresses* answer), void* user) {
  if (name == nullptr || done == nullptr) return nullptr;
  Instance& instance = Instance::of(host);
  auto made = std::make_unique<Query>();
  Query* const query = made.get();
  query->instance = &instance;
  query->name = one_line({name, strnlen(name, max_name + 1)}, max_name);
  query->done = done;
  query->user = user;
  query->limit = Duration(std::min<std::uint64_t>(timeout_ns, 3'600'000'000'000ULL));
  instance.queries.emplace(query, std::move(made));

  if (auto answer = numeric(query->name, family)) {
    tell_soon(*query, std::move(*answer));
  } else {
    query->timer.emplace(instance.host().loop(), [query] { deliver(query); });
    query->timer->arm_in(query->limit);
    resolver(instance.host()).channel().ask(*query, family == 4 ? AF_INET : family == 6 ? AF_INET6 : AF_UNSPEC);
  }
  return query;
}

void withdraw(vital_query* raw) {
  if (raw == nullptr) return;
  auto* const query = static_cast<Query*>(raw);
  query->instance->queries.erase(query);  // its destructor tells the resolver
}

constexpr vital_resolve service{sizeof(vital_resolve), resolve, withdraw};

}  // namespace

const vital_resolve& resolve_service() { return service; }

}  // namespace vital::worker
