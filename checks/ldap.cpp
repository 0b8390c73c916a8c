// The ldap check: connects (ldap://, ldaps://, ldapi://), does TLS, binds, searches, counts the entries and compares an
// attribute, and unbinds, so that slapd sees an orderly end. libldap does LDAP; the TCP connection is our own, because
// then its failure has an errno and each phase a time. TLS is the trap: libldap 2.5 waits for the handshake without any
// deadline, and spins if it is given LDAP_OPT_NETWORK_TIMEOUT, so it gets none and the fuse ends the wait. [worker]
#include <ldap.h>
#include <openldap.h>

#include "blocking.hpp"
#include "ldap_verdict.hpp"

namespace vital::check::ldap {
namespace {

struct Unbind {
  void operator()(LDAP* ld) const { ldap_unbind_ext(ld, nullptr, nullptr); }
};
using Handle = std::unique_ptr<LDAP, Unbind>;

struct FreeMessage {
  void operator()(LDAPMessage* m) const { ldap_msgfree(m); }
};
using Message = std::unique_ptr<LDAPMessage, FreeMessage>;

struct FreeUrl {
  void operator()(LDAPURLDesc* url) const { ldap_free_urldesc(url); }
};

struct FreeText {
  void operator()(char* text) const { ldap_memfree(text); }
};
using Text = std::unique_ptr<char, FreeText>;

// Hears why libldap did not accept a certificate: it says so in its debug output and nowhere else. The output is the
// library's, hence static; a blocking worker has one probe at a time. Made around the handshake alone, when no password
// is on its way.
class TlsWords {
 public:
  TlsWords() {
    heard().clear();
    listen(-1, [](const char* line) {
      if (std::string_view(line).substr(0, 5) == "TLS: " && heard().size() < 2048)
        heard() += std::string(line + 5) + '\n';
    });
  }
  ~TlsWords() {
    listen(0, [](const char*) {});
  }
  TlsWords(const TlsWords&) = delete;
  TlsWords& operator=(const TlsWords&) = delete;

  std::string why() const { return tls_words(heard()); }

 private:
  static void listen(int level, void (*print)(const char*)) {
    ber_set_option(nullptr, LBER_OPT_LOG_PRINT_FN, reinterpret_cast<const void*>(print));
    ldap_set_option(nullptr, LDAP_OPT_DEBUG_LEVEL, &level);
  }
  static std::string& heard() {
    static std::string text;
    return text;
  }
};

struct Search {
  std::string base, filter, attribute, equals;
  int scope = LDAP_SCOPE_SUBTREE;
  std::vector<std::string> attributes;
  long long min_entries = 1;
};

// One session with one server. Throws Stop with the verdict.
class Session {
 public:
  Session(Handle handle, const std::string& target, const Fuse& fuse, const Stopwatch& watch)
      : handle_(std::move(handle)), target_(target), fuse_(fuse), watch_(watch) {}

  void set(int option, const void* value) const { ldap_set_option(handle_.get(), option, value); }

  void start_tls() const {
    int id = 0;
    need(ldap_start_tls(handle_.get(), nullptr, nullptr, &id), "StartTLS with " + target_);
    need(code_in(wait(id, "StartTLS with " + target_)), "StartTLS with " + target_);
  }

  void shake_hands() const {
    const std::string doing = "TLS with " + target_;
    const TlsWords words;
    const int code = ldap_install_tls(handle_.get());
    if (code == LDAP_SUCCESS) return;
    if (fuse_.has_blown()) late(doing + ": no end of the handshake");
    const std::string why = words.why();
    throw Stop(fail(Cause::tls, doing + ": " + (why.empty() ? diagnostic() : why)));
  }

  // What was agreed on: "TLS1.3". Empty without TLS.
  std::string tls() const {
    char* version = nullptr;
    ldap_get_option(handle_.get(), LDAP_OPT_X_TLS_VERSION, &version);
    return version == nullptr ? "" : Text(version).get();
  }

  void bind(const std::string& dn, const std::string& password, const char* mechanism, const std::string& as) const {
    berval secret{password.size(), const_cast<char*>(password.data())};
    int id = 0;
    const std::string doing = "bind as " + as + " to " + target_;
    const int sent = ldap_sasl_bind(handle_.get(), dn.c_str(), mechanism, &secret, nullptr, nullptr, &id);
    need(sent, doing);
    const int code = code_in(wait(id, doing));
    need(code, meaning_of(code).cause == Cause::auth ? doing + " refused" : doing);
  }

