// The shared record; see record.hpp.
#include "core/failover/record.hpp"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "base/text.hpp"
#include "core/failover/lines.hpp"

namespace vital::failover {
namespace {

constexpr Phase all_phases[] = {Phase::none, Phase::fencing, Phase::promoting, Phase::moving,
                                Phase::done, Phase::parked,  Phase::closed};

Phase phase_of(std::string_view text) {
  for (const Phase p : all_phases) {
    if (name(p) == text) return p;
  }
  return Phase::none;
}

bool is_open(const Entry& e) {
  return e.phase == Phase::fencing || e.phase == Phase::promoting || e.phase == Phase::moving;
}

// The oldest of a topology give way; a parked one stays.
void prune(Record& record, std::string_view topology) {
  const auto of_it = [&](const Entry& e) { return e.topology == topology; };
  while (std::count_if(record.entries.begin(), record.entries.end(), of_it) >
         static_cast<std::ptrdiff_t>(kept_entries)) {
    auto oldest = std::find_if(record.entries.begin(), record.entries.end(),
                               [&](const Entry& e) { return of_it(e) && e.phase != Phase::parked; });
    if (oldest == record.entries.end()) oldest = std::find_if(record.entries.begin(), record.entries.end(), of_it);
    record.entries.erase(oldest);
  }
}

std::optional<Record> begin(const Record& record, const Edit& edit) {
  Record out = record;
  if (const Entry* there = record.find(edit.entry.id)) {
    return there->token == edit.entry.token && there->phase == Phase::fencing ? std::optional(out) : std::nullopt;
  }
  if (record.is_brake_on || record.is_paused(edit.entry.topology)) return {};
  std::set<std::string> others;
  for (Entry& e : out.entries) {
    if (e.id == edit.continues) {
      e.phase = Phase::closed;  // its successor stands for it
      continue;
    }
    if (e.topology == edit.entry.topology && e.phase == Phase::parked) return {};
    // An open one of an owner that is gone is no obstacle: the lease with our token says that it is gone.
    if (e.topology == edit.entry.topology && is_open(e)) e.phase = Phase::closed;
    const bool is_expired = std::find(edit.expired.begin(), edit.expired.end(), e.id) != edit.expired.end();
    if (!e.is_forgiven && !is_expired && e.began > 0 && e.topology != edit.entry.topology) others.insert(e.topology);
  }
  if (others.size() >= edit.brake_max) return {};
  out.entries.push_back(edit.entry);
  prune(out, edit.entry.topology);
  return out;
}

}  // namespace

std::string_view name(Phase phase) {
  switch (phase) {
    case Phase::none:
      return "none";
    case Phase::fencing:
      return "fencing";
    case Phase::promoting:
      return "promoting";
    case Phase::moving:
      return "moving";
    case Phase::done:
      return "done";
    case Phase::parked:
      return "parked";
    case Phase::closed:
      return "closed";
  }
  return "none";
}

const Entry* Record::find(std::string_view id) const {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.id == id; });
  return found == entries.end() ? nullptr : &*found;
}

bool Record::is_paused(std::string_view topology) const {
  return std::any_of(pauses.begin(), pauses.end(),
                     [&](const Paused& p) { return p.topology.empty() || p.topology == topology; });
}

const LastPrimary* Record::last_primary(std::string_view topology) const {
  const auto found =
      std::find_if(primaries.begin(), primaries.end(), [&](const LastPrimary& l) { return l.topology == topology; });
  return found == primaries.end() ? nullptr : &*found;
}

std::string encode(const Record& record) {
  std::string out = LineWriter("record").flag("brake", record.is_brake_on).add("why", record.brake_why).text() + "\n";
  for (const Paused& p : record.pauses) {
    out += LineWriter("pause").add("topology", p.topology).add("by", p.by).add("reason", p.reason).text() + "\n";
  }
  for (const LastPrimary& l : record.primaries) {
    out += LineWriter("primary")
               .add("topology", l.topology)
               .add("member", l.member)
               .add("node", l.node)
               .add("position", l.position)
               .add("at", l.at)
               .text() +
           "\n";
  }
  for (const Entry& e : record.entries) {
    out += LineWriter("recovery")
               .add("id", e.id)
               .add("topology", e.topology)
               .add("node", e.node)
               .add("token", e.token)
               .add("from", e.from)
               .add("to", e.to)
               .add("phase", name(e.phase))
               .add("tries", e.tries)
               .add("began", e.began)
               .add("since", e.since)
               .flag("forgiven", e.is_forgiven)
               .flag("bound", e.is_bound)
               .add("why", e.why)
               .text() +
           "\n";
  }
  return out;
}

