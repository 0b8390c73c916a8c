// The ping check: ICMP echoes through the kernel's unprivileged socket; loss, round trip and jitter over a window of
// the last probes. Async, on the worker's loop.
#include <sys/random.h>

#include <memory>
#include <vitald/check.hpp>

#include "../net/dialogue.hpp"
#include "window.hpp"

namespace vital::ping {
namespace {

using check::Cause;
using check::Duration;
using check::OptionRow;
using check::Result;
using check::Type;
using net::Task;

constexpr size_t header_size = 8;

struct Plan {
  net::Peer peer;
  int count = 5;
  size_t size = 56;
  Duration spacing{};
  size_t window = 60;
  Demands demands;
};

constexpr double usual_warn_loss = 10;  // percent, the default of the option

Limits limits(const check::Options& options, const std::string& what, bool is_time) {
  const auto one = [&](const std::string& name) {
    if (!options.has(name)) return check::no_threshold;
    return is_time ? static_cast<double>(options.duration(name).count()) / 1e9 : options.number(name);
  };
  Limits out{one("warn_" + what), one("fail_" + what)};
  if (out.warn > out.fail) {
    const bool is_usual = what == "loss" && out.warn == usual_warn_loss;
    if (!is_usual) throw check::Invalid("warn_" + what, "is above fail_" + what + ", so it could never warn");
    out.warn = out.fail;  // nobody wrote it: it gives way
  }
  return out;
}

Plan read_plan(const check::Options& options) {
  Plan plan;
  plan.peer.target = {options.text("host"), 1};
  const std::string& host = plan.peer.target.host;
  if (host.empty() || host.find_first_of(" /[]@") != std::string::npos ||
      (net::is_v6(host) && !net::is_numeric(host))) {
    throw check::Invalid("host", "is not a host name or an address");
  }
  const std::string family = options.text("family");
  plan.peer.family = family == "4" ? 4 : family == "6" ? 6 : 0;
  plan.peer.kind = net::Stream::Kind::echo;
  plan.peer.tls.mode = net::TlsSettings::Mode::off;
  plan.count = static_cast<int>(options.integer("count"));
  plan.size = static_cast<size_t>(options.integer("size"));
  plan.spacing = options.duration("spacing");
  plan.window = static_cast<size_t>(options.integer("window"));
  if (plan.window < static_cast<size_t>(plan.count))
    throw check::Invalid("window", "is below count; write a larger number");
  plan.demands = {limits(options, "loss", false), limits(options, "rtt", true), limits(options, "jitter", true)};
  return plan;
}

// Each datagram is a message, however short.
net::Framing datagram(std::string_view bytes) {
  return bytes.empty() ? net::Framing{} : net::Framing::whole(bytes.size());
}

uint16_t random_id() {
  uint16_t id = 0;
  return getrandom(&id, sizeof id, 0) == sizeof id ? id : static_cast<uint16_t>(check::monotonic_now().count());
}

class PingProbe final : public net::Dialogue {
 public:
  // `window` is the check's memory of the last probes.
  PingProbe(const check::Host& host, const Plan& plan, Window& window, const check::Attempt& attempt,
            check::Finisher finisher)
      : Dialogue(host, attempt, finisher), plan_(plan), window_(window) {}

 private:
  std::string target() const override { return plan_.peer.target.host; }

  Task<Result> course() override {
    co_await connect(plan_.peer);
    int back = 0;
    net::Trouble no_way;
    // A little is kept back, so that our own account of what was lost is there before the deadline.
    const Duration end = check::monotonic_now() + remaining() - remaining() / 20;
    for (int i = 0; i < plan_.count; ++i) {
      const Duration begun = check::monotonic_now();
      // What is left is shared by the echoes to come, so that each has its chance and the pauses fit.
      const Duration share =
          (end - begun) / (plan_.count - i) - (i + 1 < plan_.count ? plan_.spacing / 2 : Duration::zero());
      lenient_for(std::max<Duration>(share, std::chrono::milliseconds(1)));
      const double rtt = co_await echo(static_cast<uint16_t>(i + 1), begun);
      if (rtt < 0 && trouble().cause == Cause::unreachable) no_way = trouble();
      if (rtt < 0 && trouble().verdict == check::Verdict::unknown) {
        co_return check::make_result(trouble().verdict, trouble().cause, trouble().text);
      }
      window_.add({rtt < 0, rtt});
      back += rtt < 0 ? 0 : 1;
      strict();
      const Duration rest = begun + plan_.spacing - check::monotonic_now();
      if (i + 1 < plan_.count && rest > Duration::zero()) co_await pause(rest);
    }
    Result result = judge(window_, plan_.count, back, plan_.demands, target());
    if (back == 0 && !no_way.text.empty()) {
      result.cause = no_way.cause;
      result.text += ": " + no_way.text;
    }
    co_return result;
  }

