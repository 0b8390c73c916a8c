// The amqp check, for RabbitMQ and others that speak AMQP 0-9-1: logs in to a virtual host, opens a channel, looks at a
// queue and who consumes from it, and sends a message of its own around; then it closes in order. [worker]
#include "../findings.hpp"
#include "session.hpp"

namespace vital::check::amqp {
namespace {

class Amqp final : public Blocking {
 public:
  explicit Amqp(const Options& o)
      : queue_(o.text_or("queue", "")),
        sends_(o.boolean("publish")),
        messages_(Limit::option(o, "warn_messages", "fail_messages", Bad::above)),
        consumers_(Limit::option(o, "warn_consumers", "fail_consumers", Bad::below)) {
    place_.host = o.text("host");
    place_.tls = o.text("tls.mode");
    place_.port = o.integer("port") != 0 ? o.integer("port") : place_.is_tls() ? 5671 : 5672;
    place_.family = family_option(o);
    place_.vhost = o.text("vhost");
    place_.user = o.text("user");
    place_.password = o.text_or("password", "");
    place_.ca = o.text_or("tls.ca", place_.tls == "verify" ? system_authorities : "");
    place_.certificate = o.text_or("tls.certificate", "");
    place_.key = o.text_or("tls.key", place_.certificate);
    place_.server_name = o.text_or("tls.server_name", "");
    if (place_.host.empty()) throw Invalid("host", "is empty; write a name or an address");
    if (place_.vhost.empty()) throw Invalid("vhost", "is empty; write / for the first one");
    if (place_.certificate.empty() && !place_.key.empty())
      throw Invalid("tls.certificate", "is missing, but there is tls.key: write both");
    for (const char* name : {"warn_messages", "fail_messages", "warn_consumers", "fail_consumers"}) {
      if (o.has(name) && queue_.empty())
        throw Invalid("queue", std::string("is missing, but there is ") + name + "; write the queue that is meant");
    }
  }

  Result probe(const Attempt& attempt) override {
    Stopwatch watch;
    return stoppable(watch, [&](Result& seen) { return run(attempt, watch, seen); });
  }

 private:
  Result run(const Attempt& attempt, Stopwatch& watch, Result& seen) const {
    need_readable("tls.ca", place_.ca);
    need_readable("tls.certificate", place_.certificate);
    need_readable("tls.key", place_.key);
    const Fuse fuse(give_up_at(attempt));
    Session session(place_, fuse, watch, seen);
    Result result = pass("logged in to " + place_.target() + ", virtual host " + place_.vhost);
    Findings found;
    try {
      if (!queue_.empty()) judge(session.look_at(queue_), found, result);
      if (sends_) {
        const Duration began = monotonic_now();
        session.send_around();
        seen.measure("round_trip", std::chrono::duration<double>(monotonic_now() - began).count(), "s");
        result.text += ", a message came back";
      }
    } catch (const Stop& stop) {
      found.add(stop.result.verdict, stop.result.cause, stop.result.text);
    }
    session.say_goodbye();
    return found.into(std::move(result), place_.target());
  }

  void judge(const Queue& queue, Findings& found, Result& result) const {
    const auto number = [](double n) { return std::to_string(static_cast<long long>(n)); };
    messages_.measure(result, "messages", queue.messages);
    consumers_.measure(result, "consumers", queue.consumers);
    found.judge(messages_, queue.messages, "the queue " + queue_ + " holds " + number(queue.messages) + " messages");
    found.judge(consumers_, queue.consumers, "the queue " + queue_ + " has " + number(queue.consumers) + " consumers");
    result.text += ", the queue " + queue_ + " holds " + number(queue.messages) + " messages";
  }

  Place place_;
  std::string queue_;
  bool sends_;
  Limit messages_, consumers_;
};

constexpr const char* tls_modes[] = {"off", "require", "verify", nullptr};

constexpr OptionRow options[] = {
    {"host", Type::string, "127.0.0.1", "name or address of the broker", "mq1.example.jp"},
    {"port", Type::integer, "0", "port of the broker; 0: 5672, with TLS 5671", nullptr, 0, nullptr, 0, 65535},
    {"family", Type::choice, "any", "IP version a name is resolved to", nullptr, 0, families},
    {"vhost", Type::string, "/", "the virtual host", "app"},
    {"user", Type::string, nullptr, "who logs in", "monitor", VITAL_OPTION_REQUIRED},
    {"password", Type::string, nullptr, "the user's password", nullptr, VITAL_OPTION_SECRET},
    {"queue", Type::string, nullptr, "a queue that must be there", "orders"},
    {"warn_messages", Type::integer, nullptr, "more messages than this ready in the queue is a warning", "1000", 0,
     nullptr, 0, 1e15},
    {"fail_messages", Type::integer, nullptr, "more than this is a failure", "100000", 0, nullptr, 0, 1e15},
    {"warn_consumers", Type::integer, nullptr, "fewer consumers of the queue than this is a warning", "2", 0, nullptr,
     0, 1e6},
    {"fail_consumers", Type::integer, nullptr, "fewer than this is a failure", "1", 0, nullptr, 0, 1e6},
    {"publish", Type::boolean, "false",
     "true: a message goes through a queue of this check's own, confirmed, taken back, and acknowledged"},
    {"tls.mode", Type::choice, "off", "verify the certificate and the host, require encryption alone, or off", nullptr,
     0, tls_modes},
    {"tls.ca", Type::string, nullptr, "file with the authorities that verify trusts; default the system's",
     "/etc/vitald/ca.pem"},
    {"tls.certificate", Type::string, nullptr, "file with our own certificate"},
    {"tls.key", Type::string, nullptr, "file with its private key; default in the same file"},
    {"tls.server_name", Type::string, nullptr, "the name or address the certificate must carry; default the host"},
};

}  // namespace
}  // namespace vital::check::amqp

using vital::check::amqp::Amqp;
using vital::check::amqp::options;
VITAL_BLOCKING_MODULE(Amqp, "amqp", "1.0", "AMQP 0-9-1 (RabbitMQ): login, virtual host, a queue, a message around",
                      options)
