// The redis check: logs in, asks for role, link, load and room, writes and reads back a key of its own if told to, and
// asks Sentinel whether it agrees. Redis, Valkey, Sentinel itself. Async, on the worker's loop.
#include <unistd.h>

#include <array>
#include <ctime>
#include <memory>
#include <vitald/check.hpp>

#include "../net/dialogue.hpp"
#include "../net/options.hpp"
#include "../net/text.hpp"
#include "../words.hpp"
#include "resp.hpp"
#include "verdict.hpp"

namespace vital::redis {
namespace {

using check::Cause;
using check::OptionRow;
using check::Phase;
using check::Result;
using check::Type;
using check::Verdict;
using net::Task;

struct Plan {
  net::Peer peer;
  std::string user;
  std::string password;
  Demands demands;
  bool does_write = false;
  std::string write_prefix;
  std::vector<net::Peer> sentinels;
  std::string sentinel_master;
  std::string sentinel_password;
};

Plan read_plan(const check::Options& options) {
  using check::Invalid;
  Plan plan;
  plan.peer = net::read_peer(options);
  plan.user = options.text_or("user", "");
  plan.password = options.text_or("password", "");
  if (!plan.user.empty() && plan.password.empty())
    throw Invalid("password", "is needed with user; write password_file");
  const std::string role = options.text("role");
  plan.demands.role = role == "master"    ? Demands::Role::master
                      : role == "replica" ? Demands::Role::replica
                                          : Demands::Role::any;
  plan.demands.fail_link_down = options.duration("fail_link_down");
  plan.demands.max_save_age = options.has("max_save_age") ? options.duration("max_save_age") : check::Duration::zero();
  plan.demands.min_replicas = options.integer("min_replicas");
  plan.demands.memory = check::Floors::options(options, "warn_free_memory", "fail_free_memory");
  plan.demands.clients = check::Floors::options(options, "warn_free_clients", "fail_free_clients", false);
  plan.does_write = options.boolean("write");
  plan.write_prefix = options.text("write_prefix");
  if (plan.does_write && role == "replica")
    throw Invalid("write", "a replica takes no writes; leave it out or write role: master");
  for (const std::string& address : options.list("sentinel.addresses")) {
    const auto endpoint = net::parse_endpoint(address);
    if (!endpoint) throw Invalid("sentinel.addresses", address + " is not HOST:PORT; write it as in 10.0.0.5:26379");
    net::Peer sentinel = plan.peer;
    sentinel.target = *endpoint;
    plan.sentinels.push_back(std::move(sentinel));
  }
  plan.sentinel_master = options.text_or("sentinel.master", "");
  plan.sentinel_password = options.text_or("sentinel.password", "");
  if (plan.sentinels.empty() == !plan.sentinel_master.empty()) {
    throw Invalid(plan.sentinels.empty() ? "sentinel.addresses" : "sentinel.master",
                  "is needed too: which Sentinels to ask, and about which master");
  }
  return plan;
}

class RedisProbe final : public net::Dialogue {
 public:
  RedisProbe(const check::Host& host, const Plan& plan, const check::Attempt& attempt, check::Finisher finisher)
      : Dialogue(host, attempt, finisher), plan_(plan) {}

 private:
  std::string target() const override { return plan_.peer.printed(); }