  // The entries found, at most `limit` of them.
  std::vector<Message> search(const Search& s, int limit) const {
    std::vector<char*> attributes;
    for (const std::string& a : s.attributes) attributes.push_back(const_cast<char*>(a.c_str()));
    attributes.push_back(nullptr);
    const std::string doing = "search for " + s.filter + " below \"" + s.base + "\" on " + target_;
    timeval patience = time_left();
    int id = 0;
    need(ldap_search_ext(handle_.get(), s.base.c_str(), s.scope, s.filter.c_str(), attributes.data(), 0, nullptr,
                         nullptr, &patience, limit, &id),
         doing);
    std::vector<Message> entries;
    for (;;) {
      Message message = wait(id, doing);
      const int type = ldap_msgtype(message.get());
      if (type == LDAP_RES_SEARCH_ENTRY) entries.push_back(std::move(message));
      if (entries.size() > static_cast<std::size_t>(limit)) {  // a server that does not keep to the limit
        ldap_abandon_ext(handle_.get(), id, nullptr, nullptr);
        return entries;
      }
      if (type != LDAP_RES_SEARCH_RESULT) continue;  // and references to other servers, which are not followed
      const int code = code_in(std::move(message));
      if (code != LDAP_SIZELIMIT_EXCEEDED) need(code, doing);  // there are more than we want to see
      return entries;
    }
  }

  // Whether one of the entries has this value, and the first other value seen.
  bool has_value(const std::vector<Message>& entries, const Search& s, std::string& other) const {
    for (const Message& entry : entries) {
      berval** values = ldap_get_values_len(handle_.get(), entry.get(), s.attribute.c_str());
      bool is_found = false;
      for (int i = 0; values != nullptr && values[i] != nullptr; ++i) {
        const std::string value(values[i]->bv_val, values[i]->bv_len);
        is_found = is_found || value == s.equals;
        if (other.empty()) other = value;
      }
      ldap_value_free_len(values);
      if (is_found) return true;
    }
    return false;
  }

 private:
  [[noreturn]] void late(const std::string& what) const {
    throw Stop(fail(Cause::timeout, what + " within " + in_words(watch_.elapsed())));
  }

  timeval time_left() const {
    const Duration left = std::max<Duration>(fuse_.at() - monotonic_now(), std::chrono::milliseconds(1));
    return {left / std::chrono::seconds(1), (left % std::chrono::seconds(1)).count() / 1000};
  }

  // The next message of an operation.
  Message wait(int id, const std::string& doing) const {
    timeval left = time_left();
    LDAPMessage* message = nullptr;
    const int type = ldap_result(handle_.get(), id, LDAP_MSG_ONE, &left, &message);
    Message owner(message);
    if (type == 0 || (type < 0 && fuse_.has_blown())) late(doing + ": no answer");
    if (type < 0) need(own_error(), doing);
    return owner;
  }

  // The result code of an operation's last message; its words are kept for need().
  int code_in(Message message) const {
    int code = LDAP_OTHER;
    char* words = nullptr;
    const int parsed = ldap_parse_result(handle_.get(), message.release(), &code, nullptr, &words, nullptr, nullptr, 1);
    const Text owner(words);
    if (parsed != LDAP_SUCCESS) code = parsed;
    return code;
  }

  // Throws unless the code says success.
  void need(int code, const std::string& doing) const {
    if (code == LDAP_SUCCESS) return;
    if (fuse_.has_blown()) late(doing + ": no answer");
    const Meaning m = meaning_of(code);
    throw Stop(make_result(m.verdict, m.cause, doing + ": " + words_for(code, diagnostic())));
  }

  int own_error() const {
    int code = LDAP_OTHER;
    ldap_get_option(handle_.get(), LDAP_OPT_RESULT_CODE, &code);
    return code == LDAP_SUCCESS ? LDAP_SERVER_DOWN : code;
  }

  std::string diagnostic() const {
    char* words = nullptr;
    ldap_get_option(handle_.get(), LDAP_OPT_DIAGNOSTIC_MESSAGE, &words);
    return words == nullptr ? "" : tidy(Text(words).get());
  }

