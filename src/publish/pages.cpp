// What each path answers; see pages.hpp.
#include "publish/pages.hpp"

#include <algorithm>
#include <utility>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "publish/badge.hpp"
#include "publish/documents.hpp"
#include "publish/metrics.hpp"
#include "publish/plain.hpp"
#include "publish/ui_page.hpp"

namespace vital {
namespace {

constexpr std::size_t most_documents = 256;
constexpr std::size_t most_badges = 256;
// A picture may be a few seconds old; whoever keeps it longer asks again.
constexpr std::string_view badge_headers =
    "Cache-Control: public, max-age=10, must-revalidate\r\nX-Content-Type-Options: nosniff\r\n"
    "Content-Security-Policy: default-src 'none'\r\n";
constexpr std::string_view json_type = "application/json";

Response json_response(std::string body, int code = 200) {
  Response out;
  out.code = code;
  out.content_type = json_type;
  out.headers = "Cache-Control: no-store\r\n";
  out.body = std::move(body);
  return out;
}

Response redirect_to_ui() {
  Response out;
  out.code = 302;
  out.headers = "Location: /ui/\r\nCache-Control: no-store\r\n";
  out.body = "/ui/\n";
  return out;
}

Response ui_response(const UiFile& file) {
  Response out;
  out.content_type = file.content_type;
  out.shared_headers = file.headers;
  out.shared_body = file.body;
  return out;
}

// The parts of "/a/b/" after `prefix`, empty ones left out.
std::vector<std::string_view> parts_after(std::string_view path, std::string_view prefix) {
  std::vector<std::string_view> out;
  for (const std::string_view part : split(path.substr(prefix.size()), '/')) {
    if (!part.empty()) out.push_back(part);
  }
  return out;
}

// Names are repeated, so that whoever mistyped one sees it.
Response not_there(std::string_view what, std::string_view asked, std::string_view where = "") {
  return error_response(404,
                        "there is no " + std::string(what) + " \"" + one_line(asked, 100) + "\"" + std::string(where));
}

// ?verbose and ?verbose=1, but not ?verbose=0.
bool is_on(const Request& request, std::string_view name) {
  const std::string* value = request.parameter(name);
  return value != nullptr && *value != "0" && *value != "false";
}

bool is_below(std::string_view path, std::string_view prefix) {
  return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

}  // namespace

Pages::Pages(const Board& board, std::function<FrontCounters()> counters)
    : board_(board), counters_(std::move(counters)) {}

bool Pages::is_stalled(Now now) const { return now.mono > board_.valid_until.load(std::memory_order_acquire); }

Response Pages::answer(const Request& request, Now now) {
  auto newest = board_.view.take();
  if (newest != view_) {
    view_ = std::move(newest);
    documents_.clear();
  }
  const std::string& path = request.path;
  if (path == "/" && wants_html(request.accept) && (request.method == "GET" || request.method == "HEAD")) {
    return redirect_to_ui();
  }
  if (path == "/" || path == "*" || is_below(path, "/health")) return health(request, now);
  if (path == "/livez") return live(request, now);
  if (path == "/readyz") return ready(request, now);
  if (path == "/metrics") return metrics(now);
  if (path == "/badge.svg") return badge(request, now);
  if (is_below(path, "/api/v1")) return api(request, now);
  if (const auto file = ui_file(path)) return ui_response(*file);
  if (path == "/ui") return redirect_to_ui();
  return error_response(
      404, "there is no such page: try /health, /livez, /readyz, /metrics, /badge.svg, /api/v1/status or /ui/");
}

std::string Pages::node() const {
  const auto newest = board_.view.take();
  return newest ? newest->snapshot->plan->node : std::string();
}

Response Pages::health(const Request& request, Now now) {
  const auto form = negotiate(request.parameter("format"), request.accept);
  if (!form) return error_response(400, "format is one of json, text, prometheus, nagios");
  const CodeMap* codes = nullptr;
  if (const std::string* consumer = request.parameter("as")) {
    codes = code_map_of(*consumer);
    if (codes == nullptr) return error_response(400, "as is one of " + code_map_names());
  }
  if (!view_) return self(request, starting_outcome());

  std::optional<ServiceId> service;
  std::optional<CheckId> check;
  const Plan& plan = *view_->snapshot->plan;
  const auto parts =
      is_below(request.path, "/health") ? parts_after(request.path, "/health") : std::vector<std::string_view>{};
  if (!parts.empty()) {
    const auto found = view_->by_name.find(std::string(parts[0]));
    if (found == view_->by_name.end()) return not_there("service", parts[0]);
    service = ServiceId(found->second);
  }
  if (parts.size() > 1) {
    check = plan.find_check(parts[1]);
    const auto members = checks_behind(plan, service);
    if (!check || parts.size() > 2 || std::find(members.begin(), members.end(), *check) == members.end()) {
      return not_there("check", parts.back(), " in that service");
    }
  }

  if (is_stalled(now)) {
    Outcome stalled = stalled_outcome(check     ? plan.at(*check).name
                                      : service ? plan.at(*service).name
                                                : plan.node,
                                      now.mono - board_.valid_until.load(std::memory_order_acquire));
    return self(request, stalled);
  }

  std::vector<CheckId> excluded;
  std::vector<std::string> warnings;
  std::optional<Duration> max_age;
  for (const auto& [key, value] : request.query) {
    if (key == "exclude") {
      if (const auto id = plan.find_check(value)) {
        excluded.push_back(*id);
      } else {
        warnings.push_back("there is no check \"" + value + "\" to exclude");
      }
    } else if (key == "max_age") {
      max_age = parse_duration(value);
      if (!max_age) return error_response(400, "max_age is a duration with its unit, as 10s or 500ms");
    }
  }
  const bool is_verbose = request.is_detailed && is_on(request, "verbose");
  const bool is_plain = !check && excluded.empty() && warnings.empty() && !max_age;
  const bool is_finished = form->format == Format::json || (form->format == Format::text && !is_verbose);
  if (is_plain && is_finished) {
    const Answer& answer = answer_for(service);
    const int code = codes == nullptr ? answer.code : codes->code(answer.status, answer.overlay);
    // The finished header lines tell when to come again, or not, by the service's own code.
    if ((code == 503) == (answer.code == 503)) return finished(request, *form, service, code);
  }

  Outcome outcome;
  if (check) {
    outcome = check_outcome(*view_->snapshot, *service, *check);
  } else if (!excluded.empty()) {
    outcome = outcome_without(*view_->snapshot, service, excluded, now);
  } else {
    outcome =
        service ? service_outcome(*view_->snapshot, *service, now.wall) : node_outcome(*view_->snapshot, now.wall);
  }
  if (max_age && outcome.status != Verdict::fail) {
    const std::string limit = format_duration(*max_age);
    if (!outcome.oldest_evidence) {
      fail_outcome(outcome, 503, "no result yet, and none older than " + limit + " was asked for");
    } else if (const Duration age = now.mono - *outcome.oldest_evidence; age > *max_age) {
      fail_outcome(
          outcome, 503,
          "the oldest result is " + friendly_duration(age) + " old, and none older than " + limit + " was asked for");
    }
  }
  if (codes != nullptr) outcome.code = codes->code(outcome.status, outcome.overlay);
  return judged(request, *form, outcome, service, check, std::move(warnings), now);
}

const Answer& Pages::answer_for(std::optional<ServiceId> service) const {
  return service ? view_->services.at(service->value) : view_->node;
}

// The usual question: its answer lies ready.
Response Pages::finished(const Request& request, const Negotiated& form, std::optional<ServiceId> service, int code) {
  const Answer& answer = answer_for(service);
  Response out;
  out.code = code;
  out.content_type = form.content_type;
  out.age_from = answer.oldest_evidence;
  out.shared_headers = request.is_detailed ? answer.headers : answer.terse_headers;
  out.keep = view_;
  if (form.format == Format::text) {
    out.shared_body = answer.text;
    return out;
  }
  if (!request.is_detailed) {
    out.shared_body = answer.terse_json;
    return out;
  }
  const Snapshot& snapshot = *view_->snapshot;
  const std::string path = service ? "/health/" + snapshot.plan->at(*service).name : "/health";
  auto found = documents_.find(path);
  if (found == documents_.end()) {
    const Outcome outcome =
        service ? service_outcome(snapshot, *service, snapshot.made_wall) : node_outcome(snapshot, snapshot.made_wall);
    auto document = std::make_shared<const std::string>(
        health_document(*view_, outcome, {path, checks_behind(*snapshot.plan, service), {}}));
    if (documents_.size() == most_documents) documents_.clear();
    found = documents_.emplace(path, std::move(document)).first;
  }
  out.keep_body = found->second;
  out.shared_body = *found->second;
  return out;
}

Response Pages::judged(const Request& request, const Negotiated& form, const Outcome& outcome,
                       std::optional<ServiceId> service, std::optional<CheckId> check,
                       std::vector<std::string> warnings, Now now) {
  const Answer answer = render_answer(outcome);
  std::vector<CheckId> checks;
  if (check) {
    checks = {*check};
  } else if (request.is_detailed) {
    checks = checks_behind(*view_->snapshot->plan, service);
  }
  Response out;
  out.code = answer.code;
  out.content_type = form.content_type;
  out.headers = request.is_detailed ? answer.headers : answer.terse_headers;
  out.age_from = answer.oldest_evidence;
  switch (form.format) {
    case Format::json:
      out.body = request.is_detailed
                     ? health_document(*view_, outcome, {request.path, std::move(checks), std::move(warnings)})
                     : terse_document(outcome, warnings);
      break;
    case Format::text:
      out.body = request.is_detailed && is_on(request, "verbose") ? verbose_text(*view_, outcome, checks, warnings)
                                                                  : answer.text;
      break;
    case Format::prometheus:
      out.body = health_metrics_text(*view_, service, checks, now);
      break;
    case Format::nagios: {
      Outcome told = outcome;
      if (!request.is_detailed) told.reason = told.terse_reason;
      out.body = nagios_line(*view_, told, request.is_detailed ? checks : std::vector<CheckId>{});
      break;
    }
  }
  return out;
}

// The agent about itself: a verdict and a reason that names nothing it watches.
Response Pages::self(const Request& request, const Outcome& outcome) {
  const auto form =
      negotiate(request.parameter("format"), request.accept).value_or(Negotiated{Format::json, json_type});
  Answer answer = render_answer(outcome);
  Response out;
  out.code = answer.code;
  out.content_type = form.content_type;
  out.headers = std::move(answer.headers);
  switch (form.format) {
    case Format::json: {
      out.body = terse_document(
          outcome, outcome.reason.empty() ? std::vector<std::string>{} : std::vector<std::string>{outcome.reason});
      break;
    }
    case Format::text:
    case Format::prometheus:
      out.body = std::move(answer.text);
      break;
    case Format::nagios: {
      const char* word = outcome.status == Verdict::pass ? "OK" : "UNKNOWN";
      out.body = std::string(word) + " - " + outcome.name + ": " +
                 (outcome.reason.empty() ? std::string(name(outcome.status)) : outcome.reason) + "\n";
      break;
    }
  }
  return out;
}

Response Pages::live(const Request& request, Now now) {
  const Instant valid_until = board_.valid_until.load(std::memory_order_acquire);
  if (valid_until == Instant{}) return self(request, starting_outcome());
  if (now.mono > valid_until) return self(request, stalled_outcome("vitald", now.mono - valid_until));
  Outcome fine;
  fine.name = "vitald";
  fine.status = Verdict::pass;
  fine.state = State::pass;
  fine.code = 200;
  fine.weight = 100;
  return self(request, fine);
}

Response Pages::ready(const Request& request, Now now) {
  if (!view_ || is_stalled(now))
    return live(request, now).code == 200 ? self(request, starting_outcome()) : live(request, now);
  Outcome outcome;
  outcome.name = "vitald";
  outcome.retry_after = std::chrono::seconds(1);
  if (view_->is_ready) {
    outcome.status = Verdict::pass;
    outcome.state = State::pass;
    outcome.code = 200;
    outcome.weight = 100;
  } else {
    fail_outcome(outcome, 503, request.is_detailed ? view_->ready_reason : "not ready");
  }
  return self(request, outcome);
}

Response Pages::metrics(Now now) {
  Response out;
  out.content_type = "text/plain; version=0.0.4; charset=utf-8";
  out.headers = "Cache-Control: no-store\r\n";
  out.body = metrics_text(view_.get(), board_.tally.copy(), counters_(), now,
                          board_.valid_until.load(std::memory_order_acquire));
  return out;
}

// What is told of the node or of ?service=NAME; always 200, or a browser would show a broken picture.
Response Pages::badge(const Request& request, Now now) {
  const std::string* asked = request.parameter("service");
  std::string label = "vitald";
  std::string_view word = "starting";
  if (view_) {
    std::optional<ServiceId> service;
    if (asked != nullptr) {
      const auto found = view_->by_name.find(*asked);
      if (found == view_->by_name.end()) return not_there("service", *asked);
      service = ServiceId(found->second);
    }
    const Plan& plan = *view_->snapshot->plan;
    label = service ? plan.at(*service).name : plan.node;
    word = is_stalled(now) ? "stalled" : badge_word(answer_for(service));
  }
  const std::string key = label + '\n' + std::string(word);
  auto found = badges_.find(key);
  if (found == badges_.end()) {
    if (badges_.size() == most_badges) badges_.clear();
    found = badges_.emplace(key, std::make_shared<const std::string>(badge_svg(label, word))).first;
  }
  Response out;
  out.content_type = "image/svg+xml";
  out.shared_headers = badge_headers;
  out.keep_body = found->second;
  out.shared_body = *found->second;
  return out;
}

Response Pages::api(const Request& request, Now now) {
  if (!request.is_detailed && request.may_authorize) {
    Response out = error_response(401, "details are for those with the token or a client certificate");
    out.headers += "WWW-Authenticate: Bearer\r\n";
    return out;
  }
  if (!request.is_detailed) {
    return error_response(403, "details are not shown to this address: see listen.health.details in the config");
  }
  if (!view_) return error_response(503, "the agent is starting, nothing is known yet");
  const Plan& plan = *view_->snapshot->plan;
  const auto parts = parts_after(request.path, "/api/v1");
  const std::string_view page = parts.empty() ? "" : parts[0];
  if (page == "status" && parts.size() == 1) {
    return json_response(status_document(*view_, now, board_.valid_until.load(std::memory_order_acquire)));
  }
  if (page == "checks" && parts.size() == 1) return json_response(checks_document(*view_, now));
  if (page == "checks" && parts.size() == 2) {
    if (const auto id = plan.find_check(parts[1])) return json_response(check_document(*view_, *id, now));
    return not_there("check", parts[1]);
  }
  if (page == "stream" && parts.size() == 1) return {};  // HEAD and OPTIONS: who reads it is served elsewhere
  if (page == "maintenance" && parts.size() == 1) return json_response(overlays_document(*view_));
  if (page == "outputs" && parts.size() == 1) return json_response(outputs_document(*view_));
  if (page == "services" && parts.size() == 1) return json_response(services_document(*view_, now, is_stalled(now)));
  if (page == "services" && parts.size() == 2) {
    if (const auto id = plan.find_service(parts[1])) {
      return json_response(service_document(*view_, *id, now, is_stalled(now)));
    }
    return not_there("service", parts[1]);
  }
  return error_response(404,
                        "there is no such document: try /api/v1/status, checks, services, maintenance, outputs, "
                        "consumers, events, failovers or stream");
}

}  // namespace vital
