// Understanding write requests; see admin_api.hpp.
#include "agent/admin_api.hpp"

#include <pwd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "base/duration.hpp"
#include "base/text.hpp"

namespace vital::admin {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view root = "/api/v1/";
constexpr Duration default_overlay = std::chrono::hours(1);
constexpr Duration longest_overlay = std::chrono::hours(24 * 3660);
constexpr std::size_t longest_text = 512;

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string quote(std::string_view text) { return '"' + one_line(text, 128) + '"'; }

// The members of a body, each taken once; what is left over in the end was unknown. The first problem wins.
class Body {
 public:
  explicit Body(const std::string& text) {
    if (trim(text).empty()) return;
    json_ = Json::parse(text, nullptr, false);
    if (!json_.is_object()) {
      problem_ = "the body must be a JSON object, as in {\"reason\": \"deploy\"}";
      json_ = Json::object();
    }
  }

  std::string take(const std::string& key, std::string fallback = {}) {
    known_.push_back(key);
    const auto found = json_.find(key);
    if (found == json_.end() || found->is_null()) return fallback;
    if (!found->is_string()) {
      complain(key + " must be a string");
      return fallback;
    }
    return found->get<std::string>();
  }

  std::vector<std::pair<std::string, std::string>> take_map(const std::string& key) {
    known_.push_back(key);
    std::vector<std::pair<std::string, std::string>> out;
    const auto found = json_.find(key);
    if (found == json_.end() || found->is_null()) return out;
    if (!found->is_object() || found->size() > 64) {
      complain(key + " must be an object of at most 64 strings");
      return out;
    }
    for (const auto& [name, value] : found->items()) {
      if (!value.is_string()) {
        complain(key + "." + one_line(name, 64) + " must be a string");
        continue;
      }
      out.emplace_back(one_line(name, 64), one_line(value.get<std::string>(), longest_text));
    }
    return out;
  }

  // {"size": 42, "age": {"value": 3, "unit": "s", "warn": 10, "fail": 20}}
  std::vector<Measure> take_measures(const std::string& key) {
    known_.push_back(key);
    std::vector<Measure> out;
    const auto found = json_.find(key);
    if (found == json_.end() || found->is_null()) return out;
    if (!found->is_object() || found->size() > 64) {
      complain(key + " must be an object of at most 64 numbers");
      return out;
    }
    constexpr double none = std::numeric_limits<double>::quiet_NaN();
    for (const auto& [name, value] : found->items()) {
      const Json whole = value.is_object() ? value : Json{{"value", value}};
      const auto number = [&](const char* member, double otherwise) {
        const auto at = whole.find(member);
        if (at == whole.end() || at->is_null()) return otherwise;
        return at->is_number() ? at->get<double>() : std::numeric_limits<double>::infinity();
      };
      Measure m{one_line(name, 64),
                number("value", std::numeric_limits<double>::infinity()),
                {},
                number("warn", none),
                number("fail", none)};
      const bool has_unit = whole.contains("unit") && whole["unit"].is_string();
      if (has_unit) m.unit = one_line(whole["unit"].get<std::string>(), 16);
      if (std::isinf(m.value) || std::isinf(m.warn) || std::isinf(m.fail) || (whole.contains("unit") && !has_unit)) {
        complain(key + "." + m.name + " must be a number, or as in {\"value\": 3, \"unit\": \"s\"}");
        continue;
      }
      out.push_back(std::move(m));
    }
    return out;
  }

  void complain(const std::string& problem) {
    if (problem_.empty()) problem_ = problem;
  }

  // Empty if all was well.
  std::string problem() {
    for (const auto& [key, value] : json_.items()) {
      if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
      const auto near = nearest(key, known_);
      complain("unknown key " + quote(key) +
               (near ? "; did you mean " + *near + "?" : "; known are " + join(known_, ", ")));
    }
    return problem_;
  }

 private:
  Json json_ = Json::object();
  std::vector<std::string> known_;
  std::string problem_;
};

AdminAnswer no_such(std::string_view what, std::string_view name, const std::vector<std::string>& names) {
  std::string why = "there is no " + std::string(what) + " " + quote(name);
  if (const auto near = nearest(name, names)) why += "; did you mean " + *near + "?";
  return refuse(404, why);
}

std::optional<AdminAnswer> unknown_service(const std::string& service, const Plan& plan) {
  if (service.empty() || plan.find_service(service)) return {};
  std::vector<std::string> names;
  for (const ServicePlan& s : plan.services) names.push_back(s.name);
  return no_such("service", service, names);
}

Wish lay(const AdminRequest& request, const Plan& plan, WallTime now, std::string_view peer) {
  Body body(request.body);
  const std::string kind = body.take("kind", "maintenance");
  Overlay o;
  o.service = body.take("service");
  const std::string how_long = body.take("for", format_duration(default_overlay));
  o.reason = one_line(body.take("reason"), longest_text);
  o.owner = one_line(body.take("owner", std::string(peer)), 128);
  if (o.owner.empty()) o.owner = peer;
  o.since = now;
  if (kind == name(OverlayKind::drain)) {
    o.kind = OverlayKind::drain;
  } else if (kind == name(OverlayKind::maintenance)) {
    o.kind = OverlayKind::maintenance;
  } else {
    body.complain("kind " + quote(kind) + ": write drain or maintenance");
  }
  if (how_long != "forever") {
    const auto duration = parse_duration(how_long);
    if (!duration || *duration <= Duration{} || *duration > longest_overlay) {
      body.complain("for " + quote(how_long) + ": write a duration such as 30m or 1h, or forever");
    } else {
      o.until = now + std::chrono::duration_cast<std::chrono::milliseconds>(*duration);
    }
  }
  if (const std::string problem = body.problem(); !problem.empty()) return refuse(400, problem);
  if (auto unknown = unknown_service(o.service, plan)) return *unknown;
  return Lay{std::move(o)};
}

Wish lift(const AdminRequest& request, const Plan& plan) {
  Body body(request.body);
  std::string service = body.take("service");
  for (const auto& [key, value] : request.query) {
    if (key != "service") return refuse(400, "unknown parameter " + quote(key) + "; known is service");
    service = value;
  }
  if (const std::string problem = body.problem(); !problem.empty()) return refuse(400, problem);
  if (auto unknown = unknown_service(service, plan)) return *unknown;
  return Lift{std::move(service)};
}

Wish run(const AdminRequest& request, const Plan& plan, CheckId check) {
  Body body(request.body);
  if (const std::string problem = body.problem(); !problem.empty()) return refuse(400, problem);
  if (plan.at(check).is_passive) {
    return refuse(409, "check " + quote(plan.at(check).name) + " is never probed, somebody must report its result");
  }
  return Run{check};
}

template <typename Enum, std::size_t N>
std::optional<Enum> named(std::string_view text, const std::array<std::string_view, N>& names) {
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end()) return {};
  return static_cast<Enum>(found - names.begin());
}

