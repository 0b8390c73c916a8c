// See reconciler.hpp.
#include "outputs/reconciler.hpp"

#include <algorithm>
#include <utility>

#include "base/duration.hpp"

namespace vital {

void Reconciler::want(Instant now, const std::string& key, const std::string& detail) {
  Key next{key, detail};
  if (wanted_ == next) return;
  wanted_ = std::move(next);
  if (state_ == OutputState::ok && !is_held()) state_ = OutputState::pending;
  hurry(now);
}

void Reconciler::hurry(Instant now) {
  // Also while it fails: a change is news, and min_gap bounds how often news may come.
  next_look_ = last_start_ ? std::max(now, *last_start_ + pace_.min_gap) : now;
}

bool Reconciler::due(Instant now) const { return wanted_ && !busy_since_ && now >= next_look_; }

void Reconciler::started(Instant now) {
  busy_since_ = last_start_ = now;
  looked_for_ = wanted_;
  is_given_up_ = false;
  ++counters_.looks;
  next_look_ = now + pace_.interval;
}

bool Reconciler::overdue(Instant now) {
  if (!busy_since_ || is_given_up_ || now < *busy_since_ + pace_.timeout) return false;
  is_given_up_ = true;
  ++counters_.timeouts;
  failed(now, "no answer within " + format_duration(pace_.timeout));
  return true;
}

bool Reconciler::ended(Instant now, const Synced& synced) {
  if (!busy_since_) return false;
  busy_since_.reset();
  bool is_repair = false;
  switch (synced.how) {
    case Synced::How::failed:
      // After a timeout that was counted the words of whoever was cancelled say less than the timeout.
      if (!is_given_up_) failed(now, synced.error);
      return false;
    case Synced::How::sent:
      is_repair = count_change();
      [[fallthrough]];
    case Synced::How::waiting:
      failures_in_a_row_ = 0;
      error_.clear();
      state_ = OutputState::pending;
      if (wanted_ == looked_for_) next_look_ = now + std::max(synced.again_in, pace_.min_gap);
      return is_repair;
    case Synced::How::written:
      is_repair = count_change();
      break;
    case Synced::How::kept:
      break;
  }
  failures_in_a_row_ = 0;
  error_.clear();
  confirmed_ = looked_for_;
  state_ = is_held() ? OutputState::ok : OutputState::pending;
  if (is_given_up_) next_look_ = std::max(next_look_, now + pace_.min_gap);  // late, so gently
  return is_repair;
}

bool Reconciler::count_change() {
  const bool is_repair = !pace_.tells_events && confirmed_ == looked_for_;
  ++(is_repair ? counters_.repairs : counters_.changes);
  return is_repair;
}

void Reconciler::failed(Instant now, std::string error) {
  ++counters_.failures;
  state_ = OutputState::failing;
  error_ = std::move(error);
  const Duration wait =
      std::min<Duration>(pace_.longest_retry, pace_.first_retry * (1LL << std::min(failures_in_a_row_, 16U)));
  ++failures_in_a_row_;
  // Something new to say in the meantime is said at once.
  if (wanted_ == looked_for_) next_look_ = now + wait;
}

Instant Reconciler::wake_at() const {
  if (busy_since_) return is_given_up_ ? Instant::max() : *busy_since_ + pace_.timeout;
  return wanted_ ? next_look_ : Instant::max();
}

}  // namespace vital
