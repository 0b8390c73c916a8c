// What the checks of servers share when their library waits by itself: names to addresses, a connection with a
// deadline, a fuse that ends a wait the library would not, and the words for what went wrong. The library of such a
// check blocks, so it runs in a worker process of its own, one probe at a time; the worker's kill is the last defence,
// and everything here exists so that it is rarely needed and the result can say where the time went. [worker]
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "words.hpp"

namespace vital::check {

// A result on its way up through a library's frames.
struct Stop : std::runtime_error {
  explicit Stop(Result r) : std::runtime_error(r.text), result(std::move(r)) {}
  Result result;
};

// What the work says, or what stopped it.
template <typename Work>
Result stoppable(Work work) {
  try {
    return work();
  } catch (const Stop& stop) {
    return stop.result;
  }
}

// The same for a check that measures on its way: what `work` put into the `Result` it is given, its measures and facts,
// is told however the probe ends.
template <typename Work>
Result stoppable(Stopwatch& watch, Work work) {
  Result seen;
  Result result = stoppable([&] { return work(seen); });
  watch.lap(Phase::exchange);
  for (Measure& m : seen.measures) result.measures.push_back(std::move(m));
  for (auto& f : seen.facts) result.facts.push_back(std::move(f));
  return watch.into(result);
}

// ---- names ----------------------------------------------------------------------------------------------------------

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
  std::string numeric;
};

// The option `family`, and what it means to getaddrinfo.
inline constexpr const char* families[] = {"any", "4", "6", nullptr};
inline int family_option(const Options& o) {
  const std::string family = o.text("family");
  return family == "4" ? AF_INET : family == "6" ? AF_INET6 : AF_UNSPEC;
}

// What getaddrinfo says, as addresses in the order to try, at most eight.
struct Lookup {
  int error = 0, system_error = 0;  // EAI_*, errno
  std::vector<Address> addresses;
};

inline Lookup look_up(const std::string& host, long long port, int flags, int family) {
  addrinfo hints{};
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | flags;
  addrinfo* found = nullptr;
  Lookup out;
  out.error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  out.system_error = errno;
  if (out.error != 0) return out;
  struct Free {
    void operator()(addrinfo* a) const { freeaddrinfo(a); }
  };
  const std::unique_ptr<addrinfo, Free> owner(found);
  for (const addrinfo* a = found; a != nullptr && out.addresses.size() < 8; a = a->ai_next) {
    Address address;
    std::memcpy(&address.storage, a->ai_addr, a->ai_addrlen);
    address.length = a->ai_addrlen;
    char text[NI_MAXHOST] = "";
    getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
    address.numeric = text;
    out.addresses.push_back(std::move(address));
  }
  return out;
}

// The same by `until`, or nothing: getaddrinfo waits 10 s and more for name servers that are silent, whatever is done
// to its sockets. So it has a thread of its own, which is left behind if it is late; four of those, and we do not ask
// again.
inline std::optional<Lookup> look_up_by(Duration until, const std::string& host, long long port, int family) {
  struct Shared {
    std::mutex mutex;
    std::condition_variable done;
    std::optional<Lookup> answer;  // guarded by mutex
  };
  static std::atomic<int> running{0};
  if (running >= 4) return {};
  const auto shared = std::make_shared<Shared>();
  ++running;
  std::thread([shared, host, port, family] {
    Lookup answer = look_up(host, port, 0, family);
    const std::lock_guard lock(shared->mutex);
    shared->answer = std::move(answer);
    --running;
    shared->done.notify_one();
  }).detach();
  std::unique_lock lock(shared->mutex);
  shared->done.wait_until(lock, std::chrono::steady_clock::time_point(until),
                          [&] { return shared->answer.has_value(); });
  return shared->answer;
}

// The addresses of a name. Throws Stop: fail/dns if a server said that the name does not exist, unknown/agent if it is
// our resolver that is in trouble.
inline std::vector<Address> resolve(const std::string& host, long long port, Duration until, int family = AF_UNSPEC) {
  Lookup numeric = look_up(host, port, AI_NUMERICHOST, family);
  if (numeric.error == 0) return std::move(numeric.addresses);
  std::optional<Lookup> answer = look_up_by(until, host, port, family);
  if (!answer) throw Stop(unknown(Cause::agent, "our name servers gave no answer for " + host + " in time"));
  if (answer->error == 0) return std::move(answer->addresses);
  const bool is_absent = answer->error == EAI_NONAME || answer->error == EAI_NODATA || answer->error == EAI_ADDRFAMILY;
  const std::string why =
      answer->error == EAI_SYSTEM ? std::strerror(answer->system_error) : gai_strerror(answer->error);
  if (is_absent) throw Stop(fail(Cause::dns, "the name " + host + " has no address: " + why));
  throw Stop(unknown(Cause::agent, "our resolver could not look up " + host + ": " + why));
}

// How long one of `left` addresses may take of the time until `until`: the last one gets all of it.
inline Duration share_until(Duration until, std::size_t left) {
  const Duration now = monotonic_now();
  return now + std::max(Duration::zero(), until - now) / static_cast<Duration::rep>(std::max<std::size_t>(left, 1));
}

// Waits for events on a descriptor. False if `until` (on CLOCK_MONOTONIC) came first.
inline bool wait_for(int fd, short events, Duration until) {
  for (;;) {
    const Duration left = until - monotonic_now();
    if (left <= Duration::zero()) return false;
    pollfd p{fd, events, 0};
    const timespec ts{std::chrono::duration_cast<std::chrono::seconds>(left).count(),
                      (left % std::chrono::seconds(1)).count()};
    const int n = ppoll(&p, 1, &ts, nullptr);
    if (n > 0) return true;
    if (n < 0 && errno != EINTR) return true;  // whoever uses the descriptor next will see what is wrong with it
  }
}

