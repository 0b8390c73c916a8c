// The dns check: asks one name server one question, over UDP and where it must over TCP, and looks at the answer; for a
// zone, whether the serial is the primary's. Async, on the worker's loop.
#include <sys/random.h>

#include <memory>
#include <vitald/check.hpp>

#include "../net/dialogue.hpp"
#include "../net/options.hpp"
#include "../net/sigpipe.hpp"
#include "../net/text.hpp"
#include "message.hpp"
#include "verdict.hpp"

namespace vital::dns {
namespace {

using check::Cause;
using check::Duration;
using check::OptionRow;
using check::Result;
using check::Type;
using check::Verdict;
using net::Task;

constexpr int most_sends = 3;      // of one question over UDP, which may lose it
constexpr int most_strangers = 8;  // datagrams that answer something else

struct Plan {
  net::Peer peer;
  Question question;
  std::string type;
  Demands demands;
  bool is_tcp = false;
  std::optional<net::Peer> primary;
  Duration fail_behind{};
};

net::Peer server(const std::string& host, uint16_t port, uint32_t family) {
  net::Peer peer;
  peer.target = {host, port};
  peer.family = family;
  peer.tls.mode = net::TlsSettings::Mode::off;
  return peer;
}

// An answer as written by a person, as Record::text has it.
std::string normal(const std::string& written, uint16_t type) {
  if (type == 16) return written;
  std::string out = canonical(written);
  if (type == 28) {  // 2001:DB8:0::1 and 2001:db8::1 are one
    if (const auto address = net::socket_address(out, 1)) {
      char text[INET6_ADDRSTRLEN] = "";
      sockaddr_in6 v6{};
      std::memcpy(&v6, &address->storage, sizeof v6);
      if (v6.sin6_family == AF_INET6 && inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text) != nullptr) out = text;
    }
  }
  return out;
}

Plan read_plan(const check::Options& options) {
  using check::Invalid;
  Plan plan;
  const std::string family = options.text("family");
  const uint32_t version = family == "4" ? 4 : family == "6" ? 6 : 0;
  const std::string host = options.text("host");
  if (host.empty() || host.find_first_of(" /[]@") != std::string::npos ||
      (net::is_v6(host) && !net::is_numeric(host))) {
    throw Invalid("host", "is not a host name or an address; write the port as port");
  }
  plan.peer = server(host, static_cast<uint16_t>(options.integer("port")), version);
  plan.type = options.text("record");
  for (const TypeName& one : types) {
    if (plan.type == one.name) plan.question.type = one.number;
  }
  const std::string name = options.text("name");
  plan.question.name = plan.type == "PTR" ? reverse_name(name) : name;
  plan.question.is_recursive = options.boolean("recursion");
  if (!encode(plan.question, 1)) throw Invalid("name", "is not a domain name; write it as in www.example.jp");
  plan.is_tcp = options.text("transport") == "tcp";
  plan.demands.type = plan.question.type;
  plan.demands.rcode = options.text("expect.rcode");
  plan.demands.min_answers = options.integer("expect.min_answers");
  for (const std::string& one : options.list("expect.answers"))
    plan.demands.answers.push_back(normal(one, plan.question.type));
  plan.demands.is_exact = options.boolean("expect.exact");
  if (plan.demands.is_exact && plan.demands.answers.empty())
    throw Invalid("expect.exact", "means nothing without expect.answers");
  plan.demands.min_ttl = static_cast<double>(options.duration("expect.min_ttl").count()) / 1e9;
  plan.demands.wants_authoritative = options.boolean("expect.authoritative");
  plan.demands.wants_authenticated = options.boolean("expect.authenticated");
  plan.fail_behind = options.duration("fail_behind");
  if (options.has("primary")) {
    if (plan.type != "SOA") throw Invalid("primary", "compares serials, which are in SOA; write record: SOA");
    const std::string primary = options.text("primary");
    const auto endpoint = net::is_numeric(primary) ? std::nullopt : net::parse_endpoint(primary);
    plan.primary = endpoint ? server(endpoint->host, endpoint->port, version) : server(primary, 53, version);
  }
  return plan;
}

uint16_t random_id() {
  uint16_t id = 0;
  return getrandom(&id, sizeof id, 0) == sizeof id ? id : static_cast<uint16_t>(check::monotonic_now().count());
}

class DnsProbe final : public net::Dialogue {
 public:
  // `behind_since` is the check's memory: since when the serial is behind the primary's.
  DnsProbe(const check::Host& host, const Plan& plan, std::optional<Duration>& behind_since,
           const check::Attempt& attempt, check::Finisher finisher)
      : Dialogue(host, attempt, finisher), plan_(plan), behind_since_(behind_since) {}

