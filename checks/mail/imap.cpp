// The imap check: greeting, STARTTLS, login, a mailbox opened for reading alone, and LOGOUT. Async, on the worker's
// loop.
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

constexpr int most_lines = 200;  // of one answer

struct ImapPlan : Plan {
  std::string mailbox;
  long long min_messages = 0;
};

ImapPlan read_imap_plan(const check::Options& options) {
  using check::Invalid;
  ImapPlan plan{read_plan(options), line_option(options, "mailbox"), options.integer("min_messages")};
  for (const char* name : {"user", "password", "mailbox"}) {
    if (!imap_quoted(options.text_or(name, ""))) throw Invalid(name, "holds signs that IMAP takes only as a literal");
  }
  if (plan.user.empty() && plan.min_messages > 0)
    throw Invalid("min_messages", "needs a login; write user and password_file");
  return plan;
}

class ImapProbe final : public net::Dialogue {
 public:
  ImapProbe(const check::Host& host, const ImapPlan& plan, const check::Attempt& attempt, check::Finisher finisher)
      : Dialogue(host, attempt, finisher), plan_(plan) {}

 private:
  std::string target() const override { return plan_.peer.printed(); }

  Task<Result> course() override {
    co_await connect(plan_.peer);
    const std::string greeting = co_await receive(line, "greeting");
    const ImapLine welcome = parse_imap(greeting);
    if (welcome.tag != "*") co_return nonsense("what it says is no IMAP", greeting);
    if (welcome.word != "OK" && welcome.word != "PREAUTH") co_return imap_refusal(welcome, "our connection");
    if (plan_.does_starttls) {
      const ImapLine answer = co_await say("STARTTLS", "STARTTLS");
      if (answer.word != "OK")
        co_return check::fail(Cause::tls, "it refuses STARTTLS: " + imap_refusal(answer, "STARTTLS").text);
      co_await start_tls();
    }
    std::string done = "greets";
    Result result = check::pass("");
    if (!plan_.user.empty()) {
      const ImapLine in =
          co_await say("LOGIN " + *imap_quoted(plan_.user) + " " + *imap_quoted(plan_.password), "LOGIN");
      lap(Phase::auth);
      if (in.word != "OK") co_return imap_refusal(in, "LOGIN");
      // EXAMINE is SELECT for those who change nothing: mail stays as new as it was.
      const ImapLine open = co_await say("EXAMINE " + *imap_quoted(plan_.mailbox), "EXAMINE");
      if (open.word != "OK") co_return imap_refusal(open, "EXAMINE " + plan_.mailbox);
      done = "lets us log in and read " + plan_.mailbox + ", " + std::to_string(messages_) + " messages";
      result.measure("messages", static_cast<double>(messages_), "", check::no_threshold,
                     plan_.min_messages > 0 ? static_cast<double>(plan_.min_messages) : check::no_threshold);
    } else {
      const ImapLine alive = co_await say("NOOP", "NOOP");
      if (alive.word != "OK") co_return imap_refusal(alive, "NOOP");
    }
    if (messages_ < plan_.min_messages) {
      result.verdict = check::Verdict::fail;
      result.cause = Cause::content;
      result.text = plan_.mailbox + " holds " + std::to_string(messages_) + " messages, expected at least " +
                    std::to_string(plan_.min_messages);
    } else {
      result.text = target() + " " + done;
    }
    if (stream().is_tls()) result.fact("tls", stream().tls_version());
    co_return result;
  }

  Task<void> goodbye() override {
    const ImapLine last = co_await say("LOGOUT", "LOGOUT");
    static_cast<void>(last);
  }

  // The tagged answer; what comes before it is looked at on the way. A BYE in between is the answer too, unless we
  // asked for it.
  Task<ImapLine> say(std::string command, std::string name) {
    const std::string tag = "v" + std::to_string(++tags_);
    co_await send(tag + " " + command + "\r\n");
    const std::string of = "answer to " + name;
    for (int lines = 0; lines < most_lines; ++lines) {
      const std::string bytes = co_await receive(line, of);
      if (bytes.empty()) break;
      ImapLine found = parse_imap(bytes);
      if (found.tag == tag) co_return found;
      if (found.tag == "*" && found.word == "BYE" && name != "LOGOUT") co_return found;
      if (found.tag == "*" && found.rest == "EXISTS") messages_ = std::strtoll(found.word.c_str(), nullptr, 10);
      if (found.tag != "*" && found.tag != "+")
        co_return ImapLine{"", "", "something that is no IMAP: " + bytes.substr(0, 80)};
    }
    co_return ImapLine{"", "", "lines without end"};
  }

  const ImapPlan& plan_;
  int tags_ = 0;
  long long messages_ = 0;
};

using Imap = net::CheckOf<ImapProbe, read_imap_plan>;

constexpr OptionRow own[] = {
    host_row,
    {"port", Type::integer, "143", "Port of the server: 143, or 993 with TLS at once.", nullptr, 0, nullptr, 1, 65535},
    starttls_row,
    user_row,
    password_row,
    {"mailbox", Type::string, "INBOX", "The mailbox that is opened, for reading alone."},
    {"min_messages", Type::integer, "0", "Fail if it holds fewer messages.", nullptr, 0, nullptr, 0, 1000000000},
};
constexpr auto options = net::with_connection(own);

}  // namespace
}  // namespace vital::mail

using vital::mail::Imap;
using vital::mail::options;
VITAL_ASYNC_MODULE(Imap, "imap", "1.0", "a mailbox over IMAP: STARTTLS, login, and a look into it", options.rows)
