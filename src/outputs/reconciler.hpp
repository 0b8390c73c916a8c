// Reconciler: when an output is looked after, and what is known of it. It is level-triggered: what is wanted is
// compared with what the other side holds at every change and at every interval, so that an edit, a restart over there
// or a lost message is set right. It owns no clock and no target; the caller performs what due() asks for. Pure.
//
//   reconciler.want(now, "web=pass/100");
//   if (reconciler.due(now)) { reconciler.started(now); port.sync(wanted, [&](Synced s) { reconciler.ended(now, s); });
//   } if (reconciler.overdue(now)) port.cancel(); timer.arm_at(reconciler.wake_at());
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/time.hpp"

namespace vital {

// pending: what is wanted has not been confirmed by the other side yet. failing: the last look did not succeed.
enum class OutputState : std::uint8_t { pending, ok, failing };
constexpr std::string_view name(OutputState s) {
  return s == OutputState::ok ? "ok" : s == OutputState::pending ? "pending" : "failing";
}

struct OutputPace {
  Duration interval = std::chrono::seconds(5);        // between two looks while nothing changes
  Duration timeout = std::chrono::seconds(2);         // of one look
  Duration min_gap = std::chrono::milliseconds(100);  // between the starts of two looks, whatever changes
  Duration first_retry = std::chrono::milliseconds(500);
  Duration longest_retry = std::chrono::minutes(1);
  bool tells_events = false;  // the other side holds nothing: nothing can be lost there and repaired
};

// What one look came to.
struct Synced {
  enum class How : std::uint8_t {
    kept,     // the other side held what is wanted
    written,  // it did not, and does now: read back
    sent,     // it was told, and takes its time; to be looked at again in `again_in`
    waiting,  // it was told before and has not done it yet; to be looked at again in `again_in`
    failed
  };
  How how = How::failed;
  std::string error;    // one line, if it failed
  std::string held;     // what the other side held before, one short line; for people
  Duration again_in{};  // for `sent` and `waiting`
};

// Only ever grow.
struct OutputCounters {
  std::uint64_t looks = 0;
  std::uint64_t changes = 0;   // told something else than before
  std::uint64_t repairs = 0;   // the other side had lost or changed what it held
  std::uint64_t failures = 0;  // looks that did not succeed, timeouts included
  std::uint64_t timeouts = 0;
};

class Reconciler {
 public:
  explicit Reconciler(OutputPace pace) : pace_(pace) {}

  // `detail` is what goes with it and changes all the time: it is told as well, but while only it is behind, what
  // matters is still held.
  void want(Instant now, const std::string& key, const std::string& detail = {});
  // The next look at once, as far as min_gap allows: something outside says that it is worth it.
  void hurry(Instant now);

  bool due(Instant now) const;
  void started(Instant now);
  // The look that was started takes longer than it may; true once a look.
  bool overdue(Instant now);
  // The look that was started is over, in time or late.
  // True if it was a repair: the other side had lost what it held at the look before.
  bool ended(Instant now, const Synced& synced);

  // When to call again at the latest.
  Instant wake_at() const;

  OutputState state() const { return state_; }
  bool is_busy() const { return busy_since_.has_value(); }
  // What is wanted is held by the other side, as of the last look.
  bool is_confirmed() const { return is_held() && state_ == OutputState::ok; }
  const std::string& error() const { return error_; }
  const OutputCounters& counters() const { return counters_; }

 private:
  struct Key {
    std::string key;
    std::string detail;
    bool operator==(const Key&) const = default;
  };

  bool is_held() const { return wanted_ && confirmed_ && confirmed_->key == wanted_->key; }
  void failed(Instant now, std::string error);
  bool count_change();

  OutputPace pace_;
  std::optional<Key> wanted_;
  std::optional<Key> confirmed_;   // what the other side held at the last good look
  std::optional<Key> looked_for_;  // of the look under way
  std::optional<Instant> busy_since_;
  std::optional<Instant> last_start_;
  Instant next_look_{};
  bool is_given_up_ = false;  // of the look under way the caller has been told
  unsigned failures_in_a_row_ = 0;
  OutputState state_ = OutputState::pending;
  std::string error_;
  OutputCounters counters_;
};

}  // namespace vital
