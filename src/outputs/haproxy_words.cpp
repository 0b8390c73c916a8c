// See haproxy_words.hpp.
#include "outputs/haproxy_words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/text.hpp"

namespace vital::haproxy {
namespace {

constexpr unsigned forced_maintenance = 0x01, forced_drain = 0x08;  // of srv_admin_state

using Row = std::map<std::string_view, std::string_view>;

std::optional<unsigned> number(const Row& row, std::string_view column) {
  const auto at = row.find(column);
  if (at == row.end()) return {};
  unsigned out = 0;
  const auto [end, error] = std::from_chars(at->second.data(), at->second.data() + at->second.size(), out);
  if (error != std::errc{} || end != at->second.data() + at->second.size()) return {};
  return out;
}

Row row_of(const std::vector<std::string_view>& names, std::string_view line, char separator) {
  Row out;
  const auto cells = split(line, separator);
  for (std::size_t i = 0; i < std::min(names.size(), cells.size()); ++i) out.emplace(names[i], cells[i]);
  return out;
}

std::string name_of(const Row& row, std::string_view backend, std::string_view server) {
  const auto b = row.find(backend), s = row.find(server);
  if (b == row.end() || s == row.end()) return {};
  return fmt::format("{}/{}", b->second, s->second);
}

void take_state(const Row& row, Seen& seen) {
  const std::string name = name_of(row, "be_name", "srv_name");
  const auto admin = number(row, "srv_admin_state"), weight = number(row, "srv_uweight"),
             configured = number(row, "srv_iweight");
  if (name.empty() || !admin || !weight || !configured) return;
  ServerSeen& s = seen[name];
  s.is_in_maintenance = (*admin & forced_maintenance) != 0;
  s.is_drained = (*admin & forced_drain) != 0;
  s.weight = *weight;
  s.configured_weight = *configured;
}

void take_statistics(const Row& row, Seen& seen) {
  const auto at = seen.find(name_of(row, "pxname", "svname"));
  if (at == seen.end()) return;
  at->second.sessions = number(row, "scur").value_or(0);
  const auto health = number(row, "agent_health"), rise = number(row, "agent_rise");
  if (health && rise) at->second.is_agent_up = *health >= *rise;
}

struct Aim {
  std::string_view state;  // ready, drain, maint
  bool is_agent_up = true;
  unsigned percent = 100;
};

Aim aim_of(const HaproxyOutput& to, const Word& word) {
  switch (word.told) {
    case Told::pass:
    case Told::warn:
      return {"ready", true, word.weight};
    case Told::fail:
      return to.is_by_agent ? Aim{"ready", false, 100} : Aim{"maint", true, 100};
    case Told::drain:
      return {"drain", true, 100};
    case Told::maintenance:
      return {"maint", true, 100};
  }
  return {"maint", false, 100};
}

std::string_view state_of(const ServerSeen& s) {
  return s.is_in_maintenance ? "maint" : s.is_drained ? "drain" : "ready";
}

}  // namespace

std::string question(const HaproxyOutput& to) {
  std::set<std::string> backends;
  for (const std::string& server : to.servers) backends.insert(server.substr(0, server.find('/')));
  std::string out;
  for (const std::string& backend : backends) {
    out += fmt::format("{}show servers state {};show stat {} 4 -1", out.empty() ? "" : ";", backend, backend);
  }
  return out + "\n";
}

std::optional<Seen> parse(std::string_view answer, std::string* problem) {
  Seen seen;
  std::vector<std::string_view> state_columns, statistics_columns;
  for (const std::string_view raw : split(answer, '\n')) {
    const std::string_view line = trim(raw);
    if (line.starts_with("# be_id ")) {
      state_columns = split(line.substr(2), ' ');
      statistics_columns.clear();
    } else if (line.starts_with("# pxname,")) {
      statistics_columns = split(line.substr(2), ',');
      state_columns.clear();
    } else if (!state_columns.empty()) {
      take_state(row_of(state_columns, line, ' '), seen);
    } else if (!statistics_columns.empty()) {
      take_statistics(row_of(statistics_columns, line, ','), seen);
    }
  }
  if (seen.empty()) {
    const std::string said = one_line(trim(answer), 160);
    *problem = said.empty() ? "gave no answer" : "did not answer as HAProxy does: " + said;
    return {};
  }
  return seen;
}

std::vector<std::string> commands(const HaproxyOutput& to, const Word& word, const Seen& seen, std::string* problem) {
  std::vector<std::string> out;
  problem->clear();
  const Aim aim = aim_of(to, word);
  for (const std::string& server : to.servers) {
    const auto at = seen.find(server);
    if (at == seen.end()) {
      *problem = fmt::format("there is no server {}", server);
      return {};
    }
    const ServerSeen& s = at->second;
    if (to.is_by_agent && !s.is_agent_up) {
      *problem = fmt::format("the server line of {} has no agent-check; add it, or write method: state", server);
      return {};
    }
    // First what takes it out, last what lets it in: never in with the wrong weight.
    if (to.is_by_agent && *s.is_agent_up && !aim.is_agent_up)
      out.push_back(fmt::format("set server {} agent down", server));
    if (to.is_weighed && s.weight != s.configured_weight * aim.percent / 100)
      out.push_back(fmt::format("set server {} weight {}%", server, aim.percent));
    if (state_of(s) != aim.state) out.push_back(fmt::format("set server {} state {}", server, aim.state));
    if (to.is_by_agent && !*s.is_agent_up && aim.is_agent_up)
      out.push_back(fmt::format("set server {} agent up", server));
  }
  return out;
}

std::string complaints(std::string_view answer) {
  std::vector<std::string> out;
  for (const std::string_view line : split(answer, '\n')) {
    if (!trim(line).empty()) out.emplace_back(trim(line));
  }
  return one_line(join(out, " "), 200);
}

std::string describe(const HaproxyOutput& to, const Seen& seen) {
  std::string out;
  for (const std::string& server : to.servers) {
    const auto at = seen.find(server);
    if (at == seen.end()) continue;
    out += fmt::format("{}{} {}{}, weight {} of {}", out.empty() ? "" : "; ", server, state_of(at->second),
                       at->second.is_agent_up == false ? ", agent down" : "", at->second.weight,
                       at->second.configured_weight);
  }
  return out;
}

}  // namespace vital::haproxy
