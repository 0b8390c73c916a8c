// Topologies, as the world reads them; see failovers.hpp.
#include "agent/failovers.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "agent/log_line.hpp"
#include "base/duration.hpp"
#include "base/text.hpp"
#include "core/timing.hpp"
#include "publish/json_text.hpp"

namespace vital {
namespace {

using namespace std::chrono_literals;

constexpr Duration show_at_least_every = 1s;
constexpr TopologyStatus all_statuses[] = {TopologyStatus::steady, TopologyStatus::no_primary,
                                           TopologyStatus::two_primaries, TopologyStatus::unknown};
constexpr std::string_view phases[] = {"detect", "decide", "fence", "promote", "follow"};

// A number that is a text in the record.
std::optional<double> number_of(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(std::strtod(text.c_str(), nullptr));
}

void write_member(JsonText& out, const MemberView& m, const std::string& check) {
  out.begin_object();
  out.field("name", m.name);
  out.field("check", check);
  out.field("role", name(m.role));
  out.field("is_seen", m.is_seen);
  out.field("is_down", m.is_down);
  out.field("is_promotable", m.is_promotable);
  out.field("why_not", or_null(m.why_not));
  out.field("link", or_null(std::string(name(m.link))));
  out.field("lag", m.lag);
  out.field("lag_bytes", m.lag_bytes);
  out.field("position", or_null(m.position));
  out.field("timeline", or_null(m.timeline));
  out.field("age_ms", m.age ? std::optional(milliseconds(*m.age)) : std::nullopt);
  out.field("output", m.text);
  out.end_object();
}

// Inside an object that is open. Times as texts, lengths as numbers, moments nobody saw as null.
void write_record(JsonText& out, const Fields& fields) {
  for (const auto& [key, value] : fields) {
    if (key.ends_with("_ms")) {
      out.field(key, number_of(value));
    } else {
      out.field(key, or_null(value));
    }
  }
}

void line(std::string& out, std::string_view metric, const std::vector<std::pair<std::string, std::string>>& labels,
          double value) {
  out += metric;
  out += '{';
  for (std::size_t i = 0; i < labels.size(); ++i) {
    out += (i > 0 ? "," : "") + labels[i].first + "=\"" + labels[i].second + "\"";
  }
  JsonText number;
  number.value(value);
  out += "} " + number.take();  // ends the line
}

void family(std::string& out, std::string_view metric, std::string_view type, std::string_view help) {
  out += "# HELP " + std::string(metric) + " " + std::string(help) + "\n# TYPE " + std::string(metric) + " " +
         std::string(type) + "\n";
}

}  // namespace

std::vector<std::string> failover_records() { return {"failover", "primary_back"}; }
std::vector<std::string> primary_records() { return {"failover", "primary_back", "primary_seen"}; }

std::string failovers_document(const std::vector<JournalEvent>& records, std::string_view topologies,
                               std::string_view policies, std::string_view mode) {
  JsonText out;
  out.begin_object();
  out.field("mode", mode);
  out.begin_array("failovers");
  for (auto record = records.rbegin(); record != records.rend(); ++record) {
    out.begin_object();
    write_record(out, record->fields);
    out.end_object();
  }
  out.end_array();
  out.end_object();
  std::string text = out.take();
  text.insert(1, "\"topologies\":" + std::string(topologies) + ",\"policies\":" + std::string(policies) + ",");
  return text;
}

void Failovers::adopt(Now now, const std::vector<TopologyPlan>& topologies, const Plan& plan) {
  std::map<std::string, Watched> next;
  for (const TopologyPlan& t : topologies) {
    auto before = watches_.find(t.name);
    Watched watched =
        before != watches_.end() ? std::move(before->second) : Watched{FailoverWatch(t), {}, {}, {}, 0, 0, 0};
    if (before != watches_.end()) watched.watch.replan(t);
    watched.checks.clear();
    watched.predicted = {};
    for (const TopologyPlan::Member& m : t.members) {
      watched.checks.push_back(plan.at(m.check).name);
      watched.predicted = std::max(watched.predicted, timing::of_check(plan.at(m.check)).to_fail.worst);
    }
    watched.endpoint = t.endpoint ? plan.at(*t.endpoint).name : std::string();
    next.emplace(t.name, std::move(watched));
  }
  watches_ = std::move(next);
  show(now);
}

void Failovers::remember(const std::vector<JournalEvent>& records) {
  for (auto record = records.rbegin(); record != records.rend(); ++record) {
    std::string topology, from, to;
    for (const auto& [key, value] : record->fields) {
      if (key == "topology") topology = value;
      if (key == "from" || key == "primary") from = value;
      if (key == "to") to = value;
    }
    remember_primary(topology, to.empty() ? from : to);
  }
}

void Failovers::remember_primary(const std::string& topology, const std::string& member) {
  const auto found = watches_.find(topology);
  if (found != watches_.end()) found->second.watch.remember_primary(member);
}

std::vector<Note> Failovers::counted(Watched& of, std::vector<Note> notes) {
  for (const Note& n : notes) {
    if (n.event != "failover" && n.event != "primary_back") continue;
    ++(n.event == "failover" ? of.moved : of.returned);
    for (const auto& [key, value] : n.fields) {
      if (key == "down_ms") of.last_down = number_of(value).value_or(0) / 1000;
    }
    of.last_phases.clear();
    for (const auto& [key, value] : n.fields) {
      const auto number = number_of(value);
      for (const std::string_view phase : phases) {
        if (number && key == std::string(phase) + "_ms") of.last_phases[std::string(phase)] = *number / 1000;
      }
    }
  }
  return notes;
}

std::vector<Note> Failovers::ended(Now now, CheckId check, const ProbeResult& result) {
  std::vector<Note> out;
  for (auto& [name, watched] : watches_) {
    for (Note& n : counted(watched, watched.watch.observe(now, check, result))) out.push_back(std::move(n));
  }
  if (!out.empty()) show(now);
  return out;
}

std::vector<Note> Failovers::tick(Now now) {
  std::vector<Note> out;
  if (watches_.empty()) return out;
  for (auto& [name, watched] : watches_) {
    for (Note& n : counted(watched, watched.watch.tick(now))) out.push_back(std::move(n));
  }
  if (!out.empty() || now.mono - shown_at_ >= show_at_least_every) show(now);
  return out;
}

void Failovers::show(Now now) {
  shown_at_ = now.mono;
  JsonText out;
  std::string metrics;
  std::string states, primaries, counts, downs, lengths;
  out.begin_array();
  for (const auto& [topology, watched] : watches_) {
    const FailoverWatch& watch = watched.watch;
    const auto members = watch.members(now.mono);
    out.begin_object();
    out.field("name", topology);
    out.field("status", name(watch.status()));
    out.field("since", watch.since() == WallTime{} ? std::nullopt : std::optional(format_wall(watch.since())));
    out.field("primary", or_null(watch.primary()));
    out.field("endpoint", or_null(watched.endpoint));
    out.field("predicted_detect_ms", milliseconds(watched.predicted));
    out.begin_array("members");
    for (std::size_t i = 0; i < members.size(); ++i) write_member(out, members[i], watched.checks.at(i));
    out.end_array();
    if (const auto open = watch.open()) {
      out.begin_object("open");
      write_record(out, fields_of(topology, *open));
      out.end_object();
    } else {
      out.field("open", nullptr);
    }
    out.end_object();
    for (const TopologyStatus s : all_statuses) {
      line(states, "vitald_topology_status", {{"topology", topology}, {"status", std::string(name(s))}},
           s == watch.status() ? 1 : 0);
    }
    for (const MemberView& m : members) {
      line(primaries, "vitald_topology_primary", {{"topology", topology}, {"member", m.name}},
           m.role == ServerRole::primary ? 1 : 0);
    }
    line(counts, "vitald_failovers_total", {{"topology", topology}, {"end", "moved"}},
         static_cast<double>(watched.moved));
    line(counts, "vitald_failovers_total", {{"topology", topology}, {"end", "returned"}},
         static_cast<double>(watched.returned));
    line(downs, "vitald_failover_last_down_seconds", {{"topology", topology}}, watched.last_down);
    for (const auto& [phase, seconds] : watched.last_phases) {
      line(lengths, "vitald_failover_last_phase_seconds", {{"topology", topology}, {"phase", phase}}, seconds);
    }
  }
  out.end_array();
  if (!watches_.empty()) {
    family(metrics, "vitald_topology_status", "gauge", "1 for how the topology stands, 0 for the others.");
    metrics += states;
    family(metrics, "vitald_topology_primary", "gauge", "1 for a member that says it is primary, by fresh evidence.");
    metrics += primaries;
    family(metrics, "vitald_failovers_total", "counter", "Stories that ended: another primary, or the same one again.");
    metrics += counts;
    family(metrics, "vitald_failover_last_down_seconds", "gauge",
           "From the first bad sample to the end of the last of them, 0 before the first.");
    metrics += downs;
    if (!lengths.empty()) {
      family(metrics, "vitald_failover_last_phase_seconds", "gauge",
             "Where the time of the last of them went, as far as it is known.");
      metrics += lengths;
    }
  }
  std::string text = out.take();
  text.pop_back();  // the newline
  const std::lock_guard lock(m_);
  topologies_ = std::move(text);
  metrics_ = std::move(metrics);
}

void Failovers::recovery(const std::string& topology, WallTime at, FailoverWatch::Step step) {
  const auto found = watches_.find(topology);
  if (found != watches_.end()) found->second.watch.recovery(at, step);
}

void Failovers::each(const std::function<void(const FailoverWatch&)>& see) const {
  for (const auto& [name, watched] : watches_) see(watched.watch);
}

std::string Failovers::topologies() const {
  const std::lock_guard lock(m_);
  return topologies_;
}

std::string Failovers::metrics() const {
  const std::lock_guard lock(m_);
  return metrics_;
}

}  // namespace vital
