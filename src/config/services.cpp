// Services: their policies and rules, in an order in which members come before those that name them.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "config/draft.hpp"
#include "config/rule_reader.hpp"
#include "core/rules.hpp"

namespace vital::config {
namespace {

constexpr Duration default_startup_timeout = std::chrono::seconds(60);

struct ServiceDraft {
  ServicePlan plan;
  std::vector<Name> services;  // it names
  bool is_good = false;
};

unsigned unsigned_or(const Section& s, const char* key, unsigned otherwise) {
  return static_cast<unsigned>(s.integer(key).value_or(otherwise));
}

void read_budget(const Section& s, EjectionBudget& out) {
  out.ejections = unsigned_or(s, "ejections", 0);
  out.window = s.duration("window").value_or(Duration{});
  out.min_uptime = s.duration("min_uptime").value_or(Duration{});
  out.hold_down = s.duration("hold_down").value_or(Duration{});
  if (!s.has("window") && (s.has("ejections") || s.has("hold_down")))
    s.complain("window", "is missing; ejections and hold_down count within it, as in window: 10m");
}

Consumer read_consumer(const Section& s) {
  for (const char* key : {"interval", "timeout"}) {
    if (s.is_map() && !s.has(key)) s.complain(key, "is missing; write what the balancer is set to");
  }
  return {s.duration("interval").value_or(Duration{}), s.duration("timeout").value_or(Duration{}),
          unsigned_or(s, "fall", 1), unsigned_or(s, "rise", 1)};
}

void read_policies(const Section& s, ServicePlan& plan) {
  plan.description = s.text("description").value_or("");
  plan.fails_on_shared = s.choice("on_shared_failure") == "fail";
  if (const auto policy = s.choice("on_unknown")) {
    plan.on_unknown = *policy == "warn" ? OnUnknown::warn : *policy == "pass" ? OnUnknown::pass : OnUnknown::fail;
  }
  plan.startup_timeout = s.duration("startup_timeout").value_or(plan.startup_timeout);
  plan.slow_start = s.duration("slow_start").value_or(Duration{});
  plan.detect_within = s.duration("detect_within");
  const Section codes = s.section("http_codes", "service.http_codes");
  const auto code = [&](const char* key, int otherwise) {
    return static_cast<int>(codes.integer(key).value_or(otherwise));
  };
  plan.warn_code = code("warn", plan.warn_code);
  plan.fail_code = code("fail", plan.fail_code);
  plan.drain_code = code("drain", plan.drain_code);
  plan.warn_weight = unsigned_or(s.section("weights", "service.weights"), "warn", plan.warn_weight);
  read_budget(s.section("budget", "service.budget"), plan.budget);
  if (s.get("lb") != nullptr) plan.lb = read_consumer(s.section("lb", "service.lb"));
}

ServiceDraft read_service(const Entry& e, const RuleNames& names, Problems& problems) {
  ServiceDraft draft;
  draft.plan.name = e.key;
  draft.plan.startup_timeout = default_startup_timeout;
  const std::string path = "services." + e.key;
  is_good_name(e.key, e.mark, path, problems);
  if (e.value.is_bad) return draft;
  if (!e.value.is_list() && !e.value.is_map()) {
    problems.add(e.value.is_null() ? e.mark : e.value.mark, path,
                 fmt::format("is {}; write a list of checks, or a rule as in {{any: [a, b]}}", kind_name(e.value)));
    return draft;
  }
  if (e.value.is_map()) read_policies(Section(problems, e.value, path, "service"), draft.plan);
  RuleReader reader(names, e.key, problems);
  auto rule = reader.read(e.value, path);
  draft.services = reader.services();
  draft.is_good = rule.has_value();
  if (rule) draft.plan.rule = std::move(*rule);
  return draft;
}

// db: [db], or db: {all: [db]}: the service is the check of its name and nothing more.
bool is_its_own_check(const Entry& e) {
  const Node* n = &e.value;
  for (const char* key : {"all", "any"}) {
    if (const Entry* inner = n->find(key); inner != nullptr && n->entries.size() == 1) n = &inner->value;
  }
  return n->is_list() && n->items.size() == 1 && n->items[0].is_scalar() && n->items[0].text == e.key;
}

// True if there is a circle; says so.
bool refuse_cycles(const std::vector<ServiceDraft>& drafts, const RuleNames& names, Problems& problems) {
  std::vector<std::vector<std::uint32_t>> edges(drafts.size());
  for (std::uint32_t i = 0; i < drafts.size(); ++i) {
    for (const Name& n : drafts[i].services) {
      const std::uint32_t to = names.services.at(n.text);
      if (std::count(edges[i].begin(), edges[i].end(), to) == 0) edges[i].push_back(to);
    }
  }
  const auto cycles = find_cycles(edges);
  for (const auto& cycle : cycles) {
    std::vector<std::string> round;
    for (const std::uint32_t i : cycle) round.push_back(drafts[i].plan.name);
    round.push_back(round.front());
    // At the word that closes the circle.
    const ServiceDraft& last = drafts[cycle.back()];
    const auto word = std::find_if(last.services.begin(), last.services.end(),
                                   [&](const Name& n) { return n.text == round.front(); });
    problems.add(word->mark, "services." + last.plan.name,
                 cycle.size() == 1 ? "a service cannot be a member of itself; remove it"
                                   : fmt::format("the services name each other in a circle: {}; remove one of these",
                                                 join(round, " -> ")));
  }
  return !cycles.empty();
}

// Into the plan, members first.
class Settler {
 public:
  Settler(std::vector<ServiceDraft>& drafts, const RuleNames& names, Plan& plan)
      : drafts_(drafts), names_(names), plan_(plan), place_(drafts.size()) {}