 private:
  std::string target() const override { return plan_.peer.printed(); }

  Task<Result> course() override {
    net::Trouble silence;
    std::optional<Answer> primary;
    if (plan_.primary) primary = co_await ask(*plan_.primary, remaining() / 3, silence);
    net::Trouble why;
    const auto answer = co_await ask(plan_.peer, remaining(), why);
    if (!answer) co_return check::make_result(why.verdict, why.cause, why.text);
    Result result = judge(*answer, plan_.demands, plan_.question.name + " " + plan_.type);
    result.fact("transport", stream().is_datagram() ? "udp" : "tcp");
    if (const auto serial = serial_of(*answer)) {
      result.fact("serial", std::to_string(*serial));
      if (plan_.primary && result.verdict == Verdict::pass) compare(*serial, primary, silence.text, result);
    }
    co_return result;
  }

  // The question to one server: over UDP, over TCP where the answer did not fit, without EDNS where that is unknown.
  // Nothing, and why, if no answer came.
  Task<std::optional<Answer>> ask(const net::Peer& whom, Duration time, net::Trouble& why) {
    const Duration end = check::monotonic_now() + time;
    Question question = plan_.question;
    net::Peer peer = whom;
    peer.kind = plan_.is_tcp ? net::Stream::Kind::stream : net::Stream::Kind::datagram;
    for (int round = 0; round < 4; ++round) {
      auto answer = co_await exchange(peer, question, end, why);
      if (!answer) co_return std::nullopt;
      if (answer->is_truncated && peer.kind == net::Stream::Kind::datagram) {
        peer.kind = net::Stream::Kind::stream;
      } else if (question.has_edns && (answer->rcode == 1 || answer->rcode == 4)) {
        question.has_edns = false;
      } else {
        co_return answer;
      }
    }
    why = net::fault(Cause::protocol, "it refuses the question in every form");
    co_return std::nullopt;
  }

  // One question over one connection. Over UDP, which may lose it, it is sent again; what answers something else is
  // left out.
  Task<std::optional<Answer>> exchange(const net::Peer& peer, const Question& question, Duration end,
                                       net::Trouble& why) {
    const bool is_udp = peer.kind == net::Stream::Kind::datagram;
    const uint16_t id = random_id();
    std::string message = encode(question, id).value_or("");
    const size_t size = message.size();
    if (!is_udp) message.insert(0, {static_cast<char>(size >> 8), static_cast<char>(size & 0xff)});
    const net::Framer framer = is_udp ? datagram : with_length;
    lenient_for(end - check::monotonic_now());
    if (!co_await connect(peer)) {
      why = trouble();
      co_return std::nullopt;
    }
    int strangers = 0;
    for (int sends = is_udp ? most_sends : 1; sends > 0 && strangers < most_strangers; --sends) {
      // The last has all the time that is left, those before it less.
      lenient_for((end - check::monotonic_now()) / sends);
      if (!co_await send(message)) {
        why = trouble();
        co_return std::nullopt;
      }
      while (strangers < most_strangers) {
        std::string said = co_await receive(framer, "answer", 65537);
        if (said.empty()) {
          why = trouble();
          if (why.cause != Cause::timeout) co_return std::nullopt;
          break;
        }
        if (!is_udp) said.erase(0, 2);
        auto answer = parse(said);
        if (!answer) {
          why = net::fault(Cause::protocol, "what it answered is no DNS: " + net::quoted(said));
          co_return std::nullopt;
        }
        const bool is_ours =
            answer->id == id &&
            (answer->name.empty() || (answer->name == canonical(question.name) && answer->type == question.type));
        if (is_ours) co_return answer;
        ++strangers;
      }
    }
    if (strangers >= most_strangers) why = net::fault(Cause::protocol, "it answers only what nobody asked");
    co_return std::nullopt;
  }

