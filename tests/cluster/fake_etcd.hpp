// FakeEtcd: the part of etcd's JSON gateway that the store uses, with time as an argument. Strict: a request it does
// not know every word of is a mistake of ours, and is remembered as one.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cluster/etcd_store.hpp"

namespace vital {

std::string encoded(std::string_view text);  // base64
std::string decoded(std::string_view text);

class FakeEtcd {
 public:
  // What it answers at `now`, having done it.
  etcd::Reply serve(Instant now, const EtcdStore::Call& call);

  void remove(const std::string& key) { keys_.erase(key); }  // as etcdctl del does
  void put(Instant now, const std::string& key, const std::string& value);
  bool has(Instant now, const std::string& key);
  std::string value(const std::string& key) const { return keys_.at(key).value; }
  void new_term() { ++term_; }
  std::int64_t revision() const { return revision_; }
  void go_back(std::int64_t revision) { revision_ = revision; }

  // Keepalives are answered by a leader that was deposed and does not know it: nothing is renewed.
  bool is_keeping_stale = false;
  bool is_full = false;  // the NOSPACE alarm: reads and keepalives go on
  std::string password;  // set: a token is needed
  std::vector<std::string> mistakes;
  std::vector<std::string> paths;  // of all calls
  std::map<std::string, int> served;

 private:
  struct Key {
    std::string value, lease;
    std::int64_t created = 0, changed = 0;
  };
  struct Lease {
    Instant end{};
    Duration ttl{};
  };
  void end_leases(Instant now);
  etcd::Reply answer(nlohmann::ordered_json body) const;
  etcd::Reply error(int status, int code, const std::string& text) const;
  etcd::Reply grant(Instant now, const nlohmann::ordered_json& body);
  etcd::Reply keep(Instant now, const nlohmann::ordered_json& body);
  etcd::Reply revoke(const nlohmann::ordered_json& body);
  etcd::Reply range(const nlohmann::ordered_json& body);
  etcd::Reply transact(const nlohmann::ordered_json& body);
  bool holds(const nlohmann::ordered_json& compare);
  bool knows(const nlohmann::ordered_json& object, const std::vector<std::string>& words);

  std::map<std::string, Key> keys_;
  std::map<std::string, Lease> leases_;
  std::int64_t revision_ = 1;
  std::int64_t last_lease_ = 7587000000000000000;
  int term_ = 2;
  int tokens_ = 0;
};

}  // namespace vital
