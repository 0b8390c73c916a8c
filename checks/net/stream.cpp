// Sockets and OpenSSL without waiting; see stream.hpp.
#include "stream.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "address.hpp"
#include "self_connection.hpp"
#include "text.hpp"

namespace vital::net {
Stream::Io Stream::connect(const std::string& host, uint16_t port, Kind kind) {
  close();
  kind_ = kind;
  const bool is_unix = !host.empty() && host.front() == '/';
  SocketAddress address;
  if (is_unix) {
    sockaddr_un path{};
    path.sun_family = AF_UNIX;
    if (host.size() >= sizeof path.sun_path) {
      return failed({check::Verdict::unknown, check::Cause::config, "the path of the socket is too long"});
    }
    std::memcpy(path.sun_path, host.c_str(), host.size() + 1);
    std::memcpy(&address.storage, &path, sizeof path);
    address.size = sizeof path;
  } else {
    const auto numeric = socket_address(host, port);
    if (!numeric) return failed(ours("the resolver gave " + quoted(host) + ", which is no address"));
    address = *numeric;
  }
  family_ = address.family();
  const int icmp = family_ == AF_INET6 ? static_cast<int>(IPPROTO_ICMPV6) : static_cast<int>(IPPROTO_ICMP);
  fd_ = socket(family_, (is_datagram() ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC,
               kind_ == Kind::echo ? icmp : 0);
  is_raw_ = fd_ < 0 && kind_ == Kind::echo && (errno == EACCES || errno == EPERM);
  if (is_raw_) fd_ = socket(family_, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, icmp);  // with CAP_NET_RAW
  if (fd_ < 0 && is_raw_ && (errno == EACCES || errno == EPERM)) {
    return failed(ours(
        "this host lets nobody of our group ping; allow it with: sysctl -w net.ipv4.ping_group_range='0 2147483647'"));
  }
  if (fd_ < 0) return failed(ours(std::string("cannot make a socket: ") + std::strerror(errno)));
  const int on = 1;
  if (!is_unix && !is_datagram()) setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (kind_ == Kind::echo) {  // or the routers' "no way there" would not reach us
    setsockopt(fd_, family_ == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP, family_ == AF_INET6 ? IPV6_RECVERR : IP_RECVERR,
               &on, sizeof on);
  }
  if (::connect(fd_, address.get(), address.size) == 0) return finish_connecting();
  if (errno == EINPROGRESS) return Io::wants_write;
  if (is_unix && errno == ENOENT) {
    return failed(fault(check::Cause::refused, "there is no such socket, so nobody listens"));
  }
  if (is_unix && errno == EAGAIN) return failed(fault(check::Cause::timeout, "its queue of connections is full"));
  if (is_unix && errno == EACCES) return failed(ours("we may not open that socket"));
  return failed(connect_trouble(errno));
}

Stream::Io Stream::finish_connecting() {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error == 0 && !is_raw_ && is_self_connected(fd_)) error = ECONNREFUSED;
  return error == 0 ? Io::done : failed(connect_trouble(error));
}

Stream::Io Stream::begin_tls(const TlsSettings& settings, const std::string& peer_name) {
  settings_ = settings;
  name_ = settings.server_name.empty() ? peer_name : settings.server_name;
  report_ = {};
  has_heard_ = false;
  ssl_.reset();
  context_.reset(SSL_CTX_new(TLS_client_method()));
  if (context_ == nullptr) return failed(ours("OpenSSL cannot be set up"));
  const std::string wrong = set_up(context_.get(), settings_, peer_name, &report_);
  if (!wrong.empty()) return failed({check::Verdict::unknown, check::Cause::config, wrong});
  ssl_.reset(SSL_new(context_.get()));
  if (ssl_ == nullptr || SSL_set_fd(ssl_.get(), fd_) != 1) return failed(ours("OpenSSL cannot be set up"));
  if (!is_numeric(name_)) {
    SSL_ctrl(ssl_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(name_.c_str()));
  }
  SSL_set_connect_state(ssl_.get());
  return shake_hands();
}

Stream::Io Stream::shake_hands() {
  ERR_clear_error();
  errno = 0;
  const int returned = SSL_do_handshake(ssl_.get());
  if (returned == 1) return Io::done;
  const int error = errno;
  switch (SSL_get_error(ssl_.get(), returned)) {
    case SSL_ERROR_WANT_READ:
      return Io::wants_read;
    case SSL_ERROR_WANT_WRITE:
      return Io::wants_write;
    default:
      return handshake_failed(error);
  }
}

Stream::Io Stream::handshake_failed(int error) {
  const char* reason = ERR_reason_error_string(ERR_peek_error());
  const std::string text = reason != nullptr ? reason : "";
  ERR_clear_error();
  const std::string rejection = report_.rejection(name_, std::time(nullptr));
  if (settings_.mode == TlsSettings::Mode::verify && !rejection.empty()) {
    return failed(fault(check::Cause::tls, rejection));
  }
  if (text.empty() && (error == ECONNRESET || error == EPIPE)) {
    return failed(fault(check::Cause::tls, "it reset the connection during the TLS handshake"));
  }
  return failed(handshake_trouble(text.empty() ? "unexpected eof" : text, !settings_.certificate.empty()));
}

// It asked for a certificate, has none from us, and left: the alert that says so may be lost to the reset behind it.
bool Stream::wants_our_certificate() const {
  return ssl_ != nullptr && report_.wants_certificate && settings_.certificate.empty() && !has_heard_;
}

Stream::Io Stream::tls_outcome(int returned) {
  const int error = errno;
  switch (SSL_get_error(ssl_.get(), returned)) {
    case SSL_ERROR_WANT_READ:
      return Io::wants_read;
    case SSL_ERROR_WANT_WRITE:
      return Io::wants_write;
    case SSL_ERROR_ZERO_RETURN:
      return Io::closed;
    case SSL_ERROR_SYSCALL:
      return system_failed(error != 0 ? error : ECONNRESET);
    default: {
      const char* reason = ERR_reason_error_string(ERR_peek_error());
      const std::string text = reason != nullptr ? reason : "";
      ERR_clear_error();
      trouble_ = {};
      if (wants_our_certificate()) return failed(handshake_trouble("certificate required", false));
      if (text.find("alert") != std::string::npos && !has_heard_) {
        return failed(handshake_trouble(text, !settings_.certificate.empty()));
      }
      return Io::closed;
    }
  }
}

Stream::Io Stream::read(char* to, size_t size, size_t& got) {
  if (ssl_ != nullptr) {
    ERR_clear_error();
    errno = 0;
    const int returned = SSL_read_ex(ssl_.get(), to, size, &got);
    if (returned != 1) return tls_outcome(returned);
    has_heard_ = true;
    return Io::done;
  }
  const ssize_t n = recv(fd_, to, size, 0);
  if (n > 0) {
    got = static_cast<size_t>(n);
    return Io::done;
  }
  if (n == 0 && !is_datagram()) return Io::closed;
  if (n == 0) return Io::wants_read;  // an empty datagram says nothing
  return errno == EAGAIN || errno == EINTR ? Io::wants_read : system_failed(errno);
}

Stream::Io Stream::write(std::string_view from, size_t& sent) {
  if (ssl_ != nullptr) {
    ERR_clear_error();
    errno = 0;
    const int returned = SSL_write_ex(ssl_.get(), from.data(), from.size(), &sent);
    return returned == 1 ? Io::done : tls_outcome(returned);
  }
  const ssize_t n = ::send(fd_, from.data(), from.size(), MSG_NOSIGNAL);
  if (n >= 0) {
    sent = static_cast<size_t>(n);
    return Io::done;
  }
  return errno == EAGAIN || errno == EINTR ? Io::wants_write : system_failed(errno);
}

void Stream::say_goodbye() {
  if (ssl_ != nullptr && SSL_is_init_finished(ssl_.get())) {
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }
  if (fd_ >= 0) shutdown(fd_, SHUT_WR);
}

void Stream::close() {
  ssl_.reset();
  context_.reset();
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Stream::Io Stream::failed(Trouble trouble) {
  trouble_ = std::move(trouble);
  return Io::failed;
}

Stream::Io Stream::system_failed(int error) {
  if (is_datagram())
    return failed(error == ECONNREFUSED ? fault(check::Cause::refused, "nobody listens on that port")
                                        : connect_trouble(error));
  return failed(wants_our_certificate() ? handshake_trouble("certificate required", false) : exchange_trouble(error));
}

}  // namespace vital::net
