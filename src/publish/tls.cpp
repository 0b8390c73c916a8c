// OpenSSL behind TlsContext and its streams; see tls.hpp.
#include "publish/tls.hpp"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/duration.hpp"
#include "base/text.hpp"

namespace vital {
namespace {

using File = TlsFinding::File;

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* p) const {
    Free(p);
  }
};
using BioPtr = std::unique_ptr<BIO, Freer<BIO_free>>;
using CertificatePtr = std::unique_ptr<X509, Freer<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;

// The last reason OpenSSL noted; empties its list.
std::string last_reason() {
  std::string out;
  while (const unsigned long code = ERR_get_error()) {
    if (const char* reason = ERR_reason_error_string(code)) out = reason;
  }
  return out.empty() ? "no reason given" : one_line(out, 120);
}

// Never asks a terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

BioPtr open_file(const std::string& path, File file, std::vector<TlsFinding>& findings) {
  BioPtr out(BIO_new_file(path.c_str(), "r"));
  if (!out) {
    const int error = errno;
    ERR_clear_error();
    findings.push_back(
        {file, fmt::format("{} cannot be read: {}", path, std::generic_category().message(error)), false});
  }
  return out;
}

WallTime wall_of(const ASN1_TIME* t) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(t, &parts) != 1) return {};
  return std::chrono::time_point_cast<WallTime::duration>(std::chrono::system_clock::from_time_t(::timegm(&parts)));
}

void look_at_dates(const std::string& path, X509* certificate, WallTime now, std::vector<TlsFinding>& findings) {
  const WallTime from = wall_of(X509_get0_notBefore(certificate));
  const WallTime until = wall_of(X509_get0_notAfter(certificate));
  const auto warn = [&](std::string text) { findings.push_back({File::certificate, std::move(text), true}); };
  if (until < now) {
    warn(fmt::format("{} expired on {}; clients that verify will refuse it, renew it", path, format_wall(until)));
  } else if (until - now < certificate_notice) {
    warn(fmt::format("{} expires in {}, on {}; renew it", path, friendly_duration(until - now), format_wall(until)));
  }
  if (from > now) warn(fmt::format("{} is not valid before {}", path, format_wall(from)));
}

// ---- the socket, as OpenSSL sees it: its own would raise SIGPIPE.

int socket_write(BIO* bio, const char* bytes, int length) {
  BIO_clear_retry_flags(bio);
  const auto fd = static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
  const ssize_t n = ::send(fd, bytes, static_cast<std::size_t>(length), MSG_NOSIGNAL);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(n);
}
int socket_read(BIO* bio, char* to, int length) {
  BIO_clear_retry_flags(bio);
  const auto fd = static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
  const ssize_t n = ::recv(fd, to, static_cast<std::size_t>(length), 0);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) BIO_set_retry_read(bio);
  return static_cast<int>(n);
}
long socket_control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

BIO_METHOD* socket_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "vitald socket");
    BIO_meth_set_write(m, socket_write);
    BIO_meth_set_read(m, socket_read);
    BIO_meth_set_ctrl(m, socket_control);
    return m;
  }();
  return method;
}

