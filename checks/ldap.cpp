// The ldap check: connects, does TLS, binds, searches, counts the entries and compares an attribute; compares the
// directory with its provider, asks how its syncrepl stands, writes a value if it is told where; and unbinds, so that
// slapd sees an orderly end. The session is ldap_session's. [worker]
#include <sys/time.h>

#include "ldap_session.hpp"
#include "ldap_sync.hpp"
#include "ldap_verdict.hpp"

namespace vital::check::ldap {
namespace {

class Ldap final : public Blocking {
 public:
  explicit Ldap(const Options& o)
      : limits_(SyncLimits::options(o)),
        wants_syncrepl_(o.boolean("syncrepl") || limits_.contact_s.is_set()),
        role_(o.text("role")) {
    place_.uri = o.text("uri");
    place_.family = family_option(o);
    place_.uses_start_tls = o.boolean("start_tls");
    place_.bind_dn = o.text_or("bind_dn", "");
    place_.password = o.text_or("password", "");
    place_.is_external = o.text("sasl") == "external";
    place_.verifies = o.text("tls.mode") == "verify";
    place_.ca = o.text_or("tls.ca", "");
    place_.certificate = o.text_or("tls.certificate", "");
    place_.key = o.text_or("tls.key", "");
    place_.server_name = o.text_or("tls.server_name", "");
    place_.read_uri("uri");
    if (place_.uses_start_tls && place_.scheme != "ldap") {
      throw Invalid("start_tls", "is for ldap:// alone; leave it out with " + place_.scheme + "://");
    }
    if (place_.is_external && (!place_.bind_dn.empty() || !place_.password.empty())) {
      throw Invalid(
          "sasl",
          "external takes the identity from the certificate or the Unix socket; leave out bind_dn and password");
    }
    if (place_.bind_dn.empty() && !place_.password.empty())
      throw Invalid("bind_dn", "is missing, but there is a password: write both or none");
    if (!place_.bind_dn.empty() && place_.password.empty()) {
      throw Invalid(
          "password",
          "is missing: a bind without one is anonymous whatever bind_dn says; write password_file, or no bind_dn");
    }
    if (place_.certificate.empty() != place_.key.empty()) {
      throw Invalid(place_.key.empty() ? "tls.key" : "tls.certificate",
                    "tls.certificate and tls.key need each other: write both");
    }
    if (place_.ca.empty()) place_.ca = system_authorities;
    if (!place_.verifies) place_.ca.clear();
    read_search(o);
    read_provider(o);
    write_dn_ = o.text_or("write_dn", "");
    write_attribute_ = o.text("write_attribute");
  }

  Result probe(const Attempt& attempt) override {
    Stopwatch watch;
    Result result;
    Seen seen;
    try {
      result = run(attempt, watch, seen);
    } catch (const Stop& stop) {
      watch.lap(seen.doing);
      result = stop.result;
    }
    if (!seen.address.empty()) result.fact("address", seen.address);
    if (!seen.tls.empty()) result.fact("tls", seen.tls);
    return watch.into(result);
  }

 private:
  void read_search(const Options& o) {
    if (!o.has("search.base")) {
      for (const char* name :
           {"search.filter", "search.attributes", "search.min_entries", "search.attribute", "search.equals"}) {
        if (o.has(name))
          throw Invalid("search.base", std::string("is missing, but there is ") + name +
                                           "; write search: {base: \"dc=example,dc=jp\", ...}");
      }
      return;
    }
    Search s;
    s.base = o.text("search.base");
    s.filter = o.text_or("search.filter", "(objectClass=*)");
    s.attributes = o.list("search.attributes");
    s.attribute = o.text_or("search.attribute", "");
    s.equals = o.text_or("search.equals", "");
    s.min_entries = o.integer_or("search.min_entries", 1);
    const std::string scope = o.text("search.scope");
    s.scope = scope == "base" ? LDAP_SCOPE_BASE : scope == "one" ? LDAP_SCOPE_ONELEVEL : LDAP_SCOPE_SUBTREE;
    if (o.has("search.attribute") != o.has("search.equals")) {
      throw Invalid(o.has("search.equals") ? "search.attribute" : "search.equals",
                    "search.attribute and search.equals need each other: write both");
    }
    if (!s.attribute.empty()) s.attributes.push_back(s.attribute);
    if (s.attributes.empty()) s.attributes.push_back(LDAP_NO_ATTRS);
    search_ = std::move(s);
  }

