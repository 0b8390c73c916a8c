// See replay.hpp. The real engine does it, with outcomes reported instead of probed.
#include "core/replay.hpp"

#include <algorithm>
#include <utility>

#include "base/duration.hpp"
#include "core/evidence.hpp"
#include "core/hysteresis.hpp"

namespace vital {

namespace {

std::string field(const Note& n, std::string_view key) {
  for (const auto& [k, v] : n.fields) {
    if (k == key) return v;
  }
  return {};
}

// Another plan's counters mean nothing here: up or down is all that is taken over from it.
SavedState translated(const Plan& plan, SavedState saved) {
  for (SavedCheck& s : saved.checks) {
    const auto id = plan.find_check(s.name);
    if (!id || plan.at(*id).fingerprint == s.fingerprint) continue;
    const CheckPlan& check = plan.at(*id);
    Hysteresis settled(check.rise, check.fall, check.fall_window);
    settled.decide(s.state != State::fail);
    s.hysteresis = settled.value();
    s.window = settled.word();
    s.fingerprint = check.fingerprint;
  }
  return saved;
}

// An engine cannot be moved: it is made where it stays.
std::unique_ptr<Engine> engine_of(const std::shared_ptr<const Plan>& plan, Now now, const SavedState& saved,
                                  Duration elapsed, bool is_restart) {
  return std::unique_ptr<Engine>(new Engine(Engine::for_replay(plan, now, saved, elapsed, is_restart)));
}

}  // namespace

Replay::Replay(const std::shared_ptr<const Plan>& plan, Now start) : Replay(plan, start, SavedState{}) {}

Replay::Replay(const std::shared_ptr<const Plan>& plan, Now start, SavedState saved) : plan_(plan), now_(start) {
  for (const SavedCheck& s : saved.checks) {
    const auto id = plan->find_check(s.name);
    if (id && plan->at(*id).fingerprint != s.fingerprint) differs(s.name);
  }
  engine_ = engine_of(plan, start, translated(*plan, std::move(saved)), Duration::zero(), false);
  for (const ServicePlan& s : plan->services) out_.services.push_back({s.name, 0, {}});
  was_up_.resize(plan->services.size());
  is_down_.resize(plan->services.size());
  feed(Tick{});
}

// The recorded outcome as this plan would have seen it.
ProbeResult Replay::reread(const CheckPlan& check, ProbeResult r, Duration lost) {
  const bool was_slow = r.verdict == Verdict::warn && r.cause == Cause::latency;
  if (check.is_passive || r.verdict == Verdict::unknown) return r;
  if (r.verdict == Verdict::fail) {
    const bool would_have_waited = r.cause == Cause::timeout && check.timeout > r.duration;
    if (would_have_waited && differing_.contains(check.name)) ++out_.undecided[check.name];
    return r;
  }
  if (check.timeout > Duration::zero() && r.duration > check.timeout) {
    r.verdict = Verdict::fail;
    r.cause = Cause::timeout;
    r.text = "took " + friendly_duration(r.duration) + ", would have timed out after " + format_duration(check.timeout);
    return r;
  }
  const bool is_slow = check.warn_after && r.duration > *check.warn_after && r.duration - lost > *check.warn_after;
  if (is_slow == was_slow) return r;
  if (is_slow && r.verdict == Verdict::pass) {
    r.verdict = Verdict::warn;
    r.cause = Cause::latency;
    r.text = "took " + friendly_duration(r.duration);
  } else if (was_slow) {
    r.verdict = Verdict::pass;
    r.cause = Cause::none;
    r.text.clear();
  }
  return r;
}

void Replay::take(const RecordedResult& r) {
  const auto id = plan_->find_check(r.check);
  if (!id) {
    ++out_.unused;
    return;
  }
  ++out_.results;
  const CheckPlan& check = plan_->at(*id);
  if (r.attempt == 0) is_over_[r.check] = false;
  if (is_over_[r.check]) return;
  pass_until(r.at);
  const ProbeResult result = reread(check, r.result, evidence::lost(r.result.evidence));
  bool is_outcome = r.is_outcome;
  const bool is_bad = result.verdict == Verdict::fail || result.verdict == Verdict::unknown;
  if (differing_.contains(r.check) && !check.is_passive) {
    // Fewer retries end the cycle sooner; so does a retry nobody would make after a good answer.
    if (!is_outcome && (r.attempt >= check.retries || !is_bad)) is_outcome = true;
    if (r.is_outcome && is_bad && r.attempt < check.retries) ++out_.undecided[r.check];
  }
  is_over_[r.check] = is_outcome;
  feed(Report{*id, result, r.found_ago, is_outcome});
}

void Replay::restart(Now at, bool is_warm, const SavedState* recorded) {
  SavedState saved;
  Duration away{};
  if (recorded != nullptr) {
    saved = *recorded;
  } else if (is_warm) {
    saved = engine_->save(now_);
    away = std::max(at.mono - now_.mono, Duration::zero());
  }
  pass(std::max(at.mono - now_.mono, Duration::zero()));
  now_ = at;
  const auto before = engine_->snapshot();
  // Plans are the same: what is restored is this plan's own.
  engine_ = engine_of(plan_, at, saved, away, true);
  is_over_.clear();
  feed(Tick{});
  // Whatever is shown differently now was not said by a note.
  const auto after = engine_->snapshot();
  for (std::uint32_t i = 0; i < plan_->checks.size(); ++i) {
    const CheckId id(i);
    if (before->at(id).state == after->at(id).state) continue;
    out_.changes.push_back({at.wall,
                            false,
                            plan_->at(id).name,
                            std::string(name(before->at(id).state)),
                            std::string(name(after->at(id).state)),
                            {},
                            "the agent began anew"});
  }
  for (std::uint32_t i = 0; i < plan_->services.size(); ++i) {
    const ServiceId id(i);
    const ServiceView &was = before->at(id), &is = after->at(id);
    if (was.state == is.state && was.answer == is.answer) continue;
    out_.changes.push_back({at.wall, true, plan_->at(id).name, std::string(name(was.state)),
                            std::string(name(is.state)), std::string(name(is.answer)), "the agent began anew"});
  }
}

void Replay::slept(Now at, Duration how_long) {
  now_.wall = at.wall;
  feed(Slept{how_long, {}});
}

void Replay::stalled(Now at, Duration how_long) {
  // Nothing turned stale while nobody looked.
  pass(std::max(at.mono - now_.mono, Duration::zero()));
  now_ = {std::max(at.mono, now_.mono), at.wall};
  feed(Slept{Duration::zero(), how_long});
}

void Replay::lay(Now at, const Overlay& overlay) {
  pass_until(at);
  feed(SetOverlay{overlay});
}

void Replay::lift(Now at, const std::string& service, const std::string& source) {
  pass_until(at);
  feed(ClearOverlay{service, source});
}

// What happens by the passing of time alone (stale, held, slow start) happens in between.
void Replay::pass_until(Now at) {
  while (wake_at_ <= at.mono) {
    const Duration step = std::max(wake_at_ - now_.mono, Duration::zero());
    pass(step);
    now_ = {now_.mono + step, now_.wall + std::chrono::duration_cast<std::chrono::milliseconds>(step)};
    feed(Tick{});
  }
  pass(std::max(at.mono - now_.mono, Duration::zero()));
  now_ = {std::max(at.mono, now_.mono), at.wall};
}

void Replay::pass(Duration d) {
  for (std::size_t i = 0; i < out_.services.size(); ++i) {
    if (is_down_[i]) out_.services[i].told_fail += d;
  }
}

void Replay::feed(const Input& input) {
  const Step step = engine_->apply(now_, input);
  wake_at_ = std::max(step.wake_at, now_.mono + std::chrono::nanoseconds(1));
  for (const Effect& e : step.effects) {
    if (const auto* n = std::get_if<Note>(&e)) write_down(*n);
  }
  look();
}

void Replay::look() {
  for (std::uint32_t i = 0; i < was_up_.size(); ++i) {
    const bool is_down = engine_->snapshot()->services[i].answer == Verdict::fail;
    if (is_down && !is_down_[i] && was_up_[i]) ++out_.services[i].falls;
    was_up_[i] = was_up_[i] || !is_down;
    is_down_[i] = is_down && was_up_[i];
  }
}

void Replay::write_down(const Note& n) {
  const bool is_service = n.event == "service_state" || n.event == "ejection_withheld";
  if (!is_service && n.event != "check_state") return;
  if (out_.changes.size() >= most_changes) {
    ++out_.changes_left_out;
    return;
  }
  out_.changes.push_back({now_.wall, is_service, field(n, is_service ? "service" : "check"), field(n, "from"),
                          field(n, "to"), field(n, "answer"), field(n, "reason")});
}

Replayed replay(const std::shared_ptr<const Plan>& plan, std::span<const RecordedResult> results) {
  if (results.empty()) return {};
  Replay player(plan, results.front().at);
  for (const CheckPlan& check : plan->checks) player.differs(check.name);
  for (const RecordedResult& r : results) player.take(r);
  return player.outcome();
}

}  // namespace vital
