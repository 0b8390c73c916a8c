// See ledger.hpp.
#include "core/failover/ledger.hpp"

#include <algorithm>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "core/failover/guards.hpp"
#include "core/failover/lines.hpp"

namespace vital::failover {
namespace {

constexpr std::size_t max_decision = max_facts + 4096;

std::string ago(Millis ms) { return friendly_duration(std::chrono::milliseconds(std::max<Millis>(0, ms))) + " ago"; }

std::string word_for(ServerRole role, bool is_down, bool is_well) {
  if (is_down) return "down";
  std::string out(name(role));
  return is_well ? out : out + ", not well";
}

template <typename E>
std::optional<E> by_name(std::string_view text, E last) {
  for (int i = 0; i <= static_cast<int>(last); ++i) {
    if (name(static_cast<E>(i)) == text) return static_cast<E>(i);
  }
  return {};
}

}  // namespace

std::string encode(const Decision& d) {
  return LineWriter("decision")
      .add("at", d.at.time_since_epoch().count())
      .add("topology", d.topology)
      .add("from", name(d.from))
      .add("to", name(d.to))
      .add("when", name(d.when))
      .add("do", name(d.effect))
      .add("why", d.why)
      .add("facts", encode(d.facts))
      .add("mode", name(d.mode))
      .text();
}

std::optional<Decision> decode_decision(std::string_view line) {
  if (line.size() > 3 * max_decision) return {};
  const LineReader in(line);
  const auto from = state_of(in.text("from")), to = state_of(in.text("to"));
  const auto when = by_name(in.text("when"), When::always);
  const auto effect = by_name(in.text("do"), Do::stop);
  const auto facts = decode_facts(in.text("facts"));
  if (in.word() != "decision" || !from || !to || !when || !effect || !facts) return {};
  Decision out{WallTime(WallTime::duration(in.number("at"))),
               in.text("topology"),
               *from,
               *to,
               *when,
               *effect,
               in.text("why"),
               *facts,
               by_name(in.text("mode"), Mode::automatic).value_or(Mode::observe)};
  return out;
}

std::vector<Replayed> replay(const std::vector<Decision>& ledger, const FailoverPolicyPlan& plan,
                             std::string_view without) {
  std::vector<Replayed> out;
  for (const Decision& was : ledger) {
    Decision now = was;
    if (!without.empty()) {
      std::erase_if(now.facts.votes, [&](const VoteFact& v) { return v.node == without; });
      if (now.facts.node == without) {
        for (MemberFact& m : now.facts.members) m.is_seen = false;
        now.facts.bad_for = never;
      }
    }
    const Row& row = decide(was.from, now.facts, plan);
    now.to = row.to;
    now.when = row.when;
    now.effect = row.effect;
    now.why = why(row.when, now.facts, plan);
    const bool is_same = now.to == was.to && now.when == was.when && now.effect == was.effect;
    out.push_back({was, std::move(now), is_same});
  }
  return out;
}

std::string explain(const Decision& d, const FailoverPolicyPlan& plan) {
  const Facts& f = d.facts;
  std::string out = format_wall(d.at) + " " + d.topology + ": ";
  out += d.from == d.to ? std::string(name(d.from)) + " still"
                        : std::string(name(d.from)) + " to " + std::string(name(d.to));
  for (const Row& row : table()) {
    if (row.from == d.from && row.when == d.when && row.to == d.to && row.effect == d.effect) {
      out += ": " + std::string(row.reason);
      break;
    }
  }
  out += " (" + d.why + ").\n";
  for (const MemberFact& m : f.members) {
    out += "  " + f.node + " looked at " + m.name + " ";
    out += m.age == never ? "never" : ago(m.age) + (m.is_seen ? "" : ", too long to count");
    out += ": " + word_for(m.role, m.is_down, !m.is_down && (m.role == ServerRole::primary || m.is_promotable));
    if (m.is_reached) out += ", though it takes connections";
    if (m.is_moving) out += ", still receives";
    if (m.lost_primary) out += ", its link to the primary is broken";
    if (m.lag != never) out += ", " + std::to_string(m.lag) + " ms behind";
    const std::string reason = m.role == ServerRole::standby ? unfit(m, f, plan) : std::string();
    out += reason.empty() ? ".\n" : "; no candidate: " + reason + ".\n";
  }
  for (const VoteFact& v : f.votes)
    out +=
        "  " + v.node + " saw " + v.member + " " + ago(v.age) + ": " + word_for(v.role, v.is_down, v.is_well) + ".\n";
  out += "  The store of leases was " + std::string(name(f.store)) + ", the lease ";
  out += f.is_lease_ours ? "ours" : f.lease_holder.empty() ? "free" : "held by " + f.lease_holder;
  out += ", " + std::to_string(f.recoveries) + " other topologies had a recovery within " +
         friendly_duration(plan.brake_window) + ".\n";
  if (!f.recovery.empty()) {
    out += "  Recovery " + f.recovery + ": " + f.from + " to " + f.to + ", steps " + std::string(name(f.steps)) + ".\n";
  }
  return out;
}

}  // namespace vital::failover
