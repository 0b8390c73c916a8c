// Dialogue: one attempt of a check that talks with a server over a connection, written down as a coroutine that reads
// like the conversation. Every wait ends at the probe's deadline; a peer that refuses, hangs, breaks off, talks
// nonsense or never stops ends the probe with the right cause and never resumes the coroutine, so that a course holds
// only what happens when things go on. Destroying it at any moment releases everything. [loop]
//
//   class Echo final : public net::Dialogue {
//     net::Task<check::Result> course() override {
//       co_await connect(peer_);
//       co_await send("HELLO\r\n");
//       const std::string line = co_await receive(line_framer, "answer to HELLO");
//       co_return line == "OK" ? check::pass("it answers") : check::fail(check::Cause::content, "it said " + line);
//     }
//     net::Task<void> goodbye() override { co_await send("QUIT\r\n"); }
//   };
#pragma once

#include <coroutine>
#include <optional>
#include <string>
#include <string_view>
#include <vector>
#include <vitald/check.hpp>

#include "address.hpp"
#include "check_of.hpp"
#include "framing.hpp"
#include "loop.hpp"
#include "stream.hpp"
#include "task.hpp"
#include "tls.hpp"
#include "trouble.hpp"

namespace vital::net {

// Whom to talk with.
struct Peer {
  Endpoint target;      // a host that begins with a slash is the path of a Unix socket
  uint32_t family = 0;  // 0, 4, 6: what a name is resolved to
  TlsSettings tls;
  Stream::Kind kind = Stream::Kind::stream;
  bool is_tls_first = true;  // TLS at once, if it is on; otherwise start_tls() in the course

  std::string printed() const {
    return !target.host.empty() && target.host.front() == '/' ? target.host : net::printed(target.host, target.port);
  }
};

class Dialogue : public check::AsyncProbe {
 public:
  Dialogue(const check::Host& host, const check::Attempt& attempt, check::Finisher finisher);
  ~Dialogue() override;
  Dialogue(const Dialogue&) = delete;
  Dialogue& operator=(const Dialogue&) = delete;

  // Called once, from Async::start().
  void begin();

 protected:
  // The conversation, and its result.
  virtual Task<check::Result> course() = 0;
  // What to say before leaving, if the connection still stands when the course has ended. What goes wrong here is no
  // longer of interest, and it may take a second at most.
  virtual Task<void> goodbye() { co_return; }
  // The server this probe is about, for messages.
  virtual std::string target() const = 0;

  // Each of these is awaited by co_await. True, or false if something went wrong within lenient_for().
  struct Step {
    Dialogue& dialogue;
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> from) { return dialogue.suspend(from); }
    bool await_resume() const noexcept { return dialogue.trouble_.text.empty(); }
  };
  struct Message : Step {
    std::string await_resume() { return dialogue.take_message(); }
  };
  // Looks the name up, tries its addresses in order, shakes hands if TLS comes first. Closes what was open before.
  Step connect(const Peer& peer);
  // TLS on the connection as it is, after the server agreed to it.
  Step start_tls();
  Step send(std::string bytes);
  // The next message. `of` says what it is, as in "answer to AUTH".
  Message receive(Framer framer, std::string of, size_t most = 64 * 1024);
  // Waits.
  Step pause(check::Duration time);

  // Until strict(), at most for this long, trouble is returned as false, with trouble() to say what.
  void lenient_for(check::Duration limit);
  void strict();
  const Trouble& trouble() const { return trouble_; }

  // Words for the last message that made no sense to the course: fail/protocol.
  check::Result nonsense(const std::string& why, const std::string& message) const;

  void lap(check::Phase phase);
  check::Duration elapsed() const { return check::monotonic_now() - started_; }
  check::Duration remaining() const { return deadline_ - check::monotonic_now(); }
  const Stream& stream() const { return stream_; }
  const std::string& address() const { return peer_name_; }

 private:
  friend class Timer;
  friend class Lookup;
  friend class Watch;
  template <typename Owner, typename Call>
  friend void guarded(Owner*, Call) noexcept;

  enum class Doing { nothing, looking_up, connecting, shaking_hands, sending, receiving, pausing, leaving };
  using Io = Stream::Io;

  bool suspend(std::coroutine_handle<> from);
  bool advance();
  bool begin_connecting();
  bool try_next_address();
  bool is_connected();
  bool advance_handshake(Io io);
  bool advance_sending();
  bool advance_receiving();
  bool wait_for(Io io);
  bool went_wrong(Trouble trouble);
  void settle(bool is_over);
  void resume();

  void resolved(const Addresses& found);
  void share_is_over();
  void pause_is_over();
  void ready(int fd, uint32_t events);
  void out_of_time();
  void out_of_patience();
  Trouble lateness() const;

  void conclude(check::Result result);
  void leave();
  void drain();
  void hand_in();
  void trouble(const char* what) noexcept;
  std::string take_message();

  const check::Host host_;
  const check::Finisher finisher_;
  const check::Duration started_;
  const check::Duration deadline_;  // ours, a little before the agent's
  Timer deadline_timer_;
  Timer patience_timer_;
  Timer soon_;  // an address's share of the time, the end of the leave, a result known while the course still runs
  Lookup lookup_;
  Watch watch_;
  Stream stream_;
  bool is_watching_ = false;

  std::optional<Task<check::Result>> course_;
  std::optional<Task<void>> goodbye_;
  std::coroutine_handle<> waiting_;
  Doing doing_ = Doing::nothing;
  bool is_lenient_ = false;
  bool is_over_ = false;  // the result is known, nothing is resumed any more
  Trouble trouble_;       // of the last step; no text = none

  Peer peer_;
  std::vector<std::string> addresses_;
  size_t next_ = 0;  // of addresses_
  Trouble last_trouble_;
  std::string peer_name_;
  std::string out_;
  size_t sent_ = 0;
  std::string in_;
  Framer framer_ = nullptr;
  std::string of_;
  size_t most_ = 0;
  check::Duration pause_{};
  size_t length_ = 0;  // of the message at the beginning of in_

  std::optional<check::Result> result_;
  std::optional<TlsReport> certificate_;
  long long warn_days_ = 0;
  check::Duration lap_began_;
  std::vector<std::pair<check::Phase, check::Duration>> laps_;
  check::Duration decided_after_{};
};

// The options every check that talks over a connection has, and how they are read. `host` and `port` have defaults in
// the module's table. Where another option demands TLS, `tls.mode: off` means that nobody said how: verify. Throws
// check::Invalid.
Peer read_peer(const check::Options& options, bool demands_tls = false);

}  // namespace vital::net