class TlsStream : public Stream {
 public:
  TlsStream(SSL* ssl, UniqueFd fd, bool may_proxy) : fd_(std::move(fd)), ssl_(ssl), is_proxy_read_(!may_proxy) {
    BIO* bio = BIO_new(socket_method());
    BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd_.get())));
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_, bio, bio);
    SSL_set_accept_state(ssl_);
  }
  ~TlsStream() override { SSL_free(ssl_); }

  IoResult handshake() override {
    if (!is_proxy_read_) {
      const IoResult read = read_proxy();
      is_failed_ = read.status == IoResult::Status::reset;
      if (read.status != IoResult::Status::done) return read;
    }
    ERR_clear_error();
    const int n = SSL_do_handshake(ssl_);
    is_failed_ = n != 1 && SSL_get_error(ssl_, n) == SSL_ERROR_SSL;
    return n == 1 ? IoResult{IoResult::Status::done, 1, false} : of_error(n);
  }
  IoResult read(char* to, std::size_t size) override {
    if (is_failed_) return read_past(to, size);
    ERR_clear_error();
    const int n = SSL_read(ssl_, to, static_cast<int>(size));
    return n > 0 ? IoResult{IoResult::Status::done, static_cast<std::size_t>(n), false} : of_error(n);
  }
  IoResult write(std::string_view bytes, bool) override {
    if (bytes.empty()) return {IoResult::Status::done, 0, false};
    ERR_clear_error();
    const int n = SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()));
    return n > 0 ? IoResult{IoResult::Status::done, static_cast<std::size_t>(n), false} : of_error(n);
  }
  void shutdown_write() override {
    ERR_clear_error();
    if (SSL_is_init_finished(ssl_) == 1) SSL_shutdown(ssl_);  // says close_notify; the peer's is not waited for
    ERR_clear_error();
    ::shutdown(fd_.get(), SHUT_WR);
  }
  bool is_authorized() const override {
    return SSL_get0_peer_certificate(ssl_) != nullptr && SSL_get_verify_result(ssl_) == X509_V_OK;
  }
  const ProxyHeader* proxied() const override {
    return proxy_.status == ProxyHeader::Status::present ? &proxy_ : nullptr;
  }

 private:
  IoResult of_error(int returned) {
    const int error = SSL_get_error(ssl_, returned);
    ERR_clear_error();
    switch (error) {
      case SSL_ERROR_WANT_READ:
        return {};
      case SSL_ERROR_WANT_WRITE:
        return {IoResult::Status::would_block, 0, true};
      case SSL_ERROR_ZERO_RETURN:
        return {IoResult::Status::closed, 0, false};
      default:
        return {IoResult::Status::reset, 0, false};
    }
  }

  // After a handshake that failed: what is still on its way is read and dropped, so that the end is no reset.
  IoResult read_past(char* to, std::size_t size) {
    const ssize_t n = ::recv(fd_.get(), to, size, 0);
    if (n > 0) return {IoResult::Status::done, static_cast<std::size_t>(n), false};
    if (n == 0) return {IoResult::Status::closed, 0, false};
    const bool is_later = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    return {is_later ? IoResult::Status::would_block : IoResult::Status::reset, 0, false};
  }

  // What stands before the client's hello, byte for byte: nothing behind the header may be taken from OpenSSL.
  IoResult read_proxy() {
    while (true) {
      std::array<char, 600> peeked{};
      const ssize_t n = ::recv(fd_.get(), peeked.data(), peeked.size(), MSG_PEEK);
      if (n == 0) return {IoResult::Status::closed, 0, false};
      if (n < 0) {
        const bool is_later = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
        return {is_later ? IoResult::Status::would_block : IoResult::Status::reset, 0, false};
      }
      const std::size_t before = prefix_.size();
      prefix_.append(peeked.data(), static_cast<std::size_t>(n));
      proxy_ = read_proxy_header(prefix_);
      std::size_t taken = static_cast<std::size_t>(n);
      switch (proxy_.status) {
        case ProxyHeader::Status::absent:
          if (before > 0) return {IoResult::Status::reset, 0, false};
          prefix_.clear();
          is_proxy_read_ = true;
          return {IoResult::Status::done, 0, false};
        case ProxyHeader::Status::malformed:
          return {IoResult::Status::reset, 0, false};
        case ProxyHeader::Status::need_more:
          break;  // all of it belongs to the header
        case ProxyHeader::Status::present:
          taken = proxy_.length - before;
          is_proxy_read_ = true;
          break;
      }
      if (::recv(fd_.get(), peeked.data(), taken, 0) != static_cast<ssize_t>(taken)) {
        return {IoResult::Status::reset, 0, false};
      }
      if (is_proxy_read_) return {IoResult::Status::done, 0, false};
    }
  }

  UniqueFd fd_;
  SSL* ssl_;
  bool is_proxy_read_;
  bool is_failed_ = false;  // the handshake: what the other end speaks is no TLS of ours
  std::string prefix_;      // of a PROXY header that is not whole yet
  ProxyHeader proxy_;
};

