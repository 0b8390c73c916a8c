// The etcd check: asks one member what it knows by itself (leader, alarms, room), then whether its cluster still
// decides: a linearizable read goes through the quorum, where a port, a /health of a member that is cut off, and a
// serializable read do not. It talks to the JSON gateway that every client URL has, with libcurl, and blocks. [worker]
#include <unistd.h>

#include "../http/client.hpp"
#include "verdict.hpp"

namespace vital::etcd {
namespace {

using check::Attempt;
using check::Bad;
using check::Cause;
using check::Duration;
using check::Findings;
using check::Invalid;
using check::Limit;
using check::OptionRow;
using check::Options;
using check::Phase;
using check::Result;
using check::Stop;
using check::Type;
using check::Verdict;
using http::Answer;
using http::Client;

// A write that is not undone goes away by itself after this.
constexpr long long lease_seconds = 60;

class Etcd final : public check::Blocking {
 public:
  explicit Etcd(const Options& o)
      : site_(http::Site::read(o.text("url"), "http://127.0.0.1:2379")),
        trust_(http::Trust::options(o)),
        family_(check::family_option(o)),
        user_(o.text_or("user", "")),
        password_(o.text_or("password", "")),
        key_(o.text("key")),
        writes_(o.boolean("write")),
        write_prefix_(o.text("write_prefix")) {
    if (user_.empty() != password_.empty()) {
      throw Invalid(user_.empty() ? "user" : "password", "user and password_file need each other: write both");
    }
    if (key_.empty()) throw Invalid("key", "is empty; write the name of a key, which need not exist");
    demands_.role = o.text("role");
    demands_.min_members = o.integer_or("min_members", 0);
    demands_.read_s = Limit::seconds(o, "warn_read", "fail_read");
    demands_.db_size = Limit::bytes(o, "warn_db_size", "fail_db_size");
    curl_global_init(CURL_GLOBAL_DEFAULT);
  }

  Result probe(const Attempt& attempt) override {
    Run run(site_, trust_);
    run.until = check::give_up_at(attempt);
    Result result = check::stoppable([&] { return look(run); });
    result = run.found.into(std::move(result), site_.origin);
    result.measures = std::move(run.seen.measures);
    result.facts = std::move(run.seen.facts);
    add_phases(run, result);
    if (!run.client.address().empty()) result.fact("address", run.client.address());
    return result;
  }

 private:
  struct Run {
    Run(const http::Site& site, const http::Trust& trust) : client(site, trust) {}
    Client client;
    Duration until{};
    Duration began = check::monotonic_now();
    Duration resolve_took{-1}, login_took{-1};
    Findings found;
    Result seen;  // measures and facts
  };

  Result look(Run& run) {
    run.client.resolve(run.until, family_);
    run.resolve_took = check::monotonic_now() - run.began;

    const auto status = read_status(post(run, "maintenance/status", "{}", "its status", ""));
    if (!status) return nonsense("its status");
    note(run, *status);
    judge_status(*status, demands_, run.found);
    if (status->leader.empty()) return check::pass("");  // all that follows would wait for one

    const auto members = read_members(post(run, "cluster/member/list", "{}", "its members", ""));
    if (!members) return nonsense("its members");
    judge_members(*members, demands_, run.found);
    run.seen.measure("members", static_cast<double>(members->size()));
    std::string leader = status->leader;
    for (const Member& member : *members) {
      if (member.id == status->leader && member.has_started()) leader = check::tidy(member.name, 60);
    }
    run.seen.fact("leader", leader);

    if (!status->is_learner) {
      ask_health(run, *status);
      read(run);
      if (writes_ && run.found.worst() != Verdict::fail) write(run);
    }
    return check::pass(site_.origin + " is a " +
                       (status->is_leader() ? "leader" : "follower, its leader is " + leader) +
                       ", and its quorum answers");
  }

  void ask_health(Run& run, const Status& status) const {
    Answer answer;
    through_quorum(run, "/health", [&] {
      answer = run.client.ask({"GET", site_.origin + site_.prefix + "/health"}, run.until, target("GET /health"));
    });
    const auto health = read_health(answer.body);
    if (!health) throw Stop(refused(answer, "GET /health"));
    if (!*health && status.alarms.empty()) run.found.add(Verdict::fail, Cause::content, "its own /health says no");
  }

