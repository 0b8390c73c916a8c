// Peer: one accepted connection, and Hall: where all of them wait. A peer reads, writes, and ends the way every load
// balancer understands: answer, shut down writing, read what is still on its way, close; so that the end is a FIN and
// never a reset. The hall knows what each is waited for and since when, ends those that take too long, and makes room
// when there are too many. What the bytes mean is for the subclasses. Front thread.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "loop/loop.hpp"
#include "publish/front.hpp"
#include "publish/poll_set.hpp"
#include "publish/source_crowds.hpp"
#include "publish/stats.hpp"
#include "publish/stream.hpp"

namespace vital {

class Hall;

// What a peer is waited for, in the order in which peers give way when there are too many: first who has never asked
// anything, last who has an answer coming.
enum class Awaited : unsigned char {
  handshake,  // of TLS
  first_byte,
  header,
  body,
  line,          // of an agent check
  next_request,  // on a connection kept alive
  peers_end,     // after our FIN
  output_taken,
  page,    // from another room
  reply,   // to a write request
  stream,  // nothing: it is told what happens, until it goes
};
inline constexpr std::size_t awaited_kinds = 11;

class Peer {
 public:
  Peer(Hall& hall, int fd, std::unique_ptr<Stream> stream, Awaited first);
  virtual ~Peer() = default;
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  std::uint64_t id() const { return id_; }
  // Reads what may have come already; call once, after adding it to the hall.
  void start();
  // Whether this peer still exists must be known by its id after any of the calls that follow.
  void expired();    // its time is up
  void make_room();  // it was chosen to give way

 protected:
  // New bytes. Uses up at most one request and returns its length; the rest comes again. Not called while output waits,
  // while an answer is awaited or after finish().
  virtual std::size_t take(std::string_view bytes) = 0;
  // The stream's handshake is done: who it is, is known now.
  virtual void handshaken() {}
  // The other end will send no more. Answer or finish().
  virtual void ended() { finish(); }
  // Time ran out for `kind`; has to end in finish() or another wait.
  virtual void late(Awaited kind) = 0;
  // A last word to somebody in the middle of a request who gives way; empty for none.
  virtual std::string farewell() { return {}; }

  // What comes after output that had to wait; and that the socket has taken all of it.
  virtual Awaited after_output() const { return Awaited::next_request; }
  virtual void taken() {}
  // It did not take its output in time, and is closed.
  virtual void was_too_slow() {}

  void send(std::string_view bytes);  // at once as far as the socket takes it; the rest is queued
  void finish();                      // after what is queued: FIN, drain, close
  void wait_for(Awaited kind);        // restarts the clock of that kind
  bool is_waiting_for(Awaited kind) const { return awaited_ == kind; }
  bool is_finishing() const { return is_finishing_; }
  std::size_t queued() const { return output_.size() - written_; }
  // The same, outside of take() and its like. The peer may be gone afterwards.
  void push(std::string_view bytes);
  // After an answer that was awaited: goes on with what the peer has sent meanwhile.
  void resume();

  Hall& hall() { return hall_; }
  const Stream& stream() const { return *stream_; }

 private:
  friend class Hall;
  void ready(Readiness readiness);
  void shake();
  void readable();
  void writable();
  void want(bool read, bool write);
  void work(std::string_view fresh);
  void keep(std::string_view rest);
  bool is_busy() const {
    return awaited_ == Awaited::page || awaited_ == Awaited::reply || awaited_ == Awaited::stream;
  }
  void watch_end();
  bool flush();  // true when all is out; the peer may be gone when false
  void drain();
  void close();

  Hall& hall_;
  std::uint64_t id_ = 0;
  int fd_;
  std::unique_ptr<Stream> stream_;
  std::string input_;  // begun, not yet a whole request
  std::string output_;
  std::size_t written_ = 0;
  std::size_t drained_ = 0;
  Awaited awaited_;
  Instant since_{};
  std::list<Peer*>::iterator place_;
  bool is_finishing_ = false;
  bool is_closed_ = false;
  bool is_polled_ = false;  // in the hall's set, with these two wishes
  bool wants_read_ = true;
  bool wants_write_ = false;
  bool is_broken_ = false;   // a write found the connection gone
  bool has_ended_ = false;   // the peer's FIN came
  bool is_in_line_ = false;  // for a step of its handshake
  bool has_spoken_ = false;  // the peer has sent something
  std::optional<SourceCrowds::Place> place_in_crowd_;
};

class Hall {
 public:
  Hall(Loop& loop, const FrontLimits& limits, FrontStats& stats);
  ~Hall();
  Hall(const Hall&) = delete;
  Hall& operator=(const Hall&) = delete;

  // Makes room first if the hall is full, or if `source` (unknown = not counted) holds too many. Starts the peer.
  void add(std::unique_ptr<Peer> peer, const HostAddress& source = {});
  Peer* find(std::uint64_t id);
  std::size_t size() const { return peers_.size(); }
  // The front stops: who is connected has a moment to ask, is answered once more and ended. `gone` is called when the
  // last of them has left, perhaps at once.
  void leave(std::function<void()> gone);
  bool is_leaving() const { return leaving_since_.has_value(); }
  void clear();  // at once

  void set_limits(const FrontLimits& limits) { limits_ = limits; }
  const FrontLimits& limits() const { return limits_; }
  FrontStats& stats() { return stats_; }
  Loop& loop() { return loop_; }
  PollSet& polls() { return polls_; }
  // One buffer for everybody's reads: a peer keeps only what is not a whole request yet.
  std::array<char, 16 * 1024>& scratch() { return scratch_; }

 private:
  friend class Peer;
  void place(Peer& peer, Awaited kind);
  void remove(Peer& peer);
  void sweep();
  void arm(Instant when);
  void line_up(Peer& peer);
  void serve_line();
  Duration time_for(Awaited kind) const;
  Duration last_time_for(Awaited kind) const;
  Instant end_of(const Peer& peer) const;

  Loop& loop_;
  FrontLimits limits_;
  FrontStats& stats_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Peer>> peers_;
  std::vector<std::unique_ptr<Peer>> gone_;  // ended in their own callback; destroyed on the next turn
  // One queue for each kind of wait: its time is the same for all, so the oldest is in front.
  std::array<std::list<Peer*>, awaited_kinds> queues_;
  std::uint64_t next_id_ = 1;
  SourceCrowds crowds_;
  std::size_t output_bytes_ = 0;  // of all peers, not yet taken
  // Who waits for a step of a TLS handshake: such a step costs as much as a hundred answers, so only a few are made a
  // turn, and polls in the clear pass between them.
  std::deque<std::uint64_t> line_;
  std::optional<Instant> leaving_since_;
  std::function<void()> gone_all_;  // once leaving
  PollSet polls_;
  Timer timer_;
  std::optional<Instant> armed_;
  std::array<char, 16 * 1024> scratch_{};
};

}  // namespace vital
