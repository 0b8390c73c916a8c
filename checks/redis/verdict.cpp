// The rules; see verdict.hpp.
#include "verdict.hpp"

#include <cstdlib>

#include "../findings.hpp"
#include "../words.hpp"

namespace vital::redis {

using check::Cause;
using check::Findings;
using check::Result;
using check::Verdict;

Info::Info(std::string_view text) {
  while (!text.empty()) {
    const size_t end = text.find("\r\n");
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);
    const size_t colon = line.find(':');
    if (colon == 0 || colon == std::string_view::npos || line.front() == '#') continue;
    fields_.emplace(line.substr(0, colon), line.substr(colon + 1));
  }
}

std::string Info::text(const std::string& field) const {
  const auto found = fields_.find(field);
  return found == fields_.end() ? std::string() : found->second;
}

std::optional<double> Info::number(const std::string& field) const {
  const std::string value = text(field);
  char* end = nullptr;
  const double number = std::strtod(value.c_str(), &end);
  if (value.empty() || end == value.c_str() || *end != '\0') return {};
  return number;
}

bool is_turned_away(const Reply& reply) {
  return reply.is_error() && reply.text.find("max number of clients") != std::string::npos;
}

Result error_meaning(const Reply& error, const std::string& doing) {
  struct Row {
    std::string_view code;
    Verdict verdict;
    Cause cause;
    const char* words;
  };
  static constexpr Row table[] = {
      // Our own credentials or rights: no evidence against the server.
      {"NOAUTH", Verdict::unknown, Cause::auth, "it wants a password; set user and password_file"},
      {"WRONGPASS", Verdict::unknown, Cause::auth, "it rejects our user or password"},
      {"NOPERM", Verdict::unknown, Cause::auth, "our user may not do that"},
      {"DENIED", Verdict::unknown, Cause::auth, "it is in protected mode and lets only its own host in"},
      // It answers, and cannot do its work.
      {"LOADING", Verdict::fail, Cause::protocol, "it is loading its data and serves nobody yet"},
      {"BUSY", Verdict::fail, Cause::protocol, "a script blocks it"},
      {"MASTERDOWN", Verdict::fail, Cause::content, "it is a replica that lost its master and gives no old answers"},
      {"READONLY", Verdict::fail, Cause::role, "it is a replica and takes no writes"},
      {"MISCONF", Verdict::fail, Cause::content, "it takes no writes because it cannot save"},
      {"OOM", Verdict::fail, Cause::content, "it takes no writes because its memory is full"},
      {"NOREPLICAS", Verdict::fail, Cause::content, "it takes no writes because too few replicas follow it"},
      {"CLUSTERDOWN", Verdict::fail, Cause::content, "its cluster is down"},
      {"MOVED", Verdict::unknown, Cause::config,
       "another node of its cluster owns that key; choose another write.prefix"},
  };
  const std::string quoted = " (" + doing + ": " + check::tidy(error.text, 160) + ")";
  for (const Row& row : table) {
    if (error.code() == row.code) return check::make_result(row.verdict, row.cause, row.words + quoted);
  }
  const auto says = [&](const char* words) { return error.text.find(words) != std::string::npos; };
  if (is_turned_away(error)) {
    return check::warn(Cause::protocol, "it is alive, but its clients are at maxclients" + quoted);
  }
  if (says("without any password configured") || says("invalid password") || says("no password is set")) {
    return check::unknown(Cause::auth, "it rejects our password" + quoted);
  }
  if (says("unknown command")) return check::fail(Cause::protocol, "it does not know the command" + quoted);
  return check::fail(Cause::content, "it answered with an error" + quoted);
}

