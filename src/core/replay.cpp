// See replay.hpp. The real engine does it, with outcomes reported instead of probed.
#include "core/replay.hpp"

#include <algorithm>

#include "base/duration.hpp"
#include "core/engine.hpp"

namespace vital {

namespace {

// The recorded outcome as this plan would have seen it.
ProbeResult reread(const CheckPlan& check, ProbeResult r) {
  const bool was_slow = r.verdict == Verdict::warn && r.cause == Cause::latency;
  if (was_slow) {
    r.verdict = Verdict::pass;
    r.cause = Cause::none;
  }
  if (check.is_passive || r.verdict == Verdict::unknown || r.verdict == Verdict::fail) return r;
  if (check.timeout > Duration::zero() && r.duration > check.timeout) {
    r.verdict = Verdict::fail;
    r.cause = Cause::timeout;
    r.text = "took " + friendly_duration(r.duration) + ", would have timed out after " + format_duration(check.timeout);
  } else if (r.verdict == Verdict::pass && check.warn_after && r.duration > *check.warn_after) {
    r.verdict = Verdict::warn;
    r.cause = Cause::latency;
    r.text = "took " + friendly_duration(r.duration);
  }
  return r;
}

std::string field(const Note& n, std::string_view key) {
  for (const auto& [k, v] : n.fields) {
    if (k == key) return v;
  }
  return {};
}

class Player {
 public:
  Player(const std::shared_ptr<const Plan>& plan, Now start)
      : plan_(plan), engine_(Engine::for_replay(plan, start)), now_(start) {
    for (const ServicePlan& s : plan->services) out_.services.push_back({s.name, 0, {}});
    was_up_.resize(plan->services.size());
    is_down_.resize(plan->services.size());
    feed(Tick{});
  }

  void play(const RecordedResult& r) {
    const auto id = plan_->find_check(r.check);
    if (!id) {
      ++out_.unused;
      return;
    }
    // What happens by the passing of time alone (stale, held, slow start) happens in between.
    while (wake_at_ <= r.at.mono) {
      const Duration step = std::max(wake_at_ - now_.mono, Duration::zero());
      pass(step);
      now_ = {now_.mono + step, now_.wall + std::chrono::duration_cast<std::chrono::milliseconds>(step)};
      feed(Tick{});
    }
    pass(r.at.mono - now_.mono);
    now_ = r.at;
    feed(Report{*id, reread(plan_->at(*id), r.result)});
  }

  Replayed finish() { return std::move(out_); }

 private:
  void pass(Duration d) {
    for (std::size_t i = 0; i < out_.services.size(); ++i) {
      if (is_down_[i]) out_.services[i].told_fail += d;
    }
  }

  void feed(const Input& input) {
    const Step step = engine_.apply(now_, input);
    wake_at_ = std::max(step.wake_at, now_.mono + std::chrono::nanoseconds(1));
    for (const Effect& e : step.effects) {
      if (const auto* n = std::get_if<Note>(&e)) write_down(*n);
    }
    for (std::uint32_t i = 0; i < was_up_.size(); ++i) {
      const bool is_down = engine_.snapshot()->services[i].answer == Verdict::fail;
      if (is_down && !is_down_[i] && was_up_[i]) ++out_.services[i].falls;
      was_up_[i] = was_up_[i] || !is_down;
      is_down_[i] = is_down && was_up_[i];
    }
  }

  void write_down(const Note& n) {
    const bool is_service = n.event == "service_state" || n.event == "ejection_withheld";
    if (!is_service && n.event != "check_state") return;
    out_.changes.push_back({now_.wall, is_service, field(n, is_service ? "service" : "check"), field(n, "from"),
                            field(n, "to"), field(n, "answer"), field(n, "reason")});
  }

  std::shared_ptr<const Plan> plan_;
  Engine engine_;
  Now now_;
  Instant wake_at_{};
  std::vector<bool> was_up_, is_down_;
  Replayed out_;
};

}  // namespace

Replayed replay(const std::shared_ptr<const Plan>& plan, std::span<const RecordedResult> results) {
  if (results.empty()) return {};
  Player player(plan, results.front().at);
  for (const RecordedResult& r : results) player.play(r);
  return player.finish();
}

}  // namespace vital
