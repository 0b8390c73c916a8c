// vitald explain: the plan as compiled, for people: each check with its effective options and where each came from,
// each service as a tree, and what every consumer will be told. Secrets are only said to be there.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "cmd/cmd.hpp"
#include "cmd/loading.hpp"
#include "config/config.hpp"
#include "core/rules.hpp"

namespace vital::cmd {
namespace {

using Json = nlohmann::ordered_json;

constexpr Option options[] = {config_option, {0, "json", "", "as JSON"}};
constexpr Usage usage{"vitald explain", "-c FILE [--json]", "Shows what the agent will do with a configuration.",
                      "vitald explain -c /etc/vitald/vitald.yaml", options};

std::string labels_of(const std::map<std::string, std::string>& labels) {
  std::vector<std::string> parts;
  for (const auto& [name, value] : labels) parts.push_back(name + "=" + one_line(value, 200));
  return join(parts, " ");
}

std::string_view details_text(Details d) {
  switch (d) {
    case Details::loopback:
      return "details over loopback only";
    case Details::always:
      return "details for everybody";
    case Details::never:
      return "no details";
    case Details::authorized:
      return "details for the authorized";
  }
  return "";
}

class Explainer {
 public:
  Explainer(const Config& config, const Paint& paint) : config_(config), plan_(*config.plan), paint_(paint) {}

  void print() const {
    node();
    heading("checks");
    for (std::size_t i = 0; i < plan_.checks.size(); ++i) check(i);
    for (const std::string& name : config_.disabled) fmt::print("  {}\n", paint_.dim(name + ": disabled"));
    heading("services");
    for (const ServicePlan& s : plan_.services) service(s);
    heading("told");
    told();
  }

 private:
  void heading(std::string_view text) const { fmt::print("\n{}\n", paint_.bold(text)); }

  static void row(std::string_view name, std::string_view value) { fmt::print("  {:<14} {}\n", name, value); }

  void node() const {
    heading("node");
    row("name", plan_.node);
    if (!plan_.zone.empty()) row("zone", plan_.zone);
    if (!plan_.labels.empty()) row("labels", labels_of(plan_.labels));
    row("files", join(config_.files, ", "));
    row("profile", config_.profile);
    row("state_dir", config_.state_dir);
    row("spool", config_.spool.empty() ? "off" : config_.spool);
    row("log", fmt::format("{} to {}", config_.log.format == LogConfig::Format::json ? "json" : "logfmt",
                           config_.log.file.empty() ? "standard error" : config_.log.file));
    row("workers", fmt::format("at most {} blocking checks at a time, {} MiB each, seccomp {}", config_.workers_max,
                               config_.workers_memory_mib, config_.workers_seccomp));
    if (plan_.shutdown_drain > Duration::zero()) row("shutdown", "drain for " + format_duration(plan_.shutdown_drain));
  }

  // Names dim, values plain; what was only a default follows in one line.
  void check(std::size_t i) const {
    const CheckPlan& c = plan_.checks[i];
    fmt::print("  {}  {}{}\n", paint_.bold(c.name), c.type,
               c.description.empty() ? "" : "  " + paint_.dim(one_line(c.description, 200)));
    if (c.is_passive) {
      const bool has_token = std::any_of(config_.settings[i].begin(), config_.settings[i].end(),
                                         [](const Setting& s) { return s.name == "token"; });
      fmt::print("    {:<20} somebody, by vitalctl report {} pass{}; fails after {} without a report\n", "reported by",
                 c.name, has_token ? ", or over the health address with its token" : "", format_duration(c.max_age));
    }
    std::vector<std::string> defaults;
    for (const Setting& s : config_.settings[i]) {
      const std::string value = one_line(s.value.empty() ? "\"\"" : s.value, 200);
      if (s.from == "default") {
        defaults.push_back(s.name + " " + value);
      } else {
        fmt::print("    {:<20} {}{}\n", s.name, value, s.from == "check" ? "" : "  " + paint_.dim("(" + s.from + ")"));
      }
    }
    if (!c.depends_on.empty()) {
      std::vector<std::string> names;
      for (const CheckId id : c.depends_on) names.push_back(plan_.at(id).name);
      fmt::print("    {:<20} {}\n", "depends_on", join(names, ", "));
    }
    if (!c.labels.empty()) fmt::print("    {:<20} {}\n", "labels", labels_of(c.labels));
    if (!defaults.empty()) fmt::print("    {}\n", paint_.dim("default: " + join(defaults, ", ")));
  }