namespace {

std::string seconds_in_words(double seconds) {
  return check::in_words(std::chrono::nanoseconds(static_cast<long long>(seconds * 1e9)));
}

void judge_replica(const Info& info, const Demands& demands, Findings& findings) {
  if (info.text("master_link_status") == "up") return;
  const double down = info.number("master_link_down_since_seconds").value_or(-1);
  // -1: since before it can tell, that is, since it started.
  const double limit = static_cast<double>(demands.fail_link_down.count()) / 1e9;
  const bool is_long = down < 0 ? info.number("uptime_in_seconds").value_or(0) >= limit : down >= limit;
  const bool is_syncing = info.text("master_sync_in_progress") == "1";
  const Verdict half_a_copy = is_syncing ? Verdict::fail : Verdict::pass;
  findings.break_link(is_long ? Verdict::fail : Verdict::warn, Cause::content,
                      "its link to the master " + info.text("master_host") + ":" + info.text("master_port") +
                          " is down" + (down >= 0 ? " for " + seconds_in_words(down) : "") +
                          (is_syncing ? ", a full copy is under way" : ""),
                      half_a_copy);
}

void judge_saving(const Info& info, const Demands& demands, long long now, Findings& findings) {
  if (info.text("rdb_last_bgsave_status") == "err") {
    findings.add(Verdict::warn, Cause::content, "its last save failed");
  }
  if (info.text("aof_enabled") == "1") {
    if (info.text("aof_last_write_status") == "err")
      findings.add(Verdict::warn, Cause::content, "it cannot write its AOF");
    if (info.text("aof_last_bgrewrite_status") == "err") {
      findings.add(Verdict::warn, Cause::content, "the last rewrite of its AOF failed");
    }
  }
  const auto saved = info.number("rdb_last_save_time");
  const double changes = info.number("rdb_changes_since_last_save").value_or(0);
  if (demands.max_save_age > check::Duration::zero() && saved && changes > 0) {
    const double age = static_cast<double>(now) - *saved;
    if (age > static_cast<double>(demands.max_save_age.count()) / 1e9) {
      findings.add(Verdict::warn, Cause::content, "its last save was " + seconds_in_words(age) + " ago");
    }
  }
}

void judge_room(const Info& info, const Demands& demands, Findings& findings, Result& measures) {
  const auto used = info.number("used_memory");
  const auto most = info.number("maxmemory");
  if (used && most && *most > 0) {
    const double left = std::max(0.0, *most - *used);
    const auto found = demands.memory.judge(left, *most, "warn_free_memory", "fail_free_memory");
    findings.add(found.verdict, Cause::content, check::bytes_in_words(left) + " of maxmemory are left, " + found.words);
    measures.measure("memory_free", left, "B", demands.memory.warn_at(*most), demands.memory.fail_at(*most));
  }
  if (used) measures.measure("memory_used", *used, "B");
  const auto clients = info.number("connected_clients");
  const auto most_clients = info.number("maxclients");
  if (clients && most_clients && *most_clients > 0) {
    const double left = std::max(0.0, *most_clients - *clients);
    const auto found = demands.clients.judge(left, *most_clients, "warn_free_clients", "fail_free_clients");
    findings.add(found.verdict, Cause::content,
                 std::to_string(static_cast<long long>(left)) + " of maxclients are left, " + found.words);
    measures.measure("clients_free", left, "", demands.clients.warn_at(*most_clients),
                     demands.clients.fail_at(*most_clients));
  }
  if (clients) measures.measure("clients", *clients);
}

}  // namespace

Result judge(const Info& info, const Demands& demands, const std::string& target, long long now) {
  const std::string role = info.text("role") == "slave" ? "replica" : info.text("role");
  if (role != "master" && role != "replica" && role != "sentinel") {
    return check::fail(Cause::protocol, "its INFO names no role");
  }
  Findings findings;
  Result well = check::pass(target + " is a " + role);
  const bool is_wanted =
      demands.role == Demands::Role::any || role == (demands.role == Demands::Role::master ? "master" : "replica");
  if (!is_wanted) {
    findings.add(Verdict::fail, Cause::role,
                 "it is a " + role + ", expected a " + (demands.role == Demands::Role::master ? "master" : "replica"));
  }
  if (info.text("loading") == "1") {
    findings.add(Verdict::fail, Cause::protocol,
                 "it is loading its data and serves nobody yet (" + info.text("loading_loaded_perc") + "%)");
  }
  if (role == "replica") {
    judge_replica(info, demands, findings);
    if (const auto ago = info.number("master_last_io_seconds_ago"); ago && *ago >= 0) {
      well.measure("master_last_io", *ago, "s");
    }
    well.fact("master", info.text("master_host") + ":" + info.text("master_port"));
    well.fact("master_link", info.text("master_link_status"));
    if (info.text("master_link_status") == "up") well.fact("link", "up");
  }
  if (role == "master") {
    const double replicas = info.number("connected_slaves").value_or(0);
    if (replicas < static_cast<double>(demands.min_replicas)) {
      findings.add(Verdict::warn, Cause::content,
                   std::to_string(static_cast<int>(replicas)) +
                       (replicas == 1 ? " replica follows" : " replicas follow") + " it, expected at least " +
                       std::to_string(demands.min_replicas));
    }
    well.measure("replicas", replicas, "",
                 demands.min_replicas > 0 ? static_cast<double>(demands.min_replicas) : check::no_threshold);
  }
  judge_saving(info, demands, now, findings);
  judge_room(info, demands, findings, well);
  const std::string reached = role == "master" ? "master_repl_offset" : "slave_repl_offset";
  if (const auto offset = info.number(reached)) {
    well.fact("position", info.text(reached));
    well.measure("position", *offset, "B");
  }
  Result result = findings.into(std::move(well), "");
  result.fact("role", role);
  result.fact("version", info.text("redis_version"));
  return result;
}

std::optional<SentinelView> sentinel_view(const Reply& reply) {
  if (reply.kind != Reply::Kind::list) return {};
  SentinelView view;
  std::string host;
  std::string port;
  for (size_t i = 0; i + 1 < reply.list.size(); i += 2) {
    const std::string& name = reply.list[i].text;
    const std::string& value = reply.list[i + 1].text;
    if (name == "runid") view.run_id = value;
    if (name == "ip") host = value;
    if (name == "port") port = value;
    if (name == "flags") view.flags = value;
  }
  if (host.empty()) return {};
  view.address = host + ":" + port;
  return view;
}

std::string disagreement(const Info& info, const SentinelView& view, const std::string& name) {
  const bool is_master = info.text("role") == "master";
  const bool is_named = !view.run_id.empty() && view.run_id == info.text("run_id");
  // Right after a failover Sentinel does not know the new master's run id yet.
  if (view.run_id.empty() || is_master == is_named) return {};
  return is_master ? "it says it is master, but Sentinel's master " + check::shown(name) + " is " + view.address
                   : "it is a replica, but Sentinel takes it for the master " + check::shown(name);
}

}  // namespace vital::redis
