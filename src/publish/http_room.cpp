// What answers a request; see http_peer.hpp.
#include <fmt/chrono.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <exception>

#include "base/text.hpp"
#include "publish/http_peer.hpp"

namespace vital {
namespace {

constexpr std::string_view allowed = "Allow: GET, HEAD, OPTIONS, POST\r\n";

bool is_below(std::string_view path, std::string_view prefix) {
  return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}
bool is_health(std::string_view path) {
  return path == "/" || path == "*" || is_below(path, "/health") || path == "/livez" || path == "/readyz";
}
bool is_api(std::string_view path) { return is_below(path, "/api"); }

// The answer lies ready: no more than a choice of form is asked for.
bool is_quick(const Request& request) {
  return is_health(request.path) && std::all_of(request.query.begin(), request.query.end(), [](const auto& entry) {
           return entry.first == "as" ||
                  (entry.first == "format" && (entry.second == "text" || entry.second == "json"));
         });
}

// A path that means itself: no query, no escapes, nothing to decode.
bool is_plain_path(std::string_view target) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' || c == '-' ||
           c == '_' || c == '.';
  };
  return target.starts_with('/') && std::all_of(target.begin(), target.end(), is_plain);
}

// Answers once, whoever calls it how often.
template <typename Value>
std::function<void(Value)> once(std::function<void(Value)> reply) {
  auto is_used = std::make_shared<std::atomic_flag>();
  return [is_used, reply = std::move(reply)](Value value) {
    if (!is_used->test_and_set()) reply(std::move(value));
  };
}

}  // namespace

// Where answers of other threads arrive; outlives the room as long as somebody may still answer.
struct HttpRoom::Mailbox {
  std::mutex m;
  HttpRoom* room = nullptr;  // guarded by m; null once the room is gone

  void post(std::uint64_t peer, std::uint64_t ticket, Response response) {
    const std::lock_guard lock(m);
    if (room == nullptr) return;
    room->hall_.loop().post([room = room, peer, ticket, response = std::move(response)] {
      room->waiting_.erase({peer, ticket});
      room->deliver(peer, ticket, response);
    });
  }
};

HttpRoom::HttpRoom(Hall& hall, const Board& board, AdminPort admin, Consumers& consumers)
    : hall_(hall),
      admin_(std::move(admin)),
      consumers_(consumers),
      pages_(board,
             [&hall, &consumers] {
               FrontCounters out = hall.stats().read();
               out.consumers = consumers.by_kind();
               out.consumers_evicted = consumers.evicted();
               out.consumer_events_dropped = consumers.untold();
               return out;
             }),
      mailbox_(std::make_shared<Mailbox>()),
      stream_(hall.loop(), hall.stats(), wire()) {
  mailbox_->room = this;
  add_get("/api/v1/consumers", [this](const GetRequest& request, const GetReply& reply) {
    if (!request.is_detailed) {
      reply({403, "application/json", "{\"error\":\"details are not shown to this address\"}\n"});
      return;
    }
    reply({200, "application/json", consumers_document(consumers_, Loop::both())});
  });
  add_get("/api/v1/access", [this](const GetRequest& request, const GetReply& reply) {
    reply({200, "application/json", access_document(request.is_admin, pages_.node())});
  });
}

HttpRoom::~HttpRoom() {
  const std::lock_guard lock(mailbox_->m);
  mailbox_->room = nullptr;
}

