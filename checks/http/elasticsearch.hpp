// What GET /_cluster/health of Elasticsearch says, and what that means. Pure: bodies in, verdicts out; the reader takes
// whatever a stranger may have sent. The fields are those of Elasticsearch's reference ("Cluster health API"), which
// OpenSearch shares. [any]
#pragma once

#include <optional>
#include <string>

#include "../findings.hpp"

namespace vital::http {

struct ClusterHealth {
  std::string name;
  std::string status;          // green, yellow or red
  bool has_timed_out = false;  // what the request waited for (?wait_for_status=...) did not come about
  double nodes = 0;
  double unassigned_shards = 0, relocating_shards = 0, initializing_shards = 0;
  double pending_tasks = 0;
};

// Where a cluster at this path answers: the path itself if it names the API already, else below it as a prefix.
std::string cluster_health_path(const std::string& path);
// Nothing if the body is not a cluster's health.
std::optional<ClusterHealth> read_cluster_health(const std::string& body);
// The type of the error that an answer without success holds, such as "master_not_discovered_exception"; or nothing.
std::string read_cluster_error(const std::string& body);

void judge_cluster(const ClusterHealth& health, const check::Limit& nodes, check::Findings& found);
// What every result about this cluster carries.
void describe_cluster(const ClusterHealth& health, const check::Limit& nodes, check::Result& result);

}  // namespace vital::http
