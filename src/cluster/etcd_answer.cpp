// See etcd_answer.hpp.
#include "cluster/etcd_answer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/base64.hpp"
#include "base/text.hpp"

namespace vital::etcd {
namespace {

using Json = nlohmann::ordered_json;

// int64 comes as a string; 0 is left out. Empty if it is something else.
std::optional<std::int64_t> number(const Json& in, const char* key) {
  if (!in.contains(key)) return 0;
  const Json& value = in[key];
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (!value.is_string()) return {};
  const auto& text = value.get_ref<const std::string&>();
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  return out;
}

std::string text(const Json& in, const char* key) {
  return in.is_object() && in.contains(key) && in[key].is_string() ? in[key].get<std::string>() : std::string();
}

const Json& object(const Json& in, const char* key) {
  static const Json none = Json::object();
  return in.is_object() && in.contains(key) && in[key].is_object() ? in[key] : none;
}

std::string term_of(const Json& in) { return text(object(in, "header"), "raft_term"); }

// By gRPC's codes. etcd says several things with one code, so a few messages decide.
Class class_of_code(std::int64_t code, const std::string& message) {
  const auto says = [&](std::string_view what) { return message.find(what) != std::string::npos; };
  switch (code) {
    case 1:  // cancelled
    case 4:  // deadline exceeded
      return Class::late;
    case 2:  // unknown; the first is a member that lost its leadership meanwhile
      return says("not a primary lessor") || says("no leader") ? Class::unreachable : Class::unknown;
    case 3:  // invalid argument
      if (says("user name is empty") || says("revision in header is old") || says("auth token")) return Class::login;
      return says("authentication failed") ? Class::denied : Class::invalid;
    case 5:  // not found
      return Class::absent;
    case 6:   // already exists
    case 9:   // failed precondition; authentication is not enabled is one too, and then no token is needed
    case 10:  // aborted
    case 11:  // out of range
      return Class::conflict;
    case 7:  // permission denied
      return Class::denied;
    case 8:  // resource exhausted
      return Class::full;
    case 12:  // unimplemented
      return Class::invalid;
    case 14:  // unavailable
      return Class::unreachable;
    case 16:  // unauthenticated
      return Class::login;
    default:  // 13 internal, 15 data loss, and what later versions may say
      return Class::unknown;
  }
}

Class class_of_status(int status) {
  switch (status) {
    case 401:
      return Class::login;
    case 403:
      return Class::denied;
    case 400:
    case 404:
    case 405:
      return Class::invalid;
    case 408:
    case 504:
      return Class::late;
    case 429:
    case 507:
      return Class::full;
    case 502:
    case 503:
      return Class::unreachable;
    default:
      return status >= 500 ? Class::unknown : Class::nonsense;
  }
}

struct Read {
  Judged judged;
  Json json;
};

Read read(const Reply& reply) {
  if (!reply.trouble.empty()) {
    const bool is_late =
        reply.trouble.find("imed out") != std::string::npos || reply.trouble.find("in time") != std::string::npos;
    return {{is_late ? Class::late : Class::unreachable, one_line(reply.trouble, 200)}, {}};
  }
  Read out;
  out.json = Json::parse(reply.body, nullptr, false);
  const bool is_object = out.json.is_object();
  if (is_object && (out.json.contains("error") || out.json.contains("code"))) {
    const Json& inner = object(out.json, "error");
    const std::string message = inner.empty() ? text(out.json, "error") : text(inner, "message");
    const auto code = inner.empty() ? number(out.json, "code") : number(inner, "grpc_code");
    out.judged.cls = code && *code != 0 ? class_of_code(*code, message) : class_of_status(reply.status);
    if (out.judged.is_ok()) out.judged.cls = Class::nonsense;
    out.judged.text = fmt::format("was answered {}: {}", reply.status, one_line(message, 160));
    return out;
  }
  if (reply.status != 200) {
    out.judged = {class_of_status(reply.status), fmt::format("was answered {}", reply.status)};
    return out;
  }
  if (!is_object) {
    out.judged = {Class::nonsense, "was answered something that is no JSON object"};
    return out;
  }
  out.judged = {Class::ok, {}};
  return out;
}

Judged nonsense(const char* what) { return {Class::nonsense, std::string("was answered ") + what}; }

Json compare(std::string_view key, const char* target, const char* field, std::int64_t value) {
  return {{"key", base64(key)}, {"target", target}, {"result", "EQUAL"}, {field, std::to_string(value)}};
}

std::string seconds_text(Duration ttl) { return std::to_string(std::chrono::ceil<std::chrono::seconds>(ttl).count()); }

}  // namespace

std::string_view name(Class c) {
  switch (c) {
    case Class::ok:
      return "ok";
    case Class::login:
      return "login";
    case Class::denied:
      return "denied";
    case Class::absent:
      return "absent";
    case Class::conflict:
      return "conflict";
    case Class::full:
      return "full";
    case Class::invalid:
      return "invalid";
    case Class::unreachable:
      return "unreachable";
    case Class::late:
      return "late";
    case Class::nonsense:
      return "nonsense";
    case Class::unknown:
      break;
  }
  return "unknown";
}

Judged judge(const Reply& reply) { return read(reply).judged; }

bool is_worth_another(Class c) {
  switch (c) {
    case Class::unreachable:
    case Class::late:
    case Class::nonsense:
    case Class::unknown:
    case Class::invalid:
      return true;
    case Class::ok:
    case Class::login:
    case Class::denied:
    case Class::absent:
    case Class::conflict:
    case Class::full:
      break;
  }
  return false;
}

Login login_of(const Reply& reply) {
  const Read in = read(reply);
  Login out{in.judged, {}};
  if (!out.is_ok()) return out;
  out.token = text(in.json, "token");
  // It becomes a header.
  const auto is_odd = [](char c) { return c <= ' ' || c == 0x7f; };
  if (out.token.empty() || out.token.size() > 4096 || std::ranges::any_of(out.token, is_odd)) {
    return {nonsense("no token"), {}};
  }
  return out;
}

Granted granted_of(const Reply& reply) {
  const Read in = read(reply);
  Granted out{in.judged, {}, {}};
  if (!out.is_ok()) return out;
  const auto id = number(in.json, "ID");
  const auto ttl = number(in.json, "TTL");
  if (!id || *id == 0 || !ttl || *ttl <= 0 || *ttl > 86400 * 365) return {nonsense("no lease"), {}, {}};
  out.lease = std::to_string(*id);
  out.ttl = std::chrono::seconds(*ttl);
  return out;
}

Kept kept_of(const Reply& reply) {
  const Read in = read(reply);
  Kept out{in.judged, false, {}, {}};
  if (!out.is_ok()) return out;
  const Json& result = object(in.json, "result");
  const auto ttl = number(result, "TTL");
  const std::string term = term_of(result);
  if (!ttl || *ttl > 86400 * 365 || term.empty()) return {nonsense("no word on the lease"), false, {}, {}};
  out.is_alive = *ttl > 0;
  out.ttl = std::chrono::seconds(std::max<std::int64_t>(*ttl, 0));
  out.term = term;
  return out;
}

Claimed claimed_of(const Reply& reply) {
  const Read in = read(reply);
  Claimed out{in.judged, false, 0};
  if (!out.is_ok()) return out;
  const auto revision = number(object(in.json, "header"), "revision");
  if (!revision || *revision <= 0) return {nonsense("no revision"), false, 0};
  out.is_ours = in.json.contains("succeeded") && in.json["succeeded"].is_boolean() && in.json["succeeded"].get<bool>();
  out.revision = *revision;
  return out;
}

Written written_of(const Reply& reply) {
  const Claimed in = claimed_of(reply);
  return {{in.cls, in.text}, in.is_ours};
}

Ranged ranged_of(const Reply& reply) {
  const Read in = read(reply);
  Ranged out{in.judged, {}, 0, {}};
  if (!out.is_ok()) return out;
  const auto refuse = [](const char* what) { return Ranged{nonsense(what), {}, 0, {}}; };
  const auto revision = number(object(in.json, "header"), "revision");
  out.term = term_of(in.json);
  if (!revision || *revision <= 0 || out.term.empty()) return refuse("no revision");
  out.revision = *revision;
  if (in.json.contains("more") && in.json["more"] != false) return refuse("more keys than can be ours");
  if (!in.json.contains("kvs")) return out;
  if (!in.json["kvs"].is_array() || in.json["kvs"].size() > max_entries) return refuse("keys that are no list");
  for (const Json& kv : in.json["kvs"]) {
    const auto key = from_base64(text(kv, "key"));
    const auto value = from_base64(text(kv, "value"));
    if (!kv.is_object() || !key || key->empty() || !value) return refuse("a key that is none");
    const auto created = number(kv, "create_revision");
    const auto changed = number(kv, "mod_revision");
    const auto lease = number(kv, "lease");
    if (!created || *created <= 0 || !changed || *changed <= 0 || !lease) return refuse("a key without a revision");
    out.entries.push_back({*key, *value, *lease == 0 ? std::string() : std::to_string(*lease), *created, *changed});
  }
  return out;
}

std::string login_body(std::string_view user, std::string_view password) {
  return Json{{"name", user}, {"password", password}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string grant_body(Duration ttl) { return Json{{"TTL", seconds_text(ttl)}}.dump(); }

std::string lease_body(std::string_view lease) { return Json{{"ID", lease}}.dump(); }

std::string claim_body(std::string_view key, std::string_view value, std::string_view lease) {
  return Json{
      {"compare", Json::array({compare(key, "CREATE", "create_revision", 0)})},
      {"success",
       Json::array({Json{{"request_put", {{"key", base64(key)}, {"value", base64(value)}, {"lease", lease}}}}})}}
      .dump();
}

std::string range_body(std::string_view prefix) {
  std::string end(prefix);
  end.back() = static_cast<char>(end.back() + 1);  // ends in '/', so there is no carry
  return Json{{"key", base64(prefix)}, {"range_end", base64(end)}, {"limit", std::to_string(max_entries)}}.dump();
}

std::string puts_body(const std::vector<Put>& puts) {
  Json success = Json::array();
  for (const Put& p : puts) {
    success.push_back({{"request_put", {{"key", base64(p.key)}, {"value", base64(p.value)}, {"lease", p.lease}}}});
  }
  return Json{{"success", success}}.dump();
}

std::string swap_body(std::string_view key, std::string_view value, std::int64_t expected, std::string_view guard_key,
                      std::int64_t token) {
  Json compares = Json::array({compare(key, "MOD", "mod_revision", expected)});
  if (token != 0) compares.push_back(compare(guard_key, "CREATE", "create_revision", token));
  return Json{{"compare", compares},
              {"success", Json::array({Json{{"request_put", {{"key", base64(key)}, {"value", base64(value)}}}}})}}
      .dump();
}

}  // namespace vital::etcd