  // The provider is another server that is logged in to in the same way.
  void read_provider(const Options& o) {
    if (o.has("provider") != o.has("sync_base")) {
      throw Invalid(o.has("provider") ? "sync_base" : "provider", "provider and sync_base need each other: write both");
    }
    if (!o.has("provider")) {
      if (limits_.lag_s.is_set()) {
        throw Invalid(o.has("warn_lag") ? "warn_lag" : "fail_lag",
                      "needs a provider to compare with; write provider and sync_base");
      }
      return;
    }
    Place provider = place_;
    provider.uri = o.text("provider");
    provider.server_name.clear();
    provider.read_uri("provider");
    if (provider.scheme != "ldap") provider.uses_start_tls = false;
    provider_ = std::move(provider);
    sync_base_ = o.text("sync_base");
  }

  Result run(const Attempt& attempt, Stopwatch& watch, Seen& seen) const {
    const Fuse fuse(give_up_at(attempt));
    const std::unique_ptr<Session> session = Session::open(place_, fuse, watch, seen);
    Result result =
        search_ ? judge(*session, *search_, place_.as()) : pass("bound to " + place_.target + " as " + place_.as());
    if (!search_ && !provider_ && !wants_syncrepl_ && !wants_role() && write_dn_.empty()) return result;
    Findings found;
    if (result.verdict == Verdict::pass) {
      std::optional<std::vector<SyncRepl>> follows;
      if (wants_syncrepl_ || wants_role()) follows = syncrepls(*session);
      // With a role asked for, one that follows nobody is a provider and no mistake.
      const bool is_provider = wants_role() && follows && follows->empty();
      if (wants_syncrepl_ && !is_provider) {
        timeval now{};
        gettimeofday(&now, nullptr);
        ldap::judge(follows.value_or(std::vector<SyncRepl>{}), static_cast<double>(now.tv_sec), limits_, found, result);
      }
      if (provider_) compare(*session, fuse, found, result);
      const bool is_writable = !write_dn_.empty() && write(*session, found, result);
      if (wants_role()) judge_role(follows, is_writable, role_, found, result);
    }
    watch.lap(Phase::exchange);
    return found.into(std::move(result), place_.target);
  }

  Result judge(const Session& session, const Search& s, const std::string& as) const {
    // As many as are needed to judge: all that could carry the value, but never a whole directory.
    constexpr long long most = 1000;
    const long long limit = s.attribute.empty() ? std::max<long long>(s.min_entries, 1) : std::max(s.min_entries, most);
    const std::vector<Message> entries = session.search(s, static_cast<int>(limit));
    const std::string where = s.filter + " below \"" + s.base + "\" on " + place_.target;
    const auto count = static_cast<long long>(entries.size());
    const std::string found = std::to_string(count) + (count == 1 ? " entry" : " entries");
    const auto done = [&](Result r) {
      r.measure("entries", static_cast<double>(count), "", no_threshold, static_cast<double>(s.min_entries));
      return r;
    };
    if (count < s.min_entries) {
      return done(
          fail(Cause::content, found + " for " + where + ", expected at least " + std::to_string(s.min_entries)));
    }
    std::string other;
    if (!s.attribute.empty() && !session.has_value(entries, s, other)) {
      return done(fail(Cause::content, "no entry for " + where + " has " + s.attribute + ": " + s.equals +
                                           (other.empty() ? ", nor any value" : ", but " + tidy(other, 60))));
    }
    return done(pass("bound to " + place_.target + " as " + as + ", " + found + " found"));
  }

  ContextCsn context_csn_of(const Session& session, const std::string& target) const {
    Search s;
    s.base = sync_base_;
    s.filter = "(objectClass=*)";
    s.scope = LDAP_SCOPE_BASE;
    s.attributes = {"contextCSN"};
    const std::vector<Message> entries = session.search(s, 1);
    const ContextCsn csn = entries.empty() ? ContextCsn() : context_csn(session.values(entries.front(), "contextCSN"));
    if (csn.empty()) {
      throw Stop(unknown(Cause::config, "\"" + sync_base_ + "\" on " + target +
                                            " shows no contextCSN: does it replicate, and may this user read it?"));
    }
    return csn;
  }

