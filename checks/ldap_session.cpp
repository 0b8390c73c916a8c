#include "ldap_session.hpp"

#include <openldap.h>

#include "ldap_verdict.hpp"

namespace vital::check::ldap {
namespace {

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

void use_tls_options(const Place& place, LDAP* ld) {
  const auto file = [&](int option, const std::string& path) {
    if (!path.empty()) ldap_set_option(ld, option, path.c_str());
  };
  file(LDAP_OPT_X_TLS_CACERTFILE, place.ca);
  file(LDAP_OPT_X_TLS_CERTFILE, place.certificate);
  file(LDAP_OPT_X_TLS_KEYFILE, place.key);
  const int require = place.verifies ? LDAP_OPT_X_TLS_DEMAND : LDAP_OPT_X_TLS_NEVER;
  ldap_set_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &require);
  const int is_server = 0;
  if (place.scheme == "ldaps" || place.uses_start_tls) {
    if (ldap_set_option(ld, LDAP_OPT_X_TLS_NEWCTX, &is_server) != LDAP_OPT_SUCCESS) {
      throw Stop(unknown(
          Cause::config,
          "libldap does not accept tls.ca, tls.certificate or tls.key: are they PEM files that belong together?"));
    }
  }
}

// libldap's handle over a connection of ours, which it closes from now on. Nothing is sent yet.
Handle take(const Place& place, int fd) {
  // libldap takes the name that the certificate must carry from here, and nothing else.
  const std::string named =
      place.server_name.empty() || place.scheme == "ldapi" ? place.uri : place.scheme + "://" + place.server_name;
  LDAP* raw = nullptr;
  const int code = ldap_init_fd(fd, place.scheme == "ldapi" ? LDAP_PROTO_IPC : LDAP_PROTO_TCP, named.c_str(), &raw);
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
  if (place.scheme != "ldapi") use_tls_options(place, raw);
  return handle;
}

int connect_unix(const Place& place, const Fuse& fuse) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, place.host.c_str(), place.host.size() + 1);
  return connect_to(reinterpret_cast<const sockaddr*>(&address), sizeof address, fuse.at(), place.target);
}

int connect_tcp(const Place& place, const Fuse& fuse, Stopwatch& watch, Seen& seen) {
  const std::vector<Address> addresses = resolve(place.host, place.port, fuse.at(), place.family);
  watch.lap(Phase::resolve);
  seen.doing = Phase::connect;
  for (std::size_t i = 0;; ++i) {
    const std::size_t left = addresses.size() - i;
    seen.address = addresses[i].numeric;
    try {
      return connect_to(reinterpret_cast<const sockaddr*>(&addresses[i].storage), addresses[i].length,
                        share_until(fuse.at(), left), place.target);
    } catch (const Stop&) {
      if (left == 1) throw;
    }
  }
}

}  // namespace

void Place::read_uri(const char* option) {
  LDAPURLDesc* raw = nullptr;
  if (ldap_url_parse(uri.c_str(), &raw) != LDAP_URL_SUCCESS) {
    throw Invalid(
        option,
        "\"" + uri +
            "\" is not an LDAP URI; write ldap://HOST[:PORT], ldaps://HOST[:PORT] or ldapi://%2Frun%2Fslapd%2Fldapi");
  }
  const std::unique_ptr<LDAPURLDesc, FreeUrl> url(raw);
  scheme = url->lud_scheme;
  if (scheme != "ldap" && scheme != "ldaps" && scheme != "ldapi") {
    throw Invalid(option, "has the scheme " + scheme + "; write ldap://, ldaps:// or ldapi://");
  }
  host = url->lud_host == nullptr ? "" : url->lud_host;
  if (host.empty()) host = scheme == "ldapi" ? "/run/slapd/ldapi" : "localhost";
  if (url->lud_port < 0 || url->lud_port > 65535)
    throw Invalid(option, "\"" + uri + "\" names a port that cannot be; write a number up to 65535");
  port = url->lud_port != 0 ? url->lud_port : scheme == "ldaps" ? LDAPS_PORT : LDAP_PORT;
  target = scheme + "://" + (scheme == "ldapi" ? host : with_port(host, port));
  if (scheme == "ldapi" && host.size() >= sizeof(sockaddr_un::sun_path))
    throw Invalid(option, "names a socket path that is too long");
}

std::unique_ptr<Session> Session::open(const Place& place, const Fuse& fuse, Stopwatch& watch, Seen& seen) {
  if (place.is_tls()) {
    need_readable("tls.ca", place.ca);
    need_readable("tls.certificate", place.certificate);
    need_readable("tls.key", place.key);
  }
  const bool is_unix = place.scheme == "ldapi";
  if (is_unix) seen.doing = Phase::connect;  // no name to resolve
  const int fd = is_unix ? connect_unix(place, fuse) : connect_tcp(place, fuse, watch, seen);
  watch.lap(Phase::connect);
  seen.doing = place.is_tls() ? Phase::tls : Phase::auth;
  std::unique_ptr<Session> session(new Session(take(place, fd), place.target, fuse, watch));
  if (place.is_tls()) {
    if (place.uses_start_tls) session->start_tls();
    session->shake_hands();
    seen.tls = session->tls();
    watch.lap(Phase::tls);
    seen.doing = Phase::auth;
  }
  session->bind(place.bind_dn, place.password, place.is_external ? "EXTERNAL" : LDAP_SASL_SIMPLE, place.as());
  watch.lap(Phase::auth);
  seen.doing = Phase::exchange;
  return session;
}

void Session::start_tls() const {
  int id = 0;
  need(ldap_start_tls(handle_.get(), nullptr, nullptr, &id), "StartTLS with " + target_);
  need(code_in(wait(id, "StartTLS with " + target_)), "StartTLS with " + target_);
}

