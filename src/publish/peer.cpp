// Connections and the hall they wait in; see peer.hpp.
#include "publish/peer.hpp"

#include <algorithm>
#include <utility>

namespace vital {
namespace {

// One connection's share of a turn: who pipelines must not keep others waiting.
constexpr unsigned requests_a_turn = 16;
constexpr unsigned handshakes_a_turn = 4;

constexpr std::size_t at(Awaited kind) { return static_cast<std::size_t>(kind); }

}  // namespace

// ---- Peer ----------------------------------------------------------------------------------------------------------

Peer::Peer(Hall& hall, int fd, std::unique_ptr<Stream> stream, Awaited first)
    : hall_(hall), fd_(fd), stream_(std::move(stream)), awaited_(first) {}

// Often the request is there already.
void Peer::start() {
  if (awaited_ == Awaited::handshake) {
    wants_read_ = false;
    hall_.line_up(*this);
  } else {
    readable();
  }
  if (is_closed_) return;
  is_polled_ = true;
  hall_.polls().add(fd_, id_, wants_read_, wants_write_);
}

void Peer::want(bool read, bool write) {
  if (read == wants_read_ && write == wants_write_) return;
  wants_read_ = read;
  wants_write_ = write;
  if (is_polled_) hall_.polls().change(fd_, id_, read, write);
}

void Peer::ready(Readiness now) {
  if (is_closed_) return;
  if (awaited_ == Awaited::handshake) {
    want(false, false);
    return hall_.line_up(*this);
  }
  if (wants_write_ && (now.can_write || now.is_gone)) return writable();
  if (wants_read_) return readable();
  // It is gone while it waits for an answer.
  FrontStats::add(hall_.stats().resets);
  close();
}

void Peer::shake() {
  is_in_line_ = false;
  if (is_closed_ || awaited_ != Awaited::handshake) return;
  const IoResult got = stream_->handshake();
  switch (got.status) {
    case IoResult::Status::done:
      FrontStats::add(hall_.stats().tls_handshakes);
      wait_for(Awaited::first_byte);
      handshaken();
      want(true, false);
      return readable();  // the request often came with the last message
    case IoResult::Status::would_block:
      return want(!got.wants_write, got.wants_write);
    case IoResult::Status::closed:
      FrontStats::add(hall_.stats().silent);
      return close();
    case IoResult::Status::reset:
      FrontStats::add(hall_.stats().tls_failures);
      finish();
      stream_->shutdown_write();
      wait_for(Awaited::peers_end);
      want(true, false);
      return drain();
  }
}

void Peer::readable() {
  if (is_closed_) return;
  if (is_finishing_ && queued() == 0) return drain();
  if (awaited_ == Awaited::stream) return watch_end();
  if (queued() > 0 || is_busy()) {
    want(false, wants_write_);  // not now: what it sends waits in the kernel
    return;
  }
  auto& buffer = hall_.scratch();
  const IoResult got = stream_->read(buffer.data(), buffer.size());
  switch (got.status) {
    case IoResult::Status::done:
      has_spoken_ = true;
      return work({buffer.data(), got.bytes});
    case IoResult::Status::closed:
      has_ended_ = true;
      if (!has_spoken_) FrontStats::add(hall_.stats().silent);
      ended();
      if (!is_closed_) flush();
      return;
    case IoResult::Status::reset:
      FrontStats::add(hall_.stats().resets);
      return close();
    case IoResult::Status::would_block:
      if (got.wants_write) want(wants_read_, true);
      return;
  }
}

// A reader of a stream has nothing more to say; only that it goes is news.
void Peer::watch_end() {
  auto& buffer = hall_.scratch();
  const IoResult got = stream_->read(buffer.data(), buffer.size());
  if (got.status == IoResult::Status::reset) {
    FrontStats::add(hall_.stats().resets);
    return close();
  }
  if (got.status != IoResult::Status::closed) return;
  has_ended_ = true;
  finish();
  flush();
}

void Peer::push(std::string_view bytes) {
  if (is_closed_ || is_finishing_) return;
  send(bytes);
  flush();
}

// Hands over what has come, request by request, as long as the answers leave.
void Peer::work(std::string_view fresh) {
  if (!input_.empty()) input_ += fresh;
  std::string_view bytes = input_.empty() ? fresh : std::string_view(input_);
  for (unsigned taken = 0; !bytes.empty(); ++taken) {
    if (taken == requests_a_turn) {
      keep(bytes);
      want(false, wants_write_);
      hall_.loop().post([hall = &hall_, id = id_] {
        if (Peer* self = hall->find(id)) self->resume();
      });
      return;
    }
    const std::size_t used = take(bytes);
    bytes.remove_prefix(used);
    if (is_finishing_) bytes = {};
    const bool is_out = flush();
    if (is_closed_) return;
    if (used == 0 || !is_out || is_busy()) break;
  }
  keep(bytes);
}

// What is not a whole request yet waits here. `rest` may point into input_.
void Peer::keep(std::string_view rest) {
  if (!rest.empty()) {
    if (input_.empty()) {
      input_.assign(rest);
    } else {
      input_.erase(0, input_.size() - rest.size());
    }
  } else if (input_.capacity() > 1024) {
    input_ = {};  // a connection that idles must not keep the room its largest request took
  } else {
    input_.clear();
  }
}

void Peer::resume() {
  if (is_closed_ || !flush() || is_finishing_ || is_busy()) return;
  want(true, wants_write_);
  if (!input_.empty()) work({});
}

void Peer::writable() {
  if (is_closed_) return;
  if (queued() == 0) {  // a read that waited for it
    want(wants_read_, false);
    return readable();
  }
  if (!flush() || is_finishing_) return;
  wait_for(after_output());
  if (awaited_ == Awaited::stream) want(true, false);
  taken();
  resume();
}

void Peer::send(std::string_view bytes) {
  if (is_broken_) return;
  if (queued() == 0) {
    const IoResult put = stream_->write(bytes, is_finishing_);
    if (put.status == IoResult::Status::done) bytes.remove_prefix(put.bytes);
    is_broken_ = put.status == IoResult::Status::reset || put.status == IoResult::Status::closed;
    if (bytes.empty() || is_broken_) return;
  }
  output_ += bytes;
  hall_.output_bytes_ += bytes.size();
}

bool Peer::flush() {
  if (is_broken_) {
    FrontStats::add(hall_.stats().resets);
    close();
    return false;
  }
  while (queued() > 0) {
    const IoResult put = stream_->write(std::string_view(output_).substr(written_), is_finishing_);
    if (put.status == IoResult::Status::would_block) {
      // Answers nobody takes must not fill our memory.
      if (hall_.output_bytes_ > hall_.limits().pending_output_bytes) {
        FrontStats::add(hall_.stats().evicted);
        close();
        return false;
      }
      if (awaited_ != Awaited::output_taken) {
        wait_for(Awaited::output_taken);
        want(false, true);
      }
      return false;
    }
    if (put.status != IoResult::Status::done) {
      FrontStats::add(hall_.stats().resets);
      close();
      return false;
    }
    written_ += put.bytes;
    hall_.output_bytes_ -= put.bytes;
  }
  if (wants_write_) want(wants_read_, false);
  output_ = {};
  written_ = 0;
  if (is_finishing_) {
    stream_->shutdown_write();
    if (has_ended_) {
      close();
      return false;
    }
    wait_for(Awaited::peers_end);
    want(true, false);
  }
  return true;
}

void Peer::finish() { is_finishing_ = true; }

// Reads on after our FIN, so that nothing unread is left at the close: that would make it a reset.
void Peer::drain() {
  auto& buffer = hall_.scratch();
  while (drained_ <= hall_.limits().drain_bytes) {
    const IoResult got = stream_->read(buffer.data(), buffer.size());
    if (got.status == IoResult::Status::would_block) return;
    if (got.status != IoResult::Status::done) break;
    drained_ += got.bytes;
  }
  close();
}

void Peer::close() {
  if (is_closed_) return;
  is_closed_ = true;
  stream_.reset();  // closes; the poll set forgets it
  hall_.remove(*this);
}

void Peer::expired() {
  const Awaited kind = awaited_;
  if (kind == Awaited::peers_end) return close();
  if (hall_.is_leaving() && (kind == Awaited::first_byte || kind == Awaited::next_request)) {
    const Instant since = since_;
    readable();  // what came in this very moment is answered too
    if (is_closed_ || awaited_ != kind || since_ != since) return;
  }
  if (kind == Awaited::handshake) {
    FrontStats::add(hall_.stats().tls_failures);
    return close();
  }
  if (kind == Awaited::output_taken) {
    FrontStats::add(hall_.stats().timed_out);
    was_too_slow();
    return close();
  }
  if (kind == Awaited::first_byte) FrontStats::add(hall_.stats().silent);
  late(kind);
  if (!is_closed_ && !flush()) return;
  if (!is_closed_ && !is_finishing_ && awaited_ == kind) wait_for(kind);
}

void Peer::make_room() {
  FrontStats::add(hall_.stats().evicted);
  if (queued() == 0 && !is_finishing_) {
    if (const std::string last = farewell(); !last.empty()) stream_->write(last, true);
  }
  stream_->shutdown_write();
  close();
}

void Peer::wait_for(Awaited kind) { hall_.place(*this, kind); }

// ---- Hall ----------------------------------------------------------------------------------------------------------

Hall::Hall(Loop& loop, const FrontLimits& limits, FrontStats& stats)
    : loop_(loop),
      limits_(limits),
      stats_(stats),
      polls_(loop,
             [this](std::uint64_t id, Readiness readiness) {
               if (Peer* peer = find(id)) peer->ready(readiness);
             }),
      timer_(loop, [this] { sweep(); }) {}

Hall::~Hall() = default;

void Hall::add(std::unique_ptr<Peer> peer, const HostAddress& source) {
  if (crowds_.count(source) >= limits_.connections_per_source) {
    FrontStats::add(stats_.over_source_cap);
    crowds_.oldest(source, [](const Peer& p) { return at(p.awaited_); })->make_room();
  }
  if (auto& shaking = queues_[at(Awaited::handshake)];
      peer->awaited_ == Awaited::handshake && shaking.size() >= limits_.handshakes) {
    shaking.front()->make_room();
  }
  if (peers_.size() >= limits_.connections) {
    for (auto& queue : queues_) {
      if (queue.empty()) continue;
      queue.front()->make_room();
      break;
    }
  }
  Peer& added = *peer;
  added.id_ = next_id_++;
  peers_.emplace(added.id_, std::move(peer));
  FrontStats::add(stats_.connections);
  stats_.connections_open.store(peers_.size(), std::memory_order_relaxed);
  added.since_ = Loop::now();
  auto& queue = queues_[at(added.awaited_)];
  added.place_ = queue.insert(queue.end(), &added);
  arm(end_of(added));
  added.place_in_crowd_ = crowds_.add(source, added);
  added.start();
}

Peer* Hall::find(std::uint64_t id) {
  const auto found = peers_.find(id);
  return found == peers_.end() ? nullptr : found->second.get();
}

void Hall::place(Peer& peer, Awaited kind) {
  auto& to = queues_[at(kind)];
  to.splice(to.end(), queues_[at(peer.awaited_)], peer.place_);
  peer.awaited_ = kind;
  peer.since_ = Loop::now();
  arm(end_of(peer));
}

void Hall::remove(Peer& peer) {
  output_bytes_ -= peer.queued();
  queues_[at(peer.awaited_)].erase(peer.place_);
  if (peer.place_in_crowd_) crowds_.remove(*peer.place_in_crowd_);
  const auto found = peers_.find(peer.id_);
  // It may be in the middle of its own callback: it lives until the next turn.
  if (gone_.empty()) loop_.post([this] { gone_.clear(); });
  gone_.push_back(std::move(found->second));
  peers_.erase(found);
  if (peers_.empty() && gone_all_) gone_all_();
  stats_.connections_open.store(peers_.size(), std::memory_order_relaxed);
}

void Hall::line_up(Peer& peer) {
  if (peer.is_in_line_) return;
  peer.is_in_line_ = true;
  if (line_.empty()) loop_.post([this] { serve_line(); });
  line_.push_back(peer.id_);
}

void Hall::serve_line() {
  for (unsigned i = 0; i < handshakes_a_turn && !line_.empty(); ++i) {
    const std::uint64_t id = line_.front();
    line_.pop_front();
    if (Peer* peer = find(id)) peer->shake();
  }
  if (!line_.empty()) loop_.post([this] { serve_line(); });
}

void Hall::leave(std::function<void()> gone) {
  if (peers_.empty()) return gone();
  gone_all_ = std::move(gone);
  leaving_since_ = Loop::now();
  sweep();
}

void Hall::clear() {
  for (auto& queue : queues_) queue.clear();
  crowds_ = {};
  peers_.clear();
  gone_.clear();
}

// The timer is armed for the earliest end seen; queues only move it later, so it may fire early and look again.
void Hall::arm(Instant when) {
  if (armed_ && *armed_ <= when) return;
  armed_ = when;
  timer_.arm_at(when);
}

void Hall::sweep() {
  armed_.reset();
  const Instant now = Loop::now();
  for (std::size_t kind = 0; kind < queues_.size(); ++kind) {
    auto& queue = queues_[kind];
    // Each of them leaves its place or is put at the end with a new start, so this ends.
    while (!queue.empty() && end_of(*queue.front()) <= now) queue.front()->expired();
    if (!queue.empty()) arm(end_of(*queue.front()));
  }
}

// Grows along each queue, also while leaving.
Instant Hall::end_of(const Peer& peer) const {
  const Instant end = peer.since_ + time_for(peer.awaited_);
  if (!leaving_since_) return end;
  return std::min(end, std::max(peer.since_, *leaving_since_) + last_time_for(peer.awaited_));
}

Duration Hall::last_time_for(Awaited kind) const {
  switch (kind) {
    case Awaited::handshake:
    case Awaited::first_byte:
    case Awaited::header:
    case Awaited::body:
    case Awaited::line:
      return limits_.last_first_time;
    case Awaited::next_request:
      return limits_.last_next_time;
    case Awaited::output_taken:
    case Awaited::page:
    case Awaited::reply:
    case Awaited::peers_end:
      return std::chrono::milliseconds(500);
    case Awaited::stream:
      return {};
  }
  return {};
}

Duration Hall::time_for(Awaited kind) const {
  switch (kind) {
    case Awaited::handshake:
      return limits_.handshake_time;
    case Awaited::first_byte:
    case Awaited::next_request:
      return limits_.idle_time;
    case Awaited::header:
      return limits_.header_time;
    case Awaited::body:
      return limits_.body_time;
    case Awaited::line:
      return limits_.agent_line_time;
    case Awaited::output_taken:
      return limits_.write_time;
    case Awaited::peers_end:
      return limits_.drain_time;
    case Awaited::page:
      return limits_.get_time;
    case Awaited::reply:
      return limits_.admin_time;
    case Awaited::stream:
      return std::chrono::hours(24 * 365);  // as long as it takes what it is sent
  }
  return limits_.idle_time;
}

}  // namespace vital
