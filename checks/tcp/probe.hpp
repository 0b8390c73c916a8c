// TcpProbe: one attempt of a tcp check, as a small state machine over one non-blocking socket: look the name up, try
// its addresses one after the other, shake hands if TLS is on, send, wait for what is expected, take leave in order.
// Destroying it at any moment releases everything. [loop]
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>
#include <vitald/check.hpp>

#include "../net/loop.hpp"
#include "../net/tls.hpp"
#include "settings.hpp"

namespace vital::tcp {

struct FreeSsl {
  void operator()(SSL* s) const { SSL_free(s); }
};
struct FreeContext {
  void operator()(SSL_CTX* c) const { SSL_CTX_free(c); }
};

class TcpProbe final : public check::AsyncProbe {
 public:
  TcpProbe(const check::Host& host, const Settings& settings, const check::Attempt& attempt, check::Finisher finisher);
  ~TcpProbe() override;
  TcpProbe(const TcpProbe&) = delete;
  TcpProbe& operator=(const TcpProbe&) = delete;

  // Called once, from Async::start().
  void begin();

 private:
  friend class net::Timer;
  friend class net::Lookup;
  friend class net::Watch;
  template <typename Owner, typename Call>
  friend void net::guarded(Owner*, Call) noexcept;

  enum class Stage { looking_up, connecting, shaking_hands, exchanging, leaving };
  enum class Io { done, again, closed, failed };

  void resolved(const net::Addresses& found);
  void try_next();
  void share_is_over();
  void could_not_connect(net::Trouble trouble);
  void connected();
  void ready(int fd, uint32_t events);
  void shake_hands();
  void handshake_failed(int error);
  void begin_exchange();
  void exchange();
  bool write_some();
  bool read_some();
  void peer_closed();
  void broke_off();
  bool wants_our_certificate() const;
  void out_of_time();
  void leave(check::Result result);
  void drain();
  void left();
  void trouble(const char* what) noexcept;

  Io read(char* to, size_t size, size_t& got);
  Io write(const char* from, size_t size, size_t& sent);
  Io tls_outcome(int returned);
  void want(uint32_t events) { watch_.change(events); }
  void lap(check::Phase phase);
  void close_socket();
  check::Result from(const net::Trouble& trouble) const;
  check::Result good(const std::string& text);
  void finish(check::Result result);

  const check::Host& host_;
  const Settings& settings_;
  const check::Finisher finisher_;
  const check::Duration started_;
  const check::Duration deadline_;  // ours, a little before the agent's
  net::Timer deadline_timer_;
  net::Timer soon_;  // an address's share of the time, the end of the leave, a result known before start() returned
  net::Lookup lookup_;
  net::Watch watch_;
  bool is_starting_ = true;
  std::optional<check::Result> waiting_;  // known, not handed in yet

  Stage stage_ = Stage::looking_up;
  std::vector<std::string> addresses_;
  size_t next_ = 0;  // of addresses_
  net::Trouble last_trouble_;
  int fd_ = -1;
  std::string peer_;
  net::TlsReport report_;
  std::unique_ptr<SSL_CTX, FreeContext> context_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
  bool is_wait_for_writing_ = false;  // what TLS waits for, whichever way we wanted to go
  int error_ = 0;                     // of the read or write that failed
  std::string tls_error_;
  size_t sent_ = 0;
  std::optional<AnswerJudge> answer_;

  check::Duration lap_began_;
  std::vector<std::pair<check::Phase, check::Duration>> laps_;
  check::Duration decided_after_{};
};

}  // namespace vital::tcp
