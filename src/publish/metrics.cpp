// Prometheus text; see metrics.hpp. Each family is written whole, with HELP and TYPE; the names are the contract's.
#include "publish/metrics.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <initializer_list>
#include <iterator>
#include <string_view>
#include <utility>

namespace vital {
namespace {

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

class Writer {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    fmt::format_to(to(), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  void sample(Labels labels, double value) { sample("", labels, value); }
  void sample(std::string_view suffix, Labels labels, double value) {
    text_ += name_;
    text_ += suffix;
    char before = '{';
    for (const auto& [key, label] : labels) {
      text_ += before;
      text_ += key;
      text_ += "=\"";
      escape(label);
      text_ += '"';
      before = ',';
    }
    if (before == ',') text_ += '}';
    if (std::isnan(value)) {
      text_ += " NaN\n";
    } else if (std::isinf(value)) {
      text_ += value > 0 ? " +Inf\n" : " -Inf\n";
    } else {
      fmt::format_to(to(), " {}\n", value);
    }
  }
  void count(std::string_view name, std::string_view help, std::uint64_t value) {
    family(name, "counter", help);
    sample({}, static_cast<double>(value));
  }
  void gauge(std::string_view name, std::string_view help, double value) {
    family(name, "gauge", help);
    sample({}, value);
  }
  void raw(std::string_view lines) {
    text_ += lines;
    if (!lines.empty() && lines.back() != '\n') text_ += '\n';
  }
  std::string take() { return std::move(text_); }

 private:
  std::back_insert_iterator<std::string> to() { return std::back_inserter(text_); }
  void escape(std::string_view label) {
    for (const char c : label) {
      if (c == '\\' || c == '"') text_ += '\\';
      if (c == '\n') {
        text_ += "\\n";
      } else {
        text_ += c;
      }
    }
  }
  std::string text_;
  std::string_view name_;
};

constexpr std::array<Verdict, 3> answers{Verdict::pass, Verdict::warn, Verdict::fail};
constexpr std::array<State, 5> states{State::pending, State::pass, State::warn, State::fail, State::stale};
constexpr std::array<OverlayKind, 2> overlays{OverlayKind::drain, OverlayKind::maintenance};

double wall_seconds(WallTime t) { return std::chrono::duration<double>(t.time_since_epoch()).count(); }

void write_checks(Writer& out, const Snapshot& snapshot, const std::vector<CheckId>& ids, Now now) {
  const Plan& plan = *snapshot.plan;
  out.family("vitald_check_state", "gauge", "1 for the state the check is in, 0 for the others.");
  for (const CheckId id : ids) {
    for (const State s : states) {
      out.sample({{"check", plan.at(id).name}, {"state", name(s)}}, snapshot.at(id).state == s ? 1 : 0);
    }
  }
  out.family("vitald_check_last_result_age_seconds", "gauge", "Time since the last result, NaN before the first.");
  for (const CheckId id : ids) {
    const auto& at = snapshot.at(id).last_at;
    out.sample({{"check", plan.at(id).name}}, at ? seconds(now.mono - *at) : NAN);
  }
  out.family("vitald_check_flapping", "gauge", "1 while the check changes its state too often.");
  for (const CheckId id : ids) out.sample({{"check", plan.at(id).name}}, snapshot.at(id).is_flapping ? 1 : 0);
  out.family("vitald_check_measure", "gauge", "What the check measured last, in the unit it names.");
  for (const CheckId id : ids) {
    if (!snapshot.at(id).last) continue;
    for (const Measure& m : snapshot.at(id).last->measures) {
      out.sample({{"check", plan.at(id).name}, {"measure", m.name}, {"unit", m.unit}}, m.value);
    }
  }
}

void write_services(Writer& out, const Snapshot& snapshot, const std::vector<ServiceId>& ids) {
  const Plan& plan = *snapshot.plan;
  out.family("vitald_service_state", "gauge", "1 for the state the service is in by its rule, 0 for the others.");
  for (const ServiceId id : ids) {
    for (const State s : states) {
      out.sample({{"service", plan.at(id).name}, {"state", name(s)}}, snapshot.at(id).state == s ? 1 : 0);
    }
  }
  out.family("vitald_service_answer", "gauge", "1 for what consumers of the service are told, 0 for the others.");
  for (const ServiceId id : ids) {
    for (const Verdict v : answers) {
      out.sample({{"service", plan.at(id).name}, {"answer", name(v)}}, snapshot.at(id).answer == v ? 1 : 0);
    }
  }
  out.family("vitald_service_overlay", "gauge", "1 while an operator holds the service in drain or maintenance.");
  for (const ServiceId id : ids) {
    for (const OverlayKind k : overlays) {
      out.sample({{"service", plan.at(id).name}, {"overlay", name(k)}}, snapshot.at(id).overlay == k ? 1 : 0);
    }
  }
  out.family("vitald_service_weight", "gauge", "The weight told to balancers, 0 to 100.");
  for (const ServiceId id : ids) out.sample({{"service", plan.at(id).name}}, snapshot.at(id).weight);
  out.family("vitald_service_score", "gauge", "How much of the service's rule passes, 0 to 100; a warn counts half.");
  for (const ServiceId id : ids) out.sample({{"service", plan.at(id).name}}, snapshot.at(id).score);
}

void write_tally(Writer& out, const std::map<std::string, Tally::Row, std::less<>>& tally) {
  out.family("vitald_check_probes_total", "counter", "Probes ended, retries included, by verdict and cause.");
  for (const auto& [check, row] : tally) {
    for (std::size_t v = 0; v < row.ends.size(); ++v) {
      for (std::size_t c = 0; c < row.ends[v].size(); ++c) {
        if (row.ends[v][c] == 0) continue;
        out.sample(
            {{"check", check}, {"verdict", name(static_cast<Verdict>(v))}, {"cause", name(static_cast<Cause>(c))}},
            static_cast<double>(row.ends[v][c]));
      }
    }
  }
  out.family("vitald_check_duration_seconds", "histogram", "How long probes took.");
  for (const auto& [check, row] : tally) {
    std::uint64_t sum = 0;
    for (std::size_t b = 0; b < Tally::bounds.size(); ++b) {
      sum += row.buckets[b];
      out.sample("_bucket", {{"check", check}, {"le", fmt::format("{}", Tally::bounds[b])}}, static_cast<double>(sum));
    }
    out.sample("_bucket", {{"check", check}, {"le", "+Inf"}}, static_cast<double>(row.count));
    out.sample("_sum", {{"check", check}}, row.seconds_sum);
    out.sample("_count", {{"check", check}}, static_cast<double>(row.count));
  }
}

void write_core(Writer& out, const CoreCounters& c) {
  out.family("vitald_results_dropped_total", "counter",
             "Results that came too late, twice, or from a probe nobody knows.");
  out.sample({{"why", "late"}}, static_cast<double>(c.late_results));
  out.sample({{"why", "duplicate"}}, static_cast<double>(c.duplicate_results));
  out.sample({{"why", "unknown_probe"}}, static_cast<double>(c.unknown_ids));
  out.count("vitald_timeouts_discounted_total", "Timeouts not believed, since the agent itself was late.",
            c.discounted_timeouts);
  out.count("vitald_agent_stalls_total", "Times the agent itself stood still: stopped, suspended or starved.",
            c.stalls);
  out.count("vitald_cycles_skipped_total", "Planned probes that did not start in time.", c.skipped_cycles);
  out.count("vitald_ejections_withheld_total", "Fails not told, since the ejection budget was spent.",
            c.withheld_ejections);
}

void write_front(Writer& out, const FrontCounters& c) {
  out.family("vitald_http_requests_total", "counter", "Requests answered, by status code.");
  for (const auto& [code, n] : c.requests) out.sample({{"code", std::to_string(code)}}, static_cast<double>(n));
  out.count("vitald_http_connections_total", "Connections accepted.", c.connections);
  out.gauge("vitald_http_connections_open", "Connections open now.", static_cast<double>(c.connections_open));
  out.count("vitald_http_connections_silent_total", "Connections that ended without sending anything.", c.silent);
  out.count("vitald_http_connections_evicted_total", "Connections that gave way to newer ones at the limit.",
            c.evicted);
  out.count("vitald_http_connections_over_source_cap_total",
            "Connections that gave way since their source held too many.", c.over_source_cap);
  out.count("vitald_http_connections_timed_out_total", "Connections that sent or took too slowly.", c.timed_out);
  out.count("vitald_http_connections_reset_total", "Connections the other end reset.", c.resets);
  out.count("vitald_http_connections_proxied_total", "Connections that began with a PROXY header.", c.proxied);
  out.count("vitald_tls_handshakes_total", "TLS handshakes that succeeded.", c.tls_handshakes);
  out.count("vitald_tls_handshake_failures_total", "TLS handshakes that came to nothing, late ones included.",
            c.tls_failures);
  out.count("vitald_http_accept_errors_total", "Connections the kernel could not hand over.", c.accept_errors);
  out.gauge("vitald_stream_readers", "Readers of /api/v1/stream now.", static_cast<double>(c.stream_readers));
  out.count("vitald_stream_events_sent_total", "Events sent to readers of /api/v1/stream.", c.stream_events);
  out.count("vitald_stream_readers_dropped_total", "Readers of /api/v1/stream that read too slowly.",
            c.stream_readers_dropped);
  out.count("vitald_haproxy_agent_checks_total", "Agent-check lines answered.", c.agent_checks);
  out.count("vitald_haproxy_agent_unknown_services_total", "Agent-check lines that named no service of ours.",
            c.agent_unknown_services);
  out.count("vitald_grpc_checks_total", "gRPC Check and Watch calls.", c.grpc_checks);
  out.count("vitald_grpc_unknown_services_total", "gRPC calls that named no service of ours.", c.grpc_unknown_services);
  out.gauge("vitald_grpc_watches_open", "gRPC Watch calls open now.", static_cast<double>(c.grpc_watches));
  out.family("vitald_consumers", "gauge", "Programs that watch this node now, by kind.");
  for (const auto& [kind, n] : c.consumers) out.sample({{"kind", kind}}, static_cast<double>(n));
  out.count("vitald_consumers_evicted_total", "Consumers forgotten to make room for others.", c.consumers_evicted);
  out.count("vitald_consumer_events_dropped_total", "Events of consumers that were too many to be told.",
            c.consumer_events_dropped);
  out.family("vitald_http_reports_total", "counter", "Reports of heartbeats over the health listener.");
  out.sample({{"result", "taken"}}, static_cast<double>(c.reports_taken));
  out.sample({{"result", "unauthorized"}}, static_cast<double>(c.reports_unauthorized));
  out.sample({{"result", "limited"}}, static_cast<double>(c.reports_limited));
  out.sample({{"result", "refused"}}, static_cast<double>(c.reports_refused));
}

std::vector<CheckId> all_checks(const Snapshot& snapshot) {
  std::vector<CheckId> out;
  for (std::uint32_t i = 0; i < snapshot.checks.size(); ++i) out.emplace_back(i);
  return out;
}
std::vector<ServiceId> all_services(const Snapshot& snapshot) {
  std::vector<ServiceId> out;
  for (std::uint32_t i = 0; i < snapshot.services.size(); ++i) out.emplace_back(i);
  return out;
}

}  // namespace

std::string metrics_text(const View* view, const std::map<std::string, Tally::Row, std::less<>>& tally,
                         const FrontCounters& front, Now now, Instant valid_until) {
  Writer out;
  out.gauge("vitald_agent_stalled", "1 when the agent's loop did not turn in time and the endpoint answers for itself.",
            now.mono > valid_until ? 1 : 0);
  write_front(out, front);
  if (view == nullptr) return out.take();
  const Snapshot& snapshot = *view->snapshot;
  const AgentFacts& facts = view->facts;
  out.family("vitald_build_info", "gauge", "Always 1; the version is in the label.");
  out.sample({{"version", facts.version}}, 1);
  out.gauge("vitald_start_time_seconds", "When the agent started, since the epoch.", wall_seconds(facts.started));
  out.gauge("vitald_agent_loop_lag_seconds", "How late the agent's loop turned, the worst of the last minute.",
            seconds(facts.loop_lag));
  out.gauge("vitald_snapshot_age_seconds", "Time since what is served was made.", seconds(now.mono - snapshot.made_at));
  out.gauge("vitald_config_last_reload_success", "0 after a refused reload: the config before it is still in use.",
            facts.is_config_current ? 1 : 0);
  out.gauge("vitald_config_last_load_timestamp_seconds", "When the config in use was loaded, since the epoch.",
            wall_seconds(facts.config_loaded));
  out.family("vitald_config_reloads_total", "counter", "Reloads asked for, by what became of them.");
  out.sample({{"result", "adopted"}}, static_cast<double>(facts.reloads));
  out.sample({{"result", "refused"}}, static_cast<double>(facts.refused_reloads));
  write_services(out, snapshot, all_services(snapshot));
  write_checks(out, snapshot, all_checks(snapshot), now);
  write_tally(out, tally);
  write_core(out, snapshot.counters);
  out.raw(facts.metrics);
  return out.take();
}

std::string health_metrics_text(const View& view, std::optional<ServiceId> service, const std::vector<CheckId>& checks,
                                Now now) {
  Writer out;
  const Snapshot& snapshot = *view.snapshot;
  write_services(out, snapshot, service ? std::vector<ServiceId>{*service} : all_services(snapshot));
  write_checks(out, snapshot, checks, now);
  return out.take();
}

}  // namespace vital
