// See fake_etcd.hpp.
#include "fake_etcd.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace vital {

using Json = nlohmann::ordered_json;

std::string encoded(std::string_view text) {
  std::string out(4 * ((text.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

std::string decoded(std::string_view text) {
  std::string out(text.size() / 4 * 3, '\0');
  EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()), reinterpret_cast<const unsigned char*>(text.data()),
                  static_cast<int>(text.size()));
  for (const char c : text.substr(text.size() < 2 ? 0 : text.size() - 2)) {
    if (c == '=') out.pop_back();
  }
  return out;
}

etcd::Reply FakeEtcd::answer(Json body) const {
  body["header"] = {{"cluster_id", "1"},
                    {"member_id", "2"},
                    {"revision", std::to_string(revision_)},
                    {"raft_term", std::to_string(term_)}};
  return {"", 200, body.dump()};
}

etcd::Reply FakeEtcd::error(int status, int code, const std::string& text) const {
  return {"", status, Json{{"error", text}, {"code", code}, {"message", text}}.dump()};
}

bool FakeEtcd::knows(const Json& object, const std::vector<std::string>& words) {
  for (const auto& [word, value] : object.items()) {
    if (std::ranges::find(words, word) == words.end()) mistakes.push_back("what is " + word + "?");
  }
  return true;
}

void FakeEtcd::end_leases(Instant now) {
  for (auto lease = leases_.begin(); lease != leases_.end();) {
    if (now < lease->second.end) {
      ++lease;
      continue;
    }
    if (std::erase_if(keys_, [&](const auto& k) { return k.second.lease == lease->first; }) > 0) ++revision_;
    lease = leases_.erase(lease);
  }
}

etcd::Reply FakeEtcd::serve(Instant now, const EtcdStore::Call& call) {
  end_leases(now);
  ++served[call.path];
  const Json body = Json::parse(call.body, nullptr, false);
  if (!body.is_object()) mistakes.push_back("a body that is no object");
  if (call.path == "/v3/auth/authenticate") {
    knows(body, {"name", "password"});
    if (body["password"] != password) {
      return error(400, 3, "etcdserver: authentication failed, invalid user ID or password");
    }
    return answer({{"token", "token-" + std::to_string(++tokens_)}});
  }
  if (!password.empty() && call.authorization != "token-" + std::to_string(tokens_)) {
    return error(401, 16, "etcdserver: invalid auth token");
  }
  if (call.path == "/v3/lease/grant") return grant(now, body);
  if (call.path == "/v3/lease/keepalive") return keep(now, body);
  if (call.path == "/v3/lease/revoke") return revoke(body);
  if (call.path == "/v3/kv/range") return range(body);
  if (call.path == "/v3/kv/txn") return transact(body);
  mistakes.push_back("no such path: " + call.path);
  return {"", 404, "Not Found"};
}

etcd::Reply FakeEtcd::grant(Instant now, const Json& body) {
  knows(body, {"TTL"});
  if (is_full) return error(429, 8, "etcdserver: mvcc: database space exceeded");
  const Duration ttl = std::chrono::seconds(std::stoll(body.at("TTL").get<std::string>()));
  const std::string id = std::to_string(++last_lease_);
  leases_[id] = {now + ttl, ttl};
  return answer({{"ID", id}, {"TTL", body.at("TTL")}});
}

etcd::Reply FakeEtcd::keep(Instant now, const Json& body) {
  knows(body, {"ID"});
  const std::string id = body.at("ID").get<std::string>();
  const auto at = leases_.find(id);
  Json result = {
      {"header",
       {{"revision", std::to_string(revision_)}, {"raft_term", std::to_string(is_keeping_stale ? term_ - 1 : term_)}}},
      {"ID", id}};
  if (is_keeping_stale) {
    result["TTL"] = at == leases_.end() ? "15" : std::to_string(at->second.ttl / std::chrono::seconds(1));
  } else if (at != leases_.end()) {
    at->second.end = now + at->second.ttl;
    result["TTL"] = std::to_string(at->second.ttl / std::chrono::seconds(1));
  }
  return {"", 200, Json{{"result", result}}.dump()};
}

etcd::Reply FakeEtcd::revoke(const Json& body) {
  knows(body, {"ID"});
  const std::string id = body.at("ID").get<std::string>();
  if (leases_.erase(id) == 0) return error(404, 5, "etcdserver: requested lease not found");
  if (std::erase_if(keys_, [&](const auto& k) { return k.second.lease == id; }) > 0) ++revision_;
  return answer(Json::object());
}

etcd::Reply FakeEtcd::range(const Json& body) {
  knows(body, {"key", "range_end", "limit"});
  const std::string from = decoded(body.at("key").get<std::string>());
  const std::string to = decoded(body.at("range_end").get<std::string>());
  Json kvs = Json::array();
  for (const auto& [key, held] : keys_) {
    if (key < from || key >= to) continue;
    Json kv = {{"key", encoded(key)},
               {"create_revision", std::to_string(held.created)},
               {"mod_revision", std::to_string(held.changed)},
               {"version", "1"},
               {"value", encoded(held.value)}};
    if (!held.lease.empty()) kv["lease"] = held.lease;
    kvs.push_back(kv);
  }
  Json out = Json::object();
  if (!kvs.empty()) out = {{"kvs", kvs}, {"count", std::to_string(kvs.size())}};
  return answer(out);
}

bool FakeEtcd::holds(const Json& compare) {
  knows(compare, {"key", "target", "result", "create_revision", "mod_revision"});
  if (compare.at("result") != "EQUAL") mistakes.push_back("a compare of another kind");
  const auto at = keys_.find(decoded(compare.at("key").get<std::string>()));
  const bool is_there = at != keys_.end();
  if (compare.at("target") == "CREATE") {
    return (is_there ? at->second.created : 0) == std::stoll(compare.at("create_revision").get<std::string>());
  }
  return (is_there ? at->second.changed : 0) == std::stoll(compare.at("mod_revision").get<std::string>());
}

etcd::Reply FakeEtcd::transact(const Json& body) {
  knows(body, {"compare", "success"});
  if (is_full) return error(429, 8, "etcdserver: mvcc: database space exceeded");
  for (const Json& compare : body.value("compare", Json::array())) {
    if (!holds(compare)) return answer(Json::object());
  }
  for (const Json& request : body.at("success")) {
    const Json& put = request.at("request_put");
    knows(put, {"key", "value", "lease"});
    if (put.contains("lease") && !leases_.contains(put["lease"].get<std::string>())) {
      return error(404, 5, "etcdserver: requested lease not found");
    }
  }
  ++revision_;
  for (const Json& request : body.at("success")) {
    const Json& put = request.at("request_put");
    Key& key = keys_[decoded(put.at("key").get<std::string>())];
    if (key.created == 0) key.created = revision_;
    key.changed = revision_;
    key.value = decoded(put.at("value").get<std::string>());
    key.lease = put.value("lease", std::string());
  }
  return answer({{"succeeded", true}});
}

void FakeEtcd::put(Instant now, const std::string& key, const std::string& value) {
  end_leases(now);
  ++revision_;
  Key& held = keys_[key];
  if (held.created == 0) held.created = revision_;
  held.changed = revision_;
  held.value = value;
}

bool FakeEtcd::has(Instant now, const std::string& key) {
  end_leases(now);
  return keys_.contains(key);
}

}  // namespace vital