// Connects within `until`; the descriptor blocks afterwards and is the caller's. Throws Stop.
inline int connect_to(const sockaddr* address, socklen_t length, Duration until, const std::string& target) {
  const int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) throw Stop(unknown(Cause::agent, std::string("no socket to be had: ") + std::strerror(errno)));
  int error = connect(fd, address, length) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    socklen_t size = sizeof error;
    if (!wait_for(fd, POLLOUT, until) || monotonic_now() >= until) {  // ready may mean that a fuse was quicker
      error = ETIMEDOUT;
    } else {
      getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    }
  }
  if (error == 0) {
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    const int on = 1;
    if (address->sa_family != AF_UNIX) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // else 40 ms a probe
    return fd;
  }
  close(fd);
  if (error == EAGAIN) error = ETIMEDOUT;  // a Unix socket whose backlog is full: the server does not accept
  throw Stop(connect_failure(error, target));
}

// ---- files ----------------------------------------------------------------------------------------------------------

// Where Debian keeps the authorities that everybody trusts: used by tls.mode verify without a tls.ca.
inline constexpr const char* system_authorities = "/etc/ssl/certs/ca-certificates.crt";

// Throws unknown/config if a file named by an option cannot be read.
inline void need_readable(const char* option, const std::string& path) {
  if (!path.empty() && access(path.c_str(), R_OK) != 0) {
    throw Stop(unknown(Cause::config, std::string(option) + ": " + path + ": " + std::strerror(errno)));
  }
}

// ---- time -----------------------------------------------------------------------------------------------------------

// The moment at which we give up by ourselves, a little before the agent would: late enough to lose nothing, early
// enough that the result still says where the time went, and that the worker need not be killed.
inline Duration give_up_at(const Attempt& attempt) {
  const Duration margin =
      std::clamp<Duration>(attempt.remaining() / 10, std::chrono::milliseconds(5), std::chrono::milliseconds(50));
  return attempt.deadline() - margin;
}

// Ends waits inside a library that has no deadline of its own, or ignores it: at the given moment it shuts down every
// socket opened since it was made, again and again until it is destroyed. The library sees a closed connection, and
// has_blown() tells that apart from a peer that closed it.
//
//   const Fuse fuse(give_up_at(attempt));
//   library_connect();                    // returns with an error at that moment at the latest
//   if (fuse.has_blown()) ...
//
// was_accepted() tells, once it has blown, whether one of those connections had been made: a port that accepts and then
// says nothing is a server that is slow or hangs, not one that is gone.
//
// Works because a blocking worker runs one probe at a time: a socket that was not there before is the probe's.
class Fuse {
 public:
  explicit Fuse(Duration at) : at_(at), before_(open_descriptors()) {
    // The thread must not take the signals that are meant for the worker.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &signals_);
    thread_ = std::thread([this] { run(); });
    // Nor may a library that writes into what was shut down end the worker.
    sigset_t during = signals_;
    sigaddset(&during, SIGPIPE);
    pthread_sigmask(SIG_SETMASK, &during, nullptr);
  }
  ~Fuse() {
    {
      const std::lock_guard lock(mutex_);
      is_over_ = true;
    }
    wake_.notify_one();
    thread_.join();
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    const timespec at_once{0, 0};
    while (sigismember(&signals_, SIGPIPE) == 0 && sigtimedwait(&pipe, nullptr, &at_once) == SIGPIPE) {
    }
    pthread_sigmask(SIG_SETMASK, &signals_, nullptr);
  }
  Fuse(const Fuse&) = delete;
  Fuse& operator=(const Fuse&) = delete;

  bool has_blown() const { return monotonic_now() >= at_; }
  Duration at() const { return at_; }
  bool was_accepted() const { return was_accepted_; }

 private:
  static std::vector<int> open_descriptors() {
    std::vector<int> out;
    struct Close {
      void operator()(DIR* d) const { closedir(d); }
    };
    const std::unique_ptr<DIR, Close> dir(opendir("/proc/self/fd"));
    if (dir == nullptr) return out;
    while (const dirent* entry = readdir(dir.get())) {
      if (entry->d_name[0] == '.') continue;
      const int fd = std::atoi(entry->d_name);
      if (fd != dirfd(dir.get())) out.push_back(fd);
    }
    return out;
  }

  void run() {
    std::unique_lock lock(mutex_);
    const std::chrono::steady_clock::time_point at(at_);
    if (wake_.wait_until(lock, at, [this] { return is_over_; })) return;
    do {
      for (const int fd : open_descriptors()) {
        if (std::find(before_.begin(), before_.end(), fd) != before_.end()) continue;
        sockaddr_storage peer{};
        socklen_t size = sizeof peer;
        int type = 0;
        socklen_t type_size = sizeof type;
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) == 0 && type == SOCK_STREAM &&
            getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0) {
          was_accepted_ = true;
        }
        shutdown(fd, SHUT_RDWR);
      }
    } while (!wake_.wait_for(lock, std::chrono::milliseconds(10), [this] { return is_over_; }));
  }

  const Duration at_;
  const std::vector<int> before_;
  sigset_t signals_{};  // blocked before us
  std::mutex mutex_;
  std::condition_variable wake_;
  bool is_over_ = false;  // guarded by mutex_
  std::atomic<bool> was_accepted_{false};
  std::thread thread_;
};

}  // namespace vital::check