  // A provider that cannot be asked is its own check's business: this directory may be what is left.
  void compare(const Session& session, const Fuse& fuse, Findings& found, Result& result) const {
    ContextCsn theirs;
    try {
      Stopwatch watch;
      Seen seen;
      // Half of what is left, so that a silent provider does not make this server late.
      const Fuse half(monotonic_now() + (fuse.at() - monotonic_now()) / 2);
      const std::unique_ptr<Session> provider = Session::open(*provider_, half, watch, seen);
      theirs = context_csn_of(*provider, provider_->target);
    } catch (const Stop& stop) {
      return found.add(Verdict::warn, stop.result.cause, "its provider cannot be compared with: " + stop.result.text);
    }
    try {
      ldap::judge(settle(session, theirs, fuse), provider_->target, limits_, found, result);
    } catch (const Stop& stop) {
      found.add(stop.result.verdict, stop.result.cause, stop.result.text);
    }
  }

  // A change is on its way for a moment: a consumer that has it within a second was not behind.
  Behind settle(const Session& session, const ContextCsn& theirs, const Fuse& fuse) const {
    const Duration until =
        std::min(fuse.at() - (fuse.at() - monotonic_now()) / 2, monotonic_now() + std::chrono::seconds(1));
    for (;;) {
      const Behind now = behind(theirs, context_csn_of(session, place_.target));
      const timespec pause{0, 50'000'000};
      if (!now.is_behind() || monotonic_now() + std::chrono::nanoseconds(pause.tv_nsec) >= until) return now;
      nanosleep(&pause, nullptr);
    }
  }

  bool wants_role() const { return role_ != "none"; }

  // Whom it follows; empty if cn=Monitor cannot be read there.
  static std::optional<std::vector<SyncRepl>> syncrepls(const Session& session) {
    Search s;
    s.base = "cn=Databases,cn=Monitor";
    s.filter = "(objectClass=olmSyncReplInstance)";
    s.attributes = {"olmSRProviderURIList", "olmSRSyncPhase", "olmSRNextConnect", "olmSRLastContact"};
    std::vector<SyncRepl> all;
    try {
      for (const Message& entry : session.search(s, 100)) {
        const auto value = [&](const char* name) {
          const std::vector<std::string> values = session.values(entry, name);
          return values.empty() ? std::string() : values.front();
        };
        all.push_back({value("olmSRProviderURIList"), value("olmSRSyncPhase"), value("olmSRNextConnect"),
                       value("olmSRLastContact")});
      }
    } catch (const Stop& stop) {
      if (stop.result.cause != Cause::content) throw;
      return {};  // no cn=Monitor there: nothing to be seen
    }
    return all;
  }

  // The time, in an entry that is ours alone.
  bool write(const Session& session, Findings& found, Result& result) const {
    const Duration began = monotonic_now();
    char text[64];
    const time_t now = time(nullptr);
    tm parts{};
    gmtime_r(&now, &parts);
    strftime(text, sizeof text, "vitald %Y-%m-%dT%H:%M:%SZ", &parts);
    try {
      session.replace(write_dn_, write_attribute_, text);
      result.measure("write", std::chrono::duration<double>(monotonic_now() - began).count(), "s");
      return true;
    } catch (const Stop& stop) {
      // A consumer takes none, and that is as it should be where any role is.
      const bool is_no_wonder = stop.result.cause == Cause::role && (role_ == "any" || role_ == "consumer");
      if (!is_no_wonder) found.add(stop.result.verdict, stop.result.cause, stop.result.text);
    }
    return false;
  }

