// The memcached check: writes a key of its own, reads it back, removes it, and looks at evictions and connections.
// Async, on the worker's loop.
#include <unistd.h>

#include <array>
#include <memory>
#include <vitald/check.hpp>

#include "../net/dialogue.hpp"
#include "../net/options.hpp"
#include "../net/sigpipe.hpp"
#include "../net/text.hpp"
#include "text.hpp"

namespace vital::memcached {
namespace {

using check::Cause;
using check::OptionRow;
using check::Phase;
using check::Result;
using check::Type;
using net::Task;

struct Plan {
  net::Peer peer;
  std::string user;
  std::string password;
  std::string prefix;
  Demands demands;
};

Plan read_plan(const check::Options& options) {
  using check::Invalid;
  Plan plan;
  plan.peer = net::read_peer(options);
  plan.user = options.text_or("user", "");
  plan.password = options.text_or("password", "");
  if (plan.user.empty() != plan.password.empty()) {
    throw Invalid(plan.user.empty() ? "user" : "password", "is needed too; write user and password_file");
  }
  if ((plan.user + plan.password).find_first_of(" \r\n") != std::string::npos) {
    throw Invalid("user", "memcached takes no spaces in user or password");
  }
  plan.prefix = options.text("prefix");
  if (plan.prefix.size() > 100 || plan.prefix.find_first_of(" \t\r\n") != std::string::npos) {
    throw Invalid("prefix", "is no beginning of a key; write at most 100 signs without spaces");
  }
  plan.demands.connections = check::Floors::options(options, "warn_free_connections", "fail_free_connections", false);
  if (options.has("warn_evictions")) plan.demands.warn_evictions = options.number("warn_evictions");
  return plan;
}

class MemcachedProbe final : public net::Dialogue {
 public:
  // `before` is the check's memory of the last probe.
  MemcachedProbe(const check::Host& host, const Plan& plan, std::optional<Sample>& before,
                 const check::Attempt& attempt, check::Finisher finisher)
      : Dialogue(host, attempt, finisher), plan_(plan), before_(before) {}

 private:
  std::string target() const override { return plan_.peer.printed(); }

  Task<Result> course() override {
    co_await connect(plan_.peer);
    if (!plan_.user.empty()) {
      const std::string secret = plan_.user + " " + plan_.password;
      const std::string welcome = co_await ask("set auth 0 0 " + std::to_string(secret.size()), secret, "our login");
      lap(Phase::auth);
      if (welcome != "STORED\r\n") co_return refusal(welcome, "our login");
    }
    static unsigned long count = 0;
    std::array<char, 256> name{};
    gethostname(name.data(), 64);
    const std::string value = std::to_string(getpid()) + "-" + std::to_string(++count);
    const std::string key = plan_.prefix + name.data() + ":" + value;
    const std::string stored = co_await ask("set " + key + " 0 10 " + std::to_string(value.size()), value, "set");
    if (stored != "STORED\r\n") co_return refusal(stored, "set");
    const std::string got = co_await ask("get " + key, "", "get");
    if (value_of(got) != value) {
      if (!value_of(got)) co_return refusal(got, "get of a value it had just taken");
      co_return check::fail(Cause::content, "it took a value and gave " + net::quoted(got) + " back");
    }
    const std::string gone = co_await ask("delete " + key, "", "delete");
    if (gone != "DELETED\r\n") co_return refusal(gone, "delete of a value it had just given");
    const std::string said = co_await ask("stats", "", "stats");
    const Stats stats = stats_of(said);
    if (stats.empty()) co_return refusal(said, "stats");
    Result result = judge(stats, plan_.demands, before_, target());
    before_ = sample_of(stats);
    co_return result;
  }

  Task<std::string> ask(std::string line, std::string data, std::string name) {
    line += "\r\n";
    if (!data.empty()) line += data + "\r\n";
    co_await send(std::move(line));
    co_return co_await receive(answer, "answer to " + name);
  }

  Task<void> goodbye() override { co_await send("quit\r\n"); }

  const Plan& plan_;
  std::optional<Sample>& before_;
};

class Memcached final : public check::Async {
 public:
  Memcached(const check::Host& host, const check::Options& options) : host_(host), plan_(read_plan(options)) {
    net::need_services(host);
    net::survive_hangups();
  }
  std::unique_ptr<check::AsyncProbe> start(const check::Attempt& attempt, check::Finisher finisher) override {
    auto probe = std::make_unique<MemcachedProbe>(host_, plan_, before_, attempt, finisher);
    probe->begin();
    return probe;
  }

 private:
  const check::Host host_;
  const Plan plan_;
  std::optional<Sample> before_;
};

constexpr OptionRow own[] = {
    {"host", Type::string, "127.0.0.1", "Name or address of the server, or the path of its Unix socket.",
     "/run/memcached/memcached.sock"},
    {"port", Type::integer, "11211", "Port of the server.", nullptr, 0, nullptr, 1, 65535},
    {"user", Type::string, nullptr, "Who logs in, to a server with an authentication file (-Y).", "vitald"},
    {"password", Type::string, nullptr, "The user's password.", nullptr, VITAL_OPTION_SECRET},
    {"prefix", Type::string, "vitald:probe:", "What the names of the keys we write begin with."},
    {"warn_evictions", Type::number, nullptr, "Warn if more values a second are evicted; default: not asked.", "10", 0,
     nullptr, 0, 1000000},
    {"warn_free_connections", Type::size_or_percent, nullptr, "Warn if fewer of its connections are left.", "10%"},
    {"fail_free_connections", Type::size_or_percent, nullptr, "Fail if fewer of its connections are left."},
};
constexpr auto options = net::with_connection(own);

}  // namespace
}  // namespace vital::memcached

using vital::memcached::Memcached;
using vital::memcached::options;
VITAL_ASYNC_MODULE(Memcached, "memcached", "1.0",
                   "memcached: a key written, read back and removed; evictions, connections", options.rows)