  void service(const ServicePlan& s) const {
    fmt::print("  {}{}\n", paint_.bold(s.name), s.description.empty() ? "" : "  " + paint_.dim(s.description));
    rule(s, s.rule, 4, "");
    std::vector<std::string> more;
    if (s.on_unknown != OnUnknown::fail)
      more.push_back(fmt::format("stale checks count as {}", s.on_unknown == OnUnknown::warn ? "warn" : "pass"));
    if (s.slow_start > Duration::zero()) more.push_back("weight grows over " + format_duration(s.slow_start));
    if (s.budget.ejections > 0)
      more.push_back(
          fmt::format("taken out at most {} times in {}", s.budget.ejections, format_duration(s.budget.window)));
    if (s.budget.min_uptime > Duration::zero())
      more.push_back(fmt::format("not again within {} of a recovery", format_duration(s.budget.min_uptime)));
    if (s.budget.hold_down > Duration::zero())
      more.push_back(fmt::format("held down {} and more when it falls again", format_duration(s.budget.hold_down)));
    if (!more.empty()) fmt::print("    {}\n", paint_.dim(join(more, "; ")));
  }

  void rule(const ServicePlan& s, const Rule& r, std::size_t indent, const std::string& prefix) const {
    const std::string pad(indent, ' ');
    const auto group = [&](const std::string& text) {
      fmt::print("{}{}{}\n", pad, prefix, text);
      for (std::size_t i = 0; i < r.members.size(); ++i) {
        const bool is_weighted = r.kind == Rule::Kind::weighted && i < r.weights.size();
        rule(s, r.members[i], indent + 2, is_weighted ? fmt::format("{} x ", r.weights[i]) : "");
      }
    };
    switch (r.kind) {
      case Rule::Kind::check: {
        const CheckPlan& c = plan_.at(CheckId(r.target));
        std::string note;
        if (c.mode == Mode::shadow) {
          note = "shadow: does not count";
        } else if (!c.is_critical) {
          note = "not critical: warns at most";
        } else if (c.scope == Scope::shared) {
          note = s.fails_on_shared ? "shared, and fails it all the same" : "shared: warns at most";
        }
        fmt::print("{}{}{}{}\n", pad, prefix, c.name, note.empty() ? "" : "  " + paint_.dim("(" + note + ")"));
        return;
      }
      case Rule::Kind::service:
        fmt::print("{}{}service {}\n", pad, prefix, plan_.at(ServiceId(r.target)).name);
        return;
      case Rule::Kind::all:
        return group("all of");
      case Rule::Kind::any:
        return group("any of");
      case Rule::Kind::quorum:
        return group(fmt::format("at least {} of {}", r.need, r.members.size()));
      case Rule::Kind::weighted:
        return group(fmt::format("weights of at least {}{} of", r.need,
                                 r.need_warn > 0 ? fmt::format(" (warn from {})", r.need_warn) : ""));
    }
  }

  void told() const {
    for (std::size_t i = 0; i < config_.health.size(); ++i) {
      const HealthListener& h = config_.health[i];
      std::vector<std::string> urls;
      for (const std::string& a : h.addresses) {
        const bool is_local = a.starts_with('/');
        urls.push_back(fmt::format("{}{}/health", h.tls ? "https://" : is_local ? "unix:" : "http://", a));
      }
      std::string more = h.proxy_protocol.empty() ? "" : ", PROXY from " + join(h.proxy_protocol, ", ");
      if (h.tls && !h.tls->client_ca.empty()) {
        more += h.tls->is_client_required ? ", client certificate required" : ", client certificate if there is one";
      }
      if (!h.token.empty()) more += ", token";
      row(i == 0 ? "health" : "", fmt::format("{}  {}{}", join(urls, ", "), details_text(h.details), more));
    }
    for (const ServicePlan& s : plan_.services) {
      row("", fmt::format("/health/{}  pass 200, warn {}, fail {}, pending and stale {}, drain {}", s.name, s.warn_code,
                          s.fail_code, s.fail_code, s.drain_code));
    }
    if (config_.haproxy) {
      row("agent-check", join(config_.haproxy->addresses, ", "));
      for (const ServicePlan& s : plan_.services) {
        row("", fmt::format("{}  pass: up ready 100%, warn: up ready {}%, fail: down ready # reason", s.name,
                            s.warn_weight));
      }
    } else {
      row("agent-check", "off");
    }
    for (const OutputSpec& o : config_.outputs) {
      row("output " + o.name, fmt::format("{} of {}, looked after every {}", type_of(o),
                                          o.service.empty() ? "the node" : o.service, format_duration(o.interval)));
    }
    if (config_.grpc) row("gRPC health", join(config_.grpc->addresses, ", ") + (config_.grpc->tls ? "  TLS" : ""));
    row("admin", fmt::format("{} mode {:04o}{}", config_.admin.socket, config_.admin.mode,
                             config_.admin.group.empty() ? "" : " group " + config_.admin.group));
    if (config_.topologies.empty()) row("failover", "nothing is watched");
    for (const TopologyPlan& t : config_.topologies) row("failover " + t.name, topology(t));
    for (const failover::FailoverPolicyPlan& p : config_.policies) row("policy " + p.topology, policy(p));
  }

