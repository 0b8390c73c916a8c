// webhook: a POST to a service of the operator's, signed as the output of that name signs. 2xx is yes; anything else is
// no. Each question (may it be done, do it, is it so, take it back) has a URL of its own, all with the same document.
//
// The id of a message is that of the step: whoever remembers it does nothing twice. Only if the receiver is said to do
// so (`idempotent`) is a message sent again of which nobody knows whether it arrived.
#include <ctime>
#include <nlohmann/json.hpp>

#include "action.hpp"
#include "checks/http/client.hpp"
#include "checks/http/sigv4.hpp"

namespace {

using namespace vital::action;
using namespace std::chrono_literals;
using vital::http::Answer;
using vital::http::Client;
using vital::http::Site;
using vital::http::Trust;
namespace http = vital::http;

constexpr const char* example = "https://hooks.example.jp/failover";

constexpr OptionRow options[] = {
    {"url", Type::string, nullptr, "gets the POST that does it; 2xx means done", "https://hooks.example.jp/promote",
     VITAL_OPTION_REQUIRED},
    {"veto_url", Type::string, nullptr, "asked before it; anything but 2xx forbids it, and nothing is done",
     "https://hooks.example.jp/may-promote"},
    {"verify_url", Type::string, nullptr,
     "answers 2xx once it is so, as clients see it; asked again until then. Without it the answer of url is believed",
     "https://hooks.example.jp/is-promoted"},
    {"compensate_url", Type::string, nullptr, "takes it back", "https://hooks.example.jp/demote"},
    {"preflight_url", Type::string, nullptr,
     "answers 2xx if it would work now; changes nothing. Default: does the host of url take connections",
     "https://hooks.example.jp/could-promote"},
    {"secret", Type::string, nullptr, "what the HMAC-SHA256 of each message is made with; default unsigned", nullptr,
     VITAL_OPTION_SECRET},
    {"idempotent", Type::boolean, "false",
     "the receiver remembers X-Vitald-Id and does nothing twice: then it is asked again if no answer comes, or 408, "
     "425, 429 or 5xx"},
    {"retry_delay", Type::duration, "1s", "between one try and the next", nullptr, 0, nullptr, 0.1, 60},
    VITAL_CLIENT_ROWS,
    VITAL_STEP_ROWS};

struct Target {
  std::string url;  // empty = none
  Site site;
  const std::string& name() const { return site.origin; }  // the rest of a URL may be a secret
};

Target read_target(const Options& o, const char* option) {
  Target out;
  out.url = o.text_or(option, "");
  if (out.url.empty()) return out;
  try {
    out.site = Site::read(out.url.substr(0, out.url.find('?')), example);
  } catch (const Invalid& e) {
    throw Invalid(option, e.what());
  }
  return out;
}

// What a try came to.
struct Tried {
  Result result;
  bool has_arrived = false;  // or may have
  bool is_unknown = false;   // whether it was done
  bool is_final = false;     // another would end the same
};

class Webhook final : public Action {
 public:
  explicit Webhook(const Options& o)
      : perform_(read_target(o, "url")),
        veto_(read_target(o, "veto_url")),
        verify_(read_target(o, "verify_url")),
        compensate_(read_target(o, "compensate_url")),
        preflight_(read_target(o, "preflight_url")),
        secret_(o.text_or("secret", "")),
        is_idempotent_(o.boolean("idempotent")),
        pause_(o.duration("retry_delay")),
        trust_(Trust::options(o)),
        family_(vital::check::family_option(o)) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
  }

  Result check(const Step& step, const Attempt& attempt) override {
    const Duration until = give_up_at(attempt);
    if (!preflight_.url.empty()) return post(preflight_, step, "check", until).result;
    return stoppable([&] {
      const Site& site = perform_.site;
      const std::string host = site.host.front() == '[' ? site.host.substr(1, site.host.size() - 2) : site.host;
      const vital::check::Address first = resolve(host, site.port, until, family_).front();
      close(connect_to(reinterpret_cast<const sockaddr*>(&first.storage), first.length, until, perform_.name()));
      if (verify_.url.empty()) return warn(Cause::config, "there is no verify_url: the answer of url is believed");
      return pass(perform_.name() + " takes connections");
    });
  }

  Result perform(const Step& step, const Attempt& attempt) override {
    const Duration until = give_up_at(attempt);
    if (!veto_.url.empty()) {
      const Result answer = post(veto_, step, "veto", until).result;
      if (answer.verdict != Verdict::pass) veto(answer.text);
    }
    return act(perform_, step, "perform", until);
  }

