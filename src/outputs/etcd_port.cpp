// etcd: a key under a lease, by the JSON gateway of version 3 (etcd 3.4 and later: /v3). The lease is kept alive at
// every look, so that the key goes away with an agent that dies. See http_ports.hpp.

#include <nlohmann/json.hpp>
#include <utility>

#include "base/base64.hpp"
#include "base/text.hpp"
#include "outputs/http_ports.hpp"
#include "outputs/http_steps.hpp"

namespace vital {
namespace {

using Json = nlohmann::ordered_json;

// int64 comes as a string; "" if it is not there.
std::string number_at(const Json& json, const char* key) {
  if (!json.is_object() || !json.contains(key)) return {};
  const Json& value = json[key];
  return value.is_string() ? value.get<std::string>() : value.is_number() ? value.dump() : std::string();
}

Json parse(const HttpReply& reply) {
  Json out = Json::parse(reply.body, nullptr, false);
  return out.is_object() ? out : Json::object();
}

struct Held {
  bool is_there = false;
  std::string value;  // as base64, as it comes
  std::string lease;
};

Held held_in(const HttpReply& reply) {
  const Json json = parse(reply);
  if (!json.contains("kvs") || !json["kvs"].is_array() || json["kvs"].empty()) return {};
  const Json& kv = json["kvs"].front();
  return {true, kv.is_object() ? kv.value("value", std::string()) : std::string(), number_at(kv, "lease")};
}

class EtcdPort final : public HttpSteps {
 public:
  EtcdPort(Loop& loop, std::string helper, const OutputSpec& spec, EtcdOutput to)
      : HttpSteps(loop, std::move(helper), to.http, spec.timeout), service_(spec.service), to_(std::move(to)) {
    hide(to_.password);
  }

  void sync(const Wanted& wanted, Done done) override {
    begin(std::move(done));
    is_withdrawn_ = wanted.is_withdrawn;
    value_ = Json{{"node", wanted.snapshot ? wanted.snapshot->plan->node : wanted.word.subject},
                  {"service", service_.empty() ? Json(nullptr) : Json(service_)},
                  {"status", name(wanted.word.told)},
                  {"weight", wanted.word.weight}}
                 .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    if (to_.user.empty() || !token_.empty()) return look();
    call({request("/v3/auth/authenticate", {{"name", to_.user}, {"password", to_.password}})},
         [this](const auto& replies, const std::string& trouble) {
           if (!trouble.empty()) return fail(trouble);
           token_ = parse(replies[0]).value("token", std::string());
           if (token_.empty()) return fail("etcd gave no token");
           hide(token_);
           look();
         });
  }

 private:
  HttpRequest request(std::string path, const Json& body) const {
    HttpRequest out{"POST", std::move(path), {"Content-Type: application/json"}, body.dump()};
    if (!token_.empty()) out.headers.push_back("Authorization: " + token_);
    return out;
  }
  HttpRequest range() const { return request("/v3/kv/range", {{"key", base64(to_.key)}}); }

  // A token ends with its etcd; the next look takes a new one.
  void refuse(const std::vector<HttpReply>& replies, const std::string& trouble) {
    if (!replies.empty() && replies.back().status == 401) token_.clear();
    fail(trouble);
  }

  void look() {
    std::vector<HttpRequest> requests{range()};
    if (!lease_.empty()) requests.push_back(request("/v3/lease/keepalive", {{"ID", lease_}}));
    call(requests, [this](const std::vector<HttpReply>& replies, const std::string& trouble) {
      if (!trouble.empty()) return refuse(replies, trouble);
      held_ = held_in(replies[0]);
      if (!lease_.empty()) {
        const Json json = parse(replies[1]);
        const std::string ttl = json.contains("result") ? number_at(json["result"], "TTL") : std::string();
        if (ttl.empty() || ttl == "0") lease_.clear();  // it ran out while nobody kept it
      }
      decide();
    });
  }

  void decide() {
    if (is_withdrawn_) return withdraw();
    const bool is_as_wanted =
        held_.is_there && !lease_.empty() && held_.lease == lease_ && held_.value == base64(value_);
    if (is_as_wanted) return finish({Synced::How::kept, {}, {}, {}});
    if (!lease_.empty()) return put();
    call({request("/v3/lease/grant",
                  {{"TTL", std::to_string(std::chrono::ceil<std::chrono::seconds>(to_.ttl).count())}})},
         [this](const auto& replies, const std::string& trouble) {
           if (!trouble.empty()) return refuse(replies, trouble);
           lease_ = number_at(parse(replies[0]), "ID");
           if (lease_.empty()) return fail("etcd granted no lease");
           put();
         });
  }

  void put() {
    call({request("/v3/kv/put", {{"key", base64(to_.key)}, {"value", base64(value_)}, {"lease", lease_}}), range()},
         [this](const auto& replies, const std::string& trouble) {
           if (!trouble.empty()) return refuse(replies, trouble);
           const Held now = held_in(replies[1]);
           if (!now.is_there || now.value != base64(value_)) return fail("somebody else writes the key " + to_.key);
           finish({Synced::How::written, {}, held_.is_there ? "another value or lease" : "no key", {}});
         });
  }

  void withdraw() {
    if (!held_.is_there) return finish({Synced::How::kept, {}, {}, {}});
    const HttpRequest gone = lease_.empty() ? request("/v3/kv/deleterange", {{"key", base64(to_.key)}})
                                            : request("/v3/lease/revoke", {{"ID", lease_}});
    call({gone}, [this](const auto& replies, const std::string& trouble) {
      if (!trouble.empty()) return refuse(replies, trouble);
      lease_.clear();
      finish({Synced::How::written, {}, {}, {}});
    });
  }

  std::string service_;
  EtcdOutput to_;
  std::string value_;
  bool is_withdrawn_ = false;
  std::string token_;
  std::string lease_;  // empty = none
  Held held_;
};

}  // namespace

std::unique_ptr<Port> make_etcd_port(Loop& loop, const std::string& helper, const OutputSpec& spec,
                                     const EtcdOutput& to) {
  return std::make_unique<EtcdPort>(loop, helper, spec, to);
}

}  // namespace vital
