// What a Stage went through, played back through a plan: with its own plan it must say what it said.
//
//   const auto differences = replayed_otherwise(stage);                  // empty
//   const unsigned falls = play_back(stage, another_plan).services[0].falls;
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/replay.hpp"
#include "core/stage.hpp"

namespace vital::test {

inline Replayed play_back(const Stage& stage, const std::shared_ptr<const Plan>& plan, const std::string& changed = {},
                          std::vector<ReplayChange>* recorded = nullptr) {
  const auto& record = stage.record;
  if (record.empty()) return {};
  // Times are told by the monotonic clock on both sides: stories set the other one.
  const auto at = [](Instant mono) {
    return Now{mono, WallTime(std::chrono::duration_cast<std::chrono::milliseconds>(mono.time_since_epoch()))};
  };
  Replay replay(plan, at(stage.start()));
  if (!changed.empty()) replay.differs(changed);
  for (const Stage::Recorded& r : record) {
    const Now now = at(r.at);
    if (const auto* ended = std::get_if<ProbeEnded>(&r.what)) {
      replay.take({r.check, now, ended->result, ended->found_ago, ended->attempt, ended->is_outcome});
    } else if (const auto* note = std::get_if<Note>(&r.what)) {
      const bool is_service = note->event != "check_state";
      if (recorded != nullptr) {
        recorded->push_back({now.wall,
                             is_service,
                             Stage::field(*note, is_service ? "service" : "check"),
                             Stage::field(*note, "from"),
                             Stage::field(*note, "to"),
                             Stage::field(*note, "answer"),
                             {}});
      }
    } else if (const auto* stalled = std::get_if<Stage::Stalled>(&r.what)) {
      replay.stalled(now, stalled->how_long);
    } else if (const auto* slept = std::get_if<Slept>(&r.what)) {
      replay.slept(now, slept->how_long);
    } else if (const auto* set = std::get_if<SetOverlay>(&r.what)) {
      Overlay overlay = set->overlay;
      if (overlay.until) *overlay.until += now.wall - r.wall;
      replay.lay(now, overlay);
    } else if (const auto* clear = std::get_if<ClearOverlay>(&r.what)) {
      replay.lift(now, clear->service, clear->source);
    } else if (const auto* restarted = std::get_if<Stage::Restarted>(&r.what)) {
      replay.end(at(restarted->stopped_at));
      replay.restart(now, true);
    }
  }
  replay.end(at(stage.now().mono));
  return replay.outcome();
}

inline std::vector<ReplayDifference> replayed_otherwise(const Stage& stage) {
  std::vector<ReplayChange> recorded;
  const auto plan = std::make_shared<const Plan>(stage.plan());
  const Replayed out = play_back(stage, plan, {}, &recorded);
  const auto wall = [](Instant t) {
    return WallTime(std::chrono::duration_cast<std::chrono::milliseconds>(t.time_since_epoch()));
  };
  return compare(recorded, out.changes, wall(stage.start()), wall(stage.now().mono), 2ms).differences;
}

}  // namespace vital::test