  // Seconds until the echo with this number was back; below zero if it was not.
  Task<double> echo(uint16_t number, Duration begun) {
    std::string request(header_size + plan_.size, '\0');
    request[0] = stream().is_v6() ? '\x80' : '\x08';
    request[6] = static_cast<char>(number >> 8);
    request[7] = static_cast<char>(number & 0xff);
    const char reply = stream().is_v6() ? '\x81' : '\0';
    const bool is_raw = stream().is_raw();
    if (is_raw) sign(request);
    if (!co_await send(request)) co_return -1;
    // The kernel gives us only our own echoes, of which those that were given up before come late; a raw socket gives
    // us everybody's.
    const int most_stragglers = is_raw ? 4096 : 32;
    const size_t same_from = is_raw ? 4 : 6;  // the identifier is the kernel's where it sorts them
    for (int stragglers = 0; stragglers < most_stragglers; ++stragglers) {
      std::string answer = co_await receive(datagram, "echo");
      if (answer.empty()) co_return -1;
      if (is_raw && !stream().is_v6()) answer.erase(0, static_cast<size_t>(answer[0] & 0xf) * 4);
      const bool is_it = answer.size() == request.size() && answer[0] == reply &&
                         answer.substr(same_from) == request.substr(same_from);
      if (is_it) co_return static_cast<double>((check::monotonic_now() - begun).count()) / 1e9;
    }
    co_return -1;
  }

  // What the kernel does for an unprivileged socket: the identifier, and the checksum of RFC 792 (that of v6 it adds).
  void sign(std::string& request) const {
    request[4] = static_cast<char>(id_ >> 8);
    request[5] = static_cast<char>(id_ & 0xff);
    if (stream().is_v6()) return;
    uint32_t sum = 0;
    for (size_t i = 0; i < request.size(); ++i) {
      sum += static_cast<uint32_t>(static_cast<unsigned char>(request[i])) << (i % 2 == 0 ? 8 : 0);
    }
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    request[2] = static_cast<char>(~sum >> 8 & 0xff);
    request[3] = static_cast<char>(~sum & 0xff);
  }

  const Plan& plan_;
  Window& window_;
  const uint16_t id_ = random_id();
};

class Ping final : public check::Async {
 public:
  Ping(const check::Host& host, const check::Options& options)
      : host_(host), plan_(read_plan(options)), window_(plan_.window) {
    net::need_services(host);
  }
  std::unique_ptr<check::AsyncProbe> start(const check::Attempt& attempt, check::Finisher finisher) override {
    auto probe = std::make_unique<PingProbe>(host_, plan_, window_, attempt, finisher);
    probe->begin();
    return probe;
  }

 private:
  const check::Host host_;
  const Plan plan_;
  Window window_;
};

constexpr const char* families[] = {"any", "4", "6", nullptr};

constexpr OptionRow options[] = {
    {"host", Type::string, nullptr, "Name or address of the host.", "10.0.0.2", VITAL_OPTION_REQUIRED},
    {"family", Type::choice, "any", "IP version a name is resolved to.", nullptr, 0, families},
    {"count", Type::integer, "5", "Echoes a probe.", nullptr, 0, nullptr, 1, 20},
    {"spacing", Type::duration, "20ms", "From one echo to the next.", nullptr, 0, nullptr, 0, 1},
    {"size", Type::integer, "56", "Bytes of payload; 1472 fills a frame of Ethernet.", nullptr, 0, nullptr, 0, 8000},
    {"window", Type::integer, "60", "How many of the last echoes loss, round trip and jitter are counted over.",
     nullptr, 0, nullptr, 1, 1000},
    {"warn_loss", Type::number, "10", "Warn if more than this share is lost, in percent.", nullptr, 0, nullptr, 0, 100},
    {"fail_loss", Type::number, "50", "Fail if more is lost, in percent.", nullptr, 0, nullptr, 0, 100},
    {"warn_rtt", Type::duration, nullptr, "Warn if the mean round trip is longer; default: not asked.", "2ms", 0,
     nullptr, 0, 10},
    {"fail_rtt", Type::duration, nullptr, "Fail if it is longer.", nullptr, 0, nullptr, 0, 10},
    {"warn_jitter", Type::duration, nullptr, "Warn if one round trip differs from the next by more, in the mean.",
     "1ms", 0, nullptr, 0, 10},
    {"fail_jitter", Type::duration, nullptr, "Fail if it differs by more.", nullptr, 0, nullptr, 0, 10},
};

}  // namespace
}  // namespace vital::ping

using vital::ping::options;
using vital::ping::Ping;
VITAL_ASYNC_MODULE(Ping, "ping", "1.0", "ICMP echoes: loss, round trip and jitter over a window", options)
