// The course of one TCP attempt; see probe.hpp.
#include "probe.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "../net/self_connection.hpp"
#include "../net/text.hpp"

namespace vital::tcp {
namespace {

using check::Cause;
using check::Duration;
using check::Phase;
using check::Result;

// How long to wait for the peer's own goodbye, so that what it still sends meets an open socket and not a reset.
constexpr Duration leave_taking = std::chrono::milliseconds(50);
constexpr size_t most_addresses = 8;
// What a peer may still say after we know enough, before we stop listening.
constexpr int most_reads = 16;

}  // namespace

TcpProbe::TcpProbe(const check::Host& host, const Settings& settings, const check::Attempt& attempt,
                   check::Finisher finisher)
    : host_(host),
      settings_(settings),
      finisher_(finisher),
      started_(check::monotonic_now()),
      deadline_(attempt.deadline() - net::margin(attempt.remaining())),
      deadline_timer_(host),
      soon_(host),
      lookup_(host),
      watch_(host),
      lap_began_(started_) {}

TcpProbe::~TcpProbe() { close_socket(); }

void TcpProbe::begin() {
  deadline_timer_.arm<&TcpProbe::out_of_time>(this, deadline_ - started_);
  if (net::is_numeric(settings_.target.host)) {
    addresses_ = {settings_.target.host};
    try_next();
  } else if (!lookup_.start<&TcpProbe::resolved>(this, settings_.target.host, settings_.family,
                                                 std::max(deadline_ - started_, Duration::zero()))) {
    finish(check::unknown(Cause::agent, "the host's resolver refuses to look the name up"));
  }
  is_starting_ = false;
}

void TcpProbe::resolved(const net::Addresses& found) {
  lap(Phase::resolve);
  if (found.status != VITAL_RESOLVED || found.list.empty()) {
    return finish(from(net::lookup_trouble(found.status, found.text)));
  }
  const size_t count = std::min(found.list.size(), most_addresses);
  addresses_.assign(found.list.begin(), found.list.begin() + static_cast<ptrdiff_t>(count));
  try_next();
}

// ---- connecting
// ------------------------------------------------------------------------------------------------------

void TcpProbe::try_next() {
  stage_ = Stage::connecting;
  while (next_ < addresses_.size()) {
    const std::string& numeric = addresses_[next_++];
    const auto address = net::socket_address(numeric, settings_.target.port);
    if (!address) {
      last_trouble_ = net::ours("the resolver gave " + net::quoted(numeric) + ", which is no address");
      continue;
    }
    close_socket();
    fd_ = socket(address->family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) {
      last_trouble_ = net::ours(std::string("cannot make a socket: ") + std::strerror(errno));
      continue;
    }
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    peer_ = net::printed(numeric, settings_.target.port);
    if (::connect(fd_, address->get(), address->size) == 0) return connected();
    if (errno != EINPROGRESS) {
      last_trouble_ = net::connect_trouble(errno);
      continue;
    }
    if (!watch_.start<&TcpProbe::ready>(this, fd_, VITAL_WRITABLE)) {
      return finish(check::unknown(Cause::agent, "the host cannot watch a socket"));
    }
    // The last address has all the time that is left, the others their equal share.
    const Duration left = deadline_ - check::monotonic_now();
    const auto waiting = static_cast<Duration::rep>(addresses_.size() - next_ + 1);
    if (waiting > 1) soon_.arm<&TcpProbe::share_is_over>(this, left / waiting);
    return;
  }
  lap(Phase::connect);
  Result result = from(last_trouble_);
  if (addresses_.size() > 1) result.text += " (tried " + std::to_string(addresses_.size()) + " addresses)";
  peer_.clear();
  finish(std::move(result));
}

void TcpProbe::share_is_over() { could_not_connect(net::fault(Cause::timeout, "nobody answered the connection")); }

void TcpProbe::could_not_connect(net::Trouble trouble) {
  soon_.disarm();
  last_trouble_ = std::move(trouble);
  try_next();
}

void TcpProbe::connected() {
  soon_.disarm();
  if (net::is_self_connected(fd_)) return could_not_connect(net::connect_trouble(ECONNREFUSED));
  lap(Phase::connect);
  if (!settings_.tls.is_on()) return begin_exchange();

  stage_ = Stage::shaking_hands;
  context_.reset(SSL_CTX_new(TLS_client_method()));
  if (context_ == nullptr) return finish(check::unknown(Cause::agent, "OpenSSL cannot be set up"));
  const std::string wrong = net::set_up(context_.get(), settings_.tls, settings_.target.host, &report_);
  if (!wrong.empty()) return finish(check::unknown(Cause::config, wrong));
  ssl_.reset(SSL_new(context_.get()));
  if (ssl_ == nullptr || SSL_set_fd(ssl_.get(), fd_) != 1) {
    return finish(check::unknown(Cause::agent, "OpenSSL cannot be set up"));
  }
  const std::string& name = settings_.tls.server_name.empty() ? settings_.target.host : settings_.tls.server_name;
  if (!net::is_numeric(name)) {
    SSL_ctrl(ssl_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(name.c_str()));
  }
  SSL_set_connect_state(ssl_.get());
  watch_.start<&TcpProbe::ready>(this, fd_, VITAL_WRITABLE);
}

// ---- the socket speaks
// -----------------------------------------------------------------------------------------------

void TcpProbe::ready(int, uint32_t) {
  switch (stage_) {
    case Stage::looking_up:
      return;
    case Stage::connecting: {
      int error = 0;
      socklen_t size = sizeof error;
      getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
      watch_.stop();
      if (error != 0) return could_not_connect(net::connect_trouble(error));
      return connected();
    }
    case Stage::shaking_hands:
      return shake_hands();
    case Stage::exchanging:
      return exchange();
    case Stage::leaving:
      return drain();
  }
}

void TcpProbe::shake_hands() {
  ERR_clear_error();
  errno = 0;
  const int returned = SSL_do_handshake(ssl_.get());
  if (returned == 1) {
    lap(Phase::tls);
    return begin_exchange();
  }
  switch (SSL_get_error(ssl_.get(), returned)) {
    case SSL_ERROR_WANT_READ:
      return want(VITAL_READABLE);
    case SSL_ERROR_WANT_WRITE:
      return want(VITAL_WRITABLE);
    default:
      return handshake_failed(errno);
  }
}

void TcpProbe::handshake_failed(int error) {
  lap(Phase::tls);
  const char* reason = ERR_reason_error_string(ERR_peek_error());
  const std::string text = reason != nullptr ? reason : "";
  ERR_clear_error();
  const std::string& name = settings_.tls.server_name.empty() ? settings_.target.host : settings_.tls.server_name;
  const std::string rejection = report_.rejection(name, std::time(nullptr));
  if (settings_.tls.mode == net::TlsSettings::Mode::verify && !rejection.empty()) {
    return finish(check::fail(Cause::tls, rejection));
  }
  if (text.empty() && (error == ECONNRESET || error == EPIPE)) {
    return finish(check::fail(Cause::tls, "the peer reset the connection during the TLS handshake"));
  }
  finish(from(net::handshake_trouble(text.empty() ? "unexpected eof" : text, !settings_.tls.certificate.empty())));
}

void TcpProbe::begin_exchange() {
  stage_ = Stage::exchanging;
  if (settings_.expect) answer_.emplace(*settings_.expect);
  if (settings_.send.empty() && !settings_.expect) return leave(good("connected to " + peer_));
  watch_.start<&TcpProbe::ready>(this, fd_, settings_.send.empty() ? VITAL_READABLE : VITAL_WRITABLE);
}

void TcpProbe::exchange() {
  if (sent_ < settings_.send.size()) {
    if (!write_some()) return;
    if (sent_ == settings_.send.size() && !settings_.expect) return leave(good("sent to " + peer_));
  }
  if (settings_.expect && !read_some()) return;
  if (is_wait_for_writing_ || sent_ < settings_.send.size()) {
    // A peer that speaks before it has heard all must be listened to, or both wait for ever.
    return want(VITAL_WRITABLE | VITAL_READABLE);
  }
  want(VITAL_READABLE);
}

// False if this probe is over (and maybe gone).
bool TcpProbe::write_some() {
  size_t sent = 0;
  switch (write(settings_.send.data() + sent_, settings_.send.size() - sent_, sent)) {
    case Io::done:
      sent_ += sent;
      return true;
    case Io::again:
      return true;
    case Io::closed:
      peer_closed();
      return false;
    case Io::failed:
      break;
  }
  broke_off();
  return false;
}

// It asked for a certificate, has none from us, and left: the alert that says so may be lost to the reset behind it.
bool TcpProbe::wants_our_certificate() const {
  return ssl_ != nullptr && report_.wants_certificate && settings_.tls.certificate.empty() &&
         (!answer_ || answer_->size() == 0);
}

void TcpProbe::broke_off() {
  lap(Phase::exchange);
  finish(from(wants_our_certificate() ? net::handshake_trouble("certificate required", false)
                                      : net::exchange_trouble(error_)));
}

bool TcpProbe::read_some() {
  char buffer[4096];
  for (int i = 0; i < most_reads; ++i) {
    size_t got = 0;
    switch (read(buffer, sizeof buffer, got)) {
      case Io::done:
        break;
      case Io::again:
        return true;
      case Io::closed:
        peer_closed();
        return false;
      case Io::failed:
        broke_off();
        return false;
    }
    if (answer_->feed({buffer, got})) {
      leave(good(peer_ + " answered " + net::quoted(answer_->beginning())));
      return false;
    }
    if (answer_->is_full()) {
      leave(check::fail(Cause::content, "the first 16 KiB of its answer do not match " +
                                            net::quoted(settings_.expect->written) + "; it begins " +
                                            net::quoted(answer_->beginning())));
      return false;
    }
  }
  return true;
}

void TcpProbe::peer_closed() {
  if (answer_ && answer_->end()) return leave(good(peer_ + " answered " + net::quoted(answer_->beginning())));
  if (!answer_ || answer_->size() == 0) {
    lap(Phase::exchange);
    if (wants_our_certificate()) return finish(from(net::handshake_trouble("certificate required", false)));
    const bool is_our_certificate = ssl_ != nullptr && tls_error_.find("alert") != std::string::npos;
    if (is_our_certificate) return finish(from(net::handshake_trouble(tls_error_, !settings_.tls.certificate.empty())));
    return finish(check::fail(Cause::protocol, "it closed the connection without a word"));
  }
  leave(check::fail(Cause::content, "it answered " + net::quoted(answer_->beginning()) + " and closed; expected " +
                                        net::quoted(settings_.expect->written)));
}

// ---- taking leave
// ----------------------------------------------------------------------------------------------------

// The result is known. Says goodbye and waits a moment for the peer's.
void TcpProbe::leave(Result result) {
  if (settings_.expect || !settings_.send.empty()) lap(Phase::exchange);
  waiting_ = std::move(result);
  stage_ = Stage::leaving;
  if (ssl_ != nullptr) {
    SSL_shutdown(ssl_.get());  // its close_notify; the peer's is not waited for
    ERR_clear_error();
  }
  shutdown(fd_, SHUT_WR);
  soon_.arm<&TcpProbe::left>(this, leave_taking);
  watch_.start<&TcpProbe::ready>(this, fd_, VITAL_READABLE);
}

void TcpProbe::drain() {
  char buffer[4096];
  for (int i = 0; i < most_reads; ++i) {
    const ssize_t got = recv(fd_, buffer, sizeof buffer, 0);
    if (got > 0) continue;
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    break;
  }
  left();
}

void TcpProbe::left() {
  Result result = std::move(*waiting_);
  waiting_.reset();
  finish(std::move(result));
}

void TcpProbe::out_of_time() {
  if (waiting_) return left();
  const std::string limit = " within " + net::in_words(check::monotonic_now() - started_);
  switch (stage_) {
    case Stage::looking_up:
      return finish(check::unknown(Cause::agent, "no name server answered" + limit));
    case Stage::connecting:
      lap(Phase::connect);
      return finish(check::fail(Cause::timeout, "nobody answered the connection" + limit));
    case Stage::shaking_hands:
      lap(Phase::tls);
      return finish(check::fail(Cause::timeout, "it did not finish the TLS handshake" + limit));
    case Stage::exchanging:
    case Stage::leaving:
      break;
  }
  lap(Phase::exchange);
  if (sent_ < settings_.send.size()) return finish(check::fail(Cause::timeout, "it did not take what we sent" + limit));
  if (answer_->size() == 0) return finish(check::fail(Cause::timeout, "it did not answer" + limit));
  const std::string said =
      net::quoted(answer_->beginning()) + limit + ", expected " + net::quoted(settings_.expect->written);
  // A whole line that is not the one expected is an answer; half a line is one that did not come in time.
  if (answer_->has_line()) return finish(check::fail(Cause::content, "it answered " + said));
  finish(check::fail(Cause::timeout, "it said only " + said));
}

// ---- small things
// ----------------------------------------------------------------------------------------------------

TcpProbe::Io TcpProbe::tls_outcome(int returned) {
  const int error = errno;
  switch (SSL_get_error(ssl_.get(), returned)) {
    case SSL_ERROR_WANT_READ:
      return Io::again;
    case SSL_ERROR_WANT_WRITE:
      is_wait_for_writing_ = true;
      return Io::again;
    case SSL_ERROR_ZERO_RETURN:
      return Io::closed;
    case SSL_ERROR_SYSCALL:
      error_ = error != 0 ? error : ECONNRESET;
      return Io::failed;
    default: {
      const char* reason = ERR_reason_error_string(ERR_peek_error());
      tls_error_ = reason != nullptr ? reason : "";
      ERR_clear_error();
      return Io::closed;
    }
  }
}

TcpProbe::Io TcpProbe::read(char* to, size_t size, size_t& got) {
  is_wait_for_writing_ = false;
  if (ssl_ != nullptr) {
    ERR_clear_error();
    errno = 0;
    const int returned = SSL_read_ex(ssl_.get(), to, size, &got);
    return returned == 1 ? Io::done : tls_outcome(returned);
  }
  const ssize_t n = recv(fd_, to, size, 0);
  if (n > 0) {
    got = static_cast<size_t>(n);
    return Io::done;
  }
  if (n == 0) return Io::closed;
  error_ = errno;
  return errno == EAGAIN || errno == EINTR ? Io::again : Io::failed;
}

TcpProbe::Io TcpProbe::write(const char* from, size_t size, size_t& sent) {
  is_wait_for_writing_ = false;
  if (ssl_ != nullptr) {
    ERR_clear_error();
    errno = 0;
    const int returned = SSL_write_ex(ssl_.get(), from, size, &sent);
    return returned == 1 ? Io::done : tls_outcome(returned);
  }
  const ssize_t n = ::send(fd_, from, size, MSG_NOSIGNAL);
  if (n >= 0) {
    sent = static_cast<size_t>(n);
    return Io::done;
  }
  error_ = errno;
  return errno == EAGAIN || errno == EINTR ? Io::again : Io::failed;
}

void TcpProbe::lap(Phase phase) {
  const Duration now = check::monotonic_now();
  laps_.emplace_back(phase, now - lap_began_);
  lap_began_ = now;
  decided_after_ = now - started_;
}

void TcpProbe::close_socket() {
  watch_.stop();
  ssl_.reset();
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result TcpProbe::from(const net::Trouble& trouble) const {
  return check::make_result(trouble.verdict, trouble.cause, trouble.text);
}

Result TcpProbe::good(const std::string& text) {
  const std::string line = text + " in " + net::in_words(check::monotonic_now() - started_);
  const double left = report_.days_left(std::time(nullptr));
  if (report_.is_seen && settings_.tls.warn_days > 0 && left < static_cast<double>(settings_.tls.warn_days)) {
    return check::warn(Cause::tls,
                       line + ", but its certificate ends in " + std::to_string(static_cast<long>(left)) + " days");
  }
  return check::pass(line);
}

void TcpProbe::trouble(const char* what) noexcept {
  finish(check::unknown(Cause::agent, std::string("the tcp check stumbled: ") + what));
}

// The last call: destroys this object, unless start() has not returned yet.
void TcpProbe::finish(Result result) {
  if (is_starting_) {
    waiting_ = std::move(result);
    soon_.arm<&TcpProbe::left>(this, Duration::zero());
    return;
  }
  if (result.verdict != check::Verdict::pass && result.verdict != check::Verdict::warn) {
    const std::string target = net::printed(settings_.target.host, settings_.target.port);
    const std::string where = peer_.empty() || peer_ == target ? "" : " (at " + peer_ + ")";
    result.text = target + where + ": " + result.text;
  }
  for (const auto& [phase, took] : laps_) result.phase(phase, took);
  if (!peer_.empty()) result.fact("address", peer_);
  if (decided_after_ > Duration::zero()) {
    result.measure("latency", static_cast<double>(decided_after_.count()) / 1e9, "s");
  }
  if (report_.is_seen) {
    const double warn_at =
        settings_.tls.warn_days > 0 ? static_cast<double>(settings_.tls.warn_days) : check::no_threshold;
    result.measure("certificate_days_left", report_.days_left(std::time(nullptr)), "d", warn_at);
    result.fact("certificate", report_.subject);
  }
  finisher_.finish(result);
}

}  // namespace vital::tcp