// ALPN: HTTP/2 where it is spoken, else HTTP/1.1; a client that names neither is served all the same.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* length, const unsigned char* offered,
                    unsigned offered_length, void* argument) {
  const std::string_view wanted = argument != nullptr ? "h2" : "http/1.1";
  for (unsigned at = 0; at < offered_length; at += 1U + offered[at]) {
    if (at + 1U + offered[at] > offered_length) break;
    const std::string_view name(static_cast<const char*>(static_cast<const void*>(offered + at + 1)), offered[at]);
    if (name != wanted) continue;
    *out = offered + at + 1;
    *length = offered[at];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

}  // namespace

struct TlsContext::Impl {
  SSL_CTX* context = nullptr;
  WallTime not_after{};
  ~Impl() { SSL_CTX_free(context); }
};

TlsContext::TlsContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsContext::~TlsContext() = default;

std::shared_ptr<const TlsContext> TlsContext::load(const TlsSettings& s, WallTime now,
                                                   std::vector<TlsFinding>& findings) {
  ERR_clear_error();
  const std::size_t before = findings.size();
  const auto complain = [&](File file, std::string text) { findings.push_back({file, std::move(text), false}); };
  CertificatePtr certificate;
  if (const BioPtr bio = open_file(s.certificate, File::certificate, findings)) {
    certificate.reset(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
    if (!certificate) {
      complain(File::certificate, fmt::format("{} holds no certificate in PEM form: {}", s.certificate, last_reason()));
    }
  }
  KeyPtr key;
  if (const BioPtr bio = open_file(s.key, File::key, findings)) {
    key.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
    if (!key) {
      complain(File::key,
               fmt::format("{} holds no private key in PEM form without a passphrase: {}", s.key, last_reason()));
    }
  }
  if (certificate && key && X509_check_private_key(certificate.get(), key.get()) != 1) {
    ERR_clear_error();
    complain(File::key, fmt::format("{} does not belong to the certificate {}; write the key it was made with", s.key,
                                    s.certificate));
  }
  if (certificate) look_at_dates(s.certificate, certificate.get(), now, findings);

  auto impl = std::make_unique<Impl>();
  impl->context = SSL_CTX_new(TLS_server_method());
  SSL_CTX* context = impl->context;
  if (certificate) impl->not_after = wall_of(X509_get0_notAfter(certificate.get()));
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context,
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  // Tickets let a balancer that comes every second skip the costly half of the handshake; they live in the client.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 1);
  constexpr std::string_view id = "vitald";
  SSL_CTX_set_session_id_context(context, static_cast<const unsigned char*>(static_cast<const void*>(id.data())),
                                 static_cast<unsigned>(id.size()));
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, s.speaks_h2 ? context : nullptr);
  const auto has_errors = [&] {
    for (std::size_t i = before; i < findings.size(); ++i) {
      if (!findings[i].is_warning) return true;
    }
    return false;
  };
  if (!has_errors()) {
    if (SSL_CTX_use_certificate_chain_file(context, s.certificate.c_str()) != 1) {
      complain(File::certificate, fmt::format("{} cannot be used: {}", s.certificate, last_reason()));
    } else if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
      complain(File::key, fmt::format("{} cannot be used with {}: {}", s.key, s.certificate, last_reason()));
    }
  }
  if (!s.client_ca.empty() && open_file(s.client_ca, File::client_ca, findings)) {
    STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(s.client_ca.c_str());
    if (names == nullptr || SSL_CTX_load_verify_file(context, s.client_ca.c_str()) != 1) {
      complain(File::client_ca, fmt::format("{} holds no certificate in PEM form: {}", s.client_ca, last_reason()));
    } else {
      SSL_CTX_set_client_CA_list(context, names);
      SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (s.is_client_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                         nullptr);
    }
  }
  ERR_clear_error();
  if (has_errors()) return {};
  return std::shared_ptr<const TlsContext>(new TlsContext(std::move(impl)));
}

std::unique_ptr<Stream> TlsContext::accept(UniqueFd fd, bool may_proxy) const {
  SSL* ssl = SSL_new(impl_->context);
  if (ssl == nullptr) return {};
  return std::make_unique<TlsStream>(ssl, std::move(fd), may_proxy);
}

WallTime TlsContext::not_after() const { return impl_->not_after; }

}  // namespace vital
