// See availability_page.hpp.
#include "agent/availability_page.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <utility>

#include "core/availability.hpp"
#include "publish/json_text.hpp"

namespace vital {
namespace {

using namespace std::chrono_literals;

struct Window {
  std::string_view name;
  std::chrono::hours length;
};
constexpr std::array<Window, 4> windows{{{"1h", 1h}, {"1d", 24h}, {"7d", 168h}, {"30d", 720h}}};

std::string field(const JournalEvent& e, std::string_view key) {
  for (const auto& [k, v] : e.fields) {
    if (k == key) return v;
  }
  return {};
}

// Everything about the node and one kind of subject, read from the events once.
struct Told {
  std::map<std::string, Timeline> lines;
  std::map<std::string, std::vector<Stretch>> overlays;          // by service, "" = the node
  std::map<std::pair<std::string, std::string>, WallTime> laid;  // by service and file, and still there
  bool is_stopping = false;  // the agent shows drain because it leaves: nobody's verdict
};

void take(Told& told, const JournalEvent& e, bool of_services) {
  const bool is_service = e.event == "service_state" || e.event == "ejection_withheld";
  if (e.event == "stopping" || e.event == "starting") told.is_stopping = e.event == "stopping";
  if (is_service && told.is_stopping) return;
  if (e.event == "overlay_set") {
    told.laid.emplace(std::pair(field(e, "service"), field(e, "file")), e.at);
  } else if (e.event == "overlay_cleared" || e.event == "overlay_expired") {
    const auto found = told.laid.find({field(e, "service"), field(e, "file")});
    if (found == told.laid.end()) return;
    told.overlays[found->first.first].emplace_back(found->second, e.at);
    told.laid.erase(found);
  } else if (is_service == of_services && (is_service || e.event == "check_state")) {
    Timeline& line = told.lines[field(e, is_service ? "service" : "check")];
    // What it was before its first change is known from that.
    if (line.said.empty()) line.said.emplace_back(WallTime{}, field(e, "from"));
    line.said.emplace_back(e.at, field(e, is_service ? "answer" : "to"));
  }
}

void write(JsonText& out, const Availability& a) {
  out.field("availability", a.share());
  out.field("up_ms", milliseconds(a.up));
  out.field("down_ms", milliseconds(a.down));
  out.field("planned_ms", milliseconds(a.planned));
  out.field("unknown_ms", milliseconds(a.unknown));
}

void write(JsonText& out, const std::string& name, const Timeline& line, WallTime now) {
  out.begin_object();
  out.field("name", name);
  out.begin_object("windows");
  for (const Window& w : windows) {
    out.begin_object(w.name);
    write(out, availability(line, now - w.length, now));
    out.end_object();
  }
  out.end_object();
  out.end_object();
}

}  // namespace

std::string availability_document(const JournalTimeline& timeline, const Snapshot& shown, WallTime now) {
  JsonText out;
  out.begin_object();
  for (const bool of_services : {false, true}) {
    Told told;
    for (const JournalEvent& e : timeline.events) take(told, e, of_services);
    for (const auto& [whose, since] : told.laid) told.overlays[whose.first].emplace_back(since, now);
    const auto line_of = [&](const std::string& name, std::string_view state, WallTime since) {
      Timeline line = told.lines[name];
      // Nothing changed as far back as the journal goes: it is as it is shown since it is so.
      if (line.said.empty()) line.said.emplace_back(since, state);
      line.away = timeline.away;
      line.away.emplace_back(WallTime{}, timeline.begins);
      line.planned = told.overlays[""];
      if (of_services) {
        const auto& own = told.overlays[name];
        line.planned.insert(line.planned.end(), own.begin(), own.end());
      }
      return line;
    };
    out.begin_array(of_services ? "services" : "checks");
    const Plan& plan = *shown.plan;
    if (of_services) {
      for (std::size_t i = 0; i < plan.services.size(); ++i) {
        const ServiceView& s = shown.services[i];
        const std::string& name_of = plan.services[i].name;
        write(out, name_of, line_of(name_of, name(s.answer), s.since), now);
      }
    } else {
      for (std::size_t i = 0; i < plan.checks.size(); ++i) {
        const CheckView& c = shown.checks[i];
        const std::string& name_of = plan.checks[i].name;
        write(out, name_of, line_of(name_of, name(c.state), c.since), now);
      }
    }
    out.end_array();
  }
  out.end_object();
  return out.take();
}

}  // namespace vital