  const Handle handle_;
  const std::string& target_;
  const Fuse& fuse_;
  const Stopwatch& watch_;
};

class Ldap final : public Blocking {
 public:
  explicit Ldap(const Options& o)
      : uri_(o.text("uri")),
        family_(family_option(o)),
        uses_start_tls_(o.boolean("start_tls")),
        bind_dn_(o.text_or("bind_dn", "")),
        password_(o.text_or("password", "")),
        is_external_(o.text("sasl") == "external"),
        verifies_(o.text("tls.mode") == "verify"),
        ca_(o.text_or("tls.ca", "")),
        certificate_(o.text_or("tls.certificate", "")),
        key_(o.text_or("tls.key", "")),
        server_name_(o.text_or("tls.server_name", "")) {
    read_uri();
    if (uses_start_tls_ && scheme_ != "ldap")
      throw Invalid("start_tls", "is for ldap:// alone; leave it out with " + scheme_ + "://");
    if (is_external_ && (!bind_dn_.empty() || !password_.empty())) {
      throw Invalid(
          "sasl",
          "external takes the identity from the certificate or the Unix socket; leave out bind_dn and password");
    }
    if (bind_dn_.empty() && !password_.empty())
      throw Invalid("bind_dn", "is missing, but there is a password: write both or none");
    if (!bind_dn_.empty() && password_.empty()) {
      throw Invalid(
          "password",
          "is missing: a bind without one is anonymous whatever bind_dn says; write password_file, or no bind_dn");
    }
    if (certificate_.empty() != key_.empty()) {
      throw Invalid(key_.empty() ? "tls.key" : "tls.certificate",
                    "tls.certificate and tls.key need each other: write both");
    }
    if (ca_.empty()) ca_ = system_authorities;
    if (!verifies_) ca_.clear();
    read_search(o);
  }

  Result probe(const Attempt& attempt) override {
    Stopwatch watch;
    Result result;
    Seen seen;
    try {
      result = run(attempt, watch, seen);
    } catch (const Stop& stop) {
      result = stop.result;
    }
    if (!seen.address.empty()) result.fact("address", seen.address);
    if (!seen.tls.empty()) result.fact("tls", seen.tls);
    return watch.into(result);
  }

 private:
  // What is known of the connection, however the probe ends.
  struct Seen {
    std::string address;  // the one that was tried last
    std::string tls;
  };

  void read_uri() {
    LDAPURLDesc* raw = nullptr;
    if (ldap_url_parse(uri_.c_str(), &raw) != LDAP_URL_SUCCESS) {
      throw Invalid(
          "uri",
          "\"" + uri_ +
              "\" is not an LDAP URI; write ldap://HOST[:PORT], ldaps://HOST[:PORT] or ldapi://%2Frun%2Fslapd%2Fldapi");
    }
    const std::unique_ptr<LDAPURLDesc, FreeUrl> url(raw);
    scheme_ = url->lud_scheme;
    if (scheme_ != "ldap" && scheme_ != "ldaps" && scheme_ != "ldapi") {
      throw Invalid("uri", "has the scheme " + scheme_ + "; write ldap://, ldaps:// or ldapi://");
    }
    host_ = url->lud_host == nullptr ? "" : url->lud_host;
    if (host_.empty()) host_ = scheme_ == "ldapi" ? "/run/slapd/ldapi" : "localhost";
    port_ = url->lud_port != 0 ? url->lud_port : scheme_ == "ldaps" ? LDAPS_PORT : LDAP_PORT;
    target_ = scheme_ + "://" + (scheme_ == "ldapi" ? host_ : with_port(host_, port_));
    if (scheme_ == "ldapi" && host_.size() >= sizeof(sockaddr_un::sun_path))
      throw Invalid("uri", "names a socket path that is too long");
  }

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

  Result run(const Attempt& attempt, Stopwatch& watch, Seen& seen) const {
    const bool is_tls = scheme_ == "ldaps" || uses_start_tls_;
    if (is_tls) {
      need_readable("tls.ca", ca_);
      need_readable("tls.certificate", certificate_);
      need_readable("tls.key", key_);
    }
    const Fuse fuse(give_up_at(attempt));
    const int fd = scheme_ == "ldapi" ? connect_unix(fuse) : connect_tcp(fuse, watch, seen);
    watch.lap(Phase::connect);
    const Session session(take(fd), target_, fuse, watch);
    if (is_tls) {
      if (uses_start_tls_) session.start_tls();
      session.shake_hands();
      seen.tls = session.tls();
      watch.lap(Phase::tls);
    }
    const std::string as = is_external_ ? "EXTERNAL" : bind_dn_.empty() ? "anonymous" : bind_dn_;
    session.bind(bind_dn_, password_, is_external_ ? "EXTERNAL" : LDAP_SASL_SIMPLE, as);
    watch.lap(Phase::auth);
    if (!search_) return pass("bound to " + target_ + " as " + as);
    Result result = judge(session, *search_, as);
    watch.lap(Phase::exchange);
    return result;
  }

