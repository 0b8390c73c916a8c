// How a conversation waits, ends and leaves; see dialogue.hpp.
#include "dialogue.hpp"

#include <algorithm>
#include <ctime>

#include "text.hpp"

namespace vital::net {
namespace {

using check::Cause;
using check::Duration;
using check::Phase;
using check::Result;

// How long to wait for the peer's own end, so that what it still sends meets an open socket and not a reset.
constexpr Duration leave_taking = std::chrono::milliseconds(50);
constexpr Duration longest_goodbye = std::chrono::seconds(1);
constexpr size_t most_addresses = 8;
constexpr int most_reads = 16;  // before other probes have their turn

}  // namespace

Dialogue::Dialogue(const check::Host& host, const check::Attempt& attempt, check::Finisher finisher)
    : host_(host),
      finisher_(finisher),
      started_(check::monotonic_now()),
      deadline_(attempt.deadline() - margin(attempt.remaining())),
      deadline_timer_(host),
      patience_timer_(host),
      soon_(host),
      lookup_(host),
      watch_(host),
      lap_began_(started_) {}

Dialogue::~Dialogue() { watch_.stop(); }

void Dialogue::begin() {
  deadline_timer_.arm<&Dialogue::out_of_time>(this, deadline_ - started_);
  course_.emplace(course());
  soon_.arm<&Dialogue::resume>(this, Duration::zero());  // nothing may be finished before start() has returned
}

// ---- the course goes on -------------------------------------------------------------------------------------------

void Dialogue::resume() {
  if (is_over_) return;
  const std::coroutine_handle<> next = std::exchange(waiting_, {});
  if (goodbye_) {
    next ? next.resume() : goodbye_->resume();
    if (goodbye_->is_done()) leave();
    return;
  }
  next ? next.resume() : course_->resume();
  if (!is_over_ && course_->is_done()) conclude(course_->take());
}

// True if the step has to wait.
bool Dialogue::suspend(std::coroutine_handle<> from) {
  waiting_ = from;
  trouble_ = {};
  if (is_over_) return true;
  if (advance()) {
    waiting_ = {};
    return false;
  }
  return true;
}

void Dialogue::settle(bool is_over) {
  if (is_over && waiting_) resume();
}

// Each of the following gives true if the step is over, well or badly, and the course may go on.
bool Dialogue::advance() {
  switch (doing_) {
    case Doing::looking_up:
      return begin_connecting();
    case Doing::connecting:
      return is_connected();
    case Doing::shaking_hands:
      return advance_handshake(stream_.is_tls() ? stream_.shake_hands()
                                                : stream_.begin_tls(peer_.tls, peer_.target.host));
    case Doing::sending:
      return advance_sending();
    case Doing::receiving:
      return advance_receiving();
    case Doing::pausing:
      soon_.arm<&Dialogue::pause_is_over>(this, pause_);
      return false;
    case Doing::nothing:
    case Doing::leaving:
      break;
  }
  return false;
}

bool Dialogue::wait_for(Io io) {
  const uint32_t events = io == Io::wants_write ? VITAL_WRITABLE : VITAL_READABLE;
  if (is_watching_) {
    watch_.change(events);
  } else {
    is_watching_ = watch_.start<&Dialogue::ready>(this, stream_.fd(), events);
    if (!is_watching_) return went_wrong(ours("the host cannot watch a socket"));
  }
  return false;
}

void Dialogue::ready(int, uint32_t) {
  if (is_over_ || doing_ == Doing::leaving) return drain();
  if (!waiting_) {  // it speaks while the course does something else
    watch_.stop();
    is_watching_ = false;
    return;
  }
  settle(advance());
}

bool Dialogue::went_wrong(Trouble trouble) {
  soon_.disarm();
  lookup_.withdraw();
  trouble_ = std::move(trouble);
  if (trouble_.text.empty()) trouble_.text = "something went wrong";
  switch (doing_) {
    case Doing::looking_up:
      lap(Phase::resolve);
      break;
    case Doing::connecting:
      lap(Phase::connect);
      break;
    case Doing::shaking_hands:
      lap(Phase::tls);
      break;
    default:
      if (!is_lenient_) lap(Phase::exchange);
  }
  if (is_lenient_) return true;
  is_over_ = true;
  result_ = check::make_result(trouble_.verdict, trouble_.cause, trouble_.text);
  watch_.stop();
  is_watching_ = false;
  soon_.arm<&Dialogue::hand_in>(this, Duration::zero());  // we may be called from within the coroutine
  return false;
}

// ---- connecting -----------------------------------------------------------------------------------------------------

Dialogue::Step Dialogue::connect(const Peer& peer) {
  watch_.stop();
  is_watching_ = false;
  stream_.close();
  peer_ = peer;
  in_.clear();
  length_ = 0;
  doing_ = Doing::looking_up;
  return Step{*this};
}

bool Dialogue::begin_connecting() {
  next_ = 0;
  const std::string& host = peer_.target.host;
  if (is_numeric(host) || host.front() == '/') {
    addresses_ = {host};
    return try_next_address();
  }
  if (!lookup_.start<&Dialogue::resolved>(this, host, peer_.family, std::max(remaining(), Duration::zero()))) {
    return went_wrong(ours("the host's resolver refuses to look the name up"));
  }
  return false;
}

void Dialogue::resolved(const Addresses& found) {
  if (found.status != VITAL_RESOLVED || found.list.empty()) {
    return settle(went_wrong(lookup_trouble(found.status, found.text)));
  }
  lap(Phase::resolve);
  const size_t count = std::min(found.list.size(), most_addresses);
  addresses_.assign(found.list.begin(), found.list.begin() + static_cast<ptrdiff_t>(count));
  settle(try_next_address());
}

bool Dialogue::try_next_address() {
  doing_ = Doing::connecting;
  watch_.stop();
  is_watching_ = false;
  while (next_ < addresses_.size()) {
    const std::string& numeric = addresses_[next_++];
    const bool has_port = numeric.front() != '/' && peer_.kind != Stream::Kind::echo;
    peer_name_ = has_port ? printed(numeric, peer_.target.port) : numeric;
    const Io io = stream_.connect(numeric, peer_.target.port, peer_.kind);
    if (io == Io::failed) {
      last_trouble_ = stream_.trouble();
      continue;
    }
    if (io == Io::done) return is_connected();
    // The last address has all the time that is left, the others their equal share.
    const auto waiting = static_cast<Duration::rep>(addresses_.size() - next_ + 1);
    if (waiting > 1) soon_.arm<&Dialogue::share_is_over>(this, remaining() / waiting);
    return wait_for(Io::wants_write);
  }
  Trouble all = last_trouble_;
  if (addresses_.size() > 1) all.text += " (tried " + std::to_string(addresses_.size()) + " addresses)";
  peer_name_.clear();
  return went_wrong(std::move(all));
}

void Dialogue::share_is_over() {
  last_trouble_ = fault(Cause::timeout, "nobody answered the connection");
  settle(try_next_address());
}

bool Dialogue::is_connected() {
  soon_.disarm();
  if (stream_.finish_connecting() != Io::done) {
    last_trouble_ = stream_.trouble();
    return try_next_address();
  }
  lap(Phase::connect);
  if (!peer_.tls.is_on() || !peer_.is_tls_first) return true;
  doing_ = Doing::shaking_hands;
  return advance();
}

Dialogue::Step Dialogue::start_tls() {
  doing_ = Doing::shaking_hands;
  return Step{*this};
}

bool Dialogue::advance_handshake(Io io) {
  if (io == Io::wants_read || io == Io::wants_write) return wait_for(io);
  if (stream_.report().is_seen && !certificate_) {
    certificate_ = stream_.report();
    warn_days_ = peer_.tls.warn_days;
  }
  if (io != Io::done) return went_wrong(stream_.trouble());
  lap(Phase::tls);
  return true;
}

// ---- speaking and listening -----------------------------------------------------------------------------------------

Dialogue::Step Dialogue::send(std::string bytes) {
  out_ = std::move(bytes);
  sent_ = 0;
  doing_ = Doing::sending;
  return Step{*this};
}

bool Dialogue::advance_sending() {
  while (sent_ < out_.size()) {
    size_t sent = 0;
    const Io io = stream_.write(std::string_view(out_).substr(sent_), sent);
    if (io == Io::wants_read || io == Io::wants_write) return wait_for(io);
    if (io == Io::closed) return went_wrong(fault(Cause::protocol, "it closed the connection"));
    if (io == Io::failed) return went_wrong(stream_.trouble());
    sent_ += sent;
  }
  return true;
}

Dialogue::Message Dialogue::receive(Framer framer, std::string of, size_t most) {
  framer_ = framer;
  of_ = std::move(of);
  most_ = most;
  doing_ = Doing::receiving;
  return Message{{*this}};
}

bool Dialogue::advance_receiving() {
  char buffer[8192];
  for (int i = 0; i < most_reads; ++i) {
    const Framing found = framer_(in_);
    if (found.status == Framing::Status::whole) {
      length_ = found.length;
      return true;
    }
    if (found.status == Framing::Status::broken) {
      return went_wrong(fault(Cause::protocol, std::string(found.why) + ": it said " + quoted(in_)));
    }
    if (in_.size() >= most_) {
      return went_wrong(fault(Cause::protocol, "its " + of_ + " is longer than " + std::to_string(most_) + " bytes"));
    }
    size_t got = 0;
    const Io io = stream_.read(buffer, std::min(sizeof buffer, most_ - in_.size()), got);
    switch (io) {
      case Io::done:
        in_.append(buffer, got);
        break;
      case Io::wants_read:
      case Io::wants_write:
        return wait_for(io);
      case Io::closed:
        return went_wrong(fault(Cause::protocol, in_.empty() ? "it closed the connection, no " + of_ + " came"
                                                             : "it closed the connection in the middle of its " + of_ +
                                                                   ", after " + quoted(in_)));
      case Io::failed:
        return went_wrong(stream_.trouble());
    }
  }
  return wait_for(Io::wants_read);
}

std::string Dialogue::take_message() {
  std::string message = in_.substr(0, length_);
  in_.erase(0, length_);
  length_ = 0;
  return message;
}

Result Dialogue::nonsense(const std::string& why, const std::string& message) const {
  return check::fail(Cause::protocol, why + ": it said " + quoted(message));
}

Dialogue::Step Dialogue::pause(Duration time) {
  pause_ = time;
  doing_ = Doing::pausing;
  watch_.stop();  // what comes meanwhile can wait
  is_watching_ = false;
  return Step{*this};
}

void Dialogue::pause_is_over() { settle(true); }

// ---- time -----------------------------------------------------------------------------------------------------------

void Dialogue::lenient_for(Duration limit) {
  is_lenient_ = true;
  patience_timer_.arm<&Dialogue::out_of_patience>(this, limit);
}

void Dialogue::strict() {
  is_lenient_ = false;
  patience_timer_.disarm();
}

Trouble Dialogue::lateness() const {
  const std::string limit = " within " + in_words(check::monotonic_now() - started_);
  switch (doing_) {
    case Doing::looking_up:
      return ours("no name server answered" + limit);
    case Doing::connecting:
      return fault(Cause::timeout, "nobody answered the connection" + limit);
    case Doing::shaking_hands:
      return fault(Cause::timeout, "it did not finish the TLS handshake" + limit);
    case Doing::sending:
      return fault(Cause::timeout, "it did not take what we sent" + limit);
    case Doing::nothing:
    case Doing::pausing:
    case Doing::receiving:
    case Doing::leaving:
      break;
  }
  if (in_.empty()) return fault(Cause::timeout, "no " + of_ + " came" + limit);
  return fault(Cause::timeout, "its " + of_ + " was not whole" + limit + ", only " + quoted(in_) + " came");
}

void Dialogue::out_of_patience() {
  if (!waiting_ || is_over_) return;
  watch_.stop();
  is_watching_ = false;
  settle(went_wrong(lateness()));
}

void Dialogue::out_of_time() {
  if (result_) return hand_in();
  is_lenient_ = false;
  went_wrong(lateness());
  hand_in();
}

// ---- the end --------------------------------------------------------------------------------------------------------

void Dialogue::lap(Phase phase) {
  const Duration now = check::monotonic_now();
  for (auto& [known, took] : laps_) {
    if (known == phase) {  // a second connection, another exchange
      took += now - lap_began_;
      lap_began_ = now;
      decided_after_ = now - started_;
      return;
    }
  }
  laps_.emplace_back(phase, now - lap_began_);
  lap_began_ = now;
  decided_after_ = now - started_;
}

void Dialogue::conclude(Result result) {
  lap(Phase::exchange);
  result_ = std::move(result);
  if (stream_.fd() < 0 || !trouble_.text.empty()) return leave();
  lenient_for(std::min(longest_goodbye, std::max(remaining(), Duration::zero())));
  goodbye_.emplace(goodbye());
  resume();
}

void Dialogue::leave() {
  is_over_ = true;
  doing_ = Doing::leaving;
  patience_timer_.disarm();
  if (stream_.fd() < 0 || stream_.is_datagram()) return hand_in();
  stream_.say_goodbye();
  soon_.arm<&Dialogue::hand_in>(this, leave_taking);
  watch_.stop();
  if (!watch_.start<&Dialogue::ready>(this, stream_.fd(), VITAL_READABLE)) hand_in();
}

void Dialogue::drain() {
  char buffer[8192];
  for (int i = 0; i < most_reads; ++i) {
    size_t got = 0;
    const Io io = stream_.read(buffer, sizeof buffer, got);
    if (io == Io::wants_read || io == Io::wants_write) return;
    if (io != Io::done) break;
  }
  hand_in();
}

void Dialogue::trouble(const char* what) noexcept {
  result_ = check::unknown(Cause::agent, std::string("the check stumbled: ") + what);
  is_over_ = true;
  hand_in();
}

// The last call: destroys this object.
void Dialogue::hand_in() {
  Result result = std::move(*result_);
  if (result.verdict != check::Verdict::pass) {
    const std::string where = peer_name_.empty() || peer_name_ == target() ? "" : " (at " + peer_name_ + ")";
    result.text = target() + where + ": " + result.text;
  }
  if (certificate_) {
    const double left = certificate_->days_left(std::time(nullptr));
    const double warn_at = warn_days_ > 0 ? static_cast<double>(warn_days_) : check::no_threshold;
    if (result.verdict == check::Verdict::pass && warn_days_ > 0 && left < warn_at) {
      result.verdict = check::Verdict::warn;
      result.cause = Cause::tls;
      result.text += ", but its certificate ends in " + std::to_string(static_cast<long>(left)) + " days";
    }
    result.measure("certificate_days_left", left, "d", warn_at);
    result.fact("certificate", certificate_->subject);
  }
  for (const auto& [phase, took] : laps_) result.phase(phase, took);
  if (!peer_name_.empty()) result.fact("address", peer_name_);
  if (decided_after_ > Duration::zero()) {
    result.measure("latency", static_cast<double>(decided_after_.count()) / 1e9, "s");
  }
  finisher_.finish(result);
}

// ---- options --------------------------------------------------------------------------------------------------------

Peer read_peer(const check::Options& options, bool demands_tls) {
  using check::Invalid;
  Peer peer;
  peer.target.host = options.text("host");
  peer.target.port = static_cast<uint16_t>(options.integer("port"));
  const std::string& host = peer.target.host;
  const bool is_path = !host.empty() && host.front() == '/';
  if (host.empty() || (!is_path && host.find_first_of(" /[]@") != std::string::npos) ||
      (!is_path && is_v6(host) && !is_numeric(host))) {
    throw Invalid("host", "is not a host name, an address, or the path of a Unix socket; write the port as port");
  }
  const std::string family = options.text_or("family", "any");
  peer.family = family == "4" ? 4 : family == "6" ? 6 : 0;
  peer.tls = read_tls(options);
  if (demands_tls && !peer.tls.is_on()) peer.tls.mode = TlsSettings::Mode::verify;
  if (!peer.tls.is_on() && (!peer.tls.ca.empty() || !peer.tls.certificate.empty() || !peer.tls.server_name.empty() ||
                            peer.tls.warn_days > 0)) {
    throw Invalid("tls.mode", "is off while other tls options are set; write verify");
  }
  return peer;
}

}  // namespace vital::net
