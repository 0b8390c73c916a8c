// What a worker left behind when it ended: found, killed, and proven gone before its check runs again. See
// pool_impl.hpp and loop/orphans.hpp.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "loop/orphans.hpp"
#include "probe/pool_impl.hpp"

namespace vital {
namespace {

using namespace std::chrono_literals;

constexpr Duration patience_to_die = 1s;
constexpr Duration look_often = 10ms;
constexpr Duration look_seldom = 1s;  // once there is nothing to hope for

}  // namespace

void Pool::Impl::adopt_orphans() {
  if (!options_.proves_ends) return;
  has_adopted_ = orphans::adopt();
  control_group_ = ControlGroup::delegated();
}

const char* Pool::Impl::kill_method() const {
  if (control_group_) return "cgroup";
  return has_adopted_ ? "subreaper" : "group";
}

// `check` is whose worker has just ended; empty if we only look again.
void Pool::Impl::look_for_orphans(const std::string& check) {
  if (!has_adopted_) return;
  const Instant now = Loop::now();
  std::map<pid_t, Orphaned> left;
  bool has_news = false, is_hopeless = true;
  for (const orphans::Orphan& o : orphans::sweep()) {
    const auto known = orphans_.find(o.pid);
    Orphaned& entry =
        left.emplace(o.pid, known != orphans_.end() ? known->second : Orphaned{check, now, {}}).first->second;
    if (entry.why.empty() && now - entry.since >= patience_to_die) {
      entry.why = orphans::why_alive(o);
      has_news = true;
      note(Note::Level::error, "process_unkillable",
           {{"pid", std::to_string(o.pid)}, {"check", entry.check}, {"why", entry.why}});
    }
    is_hopeless = is_hopeless && !entry.why.empty();
  }
  const bool is_relief = left.size() < orphans_.size();
  orphans_ = std::move(left);
  std::erase_if(graves_, [](ControlGroup& g) { return g.is_gone(); });
  if (!orphans_.empty() || !graves_.empty()) orphan_timer_.arm_in(is_hopeless ? look_seldom : look_often);
  if (has_news) give_up_hopeless();
  if (!is_relief && !has_news) return;
  for (const auto& [key, lane] : lanes_) dispatch(*lane);
  dispatch();
}

const std::pair<const pid_t, Pool::Impl::Orphaned>* Pool::Impl::orphan_of(const std::string& check) const {
  const auto found = std::ranges::find_if(orphans_, [&](const auto& o) { return o.second.check == check; });
  return found == orphans_.end() ? nullptr : &*found;
}

bool Pool::Impl::is_unkillable(const std::string& check) const {
  if (const auto held = held_.find(check); held != held_.end() && held->second.is_unkillable) return true;
  const auto* orphan = orphan_of(check);
  return orphan != nullptr && !orphan->second.why.empty();
}

// Probes that wait for the dead: it will not come back soon.
void Pool::Impl::give_up_hopeless() {
  std::vector<std::uint64_t> hopeless;
  for (const auto& [id, probe] : probes_) {
    if (probe.place == Place::queued && is_unkillable(probe.spec->check)) hopeless.push_back(id);
  }
  for (const std::uint64_t id : hopeless) {
    Probe* probe = find(id);
    if (probe == nullptr) continue;
    std::erase(queue_, id);
    for (const auto& [key, lane] : lanes_) std::erase(lane->waiting, id);
    finish_unknown(*probe, why_queued(*probe));
  }
}

}  // namespace vital