  std::string policy(const failover::FailoverPolicyPlan& p) const {
    const auto named = [&](const std::vector<failover::StepPlan>& steps) {
      std::vector<std::string> names;
      for (const failover::StepPlan& s : steps) names.push_back(s.action);
      return names.empty() ? std::string("nothing") : join(names, ", ");
    };
    return fmt::format(
        "mode {}, {} witnesses, store {}; down for {}: fence {}, promote {}, move {}; done within {}, not again for {}",
        failover::name(p.mode), p.witnesses,
        config_.cluster.kind == ClusterPlan::Kind::etcd ? "etcd " + join(config_.cluster.endpoints, ", ") : "none",
        format_duration(p.hold_down), p.has_no_fence ? "nothing, by your word" : named(p.fence), named(p.promote),
        named(p.move), format_duration(p.deadline), format_duration(p.cool_down));
  }

  std::string topology(const TopologyPlan& t) const {
    std::vector<std::string> members;
    for (const TopologyPlan::Member& m : t.members) {
      const std::string& check = plan_.at(m.check).name;
      members.push_back(m.name == check ? check : m.name + " by " + check);
    }
    std::string out = "watched: " + join(members, ", ");
    if (t.endpoint) out += "; over when " + plan_.at(*t.endpoint).name + " is good again";
    if (t.max_lag) out += "; no candidate is more than " + format_duration(*t.max_lag) + " behind";
    return out;
  }

  const Config& config_;
  const Plan& plan_;
  const Paint& paint_;
};

Json to_json(const Config& config) {
  const Plan& plan = *config.plan;
  Json checks = Json::array(), services = Json::array(), outputs = Json::array(), topologies = Json::array();
  for (std::size_t i = 0; i < plan.checks.size(); ++i) {
    const CheckPlan& c = plan.checks[i];
    Json settings = Json::array(), depends_on = Json::array();
    for (const Setting& s : config.settings[i])
      settings.push_back({{"name", s.name}, {"value", s.value}, {"from", s.from}});
    for (const CheckId id : c.depends_on) depends_on.push_back(plan.at(id).name);
    checks.push_back({{"name", c.name},
                      {"type", c.type},
                      {"description", c.description},
                      {"settings", std::move(settings)},
                      {"depends_on", std::move(depends_on)}});
  }
  for (const ServicePlan& s : plan.services) {
    Json behind = Json::array();
    for (const CheckId id : rules::checks_of(plan, s.rule)) behind.push_back(plan.at(id).name);
    services.push_back({{"name", s.name}, {"description", s.description}, {"checks", std::move(behind)}});
  }
  for (const OutputSpec& o : config.outputs) {
    outputs.push_back(
        {{"name", o.name}, {"type", type_of(o)}, {"service", o.service.empty() ? Json() : Json(o.service)}});
  }
  for (const TopologyPlan& t : config.topologies) topologies.push_back(t.name);
  Json health = Json::array();
  for (const HealthListener& h : config.health) {
    for (const std::string& address : h.addresses) health.push_back(address);
  }
  return {{"node", plan.node},
          {"files", config.files},
          {"profile", config.profile},
          {"state_dir", config.state_dir},
          {"checks", std::move(checks)},
          {"services", std::move(services)},
          {"told",
           {{"health", std::move(health)},
            {"haproxy", config.haproxy ? Json(config.haproxy->addresses) : Json::array()},
            {"grpc", config.grpc ? Json(config.grpc->addresses) : Json::array()},
            {"admin", config.admin.socket},
            {"outputs", std::move(outputs)}}},
          {"topologies", std::move(topologies)}};
}

}  // namespace

int explain(int argc, char** argv) {
  const Arguments args(usage, argc, argv);
  if (args.is_done()) return args.exit_code();
  const Loaded loaded = load_config(loading(args.value("config")));
  print_problems(loaded);
  if (loaded.config == nullptr) return exit_config;
  if (args.has("json")) {
    fmt::print("{}\n", to_json(*loaded.config).dump(2, ' ', false, Json::error_handler_t::replace));
  } else {
    Explainer(*loaded.config, Paint()).print();
  }
  return exit_ok;
}

}  // namespace vital::cmd
