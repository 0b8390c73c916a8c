// The gateway's bodies; see reply.hpp.
#include "reply.hpp"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>

#include "../base64.hpp"
#include "../json_text.hpp"

namespace vital::etcd {
namespace {

using check::base64;
using check::flag_at;
using check::from_base64;
using check::text_at;
using nlohmann::json;

std::optional<json> object(const std::string& body) {
  json document = json::parse(body, nullptr, false);
  if (!document.is_object()) return {};
  return document;
}

// Its 64-bit numbers are strings.
double count_at(const json& object, const char* name) { return std::strtod(text_at(object, name).c_str(), nullptr); }

// "3319814642761637952" -> "2e127b5c8e3c0c40"; nothing stays nothing.
std::string id_at(const json& object, const char* name) {
  const std::uint64_t id = std::strtoull(text_at(object, name).c_str(), nullptr, 10);
  if (id == 0) return {};
  char hex[20];
  std::snprintf(hex, sizeof hex, "%" PRIx64, id);
  return hex;
}

// "memberID:3319814642761637952 alarm:NOSPACE " -> "NOSPACE of member 2e127b5c8e3c0c40".
std::string alarm(const std::string& text) {
  std::uint64_t member = 0;
  char name[32] = "";
  if (std::sscanf(text.c_str(), "memberID:%" SCNu64 " alarm:%31s", &member, name) != 2) return text;
  char out[80];
  std::snprintf(out, sizeof out, "%s of member %" PRIx64, name, member);
  return out;
}

}  // namespace

std::optional<Status> read_status(const std::string& body) {
  const auto document = object(body);
  if (!document || !document->contains("header") || !(*document)["header"].is_object()) return {};
  const json& header = (*document)["header"];
  Status status;
  status.version = text_at(*document, "version");
  status.cluster = id_at(header, "cluster_id");
  status.member = id_at(header, "member_id");
  status.leader = id_at(*document, "leader");
  status.is_learner = flag_at(*document, "isLearner");
  status.term = count_at(*document, "raftTerm");
  status.behind = count_at(*document, "raftIndex") - count_at(*document, "raftAppliedIndex");
  status.db_size = count_at(*document, "dbSize");
  status.db_in_use = count_at(*document, "dbSizeInUse");
  if (const auto errors = document->find("errors"); errors != document->end() && errors->is_array()) {
    for (const json& error : *errors) {
      // That there is no leader stands in `leader` too.
      if (error.is_string() && error != "etcdserver: no leader") status.alarms.push_back(alarm(error));
    }
  }
  if (status.version.empty() || status.member.empty()) return {};
  return status;
}

std::optional<std::vector<Member>> read_members(const std::string& body) {
  const auto document = object(body);
  if (!document || !document->contains("members") || !(*document)["members"].is_array()) return {};
  std::vector<Member> members;
  for (const json& member : (*document)["members"]) {
    if (!member.is_object()) return {};
    members.push_back({id_at(member, "ID"), text_at(member, "name"), flag_at(member, "isLearner")});
  }
  return members;
}

std::optional<Range> read_range(const std::string& body) {
  const auto document = object(body);
  if (!document || !document->contains("header")) return {};
  const auto found = document->find("kvs");
  if (found == document->end()) return Range{};
  if (!found->is_array() || found->size() != 1 || !found->front().is_object()) return {};
  auto value = from_base64(text_at(found->front(), "value"));
  if (!value) return {};
  return Range{std::move(value)};
}

std::optional<bool> read_health(const std::string& body) {
  const auto document = object(body);
  const std::string said = document ? text_at(*document, "health") : "";
  if (said != "true" && said != "false") return {};
  return said == "true";
}

std::string read_lease(const std::string& body) {
  const auto document = object(body);
  return document ? text_at(*document, "ID") : "";
}

std::string read_token(const std::string& body) {
  const auto document = object(body);
  return document ? text_at(*document, "token") : "";
}

std::optional<Refusal> read_refusal(const std::string& body) {
  const auto document = object(body);
  if (!document) return {};
  const auto code = document->find("code");
  if (code == document->end() || !code->is_number_integer()) return {};
  const std::string words = text_at(*document, "message");  // etcd 3.4 says the same in "error", later ones no more
  return Refusal{code->get<int>(), words.empty() ? text_at(*document, "error") : words};
}

std::string login_request(const std::string& user, const std::string& password) {
  return json{{"name", user}, {"password", password}}.dump(-1, ' ', false, json::error_handler_t::replace);
}
std::string range_request(const std::string& key) { return json{{"key", base64(key)}}.dump(); }
std::string put_request(const std::string& key, const std::string& value, const std::string& lease) {
  return json{{"key", base64(key)}, {"value", base64(value)}, {"lease", lease}}.dump(-1, ' ', false,
                                                                                     json::error_handler_t::replace);
}
std::string grant_request(long long seconds) { return json{{"TTL", seconds}}.dump(); }
std::string revoke_request(const std::string& lease) {
  return json{{"ID", lease}}.dump(-1, ' ', false, json::error_handler_t::replace);
}
}  // namespace vital::etcd