  Place place_;
  SyncLimits limits_;
  bool wants_syncrepl_;
  std::string role_;
  std::optional<Search> search_;
  std::optional<Place> provider_;
  std::string sync_base_, write_dn_, write_attribute_;
};

constexpr const char* mechanisms[] = {"none", "external", nullptr};
constexpr const char* roles[] = {"none", "any", "provider", "consumer", nullptr};
constexpr const char* scopes[] = {"base", "one", "sub", nullptr};
constexpr const char* tls_modes[] = {"require", "verify", nullptr};

constexpr OptionRow options[] = {
    {"uri", Type::string, nullptr,
     "ldap://HOST[:PORT], ldaps://HOST[:PORT], or ldapi:// with the socket's path, each / written %2F",
     "ldap://ldap1.example.jp", VITAL_OPTION_REQUIRED},
    {"family", Type::choice, "any", "IP version a name is resolved to", nullptr, 0, families},
    {"start_tls", Type::boolean, "false", "switch to TLS within an ldap:// connection"},
    {"bind_dn", Type::string, nullptr, "who binds; without it the bind is anonymous", "cn=monitor,dc=example,dc=jp"},
    {"password", Type::string, nullptr, "the password of bind_dn", nullptr, VITAL_OPTION_SECRET},
    {"sasl", Type::choice, "none", "external: be who the client certificate or the Unix socket says", nullptr, 0,
     mechanisms},
    {"search.base", Type::string, nullptr, "where to search; without it the bind is all that is checked",
     "ou=people,dc=example,dc=jp"},
    {"search.scope", Type::choice, "sub", "the base alone, one level below it, or the whole tree", nullptr, 0, scopes},
    {"search.filter", Type::string, nullptr, "what to search for; default (objectClass=*)", "(uid=probe)"},
    {"search.attributes", Type::list, nullptr, "attributes to fetch; default none", "[cn, mail]"},
    {"search.min_entries", Type::integer, nullptr, "fewer entries than this is a failure; default 1", "1", 0, nullptr,
     0, 100000},
    {"search.attribute", Type::string, nullptr, "an attribute that one of the entries must carry, with search.equals",
     "description"},
    {"search.equals", Type::string, nullptr, "the value it must have, byte for byte", "alive"},
    {"provider", Type::string, nullptr,
     "another server, logged in to in the same way: this one must have all changes that it has",
     "ldap://ldap1.example.jp"},
    {"sync_base", Type::string, nullptr, "with provider: the suffix whose contextCSN is compared", "dc=example,dc=jp"},
    {"warn_lag", Type::duration, nullptr,
     "further behind the provider than this is a warning; without a limit any lag that stays for a second is one",
     "30s"},
    {"fail_lag", Type::duration, nullptr, "further behind than this is a failure", "10m"},
    {"syncrepl", Type::boolean, "false",
     "true: each syncrepl of this server must be connected and in its phase Persist, by cn=Monitor"},
    {"role", Type::choice, "none",
     "what it must be, by cn=Monitor: a provider follows nobody, a consumer does; any: it says which, for a topology; "
     "none: not asked",
     "any", 0, roles},
    {"warn_contact", Type::duration, nullptr, "a syncrepl that heard nothing for longer than this is a warning", "1h"},
    {"fail_contact", Type::duration, nullptr, "one that heard nothing for longer than this is a failure"},
    {"write_dn", Type::string, nullptr, "an entry of this check's own, into which the time is written",
     "cn=canary,dc=example,dc=jp"},
    {"write_attribute", Type::string, "description", "with write_dn: the attribute that is replaced"},
    {"tls.mode", Type::choice, "verify",
     "with ldaps:// or start_tls: verify (certificate and name) or require (encrypt alone)", nullptr, 0, tls_modes},
    {"tls.ca", Type::string, nullptr, "file with the authorities that verify trusts; default the system's",
     "/etc/vitald/ca.pem"},
    {"tls.certificate", Type::string, nullptr, "file with our own certificate"},
    {"tls.key", Type::string, nullptr, "file with its private key"},
    {"tls.server_name", Type::string, nullptr, "the name the certificate must carry; default the host"},
};

}  // namespace
}  // namespace vital::check::ldap

using vital::check::ldap::Ldap;
using vital::check::ldap::options;
VITAL_BLOCKING_MODULE(Ldap, "ldap", "1.0", "LDAP: connect, TLS, bind, a search, replication, and a write", options)
