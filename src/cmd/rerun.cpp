// See rerun.hpp.
#include "cmd/rerun.hpp"

#include <algorithm>
#include <charconv>

#include "base/duration.hpp"
#include "store/saved_text.hpp"

namespace vital::cmd {
namespace {

constexpr auto tolerance = std::chrono::seconds(1);  // how late a busy loop may be with what time alone brings

std::string field(const JournalEvent& e, std::string_view key) {
  for (const auto& [k, v] : e.fields) {
    if (k == key) return v;
  }
  return {};
}

std::chrono::milliseconds ms(const std::string& text) {
  std::int64_t n = 0;
  std::from_chars(text.data(), text.data() + text.size(), n);
  return std::chrono::milliseconds(n);
}

Overlay overlay(const JournalEvent& e) {
  Overlay o;
  o.kind = field(e, "kind") == "maintenance" ? OverlayKind::maintenance : OverlayKind::drain;
  o.service = field(e, "service");
  o.owner = field(e, "owner");
  o.reason = field(e, "reason");
  o.source = field(e, "file");
  o.since = e.at;
  o.until = parse_wall(field(e, "until"));
  return o;
}

}  // namespace

// The record's own monotonic time.
Now Rerun::at(WallTime wall) const { return {Instant(wall.time_since_epoch() - clock_set_by_), wall}; }

Replay& Rerun::replay(WallTime when) {
  if (!replay_) {
    first_ = when;
    replay_ = std::make_unique<Replay>(plan_, at(when));
    is_same_ = false;  // what it was recorded under is not known
    for (const CheckPlan& check : plan_->checks) replay_->differs(check.name, true);
  }
  return *replay_;
}

void Rerun::compare_settings(const SavedState& saved) {
  is_same_ = is_same_ && saved.checks.size() == plan_->checks.size();
  for (const SavedCheck& s : saved.checks) {
    const auto id = plan_->find_check(s.name);
    const bool is_other = id && plan_->at(*id).fingerprint != s.fingerprint;
    if (id) replay_->differs(s.name, is_other);
    is_same_ = is_same_ && id && !is_other;
  }
}

// What was really shown at this moment.
void Rerun::record(const SavedState& saved, WallTime when) {
  for (const SavedCheck& s : saved.checks) {
    recorded_.push_back({when, false, s.name, {}, std::string(name(s.state)), {}, {}});
  }
  for (const SavedService& s : saved.services) {
    const bool is_out = std::any_of(saved.overlays.begin(), saved.overlays.end(),
                                    [&](const Overlay& o) { return o.service.empty() || o.service == s.name; });
    recorded_.push_back(
        {when, true, s.name, {}, std::string(name(s.state)), std::string(name(is_out ? Verdict::fail : s.answer)), {}});
  }
}

void Rerun::take(const JournalRow& row) {
  last_ = std::max(last_, at_of(row));
  std::visit([this](const auto& r) { take(r); }, row);
}

void Rerun::take(const JournalState& state) {
  is_stopping_ = is_between_lives_ = false;
  std::string problem;
  const auto saved = parse_saved(state.text, &problem);
  if (!saved) return;
  if (!replay_) {
    first_ = state.at;
    SavedState start = *saved;
    replay_ = std::make_unique<Replay>(plan_, at(state.at), std::move(start));
    const Snapshot& s = replay_->snapshot();
    for (std::uint32_t i = 0; i < plan_->checks.size(); ++i) {
      initial_.push_back({state.at, false, plan_->checks[i].name, {}, std::string(name(s.checks[i].state)), {}, {}});
    }
    for (std::uint32_t i = 0; i < plan_->services.size(); ++i) {
      initial_.push_back({state.at,
                          true,
                          plan_->services[i].name,
                          {},
                          std::string(name(s.services[i].state)),
                          std::string(name(s.services[i].answer)),
                          {}});
    }
    record(*saved, state.at);
  } else if (state.kind != JournalState::Kind::passing) {
    compare_settings(*saved);
    replay_->restart(at(state.at), state.kind == JournalState::Kind::warm_start, is_same_ ? &*saved : nullptr);
    record(*saved, state.at);
  }
  compare_settings(*saved);
}

void Rerun::take(const JournalResult& r) {
  RecordedResult out;
  out.check = r.check;
  out.at = at(r.at);
  out.result.verdict = r.verdict;
  out.result.cause = r.cause;
  out.result.text = r.text;
  out.result.duration = r.duration;
  out.result.evidence.timer_overshoot = r.lost;
  out.found_ago = r.found_ago;
  out.attempt = r.attempt;
  out.is_outcome = r.is_outcome;
  replay(r.at).take(out);
}

void Rerun::take(const JournalEvent& e) {
  if (e.event == "clock_changed") {
    clock_set_by_ += ms(field(e, "by_ms"));
  } else if (e.event == "stopping") {
    is_stopping_ = true;
  } else if (e.event == "check_state" ||
             ((e.event == "service_state" || e.event == "ejection_withheld") && !is_stopping_)) {
    const bool is_service = e.event != "check_state";
    recorded_.push_back({e.at, is_service, field(e, is_service ? "service" : "check"), field(e, "from"), field(e, "to"),
                         field(e, "answer"), field(e, "reason")});
  } else if (!replay_) {
    return;  // before anything is known
  } else if (e.event == "host_slept") {
    replay_->slept(at(e.at), ms(field(e, "for_ms")));
  } else if (e.event == "agent_stalled") {
    replay_->stalled(at(e.at), ms(field(e, "for_ms")));
  } else if (e.event == "overlay_set") {
    replay_->lay(at(e.at), overlay(e));
  } else if (e.event == "overlay_cleared" || e.event == "overlay_expired") {
    replay_->lift(at(e.at), field(e, "service"), field(e, "file"));
  } else if (e.event == "starting") {
    is_between_lives_ = true;
  } else if (!is_between_lives_) {
    replay_->end(at(e.at));
  }
}

ReplayComparison Rerun::finish(WallTime until) {
  std::vector<ReplayChange> replayed = initial_;
  if (replay_) {
    replay_->end(at(until));
    const auto& changes = replay_->outcome().changes;
    replayed.insert(replayed.end(), changes.begin(), changes.end());
  }
  return compare(recorded_, replayed, from(), until, tolerance);
}

}  // namespace vital::cmd
