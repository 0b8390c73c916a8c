// The smtp check: greeting, EHLO, STARTTLS, login, and whether it would take a mail: MAIL and RCPT, then RSET and QUIT.
// No mail is ever sent. Async, on the worker's loop.
#include <unistd.h>

#include <array>
#include <memory>
#include <vitald/check.hpp>

#include "../base64.hpp"
#include "codec.hpp"
#include "options.hpp"
#include "plan.hpp"
#include "verdict.hpp"

namespace vital::mail {
namespace {

using check::base64;
using check::Cause;
using check::OptionRow;
using check::Phase;
using check::Result;
using check::Type;
using net::Task;

struct SmtpPlan : Plan {
  std::string helo;
  std::string from;
  std::string to;
};

SmtpPlan read_smtp_plan(const check::Options& options) {
  using check::Invalid;
  SmtpPlan plan{read_plan(options), line_option(options, "helo"), line_option(options, "from"),
                line_option(options, "to")};
  if (plan.helo.empty()) {
    std::array<char, 256> name{};
    gethostname(name.data(), name.size() - 1);
    plan.helo = name.data();
  }
  if (plan.helo.find(' ') != std::string::npos) throw Invalid("helo", "is not a host name");
  for (const char* name : {"from", "to"}) {
    const std::string& address = name[0] == 'f' ? plan.from : plan.to;
    if (address.find_first_of(" <>") != std::string::npos)
      throw Invalid(name, "is not an address; write it as in a@example.jp");
  }
  if (!options.text_or("from", "").empty() && plan.to.empty()) throw Invalid("to", "is needed with from");
  return plan;
}

class SmtpProbe final : public net::Dialogue {
 public:
  SmtpProbe(const check::Host& host, const SmtpPlan& plan, const check::Attempt& attempt, check::Finisher finisher)
      : Dialogue(host, attempt, finisher), plan_(plan) {}

 private:
  std::string target() const override { return plan_.peer.printed(); }

  Task<Result> course() override {
    co_await connect(plan_.peer);
    SmtpReply reply = co_await hear("greeting");
    if (reply.code != 220) co_return smtp_refusal(reply, At::greeting, "our connection");
    reply = co_await say("EHLO " + plan_.helo, "EHLO");
    if (reply.code != 250) co_return smtp_refusal(reply, At::hello, "EHLO");
    if (plan_.does_starttls) {
      if (!smtp_offers(raw_, "STARTTLS")) co_return check::fail(Cause::tls, "it does not offer STARTTLS");
      reply = co_await say("STARTTLS", "STARTTLS");
      if (reply.code != 220) co_return check::fail(Cause::tls, smtp_refusal(reply, At::reset, "STARTTLS").text);
      co_await start_tls();
      reply = co_await say("EHLO " + plan_.helo, "EHLO");
      if (reply.code != 250) co_return smtp_refusal(reply, At::hello, "EHLO");
    }
    std::string done = "greets";
    if (!plan_.user.empty()) {
      const std::string ways = smtp_offers(raw_, "AUTH").value_or("");
      const bool has_plain = (" " + ways + " ").find(" PLAIN ") != std::string::npos;
      const bool has_login = (" " + ways + " ").find(" LOGIN ") != std::string::npos;
      if (!has_plain && !has_login) {
        co_return check::unknown(Cause::auth, "it offers neither AUTH PLAIN nor AUTH LOGIN" +
                                                  std::string(ways.empty() ? "" : ", only " + ways));
      }
      reply = co_await login(has_plain);
      lap(Phase::auth);
      if (reply.code != 235) co_return smtp_refusal(reply, At::login, "AUTH");
      done += ", lets us log in";
    }
    if (!plan_.to.empty()) {
      reply = co_await say("MAIL FROM:<" + plan_.from + ">", "MAIL");
      if (!reply.is_good()) co_return smtp_refusal(reply, At::sender, "MAIL FROM:<" + plan_.from + ">");
      reply = co_await say("RCPT TO:<" + plan_.to + ">", "RCPT");
      if (!reply.is_good()) co_return smtp_refusal(reply, At::recipient, "RCPT TO:<" + plan_.to + ">");
      reply = co_await say("RSET", "RSET");
      if (!reply.is_good()) co_return smtp_refusal(reply, At::reset, "RSET");
      done += ", would take mail for " + plan_.to;
    }
    Result result = check::pass(target() + " " + done);
    if (stream().is_tls()) result.fact("tls", stream().tls_version());
    result.fact("greeting", greeting_);
    co_return result;
  }

  // A refused mail is not taken back first: QUIT ends it as well.
  Task<void> goodbye() override {
    const bool is_sent = co_await send("QUIT\r\n");
    if (is_sent) co_await receive(smtp_reply, "answer to QUIT");
  }

  Task<SmtpReply> hear(std::string of) {
    raw_ = co_await receive(smtp_reply, of);
    const SmtpReply reply = parse_smtp(raw_).value_or(SmtpReply{});
    if (of == "greeting") greeting_ = reply.text.substr(0, 120);
    co_return reply;
  }
  Task<SmtpReply> say(std::string line, std::string name) {
    co_await send(line + "\r\n");
    co_return co_await hear("answer to " + name);
  }
  Task<SmtpReply> login(bool is_plain) {
    if (is_plain) {
      const std::string secret = std::string(1, '\0') + plan_.user + std::string(1, '\0') + plan_.password;
      co_return co_await say("AUTH PLAIN " + base64(secret), "AUTH");
    }
    SmtpReply reply = co_await say("AUTH LOGIN", "AUTH");
    if (reply.code == 334) reply = co_await say(base64(plan_.user), "AUTH");
    if (reply.code == 334) reply = co_await say(base64(plan_.password), "AUTH");
    co_return reply;
  }

  const SmtpPlan& plan_;
  std::string raw_;  // the last reply as it came
  std::string greeting_;
};

using Smtp = net::CheckOf<SmtpProbe, read_smtp_plan>;

constexpr OptionRow own[] = {
    host_row,
    {"port", Type::integer, "25", "Port of the server: 25, 587, or 465 with TLS at once.", nullptr, 0, nullptr, 1,
     65535},
    starttls_row,
    user_row,
    password_row,
    {"helo", Type::string, nullptr, "The name we give in EHLO; default this host's.", "monitor.example.jp"},
    {"to", Type::string, nullptr, "An address it must be willing to take mail for; no mail is sent.",
     "postmaster@example.jp"},
    {"from", Type::string, nullptr, "The sender we name then; default the empty one, as of a bounce."},
};
constexpr auto options = net::with_connection(own);

}  // namespace
}  // namespace vital::mail

using vital::mail::options;
using vital::mail::Smtp;
VITAL_ASYNC_MODULE(Smtp, "smtp", "1.0", "a mail server: STARTTLS, login, and whether it would take a mail",
                   options.rows)
