// A cluster's health, read and judged; see elasticsearch.hpp.
#include "elasticsearch.hpp"

#include <cstdio>

#include "../json_text.hpp"
#include "../words.hpp"

namespace vital::http {
namespace {

using check::number_at;
using check::text_at;
using nlohmann::json;

constexpr char api[] = "/_cluster/health";

std::string count_of(double count, const char* what) {
  char number[32];
  std::snprintf(number, sizeof number, "%.15g", count);
  return std::string(number) + " " + what;
}

}  // namespace

std::string cluster_health_path(const std::string& path) {
  if (path.find(api) != std::string::npos) return path;
  return path.substr(0, path.find_last_not_of('/') + 1) + api;
}

std::optional<ClusterHealth> read_cluster_health(const std::string& body) {
  const json document = json::parse(body, nullptr, false);
  if (!document.is_object()) return {};
  ClusterHealth health;
  health.name = text_at(document, "cluster_name");
  health.status = text_at(document, "status");
  const auto timed_out = document.find("timed_out");
  health.has_timed_out = timed_out != document.end() && *timed_out == true;
  health.nodes = number_at(document, "number_of_nodes");
  health.unassigned_shards = number_at(document, "unassigned_shards");
  health.relocating_shards = number_at(document, "relocating_shards");
  health.initializing_shards = number_at(document, "initializing_shards");
  health.pending_tasks = number_at(document, "number_of_pending_tasks");
  const bool is_known = health.status == "green" || health.status == "yellow" || health.status == "red";
  if (!is_known || health.name.empty()) return {};
  return health;
}

std::string read_cluster_error(const std::string& body) {
  const json document = json::parse(body, nullptr, false);
  if (!document.is_object()) return {};
  const auto error = document.find("error");
  return error != document.end() && error->is_object() ? check::tidy(text_at(*error, "type"), 80) : std::string();
}

void judge_cluster(const ClusterHealth& health, const check::Limit& nodes, check::Findings& found) {
  using check::Cause;
  using check::Verdict;
  const std::string shards = " (" + count_of(health.unassigned_shards, "shards are unassigned") + ", " +
                             count_of(health.initializing_shards, "initializing") + ")";
  if (health.status == "red") {
    found.add(Verdict::fail, Cause::content, "its status is red: a primary shard is missing" + shards);
  }
  if (health.has_timed_out) {
    found.add(Verdict::fail, Cause::content, "it timed out (timed_out) before what the request waits for was so");
  }
  found.judge(nodes, health.nodes, "it has " + count_of(health.nodes, "nodes"));
  if (health.status == "yellow") {
    found.add(Verdict::warn, Cause::content, "its status is yellow: a replica is missing" + shards);
  }
}

void describe_cluster(const ClusterHealth& health, const check::Limit& nodes, check::Result& result) {
  nodes.measure(result, "nodes", health.nodes);
  result.measure("unassigned_shards", health.unassigned_shards);
  result.measure("relocating_shards", health.relocating_shards);
  result.measure("initializing_shards", health.initializing_shards);
  result.measure("pending_tasks", health.pending_tasks);
  result.fact("cluster", check::tidy(health.name, 80));
  result.fact("cluster_status", health.status);
}

}  // namespace vital::http