  Result judge(const Session& session, const Search& s, const std::string& as) const {
    // As many as are needed to judge: all that could carry the value, but never a whole directory.
    constexpr long long most = 1000;
    const long long limit = s.attribute.empty() ? std::max<long long>(s.min_entries, 1) : std::max(s.min_entries, most);
    const std::vector<Message> entries = session.search(s, static_cast<int>(limit));
    const std::string where = s.filter + " below \"" + s.base + "\" on " + target_;
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
    return done(pass("bound to " + target_ + " as " + as + ", " + found + " found"));
  }

  // libldap's handle over a connection of ours, which it closes from now on. Nothing is sent yet.
  Handle take(int fd) const {
    // libldap takes the name that the certificate must carry from here, and nothing else.
    const std::string named = server_name_.empty() || scheme_ == "ldapi" ? uri_ : scheme_ + "://" + server_name_;
    LDAP* raw = nullptr;
    const int code = ldap_init_fd(fd, scheme_ == "ldapi" ? LDAP_PROTO_IPC : LDAP_PROTO_TCP, named.c_str(), &raw);
    if (code != LDAP_SUCCESS) {
      close(fd);
      throw Stop(unknown(Cause::agent, std::string("libldap took no connection: ") + ldap_err2string(code)));
    }
    Handle handle(raw);
    const int version = LDAP_VERSION3;
    ldap_set_option(raw, LDAP_OPT_PROTOCOL_VERSION, &version);
    ldap_set_option(raw, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
    ldap_set_option(raw, LDAP_OPT_RESTART, LDAP_OPT_ON);
    // ldap.conf or the environment may have set one; with it the handshake spins, see the top of this file.
    const timeval none{-1, 0};
    ldap_set_option(raw, LDAP_OPT_NETWORK_TIMEOUT, &none);
    if (scheme_ != "ldapi") use_tls_options(raw);
    return handle;
  }

  void use_tls_options(LDAP* ld) const {
    const auto file = [&](int option, const std::string& path) {
      if (!path.empty()) ldap_set_option(ld, option, path.c_str());
    };
    file(LDAP_OPT_X_TLS_CACERTFILE, ca_);
    file(LDAP_OPT_X_TLS_CERTFILE, certificate_);
    file(LDAP_OPT_X_TLS_KEYFILE, key_);
    const int require = verifies_ ? LDAP_OPT_X_TLS_DEMAND : LDAP_OPT_X_TLS_NEVER;
    ldap_set_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &require);
    const int is_server = 0;
    if (scheme_ == "ldaps" || uses_start_tls_) {
      if (ldap_set_option(ld, LDAP_OPT_X_TLS_NEWCTX, &is_server) != LDAP_OPT_SUCCESS) {
        throw Stop(unknown(
            Cause::config,
            "libldap does not accept tls.ca, tls.certificate or tls.key: are they PEM files that belong together?"));
      }
    }
  }

  int connect_unix(const Fuse& fuse) const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, host_.c_str(), host_.size() + 1);
    return connect_to(reinterpret_cast<const sockaddr*>(&address), sizeof address, fuse.at(), target_);
  }

  int connect_tcp(const Fuse& fuse, Stopwatch& watch, Seen& seen) const {
    const std::vector<Address> addresses = resolve(host_, port_, fuse.at(), family_);
    watch.lap(Phase::resolve);
    for (std::size_t i = 0;; ++i) {
      const std::size_t left = addresses.size() - i;
      seen.address = addresses[i].numeric;
      try {
        return connect_to(reinterpret_cast<const sockaddr*>(&addresses[i].storage), addresses[i].length,
                          share_until(fuse.at(), left), target_);
      } catch (const Stop&) {
        if (left == 1) throw;
      }
    }
  }

  std::string uri_;
  int family_;
  bool uses_start_tls_;
  std::string bind_dn_, password_;
  bool is_external_, verifies_;
  std::string ca_, certificate_, key_, server_name_;
  std::string scheme_, host_, target_;
  long long port_ = 0;
  std::optional<Search> search_;
};

constexpr const char* mechanisms[] = {"none", "external", nullptr};
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
VITAL_BLOCKING_MODULE(Ldap, "ldap", "1.0", "LDAP: connect, TLS, bind, and what a search finds", options)
