// patroni.switchover: has Patroni make another member the leader, by its REST interface. The old leader's name goes
// along, so that Patroni refuses if it is another by then. Believed when every member answers, and only the new leader
// says that it is primary. A leader that is gone Patroni replaces by itself: this is for one that is there.
#include <nlohmann/json.hpp>

#include "action.hpp"
#include "checks/base64.hpp"
#include "checks/http/client.hpp"

namespace {

using namespace vital::action;
using namespace std::chrono_literals;
using vital::http::Answer;
using vital::http::Client;
using vital::http::Site;
using vital::http::Trust;
using Json = nlohmann::json;
namespace http = vital::http;

constexpr OptionRow options[] = {
    {"members", Type::map, nullptr, "Patroni's name of each member to the address of its REST interface",
     "{pg1: \"http://10.0.0.11:8008\", pg2: \"http://10.0.0.12:8008\"}", VITAL_OPTION_REQUIRED},
    {"leader", Type::string, nullptr, "Patroni's name of the old leader; default the member that was primary"},
    {"candidate", Type::string, nullptr, "and of the new one; default the member that is to be"},
    {"scope", Type::string, nullptr, "the cluster's name in Patroni's configuration: another cluster is not touched",
     "orders"},
    {"user", Type::string, nullptr, "who may write, by restapi.authentication"},
    {"password", Type::string, nullptr, "that user's password", nullptr, VITAL_OPTION_SECRET},
    {"max_lag", Type::size, "1MiB", "a candidate that is further behind is refused"},
    VITAL_CLIENT_ROWS,
    VITAL_STEP_ROWS};

struct Member {
  std::string name, url;
  Site site;
};

// What /cluster says of one member.
struct Seen {
  std::string role, state;
  double lag = 0;
  bool has_lag = false;
  bool is_excluded = false;  // its tag nofailover
  bool is_leader() const { return role == "leader" || role == "master" || role == "primary"; }
};
using Cluster = std::vector<std::pair<std::string, Seen>>;

std::string text_of(const Json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : "";
}

std::optional<Cluster> read_cluster(const std::string& body) {
  const Json document = Json::parse(body, nullptr, false);
  if (!document.is_object() || !document.contains("members") || !document["members"].is_array()) return {};
  Cluster out;
  for (const Json& m : document["members"]) {
    if (!m.is_object() || text_of(m, "name").empty()) return {};
    Seen seen{text_of(m, "role"), text_of(m, "state")};
    if (const auto lag = m.find("lag"); lag != m.end() && lag->is_number()) {
      seen.has_lag = true;
      seen.lag = lag->get<double>();
    }
    if (const auto tags = m.find("tags"); tags != m.end() && tags->is_object()) {
      seen.is_excluded = tags->value("nofailover", Json(false)) == true;
    }
    out.emplace_back(text_of(m, "name"), seen);
  }
  return out;
}

const Seen* find(const Cluster& cluster, const std::string& name) {
  for (const auto& [known, seen] : cluster) {
    if (known == name) return &seen;
  }
  return nullptr;
}

std::string leader_of(const Cluster& cluster) {
  for (const auto& [name, seen] : cluster) {
    if (seen.is_leader()) return name;
  }
  return "";
}

class Switchover final : public Action {
 public:
  explicit Switchover(const Options& o)
      : leader_(o.text_or("leader", o.text("step.from"))),
        candidate_(o.text_or("candidate", o.text("step.to"))),
        scope_(o.text_or("scope", "")),
        user_(o.text_or("user", "")),
        password_(o.text_or("password", "")),
        max_lag_(static_cast<double>(o.integer("max_lag"))),
        trust_(Trust::options(o)),
        family_(vital::check::family_option(o)) {
    for (const auto& [name, url] : o.map("members")) {
      try {
        members_.push_back({name, url, Site::read(url, "http://10.0.0.11:8008")});
      } catch (const Invalid& e) {
        throw Invalid("members", name + ": " + e.what());
      }
    }
    if (members_.size() < 2) throw Invalid("members", "needs two members or more");
    if (user_.empty() != password_.empty()) {
      throw Invalid(user_.empty() ? "user" : "password", "user and password_file need each other: write both");
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
  }

  Result check(const Step&, const Attempt& attempt) override {
    return stoppable([&] {
      until_ = give_up_at(attempt);
      const Cluster now = cluster();
      const std::string leader = leader_of(now);
      if (leader.empty()) return fail(Cause::role, "Patroni has no leader: it looks for one by itself");
      if (leader == candidate_) return warn(Cause::role, candidate_ + " is the leader");
      if (const std::string why = obstacle(now); !why.empty()) return fail(Cause::role, why);
      // A request that names no leader is refused, but not before who asks is known.
      const Answer answer = ask(member(leader), "POST", "/switchover", Json{{"candidate", candidate_}});
      if (is_denied(answer)) return fail(Cause::auth, denied(leader, answer));
      return pass("Patroni would make " + candidate_ + " the leader instead of " + leader);
    });
  }

  Result perform(const Step& step, const Attempt& attempt) override {
    return stoppable([&] {
      until_ = give_up_at(attempt);
      const Cluster now = cluster();
      const std::string leader = leader_of(now);
      if (leader == candidate_) return pass(candidate_ + " is the leader already");
      if (leader != leader_) {
        veto("Patroni's leader is " + (leader.empty() ? "nobody" : leader) + " and not " + leader_);
      }
      if (const std::string why = obstacle(now); !why.empty()) veto(why);
      step.begin_effect();
      return told(ask_told(member(leader_), Json{{"leader", leader_}, {"candidate", candidate_}}));
    });
  }

  Result verify(const Step&, const Attempt& attempt) override {
    until_ = give_up_at(attempt);
    return poll_until(until_ - 200ms, 300ms, [&] { return stoppable([&] { return judge(); }); });
  }

 private:
  const Member& member(const std::string& name) const {
    for (const Member& m : members_) {
      if (m.name == name) return m;
    }
    veto("members says nothing of " + name);
  }

  Answer ask(const Member& to, const char* method, const char* path, const Json& document = nullptr) const {
    Client client(to.site, trust_);
    client.resolve(until_, family_);
    http::Request request{method, to.site.origin + to.site.prefix + path};
    if (!document.is_null()) {
      request.body = document.dump();
      request.headers.emplace_back("Content-Type", "application/json");
      if (!user_.empty())
        request.headers.emplace_back("Authorization", "Basic " + vital::check::base64(user_ + ":" + password_));
    }
    return client.ask(request, until_, to.name + ": ");
  }

  // The order itself: whoever does not answer may have taken it.
  Answer ask_told(const Member& to, const Json& document) const {
    try {
      return ask(to, "POST", "/switchover", document);
    } catch (Stop& stop) {
      const Cause cause = stop.result.cause;
      if (cause == Cause::timeout || cause == Cause::protocol) stop.result.fact("outcome", "timeout");
      throw;
    }
  }

  static bool is_denied(const Answer& answer) { return answer.status == 401 || answer.status == 403; }
  std::string denied(const std::string& name, const Answer& answer) const {
    return name + " refuses " + (user_.empty() ? "who gives no user" : user_) + ": " + tidy(answer.body, 100);
  }

  Result told(const Answer& answer) const {
    const std::string said = std::to_string(answer.status) + ": " + tidy(answer.body, 160);
    if (answer.status == 200) return pass("Patroni answered " + said);
    if (is_denied(answer)) return fail(Cause::auth, denied(leader_, answer));
    const Result no = fail(Cause::content, "Patroni answered " + said);
    // It has the order and does not know yet what became of it.
    const bool is_unknown = answer.status == 202 || answer.status >= 500;
    return is_unknown ? Result(no).fact("outcome", "timeout") : no;
  }

  // As the first member that answers sees it; members of another cluster are no members.
  Cluster cluster() const {
    std::string trouble;
    for (const Member& m : members_) {
      try {
        const Answer self = ask(m, "GET", "/patroni");
        const Json document = Json::parse(self.body, nullptr, false);
        const Json about = document.is_object() ? document.value("patroni", Json::object()) : Json();
        if (!about.is_object()) throw Stop(fail(Cause::protocol, m.name + " is no Patroni"));
        if (!scope_.empty() && text_of(about, "scope") != scope_) {
          veto(m.name + " is of the cluster " + shown(text_of(about, "scope")) + ", not of " + scope_);
        }
        auto read = read_cluster(ask(m, "GET", "/cluster").body);
        if (!read) throw Stop(fail(Cause::protocol, m.name + " says nothing of a cluster"));
        return *read;
      } catch (const Stop& stop) {
        trouble = stop.result.text;
      }
    }
    throw Stop(fail(Cause::unreachable, "no member of Patroni says how the cluster is; " + trouble));
  }

  std::string obstacle(const Cluster& now) const {
    const Seen* seen = find(now, candidate_);
    if (seen == nullptr) return "Patroni knows no member " + candidate_;
    member(candidate_);
    if (seen->state != "running" && seen->state != "streaming") return candidate_ + " is " + shown(seen->state);
    if (seen->is_excluded) return candidate_ + " has the tag nofailover";
    if (!seen->has_lag) return "how far " + candidate_ + " is behind is not known";
    if (seen->lag > max_lag_) {
      return candidate_ + " is " + std::to_string(static_cast<long long>(seen->lag)) + " bytes behind";
    }
    return "";
  }

  Result judge() const {
    std::string wrong;
    for (const Member& m : members_) {
      const Answer answer = ask(m, "GET", "/primary");
      const bool is_primary = answer.status == 200;
      if (!is_primary && answer.status != 503) {
        return fail(Cause::protocol, m.name + " answered /primary with " + std::to_string(answer.status));
      }
      if (is_primary == (m.name == candidate_)) continue;
      wrong += (wrong.empty() ? "" : ", ") + m.name + (is_primary ? " is still a primary" : " is no primary");
    }
    if (!wrong.empty()) return fail(Cause::role, wrong);
    const std::string leader = leader_of(cluster());
    if (leader != candidate_) return fail(Cause::role, "Patroni's leader is " + (leader.empty() ? "nobody" : leader));
    return pass(candidate_ + " is the only primary, and Patroni's leader");
  }

  std::string leader_, candidate_, scope_, user_, password_;
  double max_lag_;
  Trust trust_;
  int family_;
  std::vector<Member> members_;
  Duration until_{};
};

}  // namespace

VITAL_ACTION(Switchover, "patroni.switchover", "1.0", "has Patroni make another member the leader", options)
