// Contexts, trust and certificates; see tls.hpp.
#include "tls.hpp"

#include <dirent.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "address.hpp"
#include "text.hpp"

namespace vital::net {
namespace {

struct FreeStore {
  void operator()(X509_STORE* s) const { X509_STORE_free(s); }
};
using Store = std::unique_ptr<X509_STORE, FreeStore>;

struct Stamp {
  timespec changed{};
  ino_t inode = 0;
  bool operator==(const Stamp& o) const {
    return changed.tv_sec == o.changed.tv_sec && changed.tv_nsec == o.changed.tv_nsec && inode == o.inode;
  }
};

struct Trust {
  Stamp stamp;
  Store store;
};

// A directory that `openssl rehash` has been through, where issuers are looked up one by one when they are needed:
// reading the system's whole bundle takes some 20 ms, which the loop does not have.
bool is_hashed(const char* directory) {
  DIR* d = opendir(directory);
  if (d == nullptr) return false;
  bool found = false;
  while (const dirent* entry = readdir(d)) {
    const std::string name = entry->d_name;
    if (name.size() > 2 && name.compare(name.size() - 2, 2, ".0") == 0) {
      found = true;
      break;
    }
  }
  closedir(d);
  return found;
}

// The authorities of `ca`, shared by all checks that name the same and read again when the file changes. Null if it
// cannot be read.
X509_STORE* trust_in(const std::string& ca) {
  static std::map<std::string, Trust> known;
  Stamp stamp;
  bool is_directory = false;
  if (!ca.empty()) {
    struct stat seen {};
    if (stat(ca.c_str(), &seen) != 0) return nullptr;
    stamp = {seen.st_mtim, seen.st_ino};
    is_directory = S_ISDIR(seen.st_mode);
  }
  const auto found = known.find(ca);
  if (found != known.end() && found->second.stamp == stamp) return found->second.store.get();

  Store store(X509_STORE_new());
  bool is_read = false;
  if (ca.empty()) {
    const char* directory = X509_get_default_cert_dir();
    const bool is_default = std::getenv(X509_get_default_cert_dir_env()) == nullptr &&
                            std::getenv(X509_get_default_cert_file_env()) == nullptr;
    is_read = is_default && is_hashed(directory) ? X509_STORE_load_path(store.get(), directory) == 1
                                                 : X509_STORE_set_default_paths(store.get()) == 1;
  } else {
    is_read = (is_directory ? X509_STORE_load_path(store.get(), ca.c_str())
                            : X509_STORE_load_file(store.get(), ca.c_str())) == 1;
  }
  ERR_clear_error();
  if (!is_read) return nullptr;
  X509_STORE* const raw = store.get();
  known.insert_or_assign(ca, Trust{stamp, std::move(store)});
  return raw;
}

std::string printable_name(const X509_NAME* name) {
  char text[256] = "";
  const int length = X509_NAME_get_text_by_NID(name, NID_commonName, text, sizeof text);
  std::string out =
      quoted(length > 0 ? std::string_view(text, static_cast<size_t>(length)) : std::string_view("(no name)"));
  return out.substr(1, out.size() - 2);
}

// The names a certificate is for, of any number the first hundred.
std::vector<std::string> all_names_of(X509* certificate) {
  constexpr size_t most_names = 100;
  std::vector<std::string> out;
  auto* names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  const int count = names != nullptr ? sk_GENERAL_NAME_num(names) : 0;
  for (int i = 0; i < count && out.size() < most_names; ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_DNS) {
      const std::string raw = quoted({reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                                      static_cast<size_t>(ASN1_STRING_length(name->d.dNSName))});
      out.push_back(raw.substr(1, raw.size() - 2));
    } else if (name->type == GEN_IPADD) {
      char address[INET6_ADDRSTRLEN] = "";
      const int family = ASN1_STRING_length(name->d.iPAddress) == 4 ? AF_INET : AF_INET6;
      if (family == AF_INET6 && ASN1_STRING_length(name->d.iPAddress) != 16) continue;
      inet_ntop(family, ASN1_STRING_get0_data(name->d.iPAddress), address, sizeof address);
      out.push_back(address);
    }
  }
  GENERAL_NAMES_free(names);
  return out;
}

// The same for printing, at most a few; the subject's name if there are none.
std::string names_of(X509* certificate) {
  std::string out;
  size_t shown = 0;
  for (const std::string& name : all_names_of(certificate)) {
    if (++shown > 3) return out + ", ...";
    out += (out.empty() ? "" : ", ") + name;
  }
  return out.empty() ? printable_name(X509_get_subject_name(certificate)) : out;
}

std::time_t time_of(const ASN1_TIME* when) {
  tm parts{};
  return ASN1_TIME_to_tm(when, &parts) == 1 ? timegm(&parts) : 0;
}

int context_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

int report_index() {
  static const int index = X509_STORE_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

constexpr size_t max_errors = 8;

// Called for each finding; says "go on" so that all reasons are known, and remembers them: the verdict is ours.
int listen(int is_ok, X509_STORE_CTX* context) {
  if (is_ok == 1) return 1;
  auto* report = static_cast<TlsReport*>(X509_STORE_CTX_get_ex_data(context, report_index()));
  const int error = X509_STORE_CTX_get_error(context);
  if (report->errors.empty()) report->is_chain_error = X509_STORE_CTX_get_error_depth(context) > 0;
  if (std::find(report->errors.begin(), report->errors.end(), error) == report->errors.end() &&
      report->errors.size() < max_errors) {
    report->errors.push_back(error);
  }
  return 1;
}

std::vector<SeenCertificate> seen(STACK_OF(X509) * certificates) {
  std::vector<SeenCertificate> out;
  const int count = certificates != nullptr ? std::min(sk_X509_num(certificates), TlsReport::most_certificates) : 0;
  for (int i = 0; i < count; ++i) {
    X509* one = sk_X509_value(certificates, i);
    out.push_back({printable_name(X509_get_subject_name(one)), printable_name(X509_get_issuer_name(one)), names_of(one),
                   time_of(X509_get0_notBefore(one)), time_of(X509_get0_notAfter(one))});
  }
  return out;
}

// Replaces OpenSSL's call of X509_verify_cert(), to see the peer's certificate whatever becomes of it.
int verify_and_record(X509_STORE_CTX* context, void* user, bool is_strict) noexcept {
  auto* report = static_cast<TlsReport*>(user);
  *report = TlsReport{};
  report->errors.reserve(max_errors);  // listen() is called through C and must not throw
  if (X509* leaf = X509_STORE_CTX_get0_cert(context)) {
    report->is_seen = true;
    report->not_after = time_of(X509_get0_notAfter(leaf));
    report->subject = printable_name(X509_get_subject_name(leaf));
    report->names = names_of(leaf);
    report->all_names = all_names_of(leaf);
  }
  X509_STORE_CTX_set_ex_data(context, report_index(), report);
  X509_STORE_CTX_set_verify_cb(context, listen);
  const int verified = X509_verify_cert(context);
  report->sent = seen(X509_STORE_CTX_get0_untrusted(context));
  if (report->errors.empty()) report->verified = seen(X509_STORE_CTX_get0_chain(context));
  if (verified != 1 && report->errors.empty()) report->errors.push_back(X509_V_ERR_UNSPECIFIED);
  if (!is_strict || report->errors.empty()) {
    X509_STORE_CTX_set_error(context, X509_V_OK);
    return 1;
  }
  X509_STORE_CTX_set_error(context, report->errors.front());
  return 0;
}
// Called when the peer asks for our certificate and none is set.
int note_request(SSL* ssl, X509**, EVP_PKEY**) {
  auto* report = static_cast<TlsReport*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), context_index()));
  if (report != nullptr) report->wants_certificate = true;
  return 0;
}