  void read(Run& run) {
    Duration took{};
    const std::string doing = "a read of " + check::shown(key_);
    std::string body;
    through_quorum(run, doing, [&] {
      const Duration began = check::monotonic_now();
      body = with_login(run, "kv/range", range_request(key_), doing, &took);
      if (took <= Duration::zero()) took = check::monotonic_now() - began;
    });
    if (!read_range(body)) throw Stop(nonsense(doing));
    const double seconds = std::chrono::duration<double>(took).count();
    demands_.read_s.measure(run.seen, "read", seconds, "s");
    run.found.judge(demands_.read_s, seconds, "a read through its quorum took " + check::in_words(took),
                    Cause::latency);
  }

  // A key of our own under a lease, read back; the end of the lease removes it, whatever happens to us.
  void write(Run& run) {
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    const std::string value = std::to_string(getpid()) + "-" + std::to_string(check::monotonic_now().count());
    const std::string key = write_prefix_ + host + "/" + value;
    const Duration began = check::monotonic_now();
    through_quorum(run, "a write", [&] {
      const std::string lease =
          read_lease(with_login(run, "lease/grant", grant_request(lease_seconds), "a lease", nullptr));
      if (lease.empty()) throw Stop(nonsense("a lease"));
      with_login(run, "kv/put", put_request(key, value, lease), "a write below " + check::shown(write_prefix_),
                 nullptr);
      const auto back = read_range(with_login(run, "kv/range", range_request(key), "reading it back", nullptr));
      if (!back || back->value != value) {
        run.found.add(Verdict::fail, Cause::content,
                      "what was written below " + check::shown(write_prefix_) + " did not come back");
      }
      with_login(run, "lease/revoke", revoke_request(lease), "the end of the lease", nullptr);
    });
    const Duration took = check::monotonic_now() - began;
    run.seen.measure("write", std::chrono::duration<double>(took).count(), "s");
  }

  // What waits for other members: that they do not come is said in these words.
  template <typename Ask>
  void through_quorum(const Run& run, const std::string& doing, Ask ask) const {
    try {
      ask();
    } catch (const Stop& stop) {
      if (stop.result.cause != Cause::timeout) throw;
      throw Stop(check::fail(Cause::timeout, site_.origin + ": it answers, but " + doing + " was not done within " +
                                                 check::in_words(check::monotonic_now() - run.began) +
                                                 ": is its quorum lost?"));
    }
  }

  // A login lasts: etcd hashes the password for some 50 ms and writes the token to its log. It ends with the member, or
  // after five minutes unused, and is then made once more.
  std::string with_login(Run& run, const std::string& path, const std::string& body, const std::string& doing,
                         Duration* took) {
    const bool is_old = !token_.empty();
    if (!user_.empty() && token_.empty()) log_in(run);
    Duration began = check::monotonic_now();
    Answer answer = exchange(run, path, body, doing, token_);
    const auto refusal = read_refusal(answer.body);
    if (is_old && refusal && refusal->words.find("auth token") != std::string::npos) {
      log_in(run);
      began = check::monotonic_now();
      answer = exchange(run, path, body, doing, token_);
    }
    if (took != nullptr) *took = check::monotonic_now() - began;
    if (answer.status != 200) throw Stop(refused(answer, doing));
    return answer.body;
  }

  void log_in(Run& run) {
    token_.clear();
    const Duration began = check::monotonic_now();
    const std::string body =
        post(run, "auth/authenticate", login_request(user_, password_), "a login as " + check::shown(user_), "");
    run.login_took = check::monotonic_now() - began;
    token_ = read_token(body);
    if (token_.empty() || token_.find_first_of("\r\n") != std::string::npos) {
      token_.clear();
      throw Stop(nonsense("a login"));
    }
  }