  Task<Result> course() override {
    std::optional<SentinelView> sentinel;
    std::string silence;
    if (!plan_.sentinels.empty()) sentinel = co_await ask_sentinels(silence);

    co_await connect(plan_.peer);
    if (!plan_.password.empty()) {
      const Reply welcome = co_await login(plan_.user, plan_.password);
      lap(Phase::auth);
      if (welcome.is_error()) co_return error_meaning(welcome, "AUTH");
    }
    // PING is refused where INFO is not: while it loads, and by a replica that would give old answers.
    const Reply pong = co_await ask(command("PING"), "PING");
    if (is_turned_away(pong)) co_return error_meaning(pong, "PING");  // it has closed already
    const Reply said = co_await ask(command("INFO"), "INFO");
    if (said.is_error()) co_return error_meaning(said, "INFO");
    const Info info(said.text);
    Result result = judge(info, plan_.demands, target(), std::time(nullptr));
    if (!stream().tls_version().empty()) result.fact("tls", stream().tls_version());
    if (pong.is_error()) {
      worsen(result, error_meaning(pong, "PING"));
    } else if (!pong.is("PONG")) {
      worsen(result, nonsense("it does not answer PING with PONG", pong.text));
    }
    if (info.text("cluster_enabled") == "1") co_await look_at_cluster(result);
    if (plan_.does_write && result.verdict != Verdict::fail) co_await write_and_read(result);
    if (sentinel) {
      result.fact("sentinel_master", sentinel->address);
      const std::string why = disagreement(info, *sentinel, plan_.sentinel_master);
      if (!why.empty()) worsen(result, check::fail(Cause::role, why));
    } else if (!plan_.sentinels.empty()) {
      worsen(result, check::warn(Cause::content, silence));
    }
    co_return result;
  }

  // Over TLS the server should be the first to close: a client's close_notify is a read error in its log.
  Task<void> goodbye() override {
    if (!stream().is_tls()) co_return;
    co_await send(command("QUIT"));
    co_await receive(frame, "answer to QUIT");
  }

  Task<Reply> ask(std::string bytes, std::string name) {
    co_await send(std::move(bytes));
    const std::string message = co_await receive(frame, "answer to " + name);
    co_return parse(message).value_or(Reply{});
  }

  Task<Reply> login(const std::string& user, const std::string& password) {
    // The user is left out for servers before version 6, which know none.
    std::string bytes = user.empty() ? command("AUTH", password) : command("AUTH", user, password);
    co_return co_await ask(std::move(bytes), "AUTH");
  }

  // A key of our own, with a time to live: written, read back, removed.
  Task<void> write_and_read(Result& result) {
    static unsigned long count = 0;
    std::array<char, 256> host{};
    gethostname(host.data(), host.size() - 1);
    const std::string value = std::to_string(getpid()) + "-" + std::to_string(++count);
    const std::string key = plan_.write_prefix + host.data() + ":" + value;
    const Reply set = co_await ask(command("SET", key, value, "PX", "10000"), "SET");
    if (!set.is("OK")) {
      worsen(result, set.is_error() ? error_meaning(set, "SET") : nonsense("it does not answer SET with OK", set.text));
      co_return;
    }
    const Reply got = co_await ask(command("GET", key), "GET");
    const Reply gone = co_await ask(command("DEL", key), "DEL");
    if (got.is_error()) {
      worsen(result, error_meaning(got, "GET"));
    } else if (!got.is(value)) {
      worsen(result, check::fail(Cause::content, "it took a value and gave " + net::quoted(got.text) + " back"));
    } else if (gone.is_error()) {
      worsen(result, error_meaning(gone, "DEL"));
    } else if (result.verdict == Verdict::pass) {
      result.text += ", wrote and read back";
    }
  }

  Task<void> look_at_cluster(Result& result) {
    const Reply said = co_await ask(command("CLUSTER", "INFO"), "CLUSTER INFO");
    if (said.is_error()) {
      result.fact("cluster",
                  said.code() == "NOPERM" ? "our user may not ask (+cluster|info)" : check::tidy(said.text, 80));
      co_return;
    }
    const std::string state = Info(said.text).text("cluster_state");
    result.fact("cluster", state);
    if (state != "ok") worsen(result, check::fail(Cause::content, "its cluster is down (cluster_state " + state + ")"));
  }