int verify_strictly(X509_STORE_CTX* context, void* user) { return verify_and_record(context, user, true); }
int verify_leniently(X509_STORE_CTX* context, void* user) { return verify_and_record(context, user, false); }

}  // namespace

TlsSettings read_tls(const check::Options& options) {
  TlsSettings s;
  const std::string mode = options.text_or("tls.mode", "verify");
  if (mode == "prefer") {
    throw check::Invalid("tls.mode", "prefer has no meaning here, nothing is negotiated; write off, require or verify");
  }
  s.mode = mode == "off"       ? TlsSettings::Mode::off
           : mode == "require" ? TlsSettings::Mode::require
                               : TlsSettings::Mode::verify;
  s.ca = options.text_or("tls.ca", "");
  s.certificate = options.text_or("tls.certificate", "");
  s.key = options.text_or("tls.key", "");
  s.server_name = options.text_or("tls.server_name", "");
  s.warn_days = options.integer_or("tls.warn_days", 0);
  if (!s.key.empty() && s.certificate.empty()) {
    throw check::Invalid("tls.key", "a key without its certificate; write tls.certificate too");
  }
  if (s.key.empty()) s.key = s.certificate;  // one file may hold both
  if (s.server_name.find_first_of(" /:") != std::string::npos) {
    throw check::Invalid("tls.server_name", "is not a host name; write it without scheme and port");
  }
  return s;
}