Record decode_record(std::string_view text) {
  Record out;
  if (text.size() > max_record) return out;
  for (const std::string_view line : split(text, '\n')) {
    const LineReader read(line);
    if (read.word() == "record") {
      out.is_brake_on = read.flag("brake");
      out.brake_why = read.text("why");
    } else if (read.word() == "pause" && out.pauses.size() < kept_topologies) {
      out.pauses.push_back({read.text("topology"), read.text("by"), read.text("reason")});
    } else if (read.word() == "primary" && out.primaries.size() < kept_topologies) {
      out.primaries.push_back(
          {read.text("topology"), read.text("member"), read.text("node"), read.text("position"), read.number("at")});
    } else if (read.word() == "recovery" && out.entries.size() < kept_entries * kept_topologies) {
      Entry e{read.text("id"),
              read.text("topology"),
              read.text("node"),
              read.number("token"),
              read.text("from"),
              read.text("to"),
              phase_of(read.text("phase")),
              static_cast<unsigned>(std::clamp<std::int64_t>(read.number("tries"), 0, 1000)),
              read.number("began"),
              read.number("since"),
              read.flag("forgiven"),
              read.flag("bound"),
              read.text("why")};
      if (!e.id.empty() && e.phase != Phase::none) out.entries.push_back(std::move(e));
    }
  }
  return out;
}

bool needs_lease(Edit::Kind kind) { return kind == Edit::Kind::begin || kind == Edit::Kind::advance; }

std::optional<Record> apply(const Record& record, const Edit& edit) {
  using K = Edit::Kind;
  Record out = record;
  const auto mine = [&](const Entry& e) { return e.id == edit.entry.id; };
  const auto found = std::find_if(out.entries.begin(), out.entries.end(), mine);
  switch (edit.kind) {
    case K::begin:
      return begin(record, edit);
    case K::advance:
      if (found == out.entries.end() || found->token != edit.entry.token || !is_open(*found)) {
        return found != out.entries.end() && found->phase == edit.entry.phase ? std::optional(out) : std::nullopt;
      }
      if (found->phase != edit.entry.phase) *found = edit.entry;
      return out;
    case K::park:
      if (found == out.entries.end()) {
        out.entries.push_back(edit.entry);
        prune(out, edit.entry.topology);
      } else if (found->phase == Phase::parked) {
        return out;
      } else if (is_open(*found) && found->token == edit.entry.token) {
        *found = edit.entry;
      } else {
        return {};
      }
      return out;
    case K::close:
      if (found == out.entries.end()) return {};
      if (found->phase == Phase::parked || (is_open(*found) && found->token == edit.entry.token && found->token != 0))
        found->phase = Phase::closed;
      return out;
    case K::brake:
      if (out.is_brake_on) return out;
      out.is_brake_on = true;
      out.brake_why = edit.pause.reason;
      return out;
    case K::release_brake:
      if (!out.is_brake_on) return out;
      out.is_brake_on = false;
      out.brake_why = "released by " + edit.pause.by;
      for (Entry& e : out.entries) e.is_forgiven = true;
      return out;
    case K::pause:
      for (Paused& p : out.pauses) {
        if (p.topology == edit.pause.topology) return out;
      }
      if (out.pauses.size() < kept_topologies) out.pauses.push_back(edit.pause);
      return out;
    case K::primary: {
      const auto old = std::find_if(out.primaries.begin(), out.primaries.end(),
                                    [&](const LastPrimary& l) { return l.topology == edit.primary.topology; });
      if (old == out.primaries.end()) {
        if (out.primaries.size() < kept_topologies) out.primaries.push_back(edit.primary);
      } else if (old->member != edit.primary.member || std::abs(edit.primary.at - old->at) >= primary_told_every) {
        *old = edit.primary;
      }
      return out;
    }
    case K::resume:
      std::erase_if(out.pauses, [&](const Paused& p) { return p.topology == edit.pause.topology; });
      return out;
  }
  return {};
}

}  // namespace vital::failover
