// See preflight.hpp.
#include "failover/preflight.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/duration.hpp"

namespace vital {
namespace {

using failover::ClusterSeen;
using failover::Finding;
using failover::StoreHealth;

Finding store_of(const ClusterSeen& cluster) {
  Finding out{Finding::Level::good, "", "store", "a quorum answers"};
  if (cluster.health == StoreHealth::ok) return out;
  out.level = Finding::Level::bad;
  out.text = cluster.health == StoreHealth::standalone
                 ? "there is none: write cluster: {type: etcd, endpoints: [...]}"
                 : fmt::format("{}: {}", failover::name(cluster.health), cluster.text);
  return out;
}

// Another agent that looks at the primary and said so lately.
Finding witnesses_of(const PreflightTopology& t, const ClusterSeen& cluster) {
  std::set<std::string> nodes;
  for (const failover::PeerVote& v : cluster.votes) {
    if (v.topology == t.name && v.member == t.primary && v.age <= t.evidence_max_age) nodes.insert(v.node);
  }
  // A standby that loses the primary is a witness, too.
  const auto linked = std::ranges::count_if(t.members, [](const MemberView& m) { return m.link == Link::up; });
  const std::size_t seeing = nodes.size() + 1 + static_cast<std::size_t>(linked);
  Finding out{Finding::Level::good, t.name, "witnesses",
              fmt::format("{} of {} needed look at it", seeing, t.witnesses)};
  if (seeing < t.witnesses) {
    out.level = Finding::Level::bad;
    out.text += fmt::format(": run vitald on {} more machines that reach the members, or lower witnesses",
                            t.witnesses - seeing);
  } else if (seeing == t.witnesses && t.witnesses > 1) {
    out.level = Finding::Level::warning;
    out.text += ": if one of them is lost with the primary, nobody can agree";
  }
  return out;
}

Finding primary_of(const PreflightTopology& t) {
  Finding out{Finding::Level::good, t.name, "primary", t.primary + " is primary"};
  if (t.status == TopologyStatus::steady && !t.primary.empty()) return out;
  out.level = Finding::Level::bad;
  out.text = fmt::format("the topology is {}: a failover begins from a primary that was seen well", name(t.status));
  return out;
}

void add_candidates(const PreflightTopology& t, std::vector<Finding>& out) {
  bool is_any = false;
  for (const MemberView& m : t.members) {
    if (m.name == t.primary) continue;
    is_any = is_any || m.is_promotable;
    if (m.is_promotable) {
      out.push_back({Finding::Level::good, t.name, "candidate " + m.name, "could be promoted"});
    } else {
      out.push_back({Finding::Level::warning, t.name, "candidate " + m.name,
                     m.why_not.empty() ? fmt::format("is {}", name(m.role)) : m.why_not});
    }
  }
  if (!is_any) out.push_back({Finding::Level::bad, t.name, "candidates", "there is none that could be promoted now"});
}

void ask(std::vector<Actor::Question>& out, const PreflightTopology& t, const char* stage,
         const std::vector<PreflightTopology::Step>& steps, const std::string& to) {
  for (const PreflightTopology::Step& s : steps) {
    const std::string action = filled_in(s.action, {{"from", t.primary}, {"to", to}, {"topology", t.name}});
    out.push_back({std::string(stage) + " " + action, s.action, t.name, t.primary, to, s.parameters});
  }
}

}  // namespace

std::vector<Finding> preflight_facts(const PreflightTopology& t, const ClusterSeen& cluster) {
  std::vector<Finding> out{store_of(cluster), witnesses_of(t, cluster), primary_of(t)};
  add_candidates(t, out);
  if (t.fence.empty()) {
    out.push_back({t.has_no_fence ? Finding::Level::warning : Finding::Level::bad, t.name, "fence",
                   t.has_no_fence
                       ? "none, by your word: whoever approves sees to it that the old primary takes no writes"
                       : "there is none: the old primary may go on taking writes"});
  }
  if (t.promote.empty()) {
    out.push_back({Finding::Level::bad, t.name, "promote", "there is nothing to promote with"});
  }
  return out;
}

std::vector<Actor::Question> preflight_questions(const PreflightTopology& t) {
  std::vector<Actor::Question> out;
  std::string first;
  for (const MemberView& m : t.members) {
    if (m.name == t.primary || m.role == ServerRole::primary) continue;
    if (first.empty()) first = m.name;
    ask(out, t, "promote", t.promote, m.name);
    ask(out, t, "move", t.move, m.name);
  }
  ask(out, t, "fence", t.fence, first);
  ask(out, t, "demote", t.demote, first);
  // An action that does not depend on who is promoted is asked once.
  std::set<std::string> asked;
  std::erase_if(out, [&](const Actor::Question& q) {
    const bool depends = q.action.find("{to}") != std::string::npos;
    return !depends && q.parameters.empty() && !asked.insert(q.what).second;
  });
  return out;
}

std::string_view level_name(Finding::Level level) {
  switch (level) {
    case Finding::Level::good:
      return "good";
    case Finding::Level::warning:
      return "warning";
    case Finding::Level::bad:
      break;
  }
  return "bad";
}

std::string preflight_text(const failover::Preflight& preflight) {
  std::vector<Finding> sorted = preflight.findings;
  std::ranges::stable_sort(sorted, [](const Finding& a, const Finding& b) { return a.level > b.level; });
  std::string out;
  for (const Finding& f : sorted) {
    out += fmt::format("{:<8} {}{}{}: {}\n", level_name(f.level), f.topology, f.topology.empty() ? "" : " ", f.what,
                       f.text);
  }
  return out;
}

bool is_green(const failover::Preflight& preflight) {
  return std::ranges::none_of(preflight.findings, [](const Finding& f) { return f.level == Finding::Level::bad; });
}

}  // namespace vital
