// The pop3 check: greeting, STLS, login, STAT and QUIT; no message is fetched or removed. Async, on the worker's loop.
#include <cstdlib>
#include <memory>
#include <vitald/check.hpp>

#include "codec.hpp"
#include "options.hpp"
#include "plan.hpp"
#include "verdict.hpp"

namespace vital::mail {
namespace {

using check::Cause;
using check::OptionRow;
using check::Phase;
using check::Result;
using check::Type;
using net::Task;

class Pop3Probe final : public net::Dialogue {
 public:
  Pop3Probe(const check::Host& host, const Plan& plan, const check::Attempt& attempt, check::Finisher finisher)
      : Dialogue(host, attempt, finisher), plan_(plan) {}

 private:
  std::string target() const override { return plan_.peer.printed(); }

  Task<Result> course() override {
    co_await connect(plan_.peer);
    auto answer = co_await hear("greeting");
    if (!answer) co_return no_pop();
    if (!answer->is_ok) co_return pop_refusal(*answer, "the greeting");
    if (plan_.does_starttls) {
      answer = co_await say("STLS");
      if (!answer) co_return no_pop();
      if (!answer->is_ok) co_return check::fail(Cause::tls, "it refuses STLS: " + pop_refusal(*answer, "STLS").text);
      co_await start_tls();
    }
    Result result = check::pass(target() + " greets");
    if (!plan_.user.empty()) {
      answer = co_await say("USER " + plan_.user);
      if (!answer) co_return no_pop();
      if (!answer->is_ok) co_return pop_refusal(*answer, "USER");
      answer = co_await say("PASS " + plan_.password);
      if (!answer) co_return no_pop();
      lap(Phase::auth);
      if (!answer->is_ok) co_return pop_refusal(*answer, "PASS");
      answer = co_await say("STAT");
      if (!answer) co_return no_pop();
      if (!answer->is_ok) co_return pop_refusal(*answer, "STAT");
      char* rest = nullptr;
      const long long messages = std::strtoll(answer->text.c_str(), &rest, 10);
      if (rest == answer->text.c_str()) co_return nonsense("its STAT counts nothing", answer->text);
      result.text = target() + " lets us log in, " + std::to_string(messages) + " messages";
      result.measure("messages", static_cast<double>(messages));
      result.measure("mailbox_size", std::strtod(rest, nullptr), "B");
    }
    if (stream().is_tls()) result.fact("tls", stream().tls_version());
    co_return result;
  }

  Task<void> goodbye() override {
    const auto last = co_await say("QUIT");
    static_cast<void>(last);
  }

  Result no_pop() const { return nonsense("what it says is no POP3", raw_); }

  Task<std::optional<PopLine>> hear(std::string of) {
    raw_ = co_await receive(line, of);
    co_return parse_pop(raw_);
  }
  Task<std::optional<PopLine>> say(std::string command) {
    const std::string name = command.substr(0, command.find(' '));
    co_await send(command + "\r\n");
    co_return co_await hear("answer to " + name);
  }

  const Plan& plan_;
  std::string raw_;  // the last line as it came
};

using Pop3 = net::CheckOf<Pop3Probe, read_plan>;

constexpr OptionRow own[] = {
    host_row,
    {"port", Type::integer, "110", "Port of the server: 110, or 995 with TLS at once.", nullptr, 0, nullptr, 1, 65535},
    starttls_row,
    user_row,
    password_row,
};
constexpr auto options = net::with_connection(own);

}  // namespace
}  // namespace vital::mail

using vital::mail::options;
using vital::mail::Pop3;
VITAL_ASYNC_MODULE(Pop3, "pop3", "1.0", "a mailbox over POP3: STLS, login, and how many messages it holds",
                   options.rows)
