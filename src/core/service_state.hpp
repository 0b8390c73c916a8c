// ServiceState: from what a service's rule says to what its consumers are told. Between the two stand the ejection
// budget (a check gone wild must not take the node out again and again), the growing hold-down, overlays, and the slow
// start of the weight after a recovery. Pure; the engine owns one a service.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "base/time.hpp"
#include "core/plan.hpp"
#include "core/saved.hpp"
#include "core/snapshot.hpp"

namespace vital {

class ServiceState {
 public:
  ServiceState(const ServicePlan& plan, Now added);

  void replan(const ServicePlan& plan) { plan_ = plan; }

  // What the rule says now, and the overlay that lies on it. True if what is told or shown changed (the weight's ramp
  // counts).
  bool judge(Now now, State by_rule, OverlayKind overlay);

  // When judge() would say something else by the passing of time alone; empty if never.
  std::optional<Instant> wake() const { return wake_; }

  State state() const { return state_; }
  Verdict answer() const { return answer_; }
  bool has_started() const { return has_started_; }  // was up once: a reload must not put it back to pending
  Instant added_at() const { return added_at_; }
  bool is_withheld() const { return is_withheld_; }
  bool is_held_down() const { return held_until_.has_value(); }
  std::optional<Instant> held_until() const { return held_until_; }
  std::uint64_t withheld() const { return withheld_; }
  std::size_t recent_ejections() const { return ejections_.size(); }

  void fill(ServiceView& view) const;

  SavedService save(Instant now) const;
  void restore(Now now, const SavedService& saved, Duration elapsed);

 private:
  Verdict told(Instant now, State by_rule);
  bool may_eject(Instant now) const;
  Duration hold_down() const;
  unsigned weight_at(Instant now) const;
  void wake_by(Instant when) { wake_ = wake_ ? std::min(*wake_, when) : when; }

  ServicePlan plan_;
  Instant added_at_{};
  State state_ = State::pending;
  Verdict answer_ = Verdict::fail;
  Verdict before_overlay_ = Verdict::fail;
  OverlayKind overlay_ = OverlayKind::none;
  WallTime since_{};
  bool has_started_ = false;
  bool is_ejected_ = false;  // answers fail because its rule failed
  bool is_withheld_ = false;
  std::uint64_t withheld_ = 0;
  std::optional<Instant> held_until_;
  std::optional<Instant> recovered_at_;  // the ramp and the minimum up time count from here
  std::deque<Instant> ejections_;        // within the budget's window, oldest first; bounded
  unsigned weight_ = 0;
  std::optional<Instant> wake_;
};

}  // namespace vital
