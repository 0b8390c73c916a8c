// Facts as one line, for the ledger; see facts.hpp.
#include "core/failover/facts.hpp"

#include <array>

#include "core/failover/lines.hpp"

namespace vital::failover {
namespace {

template <typename E, std::size_t n>
E enum_of(std::string_view text, const std::array<E, n>& all, E otherwise) {
  for (const E e : all) {
    if (name(e) == text) return e;
  }
  return otherwise;
}

constexpr std::array all_roles{ServerRole::unknown, ServerRole::primary, ServerRole::standby};
constexpr std::array all_statuses{TopologyStatus::unknown, TopologyStatus::steady, TopologyStatus::no_primary,
                                  TopologyStatus::two_primaries};
constexpr std::array all_healths{StoreHealth::standalone, StoreHealth::ok, StoreHealth::unreachable,
                                 StoreHealth::refused};
constexpr std::array all_phases{Phase::none, Phase::fencing, Phase::promoting, Phase::moving,
                                Phase::done, Phase::parked,  Phase::closed};
constexpr std::array all_steps{Steps::idle, Steps::running, Steps::finished, Steps::vetoed, Steps::failed};

std::string flags_of(std::initializer_list<std::pair<char, bool>> flags) {
  std::string out;
  for (const auto& [letter, is_set] : flags) {
    if (is_set) out += letter;
  }
  return out;
}

bool has(const std::string& flags, char letter) { return flags.find(letter) != std::string::npos; }

}  // namespace

std::string_view name(Steps steps) {
  switch (steps) {
    case Steps::idle:
      return "idle";
    case Steps::running:
      return "running";
    case Steps::finished:
      return "finished";
    case Steps::vetoed:
      return "vetoed";
    case Steps::failed:
      return "failed";
  }
  return "idle";
}

std::string encode(const Facts& f) {
  LineWriter out("facts");
  out.add("node", f.node).add("in_state", f.in_state).add("status", name(f.status)).add("primary", f.primary);
  out.add("timeline", f.primary_timeline).add("bad_for", f.bad_for).add("steady_for", f.steady_for);
  out.add("astray", f.astray_for).add("reasserted", f.reasserted);
  out.flag("endpoint", f.is_endpoint_good).add("store", name(f.store)).add("store_age", f.store_age);
  out.add("holder", f.lease_holder).flag("ours", f.is_lease_ours).add("lease_left", f.lease_left);
  out.add("doubt", f.doubt_left).add("grace", f.grace_left).flag("seen_well", f.was_seen_well);
  out.flag("maintenance", f.is_maintenance).flag("paused", f.is_paused).flag("brake", f.is_brake_on);
  out.add("recoveries", f.recoveries).add("cool_down", f.cool_down_left).add("other", f.other_recovery);
  out.add("parked", f.parked_recovery)
      .add("orphan", f.orphan)
      .add("orphan_to", f.orphan_to)
      .add("tries", f.orphan_tries)
      .flag("unmoved", f.is_left_unmoved);
  out.add("planned_to", f.planned_to);
  out.add("recovery", f.recovery).add("from", f.from).add("to", f.to).add("left", f.left).add("shown", name(f.shown));
  out.flag("lost_lease", f.has_lost_lease).add("steps", name(f.steps)).flag("touched", f.is_touched);
  out.flag("may_be_promoted", f.may_be_promoted).flag("old_back", f.is_old_back).add("approval", f.approval_left);
  out.flag("declined", f.is_declined).flag("acknowledged", f.is_acknowledged);
  for (const MemberFact& m : f.members) {
    out.list("member", {m.name, m.zone, std::string(name(m.role)),
                        flags_of({{'s', m.is_seen},
                                  {'d', m.is_down},
                                  {'r', m.is_reached},
                                  {'p', m.is_promotable},
                                  {'m', m.is_moving},
                                  {'l', m.lost_primary}}),
                        std::to_string(m.age), std::to_string(m.lost_role), std::to_string(m.lag),
                        std::to_string(m.lag_bytes), m.timeline, m.why_not, std::to_string(m.unfollowed)});
  }
  for (const VoteFact& v : f.votes) {
    out.list("vote", {v.node, v.member, std::string(name(v.role)), flags_of({{'d', v.is_down}, {'w', v.is_well}}),
                      std::to_string(v.age)});
  }
  return out.text();
}

std::optional<Facts> decode_facts(std::string_view line) {
  if (line.size() > max_facts) return {};
  const LineReader in(line);
  if (in.word() != "facts") return {};
  const auto count = [&](std::string_view key) {
    return static_cast<unsigned>(std::max<std::int64_t>(0, in.number(key)));
  };
  Facts f;
  f.node = in.text("node");
  f.in_state = in.number("in_state");
  f.status = enum_of(in.text("status"), all_statuses, TopologyStatus::unknown);
  f.primary = in.text("primary");
  f.primary_timeline = in.text("timeline");
  f.bad_for = in.number("bad_for", never);
  f.steady_for = in.number("steady_for", never);
  f.is_endpoint_good = in.flag("endpoint");
  f.astray_for = in.number("astray", never);
  f.reasserted = in.number("reasserted", never);
  f.store = enum_of(in.text("store"), all_healths, StoreHealth::refused);
  f.store_age = in.number("store_age", never);
  f.lease_holder = in.text("holder");
  f.is_lease_ours = in.flag("ours");
  f.lease_left = in.number("lease_left");
  f.doubt_left = in.number("doubt");
  f.grace_left = in.number("grace");
  f.was_seen_well = in.flag("seen_well");
  f.is_maintenance = in.flag("maintenance");
  f.is_paused = in.flag("paused");
  f.is_brake_on = in.flag("brake");
  f.recoveries = count("recoveries");
  f.cool_down_left = in.number("cool_down");
  f.other_recovery = in.text("other");
  f.parked_recovery = in.text("parked");
  f.orphan = in.text("orphan");
  f.orphan_to = in.text("orphan_to");
  f.orphan_tries = count("tries");
  f.is_left_unmoved = in.flag("unmoved");
  f.planned_to = in.text("planned_to");
  f.recovery = in.text("recovery");
  f.from = in.text("from");
  f.to = in.text("to");
  f.left = in.number("left");
  f.shown = enum_of(in.text("shown"), all_phases, Phase::none);
  f.has_lost_lease = in.flag("lost_lease");
  f.steps = enum_of(in.text("steps"), all_steps, Steps::idle);
  f.is_touched = in.flag("touched");
  f.may_be_promoted = in.flag("may_be_promoted");
  f.is_old_back = in.flag("old_back");
  f.approval_left = in.number("approval");
  f.is_declined = in.flag("declined");
  f.is_acknowledged = in.flag("acknowledged");
  for (const auto& m : in.lists("member")) {
    if (m.size() != 11) return {};
    f.members.push_back({m[0], m[1], enum_of(m[2], all_roles, ServerRole::unknown), has(m[3], 's'), has(m[3], 'd'),
                         has(m[3], 'r'), has(m[3], 'p'), has(m[3], 'm'), has(m[3], 'l'),
                         number_in(m[4]).value_or(never), number_in(m[5]).value_or(never),
                         number_in(m[6]).value_or(never), number_in(m[7]).value_or(-1), m[8], m[9],
                         number_in(m[10]).value_or(never)});
  }
  for (const auto& v : in.lists("vote")) {
    if (v.size() != 5) return {};
    f.votes.push_back({v[0], v[1], enum_of(v[2], all_roles, ServerRole::unknown), has(v[3], 'd'), has(v[3], 'w'),
                       number_in(v[4]).value_or(0)});
  }
  return f;
}

}  // namespace vital::failover