  // The first Sentinel that knows the master. Their silence is no evidence against the server, so they get a third of
  // the time together.
  Task<std::optional<SentinelView>> ask_sentinels(std::string& silence) {
    const auto share = remaining() / (3 * static_cast<long>(plan_.sentinels.size()));
    for (const net::Peer& one : plan_.sentinels) {
      lenient_for(share);
      const std::string who = "no Sentinel could be asked; the last, " + one.printed() + ": ";
      if (co_await connect(one)) {
        Reply reply;
        if (!plan_.sentinel_password.empty()) reply = co_await login("", plan_.sentinel_password);
        if (!reply.is_error())
          reply = co_await ask(command("SENTINEL", "MASTER", plan_.sentinel_master), "SENTINEL MASTER");
        const auto view = sentinel_view(reply);
        if (view) {
          strict();
          co_return view;
        }
        silence = who + (reply.is_error() ? check::tidy(reply.text, 160) : trouble().text);
      } else {
        silence = who + trouble().text;
      }
    }
    strict();
    co_return std::nullopt;
  }

  // The worse of the two gives verdict, cause and words; what was measured stays.
  static void worsen(Result& result, const Result& other) {
    const auto weight = [](Verdict v) {
      return v == Verdict::fail ? 3 : v == Verdict::unknown ? 2 : v == Verdict::warn ? 1 : 0;
    };
    if (weight(other.verdict) <= weight(result.verdict)) return;
    result.verdict = other.verdict;
    result.cause = other.cause;
    result.text = other.text;
  }

  const Plan& plan_;
};

using Redis = net::CheckOf<RedisProbe, read_plan>;

constexpr const char* roles[] = {"master", "replica", "any", nullptr};

constexpr OptionRow own[] = {
    {"host", Type::string, "127.0.0.1", "Name or address of the server, or the path of its Unix socket.",
     "/run/redis/redis.sock"},
    {"port", Type::integer, "6379", "Port of the server.", nullptr, 0, nullptr, 1, 65535},
    {"user", Type::string, nullptr, "ACL user that logs in; without it, the default user.", "vitald"},
    {"password", Type::string, nullptr, "The user's password.", nullptr, VITAL_OPTION_SECRET},
    {"role", Type::choice, "any", "What the server must be.", "master", 0, roles},
    {"write", Type::boolean, "false", "Write a key of our own, read it back, remove it."},
    {"write_prefix", Type::string, "vitald:probe:", "What the names of those keys begin with."},
    {"fail_link_down", Type::duration, "1m",
     "A replica whose link to its master is down for longer fails; before that it warns.", nullptr, 0, nullptr, 0,
     86400},
    {"min_replicas", Type::integer, "0", "Warn if fewer replicas follow a master.", nullptr, 0, nullptr, 0, 100},
    {"max_save_age", Type::duration, nullptr,
     "Warn if there are changes and the last save is older; default: not asked.", "1h", 0, nullptr, 1, 31536000},
    {"warn_free_memory", Type::size_or_percent, nullptr, "Warn if less of maxmemory is left.", "10%"},
    {"fail_free_memory", Type::size_or_percent, nullptr, "Fail if less of maxmemory is left."},
    {"warn_free_clients", Type::size_or_percent, nullptr, "Warn if fewer of maxclients are left.", "10%"},
    {"fail_free_clients", Type::size_or_percent, nullptr, "Fail if fewer of maxclients are left."},
    {"sentinel.addresses", Type::list, nullptr, "Sentinels to ask whether they agree on who is master, HOST:PORT.",
     "[10.0.0.5:26379, 10.0.0.6:26379]"},
    {"sentinel.master", Type::string, nullptr, "The name Sentinel has for the master.", "mymaster"},
    {"sentinel.password", Type::string, nullptr, "Sentinel's own password.", nullptr, VITAL_OPTION_SECRET},
};
constexpr auto options = net::with_connection(own);

}  // namespace
}  // namespace vital::redis

using vital::redis::options;
using vital::redis::Redis;
VITAL_ASYNC_MODULE(Redis, "redis", "1.0", "Redis and Valkey: login, role, replication, room, a written key, Sentinel",
                   options.rows)