  void settle(std::uint32_t i) {
    if (place_[i]) return;
    for (const Name& n : drafts_[i].services) settle(names_.services.at(n.text));
    renumber(drafts_[i].plan.rule);
    place_[i] = static_cast<std::uint32_t>(plan_.services.size());
    plan_.services.push_back(std::move(drafts_[i].plan));
  }

 private:
  void renumber(Rule& rule) {
    if (rule.kind == Rule::Kind::service) rule.target = *place_[rule.target];
    for (Rule& m : rule.members) renumber(m);
  }

  std::vector<ServiceDraft>& drafts_;
  const RuleNames& names_;
  Plan& plan_;
  std::vector<std::optional<std::uint32_t>> place_;
};

// A check whose first result comes too late for the service's patience at a start.
void warn_of_late_starts(const ServicePlan& s, const Plan& plan, Mark mark, Problems& problems) {
  for (const CheckId id : rules::checks_of(plan, s.rule)) {
    const CheckPlan& c = plan.at(id);
    if (c.start_delay <= Duration::zero() || c.start_delay + c.timeout <= s.startup_timeout) continue;
    problems.warn(mark, "services." + s.name,
                  fmt::format("waits {} at a start for first results, but check {} begins after {} and may take {}; "
                              "raise startup_timeout to more than both, or lower start_delay",
                              format_duration(s.startup_timeout), c.name, format_duration(c.start_delay),
                              format_duration(c.timeout)));
  }
}

}  // namespace

void read_services(const Entry* section, const std::vector<CheckDraft>& drafts, Plan& plan, Problems& problems) {
  if (section == nullptr) {
    ServicePlan one;
    one.name = "default";
    one.description = "all checks";
    one.startup_timeout = default_startup_timeout;
    for (std::uint32_t i = 0; i < plan.checks.size(); ++i)
      one.rule.members.push_back({.kind = Rule::Kind::check, .target = i});
    plan.services.push_back(std::move(one));
    return;
  }
  const Node& n = section->value;
  if (n.is_bad || n.is_null()) return;
  if (!n.is_map() || n.entries.empty()) {
    problems.add(
        section->mark, "services",
        "must be a map with at least one service, as in web: [app, db]; without it there is one of all checks");
    return;
  }
  RuleNames names{&plan, {}, {}, {}};
  for (const CheckDraft& c : drafts) names.checks.push_back(c.plan.name);
  for (std::uint32_t i = 0; i < n.entries.size(); ++i) names.services.emplace(n.entries[i].key, i);
  for (const Entry& e : n.entries) {
    if (is_its_own_check(e)) names.same_as_check.insert(e.key);
  }
  std::vector<ServiceDraft> services;
  for (const Entry& e : n.entries) services.push_back(read_service(e, names, problems));
  const bool has_cycle = refuse_cycles(services, names, problems);
  const bool all_good = std::all_of(services.begin(), services.end(), [](const ServiceDraft& d) { return d.is_good; });
  if (has_cycle || !all_good) return;

  Settler settler(services, names, plan);
  for (std::uint32_t i = 0; i < services.size(); ++i) settler.settle(i);
  for (const ServicePlan& s : plan.services) {
    const Mark mark = n.find(s.name)->mark;
    warn_of_late_starts(s, plan, mark, problems);
    if (rules::can_fail(plan, s)) continue;
    problems.warn(mark, "services." + s.name,
                  "can only warn, never fail: its checks are shared, in shadow or not critical");
  }
}

}  // namespace vital::config
