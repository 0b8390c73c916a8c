// The tls check: a handshake, and every certificate of the chain: how many days are left, whether it is trusted and for
// which names. What is wrong with the trust does not hide how long it holds. Async, on the worker's loop.
#include <openssl/ssl.h>

#include <ctime>
#include <memory>
#include <vitald/check.hpp>

#include "../net/dialogue.hpp"
#include "../net/options.hpp"
#include "starttls.hpp"
#include "verdict.hpp"

namespace vital::tls {
namespace {

using check::OptionRow;
using check::Result;
using check::Type;
using net::Task;

struct Plan {
  net::Peer peer;
  StartTls start = StartTls::none;
  Demands demands;
};

constexpr double usual_warn_days = 21;  // the default of the option

Plan read_plan(const check::Options& options) {
  using check::Invalid;
  Plan plan;
  plan.peer = net::read_peer(options);
  if (!plan.peer.tls.is_on())
    throw Invalid("tls.mode", "is off, which leaves nothing to check; write verify or require");
  if (plan.peer.tls.warn_days > 0) throw Invalid("tls.warn_days", "is called warn_days here");
  plan.demands.is_trust_judged = plan.peer.tls.mode == net::TlsSettings::Mode::verify;
  // The handshake goes on whatever is wrong; we judge it afterwards.
  plan.peer.tls.mode = net::TlsSettings::Mode::require;
  const std::string start = options.text("starttls");
  plan.start = start == "smtp"       ? StartTls::smtp
               : start == "imap"     ? StartTls::imap
               : start == "pop3"     ? StartTls::pop3
               : start == "ldap"     ? StartTls::ldap
               : start == "postgres" ? StartTls::postgres
                                     : StartTls::none;
  plan.peer.is_tls_first = plan.start == StartTls::none;
  plan.demands.warn_days = options.number("warn_days");
  plan.demands.fail_days = options.number("fail_days");
  if (plan.demands.warn_days < plan.demands.fail_days) {
    const bool is_usual = plan.demands.warn_days == usual_warn_days;
    if (!is_usual) throw Invalid("warn_days", "is below fail_days, so it could never warn; write a larger value");
    plan.demands.warn_days = plan.demands.fail_days;  // nobody wrote it: it gives way
  }
  plan.demands.names = options.list("names");
  plan.demands.wants_tls13 = options.text("min_version") == "1.3";
  return plan;
}

class TlsProbe final : public net::Dialogue {
 public:
  TlsProbe(const check::Host& host, const Plan& plan, const check::Attempt& attempt, check::Finisher finisher)
      : Dialogue(host, attempt, finisher), plan_(plan) {}

 private:
  std::string target() const override { return plan_.peer.printed(); }

  Task<Result> course() override {
    co_await connect(plan_.peer);
    for (const Turn& turn : turns_before(plan_.start)) {
      if (!turn.say.empty()) co_await send(turn.say);
      const std::string answer = co_await receive(turn.framer, turn.of, 16 * 1024);
      if (!turn.is_yes(answer)) co_return nonsense(turn.no, answer);
    }
    if (!stream().is_tls()) co_await start_tls();
    const auto& tls = plan_.peer.tls;
    const std::string& name = tls.server_name.empty() ? plan_.peer.target.host : tls.server_name;
    Result result = judge(stream().report(), plan_.demands, name, stream().tls_version(), std::time(nullptr));
    result.fact("cipher", SSL_get_cipher_name(stream().ssl()));
    if (result.verdict == check::Verdict::pass) result.text = target() + ": " + result.text;
    co_return result;
  }

  Task<void> goodbye() override {
    const Farewell last = farewell(plan_.start);
    if (last.say.empty()) co_return;
    if (co_await send(last.say) && last.framer != nullptr) co_await receive(last.framer, "answer to our goodbye");
  }

  const Plan& plan_;
};

using TlsCheck = net::CheckOf<TlsProbe, read_plan>;

constexpr const char* protocols[] = {"none", "smtp", "imap", "pop3", "ldap", "postgres", nullptr};
constexpr const char* versions[] = {"1.2", "1.3", nullptr};

constexpr OptionRow own[] = {
    {"host", Type::string, nullptr, "Name or address of the server.", "www.example.jp", VITAL_OPTION_REQUIRED},
    {"port", Type::integer, "443", "Port of the server.", nullptr, 0, nullptr, 1, 65535},
    {"starttls", Type::choice, "none", "In which protocol TLS is asked for on a connection in clear.", nullptr, 0,
     protocols},
    {"warn_days", Type::number, "21", "Warn if a certificate that counts ends in fewer days.", nullptr, 0, nullptr, 0,
     3650},
    {"fail_days", Type::number, "3", "Fail if it does; 0 fails only when it has ended.", nullptr, 0, nullptr, 0, 3650},
    {"names", Type::list, nullptr, "Further names the certificate must be for.", "[www.example.jp, example.jp]"},
    {"min_version", Type::choice, "1.2", "The oldest version of TLS that is good enough.", nullptr, 0, versions},
};
constexpr auto options = net::with_connection(own, "verify");

}  // namespace
}  // namespace vital::tls

using vital::tls::options;
using vital::tls::TlsCheck;
VITAL_ASYNC_MODULE(TlsCheck, "tls", "1.0", "every certificate of a TLS server's chain: days left, trust, names",
                   options.rows)