  void compare(uint32_t serial, const std::optional<Answer>& primary, const std::string& silence, Result& result) {
    const auto theirs = primary ? serial_of(*primary) : std::nullopt;
    if (!theirs) {
      result.verdict = Verdict::warn;
      result.cause = Cause::content;
      result.text = "the primary " + plan_.primary->printed() + " gives no serial to compare with" +
                    (silence.empty() ? "" : ": " + silence);
      return;
    }
    result.fact("primary_serial", std::to_string(*theirs));
    const long long lag = behind(serial, *theirs);
    result.measure("serials_behind", static_cast<double>(lag));
    if (lag <= 0) {
      behind_since_.reset();
      return;
    }
    const Duration now = check::monotonic_now();
    if (!behind_since_) behind_since_ = now;
    const Duration since = now - *behind_since_;
    result.measure("behind_for", static_cast<double>(since.count()) / 1e9, "s", check::no_threshold,
                   static_cast<double>(plan_.fail_behind.count()) / 1e9);
    result.verdict = since >= plan_.fail_behind ? Verdict::fail : Verdict::warn;
    result.cause = Cause::content;
    result.text = plan_.question.name + " has the serial " + std::to_string(serial) + ", the primary " +
                  plan_.primary->printed() + " " + std::to_string(*theirs) + ": behind for " + net::in_words(since);
  }

  const Plan& plan_;
  std::optional<Duration>& behind_since_;
};

class Dns final : public check::Async {
 public:
  Dns(const check::Host& host, const check::Options& options) : host_(host), plan_(read_plan(options)) {
    net::need_services(host);
    net::survive_hangups();
  }
  std::unique_ptr<check::AsyncProbe> start(const check::Attempt& attempt, check::Finisher finisher) override {
    auto probe = std::make_unique<DnsProbe>(host_, plan_, behind_since_, attempt, finisher);
    probe->begin();
    return probe;
  }

 private:
  const check::Host host_;
  const Plan plan_;
  std::optional<Duration> behind_since_;
};

constexpr const char* type_names[] = {"A", "AAAA", "CNAME", "MX", "TXT", "SRV", "NS", "SOA", "PTR", nullptr};
constexpr const char* rcodes[] = {"NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED", nullptr};
constexpr const char* transports[] = {"udp", "tcp", nullptr};
constexpr const char* families[] = {"any", "4", "6", nullptr};

constexpr OptionRow options[] = {
    {"host", Type::string, "127.0.0.1", "Name or address of the name server that is asked."},
    {"port", Type::integer, "53", "Port of the server.", nullptr, 0, nullptr, 1, 65535},
    {"family", Type::choice, "any", "IP version a name is resolved to.", nullptr, 0, families},
    {"name", Type::string, nullptr, "What is asked for; with record: PTR an address may be written.", "www.example.jp",
     VITAL_OPTION_REQUIRED},
    {"record", Type::choice, "A", "The type of records asked for.", nullptr, 0, type_names},
    {"transport", Type::choice, "udp", "udp, with TCP where the answer does not fit; or tcp alone.", nullptr, 0,
     transports},
    {"recursion", Type::boolean, "true",
     "Ask the server to find the answer elsewhere; false for an authoritative one."},
    {"expect.rcode", Type::choice, "NOERROR", "The code of the answer.", nullptr, 0, rcodes},
    {"expect.min_answers", Type::integer, "1", "How many records of that type there must be.", nullptr, 0, nullptr, 0,
     100},
    {"expect.answers", Type::list, nullptr, "Records that must be among them, written as in a zone file.",
     "[192.0.2.10, 192.0.2.11]"},
    {"expect.exact", Type::boolean, "false", "There must be no other records than those."},
    {"expect.min_ttl", Type::duration, "0s", "How long the answer must be kept at least.", nullptr, 0, nullptr, 0,
     604800},
    {"expect.authoritative", Type::boolean, "false", "The answer must be authoritative (AA)."},
    {"expect.authenticated", Type::boolean, "false", "The resolver must have validated the answer (AD)."},
    {"primary", Type::string, nullptr, "Server whose serial is compared, with record: SOA; HOST or HOST:PORT.",
     "10.0.0.5"},
    {"fail_behind", Type::duration, "10m", "Fail if the serial is behind the primary's for so long; before that warn.",
     nullptr, 0, nullptr, 0, 604800},
};

}  // namespace
}  // namespace vital::dns

using vital::dns::Dns;
using vital::dns::options;
VITAL_ASYNC_MODULE(Dns, "dns", "1.0", "a name server's answer: code, records, time to live, serial", options)
