// A Patroni member's own word, read and judged; see patroni.hpp.
#include "patroni.hpp"

#include "../json_text.hpp"
#include "../words.hpp"

namespace vital::http {
namespace {

using check::flag_at;
using nlohmann::json;

constexpr char api[] = "/patroni";

// A text or a whole number, as text.
std::string word_at(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return {};
  if (found->is_string()) return check::tidy(found->get_ref<const std::string&>(), 80);
  return found->is_number_integer() ? found->dump() : std::string();
}

const json& within(const json& object, const char* name) {
  static const json none = json::object();
  const auto found = object.find(name);
  return found != object.end() && found->is_object() ? *found : none;
}

// In the words that all checks use. A leader of a standby cluster takes no writes.
std::string common_role(const std::string& role) {
  if (role == "master") return "primary";
  if (role == "replica" || role == "standby_leader") return "standby";
  return role;
}

}  // namespace

std::string patroni_path(const std::string& path) {
  const std::string plain = path.substr(0, path.find_last_not_of('/') + 1);
  const std::string_view end = api;
  const bool is_named = plain.size() >= end.size() && plain.compare(plain.size() - end.size(), end.size(), end) == 0;
  return is_named ? plain : plain + api;
}

std::optional<PatroniMember> read_patroni(const std::string& body) {
  const json document = json::parse(body, nullptr, false);
  if (!document.is_object() || within(document, "patroni").empty()) return {};
  const auto state = document.find("state");
  if (state == document.end() || !state->is_string()) return {};
  PatroniMember member;
  member.state = word_at(document, "state");
  member.scope = word_at(within(document, "patroni"), "scope");
  member.role = common_role(word_at(document, "role"));
  member.timeline = word_at(document, "timeline");
  member.system = word_at(document, "database_system_identifier");
  const json& wal = within(document, "xlog");
  member.position = word_at(wal, "location");
  if (member.position.empty()) member.position = word_at(wal, "replayed_location");
  member.is_replay_paused = flag_at(wal, "paused");
  member.is_leaderless = flag_at(document, "cluster_unlocked");
  member.is_paused = flag_at(document, "pause");
  member.needs_restart = flag_at(document, "pending_restart");
  return member;
}

void judge_patroni(const PatroniMember& member, check::Findings& found) {
  using check::Cause;
  using check::Verdict;
  if (member.state != "running" && member.state != "streaming") {
    found.add(Verdict::fail, Cause::content, "its PostgreSQL is " + check::shown(member.state));
  }
  if (member.is_leaderless) found.add(Verdict::warn, Cause::role, "the cluster has no leader");
  if (member.is_paused) found.add(Verdict::warn, Cause::content, "the cluster is paused: Patroni makes no failover");
  if (member.is_replay_paused) found.add(Verdict::warn, Cause::content, "its replay is paused");
  if (member.needs_restart) found.add(Verdict::warn, Cause::content, "it waits for a restart (pending_restart)");
}

void describe_patroni(const PatroniMember& member, check::Result& result) {
  const auto fact = [&](const char* name, const std::string& value) {
    if (!value.empty()) result.fact(name, value);
  };
  fact("cluster", member.scope);
  fact("state", member.state);
  // A server that does not run is nothing, whatever it was last.
  if (member.state == "running" || member.state == "streaming") fact("role", member.role);
  fact("timeline", member.timeline);
  fact("position", member.position);
  fact("system_identifier", member.system);
  if (member.role == "standby") fact("replay_paused", member.is_replay_paused ? "true" : "false");
}

}  // namespace vital::http
