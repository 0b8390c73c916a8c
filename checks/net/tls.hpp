// The TLS side of a check: what the options say, a context set up accordingly, and an account of what was wrong with
// the peer's certificate that names the reason. Verification is OpenSSL's own; we only listen to it. The certificate
// is recorded even when it is rejected, so that "expired" can say since when. [loop]
#pragma once

#include <openssl/ssl.h>

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <vector>
#include <vitald/check.hpp>

#include "trouble.hpp"

namespace vital::net {

struct TlsSettings {
  enum class Mode { off, require, verify };
  Mode mode = Mode::verify;
  std::string ca;           // file or directory; empty = the system's
  std::string certificate;  // ours, PEM
  std::string key;
  std::string server_name;  // sent and verified instead of the host's name
  long long warn_days = 0;  // warn if the certificate ends sooner; 0 = never
  bool is_on() const { return mode != Mode::off; }
};

// Reads the tls.* options; throws check::Invalid for what contradicts itself.
TlsSettings read_tls(const check::Options& options);

// One certificate, for printing and for counting days.
struct SeenCertificate {
  std::string subject;
  std::string issuer;
  std::string names;
  std::time_t not_before = 0;
  std::time_t not_after = 0;
  double days_left(std::time_t now) const { return static_cast<double>(not_after - now) / 86400; }
};

// What was seen of a peer's certificate in one handshake.
struct TlsReport {
  static constexpr int most_certificates = 10;
  bool is_seen = false;
  std::time_t not_after = 0;
  std::string subject;                    // for printing
  std::string names;                      // what it is for, for printing
  std::vector<std::string> all_names;     // the same, one by one
  std::vector<int> errors;                // X509_V_ERR_*, in the order found, without repetition
  bool wants_certificate = false;         // it asked for ours, and we have none
  std::vector<SeenCertificate> sent;      // by the peer, its own first
  std::vector<SeenCertificate> verified;  // from its own to the authority we trust; empty if there is no such way
  bool is_chain_error = false;            // the first error is about an issuer, not about the peer's own certificate

  // Whole days until the certificate ends, negative if it has.
  double days_left(std::time_t now) const { return static_cast<double>(not_after - now) / 86400; }
  // One line on why the certificate was rejected; empty if it was not.
  std::string rejection(const std::string& expected_name, std::time_t now) const;
};

// Sets a context up for one peer: protocol floor, trust, our certificate, verification for `peer_name`. The report
// must live as long as handshakes of this context can happen. Empty, or what is wrong on our side (a file that cannot
// be read).
std::string set_up(SSL_CTX* context, const TlsSettings& settings, const std::string& peer_name, TlsReport* report);

// What OpenSSL's last error means in words. `text` is its reason text ("wrong version number"); `has_certificate`
// says whether we showed one.
Trouble handshake_trouble(const std::string& text, bool has_certificate);

}  // namespace vital::net