  std::string post(Run& run, const std::string& path, const std::string& body, const std::string& doing,
                   const std::string& token) const {
    const Answer answer = exchange(run, path, body, doing, token);
    if (answer.status != 200) throw Stop(refused(answer, doing));
    return answer.body;
  }

  Answer exchange(Run& run, const std::string& path, const std::string& body, const std::string& doing,
                  const std::string& token) const {
    http::Request request{
        "POST", site_.origin + site_.prefix + "/v3/" + path, {{"Content-Type", "application/json"}}, body};
    if (!token.empty()) request.headers.emplace_back("Authorization", token);
    return run.client.ask(request, run.until, target(doing));
  }

  std::string target(const std::string& doing) const { return site_.origin + ": " + doing + ": "; }
  Result refused(const Answer& answer, const std::string& doing) const {
    Result result = refusal_meaning(answer.status, answer.body);
    result.text = target(doing) + result.text;
    return result;
  }
  Result nonsense(const std::string& doing) const {
    return check::fail(Cause::protocol, target(doing) + "the answer is not etcd's");
  }

  void note(Run& run, const Status& status) const {
    run.seen.fact("role", status.is_learner ? "learner" : status.is_leader() ? "leader" : "follower");
    run.seen.fact("version", check::tidy(status.version, 40));
    run.seen.fact("member", status.member);
    run.seen.fact("cluster", status.cluster);
    run.seen.measure("term", status.term);
    run.seen.measure("entries_behind", status.behind);
    demands_.db_size.measure(run.seen, "db_size", status.db_size, "B");
    run.seen.measure("db_in_use", status.db_in_use, "B");
  }

  static void add_phases(const Run& run, Result& result) {
    Duration rest = check::monotonic_now() - run.began;
    const auto add = [&](Phase phase, Duration took) {
      if (took < Duration::zero()) return;
      result.phase(phase, took);
      rest -= took;
    };
    add(Phase::resolve, run.resolve_took);
    add(Phase::connect, run.client.connect_took());
    add(Phase::tls, run.client.tls_took());
    add(Phase::auth, run.login_took);
    if (run.resolve_took >= Duration::zero()) add(Phase::exchange, rest);
  }

  const http::Site site_;
  const http::Trust trust_;
  const int family_;
  const std::string user_, password_, key_;
  const bool writes_;
  const std::string write_prefix_;
  Demands demands_;
  std::string token_;  // of the last login
};

constexpr const char* roles[] = {"any", "leader", "follower", nullptr};
constexpr OptionRow options[] = {
    {"url", Type::string, "http://127.0.0.1:2379", "a client URL of one member: the one beside this agent",
     "https://etcd1.example.jp:2379"},
    {"user", Type::string, nullptr, "who logs in, where etcd has authentication on", "monitor"},
    {"password", Type::string, nullptr, "the user's password", nullptr, VITAL_OPTION_SECRET},
    {"role", Type::choice, "any", "what the member must be", nullptr, 0, roles},
    {"key", Type::string, "vitald/probe",
     "the key that is read through the quorum; it need not exist, but the user must be allowed to read it"},
    {"write", Type::boolean, "false",
     "write a key of our own under a lease, read it back, and remove it: four more turns of the quorum"},
    {"write_prefix", Type::string, "vitald/probe/", "what the names of those keys begin with"},
    {"min_members", Type::integer, nullptr, "fewer voting members that have ever started are a warning", "3", 0,
     nullptr, 1, 100},
    {"warn_read", Type::duration, nullptr, "a read through the quorum that takes longer than this is a warning",
     "200ms"},
    {"fail_read", Type::duration, nullptr, "one that takes longer than this is a failure", "1s"},
    {"warn_db_size", Type::size, nullptr, "a database larger than this is a warning; its quota is 2GiB by default",
     "1500MiB"},
    {"fail_db_size", Type::size, nullptr, "one larger than this is a failure", "1900MiB"},
    VITAL_CLIENT_ROWS,
};

}  // namespace
}  // namespace vital::etcd

using vital::etcd::Etcd;
using vital::etcd::options;
VITAL_BLOCKING_MODULE(Etcd, "etcd", "1.0", "an etcd member: leader, alarms, and a read through its quorum", options)
