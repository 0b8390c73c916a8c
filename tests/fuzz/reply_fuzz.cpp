// Documents that servers and programs give our checks: the first byte says whose, the rest is what was said. Whatever
// it is, reading and judging it ends in a verdict with words, and what is read is bounded by what was said.
//
//   reply_fuzz corpus/ tests/data/checks/reply-corpus -max_len=4096
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "../../src/failover/actions/pacemaker_status.hpp"
#include "base64.hpp"
#include "drbd/status.hpp"
#include "etcd/reply.hpp"
#include "etcd/verdict.hpp"
#include "http/elasticsearch.hpp"

namespace {

using vital::check::Findings;
using vital::check::Verdict;

void claim(bool holds) {
  if (!holds) std::abort();
}

void etcd(const std::string& body) {
  using namespace vital::etcd;
  Findings found;
  Demands demands;
  demands.min_members = 3;
  if (const auto status = read_status(body)) {
    claim(!status->version.empty() && !status->member.empty() && status->alarms.size() <= body.size());
    judge_status(*status, demands, found);
    claim(!status->leader.empty() || found.worst() == Verdict::fail);
  }
  if (const auto members = read_members(body)) judge_members(*members, demands, found);
  claim(!found.into(vital::check::pass("well"), "etcd").text.empty());
  const auto range = read_range(body);
  claim(!range || !range->value || range->value->size() <= body.size());
  read_health(body);
  revoke_request(read_lease(body));
  login_request(read_token(body), body);
  claim(refusal_meaning(400, body).verdict != Verdict::pass);
  using vital::check::base64;
  using vital::check::from_base64;
  claim(from_base64(base64(body)) == body);
  if (const auto bytes = from_base64(body)) claim(bytes->size() <= body.size());
}

void drbd(const std::string& text) {
  using namespace vital::drbd;
  const auto all = read_status(text);
  if (!all) return;
  Demands demands;
  demands.resources = {"r0"};
  for (const Resource& resource : *all) {
    claim(!resource.name.empty() && !resource.role.empty());
    if (!promotion_obstacle(resource).empty()) continue;
    for (const Device& device : resource.devices) claim(device.disk == "UpToDate" && device.has_quorum);
  }
  claim(!judge(*all, {}).text.empty() && !judge(*all, demands).text.empty());
}

void elasticsearch(const std::string& body) {
  using namespace vital::http;
  claim(read_cluster_error(body).size() < 100);
  const auto health = read_cluster_health(body);
  if (!health) return;
  const vital::check::Limit nodes{vital::check::Bad::below, {}, 3, "", "min_nodes"};
  Findings found;
  judge_cluster(*health, nodes, found);
  claim((found.worst() == Verdict::pass) ==
        (health->status == "green" && !health->has_timed_out && health->nodes >= 3));
  auto result = found.into(vital::check::pass("well"), "cluster");
  describe_cluster(*health, nodes, result);
  claim(result.text.size() < 1000);
}

void pacemaker(const std::string& xml) {
  using namespace vital::action::pacemaker;
  std::string why;
  claim(trouble_in(xml).size() <= xml.size() && controller_state_in(xml).size() <= xml.size());
  claim(constraints_in(xml).size() <= xml.size());
  const auto seen = read_status(xml, why);
  claim(seen.has_value() == why.empty());
  if (!seen) return;
  claim(!seen->nodes.empty() && seen->instances.size() <= xml.size());
  for (const Wish wish : {Wish::standby, Wish::move, Wish::ban}) {
    const Asked asked{wish, seen->nodes.front().name, wish == Wish::standby ? "" : "app", false};
    const Claim now = judge(*seen, asked);
    claim(!now.text.empty());
    // Whatever is said, a node that nobody can know is never said to be empty.
    const Node& node = seen->nodes.front();
    if (wish != Wish::move && node.is_unclean) claim(!now.holds);
    if (!seen->has_quorum) claim(!obstacle(*seen, asked).empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string said(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (*data) {
    case 'E':
      etcd(said);
      break;
    case 'D':
      drbd(said);
      break;
    case 'L':
      elasticsearch(said);
      break;
    case 'P':
      pacemaker(said);
      break;
    default:
      break;
  }
  return 0;
}