  Result verify(const Step& step, const Attempt& attempt) override {
    if (verify_.url.empty()) return pass("nothing was asked: there is no verify_url");
    const Duration until = give_up_at(attempt);
    return poll_until(until, 500ms, [&] { return post(verify_, step, "verify", until).result; });
  }

  Result compensate(const Step& step, const Attempt& attempt) override {
    if (compensate_.url.empty()) return fail(Cause::config, "there is no compensate_url");
    return act(compensate_, step, "compensate", give_up_at(attempt));
  }

 private:
  // What did not arrive is tried again while there is time. What may have arrived only if that does no harm.
  Result act(const Target& target, const Step& step, const char* verb, Duration until) const {
    bool has_arrived = false;
    bool is_unknown = false;
    Result last;
    while (true) {
      try {
        step.begin_effect();
      } catch (const NotDone&) {
        if (!is_unknown) throw;
        return last.fact("outcome", "timeout");
      }
      Tried tried = post(target, step, verb, until);
      has_arrived = has_arrived || tried.has_arrived;
      is_unknown = is_unknown || tried.is_unknown;
      if (tried.is_final || (has_arrived && !is_idempotent_) || monotonic_now() + pause_ >= until) {
        const bool is_good = tried.result.verdict == Verdict::pass;
        return is_unknown && !is_good ? tried.result.fact("outcome", "timeout") : tried.result;
      }
      last = std::move(tried.result);
      const timespec ts{std::chrono::duration_cast<std::chrono::seconds>(pause_).count(),
                        (pause_ % std::chrono::seconds(1)).count()};
      nanosleep(&ts, nullptr);
    }
  }

  // One POST on a connection of its own: libcurl may send again by itself what goes over one that was kept.
  Tried post(const Target& target, const Step& step, const char* verb, Duration until) const {
    const std::string id = step.recovery + "/" + step.number + "/" + verb;
    const std::time_t now = std::time(nullptr);
    const nlohmann::ordered_json document = {
        {"id", id},          {"verb", verb},  {"topology", step.topology}, {"recovery", step.recovery},
        {"from", step.from}, {"to", step.to}, {"token", step.token},       {"dry_run", step.is_dry}};
    const std::string body = document.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    const std::string timestamp = std::to_string(now);
    http::Request request{"POST",
                          target.url,
                          {{"Content-Type", "application/json"},
                           {"X-Vitald-Id", id},
                           {"X-Vitald-Token", step.token},
                           {"X-Vitald-Timestamp", timestamp}},
                          body};
    if (!secret_.empty()) {
      request.headers.emplace_back("X-Vitald-Signature",
                                   "sha256=" + http::hex(http::hmac_sha256(secret_, timestamp + "." + body)));
    }
    bool is_sent = false;
    try {
      Client client(target.site, trust_);
      client.resolve(until, family_);
      is_sent = true;
      const Answer answer = client.ask(request, until, target.name() + ": ");
      return judged(answer, target, verb);
    } catch (const Stop& stop) {
      const Cause cause = stop.result.cause;
      const bool is_ours = cause == Cause::config || cause == Cause::tls;
      const bool may_have = is_sent && !is_ours && cause != Cause::refused && cause != Cause::unreachable;
      return {stop.result, may_have, may_have, is_ours};
    }
  }

  static Tried judged(const Answer& answer, const Target& target, const char* verb) {
    const std::string said = answer.body.empty() ? "" : ": " + tidy(answer.body, 160);
    const std::string text = target.name() + " answered " + verb + " with " + std::to_string(answer.status) + said;
    if (answer.status >= 200 && answer.status < 300) return {pass(text), true, false, true};
    // After these nobody knows: the one that answers may only stand before the one that does it, or broke down over it.
    const bool is_unknown = answer.status == 500 || answer.status == 502 || answer.status == 504;
    const bool is_for_later =
        answer.status == 408 || answer.status == 425 || answer.status == 429 || answer.status >= 500;
    return {fail(Cause::content, text), true, is_unknown, !is_for_later};
  }

  Target perform_, veto_, verify_, compensate_, preflight_;
  std::string secret_;
  bool is_idempotent_;
  Duration pause_;
  Trust trust_;
  int family_;
};

}  // namespace

VITAL_ACTION(Webhook, "webhook", "1.0", "a POST to a service of yours, with a veto, a verification and a way back",
             options)
