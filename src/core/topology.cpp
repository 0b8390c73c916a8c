// Who is primary, by evidence; see topology.hpp.
#include "core/topology.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/duration.hpp"

namespace vital {
namespace {

constexpr auto primary_words = std::to_array<std::string_view>({"primary", "master", "writer", "active", "leader"});
constexpr auto standby_words =
    std::to_array<std::string_view>({"standby", "replica", "slave", "reader", "passive", "secondary", "follower"});

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string fact(const ProbeResult& r, std::string_view name) {
  for (const auto& [key, value] : r.facts) {
    if (key == name) return value;
  }
  return {};
}

std::optional<double> measure(const ProbeResult& r, std::string_view name) {
  for (const Measure& m : r.measures) {
    if (m.name == name) return m.value;
  }
  return {};
}

// A failure after the connection was made: something is there.
bool is_reached(const ProbeResult& r) {
  if (r.cause == Cause::refused || r.cause == Cause::unreachable || r.cause == Cause::dns) return false;
  return std::any_of(r.phases.begin(), r.phases.end(), [](const auto& p) { return p.first > Phase::connect; });
}

std::string words_for(double lag_s) {
  return friendly_duration(std::chrono::duration_cast<Duration>(std::chrono::duration<double>(lag_s)));
}

// How long the primary was seen well after the standby was last seen following: what was written then, it may not have.
std::optional<Duration> unfollowed(const MemberSeen& seen, const PrimaryGood& primary) {
  if (!seen.followed || !primary.at) return {};
  return std::max(Duration::zero(), *primary.at - seen.followed->at);
}

// The lag of a standby that is cut off. It says nothing of it itself: without a source, all that was received has been
// replayed.
void reckon_lag(const MemberSeen& seen, const PrimaryGood& primary, Duration max_age, MemberView& view) {
  const auto gap = unfollowed(seen, primary);
  view.lost_primary = gap && *gap <= max_age;
  if (seen.followed) {
    view.followed_at = seen.followed->at;
    view.followed_lag = seen.followed->lag;
  }
  view.lag = gap && seen.followed->lag
                 ? std::optional(*seen.followed->lag + std::chrono::duration<double>(*gap).count())
                 : std::nullopt;
  view.lag_bytes = gap ? seen.followed->lag_bytes : std::nullopt;
  if (primary.position_bytes && seen.position_bytes)
    view.lag_bytes = std::max(0.0, *primary.position_bytes - *seen.position_bytes);
  if (seen.followed && view.timeline.empty()) view.timeline = seen.followed->timeline;
}

// Why a standby is no candidate; empty if it is one.
std::string unfit(const TopologyPlan& plan, Duration max_age, const MemberSeen& seen, const PrimaryGood& primary,
                  const MemberView& view) {
  if (!seen.is_fit) return "its check does not pass: " + seen.text;
  if (seen.is_paused) return "its replay is paused";
  if (seen.link == Link::down) {
    const auto gap = unfollowed(seen, primary);
    if (!gap && !seen.timeline.empty() && !primary.timeline.empty() && seen.timeline != primary.timeline)
      return "it is on timeline " + seen.timeline + ", the primary on " + primary.timeline +
             ": it does not follow, and may have gone another way";
    if (!gap) return "it is cut off from its source, and was not seen to follow before";
    if (*gap > max_age)
      return "it was cut off from its source " + friendly_duration(*gap) + " before the primary was last seen well";
    if (seen.waiting > 0) return "what it has received is not applied yet";
  }
  if (plan.max_lag) {
    if (!view.lag) return "nobody knows how far it is behind";
    if (*view.lag > seconds(*plan.max_lag))
      return "it is " + words_for(*view.lag) + " behind, more than " + friendly_duration(*plan.max_lag);
  }
  return {};
}

}  // namespace

std::string_view name(ServerRole role) {
  switch (role) {
    case ServerRole::unknown:
      return "unknown";
    case ServerRole::primary:
      return "primary";
    case ServerRole::standby:
      return "standby";
  }
  return "unknown";
}

std::string_view name(Link link) {
  switch (link) {
    case Link::unknown:
      return "";
    case Link::up:
      return "up";
    case Link::down:
      return "down";
  }
  return "";
}

std::string_view name(TopologyStatus status) {
  switch (status) {
    case TopologyStatus::unknown:
      return "unknown";
    case TopologyStatus::steady:
      return "steady";
    case TopologyStatus::no_primary:
      return "no_primary";
    case TopologyStatus::two_primaries:
      return "two_primaries";
  }
  return "unknown";
}

ServerRole role_of(std::string_view fact) {
  const std::string word = lower(fact);
  if (std::find(primary_words.begin(), primary_words.end(), word) != primary_words.end()) return ServerRole::primary;
  if (std::find(standby_words.begin(), standby_words.end(), word) != standby_words.end()) return ServerRole::standby;
  return ServerRole::unknown;
}

std::optional<MemberSeen> evidence_of(const ProbeResult& r, Instant at, WallTime wall) {
  MemberSeen out;
  out.at = at;
  out.wall = wall;
  out.role = role_of(fact(r, "role"));
  out.is_well = r.verdict == Verdict::pass || r.verdict == Verdict::warn;
  out.is_down = out.role == ServerRole::unknown && r.verdict == Verdict::fail;
  if (out.role == ServerRole::unknown && !out.is_down) return {};
  out.is_reached = !out.is_down || is_reached(r);
  out.is_absent = out.is_down && (r.cause == Cause::refused || r.cause == Cause::unreachable);
  const std::string link = fact(r, "link"), apart = fact(r, "apart_from_link");
  out.link = link == "up" ? Link::up : link == "down" ? Link::down : Link::unknown;
  out.is_fit = out.link == Link::down ? apart == "pass" || apart == "warn" : out.is_well;
  out.lag = measure(r, "lag");
  out.lag_bytes = measure(r, "lag_bytes");
  out.position_bytes = measure(r, "position");
  out.waiting = measure(r, "transactions_waiting").value_or(0);
  const std::string paused = fact(r, "replay_paused");
  out.is_paused = paused == "true" || paused == "on" || paused == "yes" || fact(r, "replay") == "paused";
  for (const std::string_view word : {"lsn", "gtid", "csn", "position"}) {
    if (out.position.empty()) out.position = fact(r, word);
  }
  out.timeline = fact(r, "timeline");
  out.text = r.text;
  return out;
}

std::optional<MemberSeen> evidence_of(const ProbeResult& r, Instant at, WallTime wall,
                                      const std::optional<MemberSeen>& before) {
  auto out = evidence_of(r, at, wall);
  if (!out) return out;
  if (out->role == ServerRole::primary) {
    const bool was_primary = before && before->role == ServerRole::primary;
    out->primary_since = was_primary ? before->primary_since : at;
  }
  if (out->role == ServerRole::standby && out->link != Link::down) {
    out->followed = {at, out->lag, out->lag_bytes, out->timeline};
  } else if (out->role != ServerRole::primary && before) {
    out->followed = before->followed;
  }
  if (out->is_down && !out->is_absent && before && before->is_down && before->is_reached) out->is_reached = true;
  return out;
}

std::vector<MemberView> members_of(const TopologyPlan& plan, const std::vector<std::optional<MemberSeen>>& seen,
                                   const PrimaryGood& primary, Instant now) {
  std::vector<MemberView> out;
  out.reserve(plan.members.size());
  for (std::size_t i = 0; i < plan.members.size(); ++i) {
    MemberView view;
    view.name = plan.members[i].name;
    if (seen[i]) {
      const MemberSeen& s = *seen[i];
      view.age = now - s.at;
      view.seen_at = s.at;
      view.primary_since = s.primary_since;
      view.is_seen = *view.age <= plan.members[i].max_age;
      view.text = s.text;
      view.position = s.position;
      view.timeline = s.timeline;
      view.lag = s.lag;
      view.lag_bytes = s.lag_bytes;
      if (view.is_seen) {
        view.role = s.role;
        view.is_down = s.is_down;
        view.is_reached = s.is_reached;
        view.is_well = s.is_well;
      }
      if (view.role == ServerRole::standby) {
        view.link = s.link;
        if (s.link == Link::down) reckon_lag(s, primary, plan.members[i].max_age, view);
        view.why_not = unfit(plan, plan.members[i].max_age, s, primary, view);
        view.is_promotable = view.why_not.empty();
      }
    }
    out.push_back(std::move(view));
  }
  return out;
}

TopologyStatus status_of(const std::vector<MemberView>& members, std::optional<std::size_t> last_primary) {
  bool is_any = false;
  for (const MemberView& one : members) {
    if (one.role != ServerRole::primary) continue;
    is_any = true;
    for (const MemberView& other : members) {
      if (&one == &other || other.role != ServerRole::primary) continue;
      if (*one.seen_at > *other.primary_since && *other.seen_at > *one.primary_since)
        return TopologyStatus::two_primaries;
    }
  }
  if (is_any) return TopologyStatus::steady;
  // Only who was seen can be said not to be primary.
  if (last_primary) return members[*last_primary].is_seen ? TopologyStatus::no_primary : TopologyStatus::unknown;
  const bool is_all_seen =
      !members.empty() && std::all_of(members.begin(), members.end(), [](const MemberView& m) { return m.is_seen; });
  return is_all_seen ? TopologyStatus::no_primary : TopologyStatus::unknown;
}

}  // namespace vital
