// What etcd's JSON gateway is asked and answers, as values: bodies in, bodies out. Pure; every reader takes whatever a
// stranger may have sent. The fields are those of etcd's rpc.proto as its gateway prints them: 64-bit numbers are
// strings, bytes are base64, and what is zero or empty is left out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vital::etcd {

// POST /v3/maintenance/status: what this member knows by itself.
struct Status {
  std::string version;
  std::string cluster, member;  // ids, in hex as etcdctl prints them
  std::string leader;           // its id; empty: it knows none
  bool is_learner = false;
  double term = 0;
  double behind = 0;  // raft entries that are committed and not applied yet
  double db_size = 0, db_in_use = 0;
  std::vector<std::string> alarms;  // "NOSPACE of member 2e1c..."; other errors as they came

  bool is_leader() const { return !leader.empty() && leader == member; }
};
std::optional<Status> read_status(const std::string& body);

// POST /v3/cluster/member/list.
struct Member {
  std::string id, name;
  bool is_learner = false;
  bool has_started() const { return !name.empty(); }  // it tells its name when it starts
};
std::optional<std::vector<Member>> read_members(const std::string& body);

// POST /v3/kv/range for one key: its value, if it is there.
struct Range {
  std::optional<std::string> value;
};
std::optional<Range> read_range(const std::string& body);

// GET /health.
std::optional<bool> read_health(const std::string& body);

// The id of a lease, the token of a login; empty if there is none.
std::string read_lease(const std::string& body);
std::string read_token(const std::string& body);

// An error of the gateway: the gRPC status code and etcd's words.
struct Refusal {
  int code = 0;
  std::string words;
};
std::optional<Refusal> read_refusal(const std::string& body);

std::string login_request(const std::string& user, const std::string& password);
std::string range_request(const std::string& key);
std::string put_request(const std::string& key, const std::string& value, const std::string& lease);
std::string grant_request(long long seconds);
std::string revoke_request(const std::string& lease);

}  // namespace vital::etcd
