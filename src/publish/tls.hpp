// TLS for a listener: a certificate with its key, and perhaps the authority whose clients are known. A TlsContext is
// made whole or not at all, beside the loop (it reads files), and shared by the connections begun with it: a new
// certificate is a new context, and who is connected keeps the old one. At least TLS 1.2, no renegotiation.
//
//   std::vector<TlsFinding> findings;
//   auto context = TlsContext::load({certificate, key, client_ca}, wall_now, findings);   // [any], may wait for files
//   auto stream = context->accept(std::move(fd), may_proxy);                              // front thread
//
// The only file of the daemon that sees OpenSSL is tls.cpp.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "base/unique_fd.hpp"
#include "publish/stream.hpp"

namespace vital {

// From so long before its end on a certificate is spoken of.
inline constexpr Duration certificate_notice = std::chrono::hours(14 * 24);

struct TlsSettings {
  std::string certificate;  // PEM: the certificate, then what leads to the authority
  std::string key;          // PEM, without a passphrase
  std::string client_ca;    // PEM; empty = no client certificates are asked for
  bool is_client_required = true;
  bool speaks_h2 = false;  // agrees on HTTP/2 (gRPC), else on HTTP/1.1
};

struct TlsFinding {
  enum class File : unsigned char { certificate, key, client_ca };
  File file = File::certificate;
  std::string text;  // "PATH does not belong to ..."; never a byte of the key
  bool is_warning = false;
};

class TlsContext {
 public:
  // Null if anything but warnings was found. Warnings: not valid yet, not valid any more, or for less than 14 days.
  static std::shared_ptr<const TlsContext> load(const TlsSettings& settings, WallTime now,
                                                std::vector<TlsFinding>& findings);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // The handshake is the stream's first business. `may_proxy`: a PROXY header may stand before it, in the clear.
  std::unique_ptr<Stream> accept(UniqueFd fd, bool may_proxy) const;
  WallTime not_after() const;

 private:
  struct Impl;
  explicit TlsContext(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vital
