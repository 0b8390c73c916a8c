// SavedState to text and back; see saved_text.hpp. Every member is read with a bound and a type check: a file is
// outside input, even our own.
#include "store/saved_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/duration.hpp"
#include "base/text.hpp"

namespace vital {
namespace {

using json = nlohmann::json;

constexpr std::string_view magic = "vitald-state";
constexpr int version = 1;
constexpr std::size_t size_bound = 16U << 20U;
constexpr std::size_t row_bound = 10000;

json ns(const std::optional<Duration>& d) { return d ? json(d->count()) : json(nullptr); }

json print_overlay(const Overlay& o) {
  return {{"kind", name(o.kind)},
          {"service", o.service},
          {"reason", o.reason},
          {"owner", o.owner},
          {"since", format_wall(o.since)},
          {"until", o.until ? json(format_wall(*o.until)) : json(nullptr)},
          {"source", o.source}};
}

json print_check(const SavedCheck& c) {
  return {{"name", c.name},
          {"fingerprint", c.fingerprint},
          {"state", name(c.state)},
          {"since", format_wall(c.since)},
          {"hysteresis", c.hysteresis},
          {"window", c.window},
          {"streak", c.streak},
          {"history", c.history},
          {"last_good", name(c.last_good)},
          {"flap_penalty", c.flap_penalty},
          {"is_flapping", c.is_flapping},
          {"evidence_age", ns(c.evidence_age)},
          {"last_age", ns(c.last_age)},
          {"last_wall", format_wall(c.last_wall)},
          {"last_verdict", name(c.last_verdict)},
          {"last_cause", name(c.last_cause)},
          {"last_text", one_line(c.last_text)},
          {"last_duration", c.last_duration.count()}};
}

json print_service(const SavedService& s) {
  json ages = json::array();
  for (const Duration age : s.ejection_ages) ages.push_back(age.count());
  return {{"name", s.name},
          {"state", name(s.state)},
          {"answer", name(s.answer)},
          {"since", format_wall(s.since)},
          {"has_started", s.has_started},
          {"is_ejected", s.is_ejected},
          {"recovered_age", ns(s.recovered_age)},
          {"held_for", ns(s.held_for)},
          {"ejection_ages", ages}};
}

// Readers that leave the default where a member is missing or of another type.
void read(const json& from, const char* key, std::string& to) {
  if (const auto it = from.find(key); it != from.end() && it->is_string()) to = it->get<std::string>().substr(0, 4096);
}
void read(const json& from, const char* key, bool& to) {
  if (const auto it = from.find(key); it != from.end() && it->is_boolean()) to = it->get<bool>();
}
void read(const json& from, const char* key, double& to) {
  if (const auto it = from.find(key); it != from.end() && it->is_number()) to = it->get<double>();
}
template <typename Unsigned>
void read_count(const json& from, const char* key, Unsigned& to) {
  if (const auto it = from.find(key); it != from.end() && it->is_number_unsigned()) {
    to = static_cast<Unsigned>(std::min<std::uint64_t>(it->get<std::uint64_t>(), std::numeric_limits<Unsigned>::max()));
  }
}
void read(const json& from, const char* key, Duration& to) {
  if (const auto it = from.find(key); it != from.end() && it->is_number_integer()) {
    to = Duration(std::max<std::int64_t>(it->get<std::int64_t>(), 0));
  }
}
void read(const json& from, const char* key, std::optional<Duration>& to) {
  if (const auto it = from.find(key); it != from.end() && it->is_number_integer()) {
    to = Duration(std::max<std::int64_t>(it->get<std::int64_t>(), 0));
  }
}
void read(const json& from, const char* key, WallTime& to) {
  std::string text;
  read(from, key, text);
  to = parse_wall(text).value_or(to);
}
template <typename Enum, std::size_t N>
void read(const json& from, const char* key, const std::array<std::string_view, N>& names, Enum& to) {
  std::string text;
  read(from, key, text);
  const auto it = std::find(names.begin(), names.end(), text);
  if (it != names.end()) to = static_cast<Enum>(it - names.begin());
}

SavedCheck read_check(const json& from) {
  SavedCheck c;
  read(from, "name", c.name);
  read_count(from, "fingerprint", c.fingerprint);
  read(from, "state", detail::state_names, c.state);
  read(from, "since", c.since);
  read_count(from, "hysteresis", c.hysteresis);
  read_count(from, "window", c.window);
  read_count(from, "streak", c.streak);
  read(from, "history", c.history);
  c.history = c.history.substr(0, 64);
  read(from, "last_good", detail::verdict_names, c.last_good);
  read(from, "flap_penalty", c.flap_penalty);
  read(from, "is_flapping", c.is_flapping);
  read(from, "evidence_age", c.evidence_age);
  read(from, "last_age", c.last_age);
  read(from, "last_wall", c.last_wall);
  read(from, "last_verdict", detail::verdict_names, c.last_verdict);
  read(from, "last_cause", detail::cause_names, c.last_cause);
  read(from, "last_text", c.last_text);
  read(from, "last_duration", c.last_duration);
  return c;
}

SavedService read_service(const json& from) {
  SavedService s;
  read(from, "name", s.name);
  read(from, "state", detail::state_names, s.state);
  read(from, "answer", detail::verdict_names, s.answer);
  read(from, "since", s.since);
  read(from, "has_started", s.has_started);
  read(from, "is_ejected", s.is_ejected);
  read(from, "recovered_age", s.recovered_age);
  read(from, "held_for", s.held_for);
  if (const auto it = from.find("ejection_ages"); it != from.end() && it->is_array()) {
    for (const json& age : *it) {
      if (age.is_number_integer() && s.ejection_ages.size() < row_bound) {
        s.ejection_ages.emplace_back(std::max<std::int64_t>(age.get<std::int64_t>(), 0));
      }
    }
  }
  return s;
}

Overlay read_overlay(const json& from) {
  Overlay o;
  std::string kind;
  read(from, "kind", kind);
  if (kind == name(OverlayKind::drain)) o.kind = OverlayKind::drain;
  if (kind == name(OverlayKind::maintenance)) o.kind = OverlayKind::maintenance;
  read(from, "service", o.service);
  read(from, "reason", o.reason);
  read(from, "owner", o.owner);
  read(from, "since", o.since);
  std::string until;
  read(from, "until", until);
  o.until = parse_wall(until);
  read(from, "source", o.source);
  return o;
}

template <typename Row, typename Read>
void read_rows(const json& from, const char* key, std::vector<Row>& to, Read read_row) {
  const auto it = from.find(key);
  if (it == from.end() || !it->is_array()) return;
  for (const json& row : *it) {
    if (row.is_object() && to.size() < row_bound) to.push_back(read_row(row));
  }
}

template <typename Number>
bool take_number(std::string_view& text, Number& number, int base) {
  const std::size_t end = std::min(text.find_first_of(" \n"), text.size());
  const auto [stop, error] = std::from_chars(text.data(), text.data() + end, number, base);
  if (error != std::errc{} || stop != text.data() + end || end == text.size()) return false;
  text.remove_prefix(end + 1);
  return true;
}

}  // namespace

std::string print_saved(const SavedState& state) {
  json body{{"saved_at", format_wall(state.saved_at)}};
  for (const SavedCheck& c : state.checks) body["checks"].push_back(print_check(c));
  for (const SavedService& s : state.services) body["services"].push_back(print_service(s));
  for (const Overlay& o : state.overlays) body["overlays"].push_back(print_overlay(o));
  for (const std::string& line : state.failover) body["failover"].push_back(line);
  const std::string text = body.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
  return fmt::format("{} {} {} {:016x}\n{}", magic, version, text.size(), stable_hash(text), text);
}

std::optional<SavedState> parse_saved(std::string_view text, std::string* problem) {
  const auto refuse = [&](std::string why) -> std::optional<SavedState> {
    if (problem != nullptr) *problem = std::move(why);
    return {};
  };
  if (text.size() > size_bound) return refuse("is larger than 16 MiB");
  if (text.substr(0, magic.size()) != magic || text.size() <= magic.size() || text[magic.size()] != ' ') {
    return refuse("is no saved state of vitald");
  }
  text.remove_prefix(magic.size() + 1);
  int seen_version = 0;
  std::size_t length = 0;
  std::uint64_t checksum = 0;
  if (!take_number(text, seen_version, 10)) return refuse("has a broken header");
  if (seen_version != version) {
    return refuse(fmt::format("is of version {}, this program reads version {}", seen_version, version));
  }
  if (!take_number(text, length, 10) || !take_number(text, checksum, 16)) return refuse("has a broken header");
  if (text.size() != length) return refuse(fmt::format("is torn: {} of {} bytes", text.size(), length));
  if (stable_hash(text) != checksum) return refuse("is damaged: its checksum does not match");
  const json body = json::parse(text, nullptr, false);
  if (!body.is_object()) return refuse("holds no JSON object");
  SavedState state;
  read(body, "saved_at", state.saved_at);
  read_rows(body, "checks", state.checks, read_check);
  read_rows(body, "services", state.services, read_service);
  read_rows(body, "overlays", state.overlays, read_overlay);
  if (const auto lines = body.find("failover"); lines != body.end() && lines->is_array()) {
    for (const json& line : *lines) {
      if (line.is_string() && state.failover.size() < row_bound)
        state.failover.push_back(line.get<std::string>().substr(0, 4096));
    }
  }
  return state;
}

}  // namespace vital
