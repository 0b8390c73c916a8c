// The ntp check: one SNTP question; whether the server is synchronised, how far its clock is from ours. Async, on the
// worker's loop.
#include <sys/random.h>

#include <ctime>
#include <memory>
#include <vitald/check.hpp>

#include "../net/dialogue.hpp"
#include "../net/text.hpp"
#include "packet.hpp"

namespace vital::ntp {
namespace {

using check::Cause;
using check::Duration;
using check::OptionRow;
using check::Result;
using check::Type;
using net::Task;

constexpr int most_sends = 3;  // UDP may lose a question
constexpr int most_strangers = 8;

struct Plan {
  net::Peer peer;
  Demands demands;
};

constexpr Duration usual_warn_offset = std::chrono::milliseconds(100);  // the default of the option

Plan read_plan(const check::Options& options) {
  using check::Invalid;
  Plan plan;
  plan.peer.target = {options.text("host"), static_cast<uint16_t>(options.integer("port"))};
  const std::string& host = plan.peer.target.host;
  if (host.empty() || host.find_first_of(" /[]@") != std::string::npos ||
      (net::is_v6(host) && !net::is_numeric(host))) {
    throw Invalid("host", "is not a host name or an address; write the port as port");
  }
  const std::string family = options.text("family");
  plan.peer.family = family == "4" ? 4 : family == "6" ? 6 : 0;
  plan.peer.kind = net::Stream::Kind::datagram;
  plan.peer.tls.mode = net::TlsSettings::Mode::off;
  plan.demands = {static_cast<double>(options.duration("warn_offset").count()) / 1e9,
                  static_cast<double>(options.duration("fail_offset").count()) / 1e9, options.integer("max_stratum")};
  if (plan.demands.warn_offset > plan.demands.fail_offset) {
    const bool is_usual = options.duration("warn_offset") == usual_warn_offset;
    if (!is_usual) throw Invalid("warn_offset", "is above fail_offset, so it could never warn; write a smaller value");
    plan.demands.warn_offset = plan.demands.fail_offset;  // nobody wrote it: it gives way
  }
  return plan;
}

net::Framing datagram(std::string_view bytes) {
  return bytes.empty() ? net::Framing{} : net::Framing::whole(bytes.size());
}

double wall_clock() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

class NtpProbe final : public net::Dialogue {
 public:
  NtpProbe(const check::Host& host, const Plan& plan, const check::Attempt& attempt, check::Finisher finisher)
      : Dialogue(host, attempt, finisher), plan_(plan) {}

 private:
  std::string target() const override { return plan_.peer.printed(); }

  Task<Result> course() override {
    co_await connect(plan_.peer);
    int strangers = 0;
    for (int sends = most_sends; sends > 0; --sends) {
      uint64_t cookie = 0;
      if (getrandom(&cookie, sizeof cookie, 0) != sizeof cookie)
        cookie = static_cast<uint64_t>(check::monotonic_now().count());
      // The last has all the time that is left, and its own words for what is missing then.
      if (sends == 1) {
        strict();
      } else {
        lenient_for(remaining() / sends);
      }
      const double asked = wall_clock();
      if (!co_await send(question(cookie))) {
        co_return check::make_result(trouble().verdict, trouble().cause, trouble().text);
      }
      while (strangers < most_strangers) {
        const std::string said = co_await receive(datagram, "answer");
        if (said.empty()) break;
        const auto answer = parse(said, cookie);
        if (answer) co_return judge(*answer, asked, wall_clock(), plan_.demands, target());
        last_ = said;
        ++strangers;
      }
      if (strangers >= most_strangers) break;
      if (trouble().cause != Cause::timeout) {
        co_return check::make_result(trouble().verdict, trouble().cause, trouble().text);
      }
    }
    co_return nonsense("what it answers is no NTP, or answers what nobody asked", last_);
  }

  const Plan& plan_;
  std::string last_;
};

using Ntp = net::CheckOf<NtpProbe, read_plan>;

constexpr const char* families[] = {"any", "4", "6", nullptr};

constexpr OptionRow options[] = {
    {"host", Type::string, "127.0.0.1", "Name or address of the time server."},
    {"port", Type::integer, "123", "Port of the server.", nullptr, 0, nullptr, 1, 65535},
    {"family", Type::choice, "any", "IP version a name is resolved to.", nullptr, 0, families},
    {"warn_offset", Type::duration, "100ms", "Warn if its clock and this host's differ by more.", nullptr, 0, nullptr,
     0, 86400},
    {"fail_offset", Type::duration, "1s", "Fail if they differ by more.", nullptr, 0, nullptr, 0, 86400},
    {"max_stratum", Type::integer, "15", "Fail if it is further from a reference clock.", nullptr, 0, nullptr, 1, 15},
};

}  // namespace
}  // namespace vital::ntp

using vital::ntp::Ntp;
using vital::ntp::options;
VITAL_ASYNC_MODULE(Ntp, "ntp", "1.0", "a time server: synchronised, stratum, and how far its clock is from ours",
                   options)
