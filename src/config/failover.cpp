// The failover section: which servers belong together, by the checks that look at them.
#include <fmt/format.h>

#include <set>

#include "base/text.hpp"
#include "config/draft.hpp"

namespace vital::config {
namespace {

constexpr std::size_t most_topologies = 64;
constexpr std::size_t most_members = 32;

struct TopologyReader {
  const std::vector<CheckDraft>& drafts;
  const Plan& plan;
  Problems& problems;

  // The check of that name, or a word about why there is none.
  std::optional<CheckId> check(const std::string& name, Mark mark, const std::string& path) const {
    if (const auto id = plan.find_check(name)) return id;
    std::vector<std::string> names;
    for (const CheckDraft& d : drafts) {
      names.push_back(d.plan.name);
      if (d.plan.name == name) {
        problems.add(mark, path, fmt::format("the check '{}' is disabled; enable it, or remove it here", name));
        return {};
      }
    }
    problems.add(mark, path, fmt::format("there is no check '{}'{}", one_line(name, 64), suggestion(name, names)));
    return {};
  }

  void add_member(TopologyPlan& out, const std::string& name, const Node& value, const std::string& path) const {
    if (value.is_bad) return;
    if (!value.is_scalar()) {
      problems.add(value.mark, path, fmt::format("is {}; write the name of a check", kind_name(value)));
      return;
    }
    const auto id = check(value.text, value.mark, path);
    if (!id) return;
    for (const TopologyPlan::Member& other : out.members) {
      if (other.name == name || other.check == *id) {
        problems.add(value.mark, path,
                     fmt::format("names {} twice; remove one", other.name == name ? name : value.text));
        return;
      }
    }
    out.members.push_back({name, *id, plan.at(*id).max_age});
  }

  // [db1, db2], or {one: db1, two: db2}.
  void read_members(TopologyPlan& out, const Section& s) const {
    const Node* members = s.get("members");
    const std::string path = s.path_of("members");
    if (members == nullptr) {
      if (!s.has("members"))
        problems.add(s.mark(), path, "is missing; write the checks of its servers, as in [db1, db2]");
      return;
    }
    if (members->is_bad) return;
    const std::size_t size = members->is_map() ? members->entries.size() : members->items.size();
    if ((!members->is_map() && !members->is_list()) || size < 2 || size > most_members) {
      problems.add(members->mark, path,
                   fmt::format("must be a list of checks, or a map of names to checks, of 2 to {}, as in [db1, db2]",
                               most_members));
      return;
    }
    for (const Entry& e : members->entries) {
      if (is_good_name(e.key, e.mark, path, problems)) add_member(out, e.key, e.value, path + "." + e.key);
    }
    for (std::size_t i = 0; i < members->items.size(); ++i) {
      add_member(out, members->items[i].text, members->items[i], fmt::format("{}[{}]", path, i));
    }
  }

  TopologyPlan read(const Entry& entry) const {
    TopologyPlan out;
    out.name = entry.key;
    const Section s(problems, entry.value, "failover.topologies." + entry.key, "topology");
    if (!s.is_map()) return out;
    read_members(out, s);
    if (const auto endpoint = s.text("endpoint")) {
      out.endpoint = check(*endpoint, s.get("endpoint")->mark, s.path_of("endpoint"));
      for (const TopologyPlan::Member& m : out.members) {
        if (out.endpoint == m.check) {
          s.complain("endpoint",
                     "is a member; write a check that goes the way clients go, by the name or address that moves");
        }
      }
    }
    out.max_lag = s.duration("max_lag");
    return out;
  }
};

}  // namespace

std::vector<TopologyPlan> read_failover(const Section& failover, const std::vector<CheckDraft>& drafts,
                                        const Plan& plan) {
  std::vector<TopologyPlan> out;
  Problems& problems = failover.problems();
  const Node* topologies = failover.get("topologies");
  if (topologies == nullptr) {
    if (failover.is_map() && !failover.has("topologies")) {
      problems.add(failover.mark(), failover.path_of("topologies"),
                   "is missing; write what to watch, as in topologies: {main: {members: [db1, db2]}}");
    }
    return out;
  }
  if (topologies->is_bad) return out;
  if (!topologies->is_map() || topologies->entries.size() > most_topologies) {
    failover.complain("topologies", fmt::format("must be a map of at most {} names to topologies, as in "
                                                "{{main: {{members: [db1, db2]}}}}",
                                                most_topologies));
    return out;
  }
  const TopologyReader reader{drafts, plan, problems};
  for (const Entry& e : topologies->entries) {
    if (e.value.is_bad || !is_good_name(e.key, e.mark, "failover.topologies", problems)) continue;
    out.push_back(reader.read(e));
  }
  return out;
}

}  // namespace vital::config
