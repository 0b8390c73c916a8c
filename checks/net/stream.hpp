// Stream: a non-blocking connection, in clear or over TLS. It never waits: each call does what can be done now and says
// what it waits for. What was wrong is told as a Trouble. [loop]
#pragma once

#include <openssl/ssl.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <string_view>

#include "tls.hpp"
#include "trouble.hpp"

namespace vital::net {

class Stream {
 public:
  enum class Io { done, wants_read, wants_write, closed, failed };

  Stream() = default;
  ~Stream() { close(); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // echo: ICMP's, by the kernel's unprivileged socket, or a raw one where that is closed to us and we have the right
  enum class Kind { stream, datagram, echo };
  // Begins to connect to a numeric address, or to the Unix socket at `host` if it begins with a slash. done,
  // wants_write (then ask finish_connecting() once the socket is writable), or failed.
  Io connect(const std::string& host, uint16_t port, Kind kind = Kind::stream);
  Io finish_connecting();
  // Begins TLS; `peer_name` is verified and sent unless the settings say another. Then shake_hands() until it is done.
  Io begin_tls(const TlsSettings& settings, const std::string& peer_name);
  Io shake_hands();
  Io read(char* to, size_t size, size_t& got);
  Io write(std::string_view from, size_t& sent);
  // Says goodbye: close_notify and FIN. The peer may still speak.
  void say_goodbye();
  void close();

  int fd() const { return fd_; }
  bool is_v6() const { return family_ == AF_INET6; }
  // An echo's identifier and checksum are ours then, a v4 answer begins with its IP header, and others' come too.
  bool is_raw() const { return is_raw_; }
  // Datagrams: each read gives one, each write sends one, and nobody says goodbye.
  bool is_datagram() const { return kind_ != Kind::stream; }
  bool is_tls() const { return ssl_ != nullptr; }
  const TlsReport& report() const { return report_; }
  std::string tls_version() const { return ssl_ != nullptr ? SSL_get_version(ssl_.get()) : ""; }
  const SSL* ssl() const { return ssl_.get(); }
  // Of the call that came back as failed; for one that came back as closed, empty unless TLS has something to say.
  const Trouble& trouble() const { return trouble_; }

 private:
  struct FreeSsl {
    void operator()(SSL* s) const { SSL_free(s); }
  };
  struct FreeContext {
    void operator()(SSL_CTX* c) const { SSL_CTX_free(c); }
  };
  Io failed(Trouble trouble);
  Io system_failed(int error);
  Io tls_outcome(int returned);
  Io handshake_failed(int error);
  bool wants_our_certificate() const;

  int fd_ = -1;
  Kind kind_ = Kind::stream;
  int family_ = 0;
  bool is_raw_ = false;
  TlsSettings settings_;
  std::string name_;
  TlsReport report_;
  std::unique_ptr<SSL_CTX, FreeContext> context_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
  bool has_heard_ = false;  // anything since the handshake
  Trouble trouble_;
};

}  // namespace vital::net