std::string set_up(SSL_CTX* context, const TlsSettings& settings, const std::string& peer_name, TlsReport* report) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  // Without sessions each probe sees the certificate; without renegotiation the report is not written to later.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
  // A key under a password would be asked for on a terminal.
  SSL_CTX_set_default_passwd_cb(context, [](char*, int, int, void*) { return 0; });

  const bool is_strict = settings.mode == TlsSettings::Mode::verify;
  X509_STORE* store = trust_in(settings.ca);
  if (store == nullptr && (is_strict || !settings.ca.empty())) {
    return settings.ca.empty()
               ? "the system's certificate authorities cannot be read; install ca-certificates or set tls.ca"
               : "no certificate can be read from tls.ca " + settings.ca;
  }
  if (store != nullptr) SSL_CTX_set1_cert_store(context, store);
  if (!settings.certificate.empty()) {
    const bool is_loaded = SSL_CTX_use_certificate_chain_file(context, settings.certificate.c_str()) == 1;
    const bool has_key = is_loaded && SSL_CTX_use_PrivateKey_file(context, settings.key.c_str(), SSL_FILETYPE_PEM) == 1;
    const bool do_match = has_key && SSL_CTX_check_private_key(context) == 1;
    ERR_clear_error();
    if (!is_loaded) return "no certificate can be read from tls.certificate " + settings.certificate;
    if (!do_match) return "no private key for tls.certificate can be read from " + settings.key;
  }

  std::string name = settings.server_name.empty() ? peer_name : settings.server_name;
  if (!name.empty() && name.back() == '.') name.pop_back();
  X509_VERIFY_PARAM* param = SSL_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const int is_named = is_numeric(name) ? X509_VERIFY_PARAM_set1_ip_asc(param, name.c_str())
                                        : X509_VERIFY_PARAM_set1_host(param, name.c_str(), name.size());
  if (name.empty() || is_named != 1) return "there is no name to verify the certificate for; set tls.server_name";
  SSL_CTX_set_ex_data(context, context_index(), report);
  if (settings.certificate.empty()) SSL_CTX_set_client_cert_cb(context, note_request);
  SSL_CTX_set_verify(context, is_strict ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_cert_verify_callback(context, is_strict ? verify_strictly : verify_leniently, report);
  return {};
}

std::string TlsReport::rejection(const std::string& expected_name, std::time_t now) const {
  if (errors.empty()) return {};
  const double days = days_left(now);
  const std::string whose = is_chain_error ? "a certificate of its chain" : "its certificate";
  std::string out;
  // A self-signed certificate is found wanting in several ways that are one.
  bool has_said_trust = false;
  for (const int error : errors) {
    std::string text;
    switch (error) {
      case X509_V_ERR_CERT_HAS_EXPIRED:
        text = whose + " expired";
        if (!is_chain_error && days < 0)
          text += days > -2 ? " " + std::to_string(static_cast<int>(-days * 24)) + " hours ago"
                            : " " + std::to_string(static_cast<int>(-days)) + " days ago";
        break;
      case X509_V_ERR_CERT_NOT_YET_VALID:
        text = whose + " is not valid yet";
        break;
      case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        text = "its certificate is self-signed";
        break;
      case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
      case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
      case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      case X509_V_ERR_CERT_UNTRUSTED:
        text = has_said_trust ? "" : "its certificate is not from an authority we trust";
        break;
      case X509_V_ERR_HOSTNAME_MISMATCH:
      case X509_V_ERR_IP_ADDRESS_MISMATCH:
        text = "its certificate is for " + names + ", not for " + expected_name;
        break;
      default:
        text = X509_verify_cert_error_string(error);
    }
    if (text.empty()) continue;
    if (text.find("self-signed") != std::string::npos || text.find("authority") != std::string::npos)
      has_said_trust = true;
    out += (out.empty() ? "" : "; ") + text;
  }
  return out;
}

Trouble handshake_trouble(const std::string& text, bool has_certificate) {
  const auto says = [&](const char* words) { return text.find(words) != std::string::npos; };
  if (says("wrong version number") || says("packet length too long") || says("http request") ||
      says("unknown protocol") || says("record layer failure")) {
    return fault(check::Cause::tls, "it does not speak TLS on this port");
  }
  if (says("certificate required") || says("alert bad certificate") || says("alert unknown ca") ||
      says("alert certificate unknown") || says("alert certificate expired") || says("alert certificate revoked") ||
      says("alert access denied")) {
    return {check::Verdict::unknown, check::Cause::auth,
            has_certificate ? "it rejects our certificate (tls.certificate)"
                            : "it wants a certificate from us; set tls.certificate and tls.key"};
  }
  if (says("unsupported protocol") || says("protocol version") || says("no protocols available")) {
    return fault(check::Cause::tls, "it speaks only TLS versions older than 1.2");
  }
  if (says("unexpected eof")) return fault(check::Cause::tls, "it closed the connection during the TLS handshake");
  return fault(check::Cause::tls, text.empty() ? "the TLS handshake failed" : "the TLS handshake failed: " + text);
}

}  // namespace vital::net