void HttpRoom::add_get(std::string path, GetHandler handler) {
  gets_.emplace_back(std::move(path), std::move(handler));
  std::stable_sort(gets_.begin(), gets_.end(),
                   [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
}

bool HttpRoom::is_detailed(const HttpPeer& peer, std::string_view authorization) {
  const Origin& origin = peer.origin();
  if (origin.listener == ListenerKind::admin) return true;
  switch (origin.door->details) {
    case ShowDetails::always:
      return true;
    case ShowDetails::never:
      return false;
    case ShowDetails::loopback:
      return origin.is_local || origin.address.is_loopback();
    case ShowDetails::authorized:
      return peer.is_authorized() || brings_token(authorization, origin.door->token);
  }
  return false;
}

void HttpRoom::handle(HttpPeer& peer, const Frame& frame) {
  const auto take = [&](Request& request) {
    request.body = frame.body;
    request.authorization = frame.authorization;
    request.last_event_id = frame.last_event_id;
    request.page = signs_of(frame);
    request.is_admin = peer.origin().listener == ListenerKind::admin;
    request.is_detailed = is_detailed(peer, frame.authorization);
    request.may_authorize = !request.is_admin && peer.origin().door->details == ShowDetails::authorized;
    remember(peer, frame, request.path);
    try {
      route(peer, request);
    } catch (const std::exception& e) {
      peer.form_.closes = true;
      answer(peer, error_response(500, e.what()));
    }
  };
  if (is_plain_path(frame.target)) {
    Request request;
    request.method = frame.method;
    request.path = frame.target;
    request.accept = frame.accept;
    return take(request);
  }
  if (!parser_.route(frame, take)) {
    peer.form_.closes = true;
    answer(peer, error_response(400, "the request cannot be understood"));
  }
}

// Who asks for health, or scrapes, is a consumer; over the admin socket it is vitalctl.
void HttpRoom::remember(HttpPeer& peer, const Frame& frame, std::string_view path) {
  peer.is_consumer_asking_ =
      peer.origin().listener == ListenerKind::health && (is_health(path) || path == "/metrics") && path.size() <= 128;
  if (!peer.is_consumer_asking_) return;
  const std::string_view kind = recognise(
      {frame.user_agent, frame.server_state, frame.method, frame.target, frame.is_1_0 || frame.is_bare, frame.headers});
  peer.consumer_ = consumers_.see({peer.origin().address, kind, path, frame.user_agent, frame.server_state},
                                  peer.consumer_, Loop::both());
}

void HttpRoom::route(HttpPeer& peer, Request& request) {
  const std::string& m = request.method;
  if (!request.is_admin && reporters_.is_asked(request.path)) return route_report(peer, request);
  const bool is_read = m == "GET" || m == "HEAD" || m == "OPTIONS" || (m == "POST" && !is_api(request.path));
  const bool is_write = !is_read && (m == "POST" || m == "PUT" || m == "PATCH" || m == "DELETE");
  if (is_write && is_api(request.path) && (request.is_admin || m == "POST")) return route_write(peer, request);
  if (!is_read) {
    Response response = error_response(405, "only GET, HEAD, OPTIONS and POST are answered here");
    response.headers += allowed;
    return answer(peer, response);
  }
  if (is_quick(request)) {
    Response response = pages_.answer(request, Loop::both());
    if (m == "OPTIONS") response.headers += allowed;
    return answer(peer, response);
  }
  if (request.path == "/api/v1/stream" && m != "HEAD" && m != "OPTIONS") return route_stream(peer, request);
  if (route_registered(peer, request)) return;
  answer_in_turn(peer, request);
}

void HttpRoom::answer_in_turn(HttpPeer& peer, Request request) {
  peer.park(Awaited::page);
  request.body = {};  // no page reads these, and they point into the peer's buffer
  request.page = {};
  if (turns_.empty()) hall_.loop().post([this] { answer_next(); });
  turns_.push_back({peer.id(), peer.ticket_, std::move(request)});
}

void HttpRoom::answer_next() {
  const Turn turn = std::move(turns_.front());
  turns_.pop_front();
  if (!turns_.empty()) hall_.loop().post([this] { answer_next(); });
  if (hall_.find(turn.peer) == nullptr) return;
  Response response;
  try {
    response = pages_.answer(turn.request, Loop::both());
    if (turn.request.method == "OPTIONS") response.headers += allowed;
  } catch (const std::exception& e) {
    response = error_response(500, e.what());
  }
  deliver(turn.peer, turn.ticket, response);
}

bool HttpRoom::may_wait(HttpPeer& peer) {
  if (waiting_.size() < hall_.limits().waiting_requests) return true;
  answer(peer, error_response(503, "too many requests wait for the agent"));
  return false;
}

void HttpRoom::route_write(HttpPeer& peer, const Request& request) {
  if (!request.is_admin) {
    return answer(peer, error_response(403, "nothing is written through this address: use the admin socket"));
  }
  if (const PageJudgement judged = judge_page(request.page, pages_.node()); judged.code != 0) {
    return answer(peer, error_response(judged.code, judged.why));
  }
  hand_to_agent(peer, request);
}

// The one thing that is written through a health listener: the report of a heartbeat, by whoever has its token.
void HttpRoom::route_report(HttpPeer& peer, const Request& request) {
  const auto judgement =
      reporters_.judge(request.path, request.method, request.authorization, request.body.size(), Loop::now());
  FrontStats& stats = hall_.stats();
  switch (judgement.outcome) {
    case Reporters::Outcome::taken:
      FrontStats::add(stats.reports_taken);
      return hand_to_agent(peer, request);
    case Reporters::Outcome::unauthorized:
      FrontStats::add(stats.reports_unauthorized);
      break;
    case Reporters::Outcome::limited:
      FrontStats::add(stats.reports_limited);
      break;
    case Reporters::Outcome::refused:
      FrontStats::add(stats.reports_refused);
      break;
  }
  Response response = error_response(judgement.code, judgement.why);
  response.headers += judgement.header;
  answer(peer, response);
}

void HttpRoom::hand_to_agent(HttpPeer& peer, const Request& request) {
  if (admin_.loop == nullptr || !admin_.handler) {
    return answer(peer, error_response(501, "this agent takes no write requests"));
  }
  if (!may_wait(peer)) return;
  peer.park(Awaited::reply);
  waiting_.emplace(peer.id(), peer.ticket_);
  AdminReply reply = once<AdminAnswer>([box = mailbox_, id = peer.id(), ticket = peer.ticket_](AdminAnswer got) {
    Response response;
    response.code = got.status;
    response.content_type = "application/json";
    response.headers = "Cache-Control: no-store\r\n";
    response.body = std::move(got.json_body);
    box->post(id, ticket, std::move(response));
  });
  AdminRequest out{request.method,    request.path,      request.query,    std::string(request.body),
                   peer.origin().uid, peer.origin().pid, !request.is_admin};
  admin_.loop->post([handler = admin_.handler, out = std::move(out), reply = std::move(reply)]() mutable {
    try {
      handler(std::move(out), reply);
    } catch (const std::exception& e) {
      reply({500, error_response(500, e.what()).body});
    }
  });
}

bool HttpRoom::route_registered(HttpPeer& peer, const Request& request) {
  const auto found = std::find_if(gets_.begin(), gets_.end(), [&](const auto& entry) {
    const std::string& path = entry.first;
    return request.path == path || (path.ends_with('/') && request.path.starts_with(path));
  });
  if (found == gets_.end() || is_health(request.path)) return false;
  if (is_api(request.path) && !request.is_detailed) return false;  // refused as the built-in documents are
  if (!may_wait(peer)) return true;
  peer.park(Awaited::page);
  waiting_.emplace(peer.id(), peer.ticket_);
  GetReply reply = once<GetAnswer>([box = mailbox_, id = peer.id(), ticket = peer.ticket_](const GetAnswer& got) {
    Response response;
    response.code = got.status;
    response.headers = "Cache-Control: no-store\r\nContent-Type: " + got.content_type + "\r\n";
    response.content_type = {};
    response.body = got.body;
    box->post(id, ticket, std::move(response));
  });
  try {
    found->second({request.path, request.query, request.is_admin, request.is_detailed}, reply);
  } catch (const std::exception& e) {
    reply({500, "application/json", error_response(500, e.what()).body});
  }
  return true;
}

void HttpRoom::deliver(std::uint64_t id, std::uint64_t ticket, const Response& response) {
  // Ids are never reused, and only HTTP peers are given tickets.
  auto* peer = static_cast<HttpPeer*>(hall_.find(id));
  if (peer == nullptr || peer->ticket_ != ticket || peer->is_finishing()) return;
  answer(*peer, response);
  peer->resume();
}

void HttpRoom::forget(const HttpPeer& peer) {
  waiting_.erase({peer.id(), peer.ticket_});
  if (peer.is_streaming_) stream_.remove(peer.id());
}

// ---- the stream ----------------------------------------------------------------------------------------------------

HttpPeer* HttpRoom::find(std::uint64_t id) { return static_cast<HttpPeer*>(hall_.find(id)); }

EventStream::Wire HttpRoom::wire() {
  EventStream::Wire out;
  out.is_free = [this](std::uint64_t id) {
    const HttpPeer* peer = find(id);
    return peer != nullptr && peer->queued() == 0 && !peer->is_finishing();
  };
  out.send = [this](std::uint64_t id, std::string_view bytes) {
    if (HttpPeer* peer = find(id)) peer->push(bytes);
  };
  return out;
}

void HttpRoom::taken(const HttpPeer& peer) { stream_.taken(peer.id()); }

void HttpRoom::route_stream(HttpPeer& peer, const Request& request) {
  if (!request.is_detailed) return answer_in_turn(peer, request);  // refused as the built-in documents are
  if (stream_.size() >= hall_.limits().streams) {
    return answer(peer, error_response(503, "too many read the stream already"));
  }
  StreamFilter filter;
  std::string_view from = request.last_event_id;
  for (const auto& [key, value] : request.query) {
    if (key == "check") {
      filter.check = value;
    } else if (key == "event") {
      for (const std::string_view name : split(value, ',')) filter.events.emplace_back(name);
    } else if (key == "after") {
      if (from.empty()) from = value;
    } else {
      return answer(peer, error_response(400, "unknown parameter: known are check, event and after"));
    }
  }
  std::optional<std::int64_t> after;
  if (!from.empty()) {
    std::int64_t id = 0;
    const auto [end, error] = std::from_chars(from.data(), from.data() + from.size(), id);
    if (error != std::errc{} || end != from.data() + from.size() || id < 0) {
      return answer(peer, error_response(400, "after (or Last-Event-ID) is the id of an event"));
    }
    after = id;
  }
  hall_.stats().request(200);
  std::string head =
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n"
      "Connection: close\r\nDate: ";
  head += date(Loop::both().wall);
  peer.is_streaming_ = true;
  peer.wait_for(Awaited::stream);
  peer.send(head + "\r\n\r\nretry: 2000\n\n");
  hall_.loop().post([this, id = peer.id(), filter = std::move(filter), after] {
    if (find(id) != nullptr) stream_.add(id, filter, after);
  });
}

void HttpRoom::answer(HttpPeer& peer, const Response& response) {
  if (peer.is_consumer_asking_) {
    peer.is_consumer_asking_ = false;
    consumers_.answered(peer.consumer_, response.code);
  }
  hall_.stats().request(response.code);
  if (hall_.is_leaving()) peer.form_.closes = true;
  const Now now = Loop::both();
  scratch_.clear();
  compose(response, peer.form_, now.mono, date(now.wall), scratch_);
  if (peer.form_.closes) {
    peer.finish();
  } else {
    peer.wait_for(Awaited::next_request);
  }
  peer.send(scratch_);
  if (scratch_.capacity() > 64 * 1024) scratch_ = {};
}

std::string HttpRoom::bytes_of(const Response& response, const ResponseForm& form) {
  hall_.stats().request(response.code);
  const Now now = Loop::both();
  std::string out;
  compose(response, form, now.mono, date(now.wall), out);
  return out;
}

std::string_view HttpRoom::date(WallTime now) {
  const auto second = std::chrono::floor<std::chrono::seconds>(now);
  if (const std::int64_t count = second.time_since_epoch().count(); count != date_second_) {
    date_second_ = count;
    date_ = fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(std::chrono::system_clock::to_time_t(second)));
  }
  return date_;
}

}  // namespace vital