void Session::shake_hands() const {
  const std::string doing = "TLS with " + target_;
  const TlsWords words;
  const int code = ldap_install_tls(handle_.get());
  if (code == LDAP_SUCCESS) return;
  if (fuse_.has_blown()) late(doing + ": no end of the handshake");
  const std::string why = words.why();
  throw Stop(fail(Cause::tls, doing + ": " + (why.empty() ? diagnostic() : why)));
}

// What was agreed on: "TLS1.3". Empty without TLS.
std::string Session::tls() const {
  char* version = nullptr;
  ldap_get_option(handle_.get(), LDAP_OPT_X_TLS_VERSION, &version);
  return version == nullptr ? "" : Text(version).get();
}

void Session::bind(const std::string& dn, const std::string& password, const char* mechanism,
                   const std::string& as) const {
  berval secret{password.size(), const_cast<char*>(password.data())};
  int id = 0;
  const std::string doing = "bind as " + as + " to " + target_;
  const int sent = ldap_sasl_bind(handle_.get(), dn.c_str(), mechanism, &secret, nullptr, nullptr, &id);
  need(sent, doing);
  const int code = code_in(wait(id, doing));
  need(code, meaning_of(code).cause == Cause::auth ? doing + " refused" : doing);
}

// The entries found, at most `limit` of them.
std::vector<Message> Session::search(const Search& s, int limit) const {
  std::vector<char*> attributes;
  for (const std::string& a : s.attributes) attributes.push_back(const_cast<char*>(a.c_str()));
  attributes.push_back(nullptr);
  const std::string doing = "search for " + s.filter + " below \"" + s.base + "\" on " + target_;
  timeval patience = time_left();
  int id = 0;
  need(ldap_search_ext(handle_.get(), s.base.c_str(), s.scope, s.filter.c_str(), attributes.data(), 0, nullptr, nullptr,
                       &patience, limit, &id),
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
bool Session::has_value(const std::vector<Message>& entries, const Search& s, std::string& other) const {
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

void Session::late(const std::string& what) const {
  throw Stop(fail(Cause::timeout, what + " within " + in_words(watch_.elapsed())));
}

timeval Session::time_left() const {
  const Duration left = std::max<Duration>(fuse_.at() - monotonic_now(), std::chrono::milliseconds(1));
  return {left / std::chrono::seconds(1), (left % std::chrono::seconds(1)).count() / 1000};
}

// The next message of an operation.
Message Session::wait(int id, const std::string& doing) const {
  timeval left = time_left();
  LDAPMessage* message = nullptr;
  const int type = ldap_result(handle_.get(), id, LDAP_MSG_ONE, &left, &message);
  Message owner(message);
  if (type == 0 || (type < 0 && fuse_.has_blown())) late(doing + ": no answer");
  if (type < 0) need(own_error(), doing);
  return owner;
}

// The result code of an operation's last message; its words are kept for need().
int Session::code_in(Message message) const {
  int code = LDAP_OTHER;
  char* words = nullptr;
  const int parsed = ldap_parse_result(handle_.get(), message.release(), &code, nullptr, &words, nullptr, nullptr, 1);
  const Text owner(words);
  if (parsed != LDAP_SUCCESS) code = parsed;
  return code;
}

// Throws unless the code says success.
void Session::need(int code, const std::string& doing) const {
  if (code == LDAP_SUCCESS) return;
  if (fuse_.has_blown()) late(doing + ": no answer");
  const Meaning m = meaning_of(code);
  throw Stop(make_result(m.verdict, m.cause, doing + ": " + words_for(code, diagnostic())));
}

int Session::own_error() const {
  int code = LDAP_OTHER;
  ldap_get_option(handle_.get(), LDAP_OPT_RESULT_CODE, &code);
  return code == LDAP_SUCCESS ? LDAP_SERVER_DOWN : code;
}

std::string Session::diagnostic() const {
  char* words = nullptr;
  ldap_get_option(handle_.get(), LDAP_OPT_DIAGNOSTIC_MESSAGE, &words);
  return words == nullptr ? "" : tidy(Text(words).get());
}

std::vector<std::string> Session::values(const Message& entry, const char* attribute) const {
  std::vector<std::string> out;
  berval** raw = ldap_get_values_len(handle_.get(), entry.get(), attribute);
  for (int i = 0; raw != nullptr && raw[i] != nullptr; ++i) out.emplace_back(raw[i]->bv_val, raw[i]->bv_len);
  ldap_value_free_len(raw);
  return out;
}

void Session::replace(const std::string& dn, const std::string& attribute, const std::string& value) const {
  berval bytes{value.size(), const_cast<char*>(value.data())};
  berval* values[] = {&bytes, nullptr};
  LDAPMod change{};
  change.mod_op = LDAP_MOD_REPLACE | LDAP_MOD_BVALUES;
  change.mod_type = const_cast<char*>(attribute.c_str());
  change.mod_vals.modv_bvals = values;
  LDAPMod* changes[] = {&change, nullptr};
  const std::string doing = "write of " + attribute + " of \"" + dn + "\"";
  int id = 0;
  need(ldap_modify_ext(handle_.get(), dn.c_str(), changes, nullptr, nullptr, &id), doing);
  const int code = code_in(wait(id, doing));
  if (code == LDAP_REFERRAL || code == LDAP_UNWILLING_TO_PERFORM) {
    throw Stop(fail(Cause::role, doing + ": this server takes no writes: " + words_for(code, diagnostic())));
  }
  if (code == LDAP_NO_SUCH_OBJECT) throw Stop(fail(Cause::content, doing + ": there is no such entry"));
  need(code, doing);
}

}  // namespace vital::check::ldap
