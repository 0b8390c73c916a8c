// banner: whether a server greets as it should: SMTP's "220 ", SSH's "SSH-2.0". An async check: while it waits for the
// network, its worker's loop turns for others.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vitald/check.hpp>

namespace vc = vital::check;

static constexpr vc::OptionRow options[] = {
    {"host", vc::Type::string, nullptr, "the server", "mail.example.jp", VITAL_OPTION_REQUIRED},
    {"port", vc::Type::integer, "25", "its port", nullptr, 0, nullptr, 1, 65535},
    {"expect", vc::Type::string, "220 ", "how its first line begins"},
};

struct Settings {
  vc::Host host;
  std::string name;
  uint16_t port;
  std::string expect;
};

// One probe. Whatever happens, the destructor gives back what it holds; cancelling is no more than that.
class Visit final : public vc::AsyncProbe {
 public:
  Visit(const Settings& settings, const vc::Attempt& attempt, vc::Finisher finisher)
      : s_(settings), loop_(*settings.host.loop), finisher_(std::move(finisher)) {
    // A little before the deadline, so that we can say more than "timeout".
    const auto patience = static_cast<uint64_t>((attempt.remaining() * 9 / 10).count());
    timer_ = loop_.timer(
        s_.host.raw, patience, [](void* self) { static_cast<Visit*>(self)->time_is_up(); }, this);
    query_ = s_.host.resolve->resolve(
        s_.host.raw, s_.name.c_str(), 0, patience,
        [](void* self, const vital_addresses* answer) { static_cast<Visit*>(self)->resolved(*answer); }, this);
  }
  ~Visit() override {
    s_.host.resolve->withdraw(query_);
    loop_.disarm(timer_);
    loop_.unwatch(watch_);
    if (fd_ >= 0) close(fd_);
  }

 private:
  // `this` is gone when it returns.
  void finish(vc::Result result) { finisher_.finish(watch_laps_.into(result)); }

  void time_is_up() {
    timer_ = nullptr;
    finish(vc::fail(vc::Cause::timeout, fd_ < 0 ? "no address for " + s_.name : s_.name + " says nothing"));
  }

  void resolved(const vital_addresses& answer) {
    query_ = nullptr;
    watch_laps_.lap(vc::Phase::resolve);
    if (answer.status == VITAL_RESOLVE_NOT_FOUND) return finish(vc::fail(vc::Cause::dns, answer.text));
    if (answer.status != VITAL_RESOLVED) return finish(vc::unknown(vc::Cause::agent, answer.text));
    connect_to(answer.addresses[0]);
  }

  void connect_to(const char* address) {
    sockaddr_in v4{};
    sockaddr_in6 v6{};
    v4.sin_family = AF_INET;
    v4.sin_port = v6.sin6_port = htons(s_.port);
    v6.sin6_family = AF_INET6;
    const bool is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
    if (!is_v4) inet_pton(AF_INET6, address, &v6.sin6_addr);
    const auto* to = is_v4 ? reinterpret_cast<const sockaddr*>(&v4) : reinterpret_cast<const sockaddr*>(&v6);
    fd_ = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) return finish(vc::unknown(vc::Cause::agent, std::string("no socket: ") + std::strerror(errno)));
    if (connect(fd_, to, is_v4 ? sizeof v4 : sizeof v6) != 0 && errno != EINPROGRESS) return refused(errno);
    watch_ = loop_.watch(
        s_.host.raw, fd_, VITAL_WRITABLE, [](void* self, int, uint32_t) { static_cast<Visit*>(self)->ready(); }, this);
    if (watch_ == nullptr) finish(vc::unknown(vc::Cause::agent, "the socket cannot be watched"));
  }

  void refused(int code) {
    finish(vc::fail(code == ECONNREFUSED ? vc::Cause::refused : vc::Cause::unreachable,
                    "connecting to " + s_.name + ": " + std::strerror(code)));
  }

  void ready() { is_connected_ ? read_some() : connected(); }

  void connected() {
    int code = 0;
    socklen_t size = sizeof code;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &code, &size);
    if (code != 0) return refused(code);
    is_connected_ = true;
    watch_laps_.lap(vc::Phase::connect);
    loop_.change(watch_, VITAL_READABLE);
  }

  void read_some() {
    char buffer[512];
    const ssize_t n = read(fd_, buffer, sizeof buffer);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) return finish(vc::fail(vc::Cause::protocol, s_.name + " broke off before its first line"));
    line_.append(buffer, static_cast<size_t>(n));
    const size_t end = line_.find('\n');
    if (end == std::string::npos && line_.size() < sizeof buffer) return;  // more of it will come
    line_.resize(end == std::string::npos ? sizeof buffer : end);
    watch_laps_.lap(vc::Phase::exchange);
    if (line_.compare(0, s_.expect.size(), s_.expect) == 0) return finish(vc::pass(s_.name + " says: " + line_));
    finish(vc::fail(vc::Cause::content, s_.name + " does not begin with '" + s_.expect + "' but says: " + line_));
  }

  const Settings& s_;
  const vital_loop& loop_;
  vc::Finisher finisher_;
  vc::Stopwatch watch_laps_;
  vital_query* query_ = nullptr;
  vital_timer* timer_ = nullptr;
  vital_watch* watch_ = nullptr;
  int fd_ = -1;
  bool is_connected_ = false;
  std::string line_;
};

class Banner final : public vc::Async {
 public:
  Banner(vc::Host host, const vc::Options& o)
      : settings_{host, o.text("host"), static_cast<uint16_t>(o.integer("port")), o.text("expect")} {}
  std::unique_ptr<vc::AsyncProbe> start(const vc::Attempt& attempt, vc::Finisher finisher) override {
    return std::make_unique<Visit>(settings_, attempt, std::move(finisher));
  }

 private:
  Settings settings_;
};

VITAL_ASYNC_MODULE(Banner, "banner", "1.0", "whether a server greets as it should", options)