Wish record(const AdminRequest& request, const Plan& plan, CheckId check) {
  Body body(request.body);
  const std::string verdict_text = body.take("verdict", "pass");
  const auto verdict = named<Verdict>(verdict_text, detail::verdict_names);
  if (!verdict) body.complain("verdict " + quote(verdict_text) + ": write pass, warn, fail or unknown");
  ProbeResult result;
  result.verdict = verdict.value_or(Verdict::unknown);
  const bool is_good = result.verdict == Verdict::pass;
  const std::string cause_text = body.take("cause", is_good ? "none" : "content");
  const auto cause = named<Cause>(cause_text, detail::cause_names);
  if (!cause) body.complain("cause " + quote(cause_text) + " is not one vitald knows");
  result.cause = is_good ? Cause::none : cause.value_or(Cause::content);
  result.text = one_line(body.take("text", "reported"), 1024);
  result.facts = body.take_map("facts");
  result.measures = body.take_measures("measures");
  if (const std::string problem = body.problem(); !problem.empty()) return refuse(400, problem);
  if (!plan.at(check).is_passive) {
    return refuse(409, "check " + quote(plan.at(check).name) + " is probed by vitald itself and takes no reports");
  }
  return Record{check, std::move(result)};
}

Wish on_check(const AdminRequest& request, const Plan& plan, std::string_view rest) {
  const auto slash = rest.rfind('/');
  const std::string_view check_name = rest.substr(0, slash);
  const std::string_view verb = slash == std::string_view::npos ? "" : rest.substr(slash + 1);
  if (verb != "run" && verb != "result") {
    return refuse(404, "nothing is written there; known are checks/NAME/run and checks/NAME/result");
  }
  if (request.method != "POST") return refuse(405, "use POST");
  const auto check = plan.find_check(check_name);
  if (!check) {
    std::vector<std::string> names;
    for (const CheckPlan& c : plan.checks) names.push_back(c.name);
    return no_such("check", check_name, names);
  }
  return verb == "run" ? run(request, plan, *check) : record(request, plan, *check);
}

}  // namespace

AdminAnswer refuse(int status, std::string_view why) { return {status, text_of({{"error", why}})}; }

Wish parse(const AdminRequest& request, const Plan& plan, WallTime now, std::string_view peer) {
  std::string_view path = request.path;
  if (!path.starts_with(root)) return refuse(404, "nothing is written at " + quote(path));
  path.remove_prefix(root.size());
  if (path == "maintenance") {
    if (request.method == "POST") return lay(request, plan, now, peer);
    if (request.method == "DELETE") return lift(request, plan);
    return refuse(405, "use POST or DELETE");
  }
  if (path == "reload") {
    if (request.method != "POST") return refuse(405, "use POST");
    return Reload{};
  }
  if (path.starts_with("checks/")) return on_check(request, plan, path.substr(7));
  return refuse(404, "nothing is written at " + quote(request.path));
}

AdminAnswer nothing_lifted(const Lift& lift, const std::vector<Overlay>& overlays) {
  for (const Overlay& o : overlays) {
    if (o.service == lift.service && !o.source.empty()) {
      return refuse(409, std::string(name(o.kind)) + " is laid by a file: remove " + o.source);
    }
  }
  return {200, text_of({{"cleared", false}})};
}

std::string overlay_text(const Overlay& o, bool is_saved, std::string_view trouble) {
  Json out = {{"kind", name(o.kind)},
              {"service", o.service.empty() ? Json(nullptr) : Json(o.service)},
              {"reason", o.reason},
              {"owner", o.owner},
              {"since", format_wall(o.since)},
              {"until", o.until ? Json(format_wall(*o.until)) : Json(nullptr)},
              {"is_saved", is_saved}};
  if (!is_saved) out["trouble"] = trouble;
  return text_of(out);
}

std::string user_name(uid_t uid) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen("/etc/passwd", "re"), &std::fclose);
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  while (file && fgetpwent_r(file.get(), &entry, buffer.data(), buffer.size(), &found) == 0) {
    if (found->pw_uid == uid) return one_line(found->pw_name, 64);
  }
  return "uid " + std::to_string(uid);
}

}  // namespace vital::admin
