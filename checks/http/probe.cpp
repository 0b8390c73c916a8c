// The course of one HTTP attempt; see probe.hpp. What its outcome means is in outcome.cpp.
#include "probe.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <ctime>

#include "../net/address.hpp"

namespace vital::http {
namespace {

using check::Cause;
using check::Duration;

constexpr int max_redirects = 5;
constexpr size_t max_header = 64 * 1024;
constexpr Duration known_for = std::chrono::seconds(60);  // libcurl may forget an address it was told after that
// How long a decided probe waits for the rest of the answer, so that most connections end with a FIN at a point the
// server expects.
constexpr Duration linger = std::chrono::milliseconds(100);

template <typename Value>
void set(CURL* easy, CURLoption option, Value value) {
  curl_easy_setopt(easy, option, value);
}

void append(List& list, const std::string& line) { list.reset(curl_slist_append(list.release(), line.c_str())); }

bool names_header(std::string_view line, std::string_view name) {
  if (line.size() <= name.size() || line[name.size()] != ':') return false;
  return std::equal(name.begin(), name.end(), line.begin(),
                    [](unsigned char a, unsigned char b) { return a == std::tolower(b); });
}

std::string_view value_of(std::string_view line) {
  std::string_view value = line.substr(line.find(':') + 1);
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && std::isspace(static_cast<unsigned char>(value.back())) != 0) value.remove_suffix(1);
  return value;
}

}  // namespace

HttpProbe::HttpProbe(Standing& standing, const check::Attempt& attempt, check::Finisher finisher)
    : standing_(standing),
      settings_(standing.settings),
      finisher_(finisher),
      started_(check::monotonic_now()),
      deadline_(attempt.deadline() - net::margin(attempt.remaining())),
      deadline_timer_(standing.host),
      soon_(standing.host),
      lookup_(standing.host),
      method_(settings_.method) {}

HttpProbe::~HttpProbe() { stop(); }

void HttpProbe::begin() {
  deadline_timer_.arm<&HttpProbe::out_of_time>(this, deadline_ - started_);
  go_to(settings_.url);
  is_starting_ = false;
}

void HttpProbe::go_to(const Url& url) {
  url_ = url;
  hop_started_ = check::monotonic_now();
  if (is_on_socket()) return connect_to({settings_.unix_socket});
  const auto pinned = settings_.pinned.find(net::printed(url.host, url.port));
  if (pinned != settings_.pinned.end()) return connect_to({pinned->second});
  if (net::is_numeric(url.host)) return connect_to({url.host});
  const Duration left = std::max(deadline_ - hop_started_, Duration::zero());
  if (!lookup_.start<&HttpProbe::resolved>(this, url.host, settings_.family, left)) {
    finish(check::unknown(Cause::agent, "the host's resolver refuses to look up " + url.host));
  }
}

void HttpProbe::resolved(const net::Addresses& found) {
  const Duration now = check::monotonic_now();
  resolve_took_ = std::max(resolve_took_, Duration::zero()) + (now - hop_started_);
  hop_started_ = now;
  if (found.status != VITAL_RESOLVED || found.list.empty()) {
    return finish(from(net::lookup_trouble(found.status, found.text)));
  }
  connect_to(found.list);
}

void HttpProbe::connect_to(const std::vector<std::string>& addresses) {
  constexpr size_t most = 8;
  addresses_.assign(addresses.begin(), addresses.begin() + static_cast<ptrdiff_t>(std::min(addresses.size(), most)));
  next_address_ = 0;
  try_next();
}

// One address at a time: given several, libcurl 7.88 waits 200 ms and more after a refusal before it tries the next.
void HttpProbe::try_next() {
  const std::string& address = addresses_[next_address_++];
  if (!take_request()) return finish(check::unknown(Cause::agent, "libcurl gives us no handle"));
  sockets_.clear();
  no_socket_ = 0;
  tls_began_ = Duration::zero();
  said_[0] = '\0';
  bind_request(address);

  // The last address has all the time that is left, the others their equal share.
  hop_started_ = check::monotonic_now();
  const auto waiting = static_cast<Duration::rep>(addresses_.size() - next_address_ + 1);
  if (waiting > 1) soon_.arm<&HttpProbe::share_is_over>(this, (deadline_ - hop_started_) / waiting);
  is_running_ = true;
  if (!standing_.multi->start(easy())) {
    is_running_ = false;
    finish(check::unknown(Cause::agent, "libcurl cannot start the request"));
  }
}

// The handle for this hop, with all that stays the same from probe to probe already told to it.
bool HttpProbe::take_request() {
  leave_request();
  if (redirects_ == 0 && standing_.spare.easy != nullptr) {
    request_ = std::move(standing_.spare);
    return true;
  }
  request_.easy.reset(curl_easy_init());
  if (easy() == nullptr) return false;
  make_request();
  return true;
}

void HttpProbe::leave_request() {
  if (easy() == nullptr) return;
  // libcurl never forgets how often a handle's kept connections died under it, and gives up after the fifth. What is
  // signed is signed for a moment.
  const bool is_used_up = (settings_.reuses_connection && !is_reused_) || settings_.aws.is_set();
  if (redirects_ == 0 && !is_used_up && standing_.spare.easy == nullptr) {
    set(easy(), CURLOPT_ERRORBUFFER, static_cast<char*>(nullptr));
    set(easy(), CURLOPT_PRIVATE, static_cast<void*>(nullptr));
    standing_.spare = std::move(request_);
  }
  request_.easy.reset();
  request_ = {};
}

// What differs from probe to probe. libcurl gets the address under a name of our own, by which it also keeps this
// check's connections apart from those of other checks.
void HttpProbe::bind_request(const std::string& address) {
  if (request_.address != address || started_ - request_.told_at > known_for / 2) {
    const std::string port = std::to_string(url_.port);
    List resolve, connect;
    append(connect, "::" + standing_.key + ":" + port);
    if (is_on_socket()) {
      set(easy(), CURLOPT_UNIX_SOCKET_PATH, address.c_str());
    } else {
      append(resolve, "+" + standing_.key + ":" + port + ":" + (net::is_v6(address) ? "[" + address + "]" : address));
      set(easy(), CURLOPT_RESOLVE, resolve.get());
    }
    set(easy(), CURLOPT_CONNECT_TO, connect.get());
    request_.resolve = std::move(resolve);
    request_.connect = std::move(connect);
    request_.address = address;
    request_.told_at = check::monotonic_now();
  }
  set(easy(), CURLOPT_DNS_CACHE_TIMEOUT, standing_.multi->remembers_for());
  set(easy(), CURLOPT_PRIVATE, static_cast<Transfer*>(this));
  set(easy(), CURLOPT_ERRORBUFFER, static_cast<char*>(said_));
  set(easy(), CURLOPT_HEADERDATA, this);
  set(easy(), CURLOPT_WRITEDATA, this);
  set(easy(), CURLOPT_OPENSOCKETDATA, this);
  if (url_.is_https()) set_tls();
  if (!settings_.reuses_connection) return;
  // A kept connection is used again only while its address is still one of the name's and its certificate valid.
  const bool is_elsewhere = std::find(addresses_.begin(), addresses_.end(), standing_.kept_address) == addresses_.end();
  const net::TlsReport& kept = standing_.kept_report;
  const bool has_expired = url_.is_https() && kept.is_seen && kept.days_left(std::time(nullptr)) < 0;
  set(easy(), CURLOPT_FRESH_CONNECT, is_elsewhere || has_expired ? 1L : 0L);
}

void HttpProbe::share_is_over() {
  if (is_connected()) return;
  keep_times();
  stop();
  try_next();
}

void HttpProbe::make_request() {
  const bool has_other_name = url_.is_https() && is_first_origin_ && !settings_.tls.server_name.empty();
  set(easy(), CURLOPT_URL, (has_other_name ? rehosted(url_, settings_.tls.server_name) : url_.text).c_str());
  set(easy(), CURLOPT_NOSIGNAL, 1L);
  set(easy(), CURLOPT_PROXY, "");  // whatever the environment says
  set(easy(), CURLOPT_PROTOCOLS_STR, "http,https");
  set(easy(), CURLOPT_FOLLOWLOCATION, 0L);
  set(easy(), CURLOPT_CONNECTTIMEOUT_MS, 3600L * 1000);  // the deadline is ours
  set(easy(), CURLOPT_USERAGENT, "vitald/" VITALD_VERSION);
  set(easy(), CURLOPT_HTTP_VERSION, settings_.http_version);

  append(request_.headers, "Expect:");
  bool has_host = false;
  bool has_connection = false;
  bool has_content_type = false;
  if (is_first_origin_) {
    for (const auto& [name, value] : settings_.headers) {
      const std::string line = name + ":";
      has_host = has_host || names_header(line, "host");
      has_connection = has_connection || names_header(line, "connection");
      has_content_type = has_content_type || names_header(line, "content-type");
      append(request_.headers,
             value.empty() ? name + ";" : line + " " + value);  // "Name;" is an empty header to libcurl
    }
    if (settings_.aws.is_set()) add_signature();
    if (!settings_.user.empty()) {
      set(easy(), CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
      set(easy(), CURLOPT_USERNAME, settings_.user.c_str());
      set(easy(), CURLOPT_PASSWORD, settings_.password.c_str());
    }
  }
  if (has_other_name && !has_host) append(request_.headers, "Host: " + host_header(url_));
  const bool is_http_1 =
      settings_.http_version == CURL_HTTP_VERSION_1_0 || settings_.http_version == CURL_HTTP_VERSION_1_1;
  if (!settings_.reuses_connection && is_http_1 && !has_connection) append(request_.headers, "Connection: close");
  if (!has_content_type) append(request_.headers, "Content-Type:");  // libcurl would claim a form
  set(easy(), CURLOPT_HTTPHEADER, request_.headers.get());

  if (method_ == "HEAD") {
    set(easy(), CURLOPT_NOBODY, 1L);
  } else if (method_ != "GET" || (settings_.has_body && method_ == settings_.method)) {
    const bool sends_body = settings_.has_body && method_ == settings_.method && is_first_origin_;
    if (sends_body || method_ == "POST" || method_ == "PUT" || method_ == "PATCH") {
      set(easy(), CURLOPT_POSTFIELDSIZE, sends_body ? static_cast<long>(settings_.body.size()) : 0L);
      set(easy(), CURLOPT_POSTFIELDS, sends_body ? settings_.body.c_str() : "");
    }
    set(easy(), CURLOPT_CUSTOMREQUEST, method_.c_str());
  }

  set(
      easy(), CURLOPT_HEADERFUNCTION, +[](char* data, size_t size, size_t count, void* self) -> size_t {
        return static_cast<HttpProbe*>(self)->took_header({data, size * count}) ? size * count : 0;
      });
  set(
      easy(), CURLOPT_WRITEFUNCTION, +[](char* data, size_t size, size_t count, void* self) -> size_t {
        return static_cast<HttpProbe*>(self)->took_body({data, size * count}) ? size * count : 0;
      });

  set(easy(), CURLOPT_OPENSOCKETFUNCTION, &HttpProbe::open_socket);
  if (!settings_.reuses_connection) {
    set(easy(), CURLOPT_FRESH_CONNECT, 1L);
    set(easy(), CURLOPT_FORBID_REUSE, 1L);
    return;
  }
  // Kept connections may outlive their check: what closes them must not refer to it.
  set(easy(), CURLOPT_CLOSESOCKETDATA, standing_.multi.get());
  set(
      easy(), CURLOPT_CLOSESOCKETFUNCTION, +[](void* multi, curl_socket_t fd) -> int {
        static_cast<Multi*>(multi)->closed(fd);
        return close(fd);
      });
}

void HttpProbe::add_signature() {
  ToSign request{method_, host_header(url_), path_of(url_), query_of(url_), settings_.headers, {}};
  for (const auto& [name, value] : settings_.headers) {
    if (names_header(name + ":", "host")) request.host = value;
  }
  if (settings_.has_body && method_ == settings_.method) request.body = settings_.body;
  for (const auto& [name, value] : sign(request, settings_.aws, std::time(nullptr)))
    append(request_.headers, name + ": " + value);
}

void HttpProbe::set_tls() {
  tls_ = settings_.tls;
  if (!is_first_origin_) {
    tls_.certificate.clear();
    tls_.key.clear();
    tls_.server_name.clear();
  }
  const bool is_strict = tls_.mode == net::TlsSettings::Mode::verify;
  set(easy(), CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set(easy(), CURLOPT_SSL_VERIFYPEER, is_strict ? 1L : 0L);
  set(easy(), CURLOPT_SSL_VERIFYHOST, 0L);  // the name is verified with the chain, see net::set_up()
  set(easy(), CURLOPT_SSL_SESSIONID_CACHE, 0L);
  // Trust is set by us: shared by all checks, where libcurl would read the whole bundle for each handshake.
  set(easy(), CURLOPT_CAINFO, static_cast<char*>(nullptr));
  set(easy(), CURLOPT_CAPATH, static_cast<char*>(nullptr));
  set(easy(), CURLOPT_SSL_CTX_DATA, this);
  set(easy(), CURLOPT_SSL_CTX_FUNCTION, &HttpProbe::tls_context);
}

curl_socket_t HttpProbe::open_socket(void* raw_self, curlsocktype, curl_sockaddr* address) {
  auto* self = static_cast<HttpProbe*>(raw_self);
  const int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
  if (fd < 0) {
    self->no_socket_ = errno;
    return CURL_SOCKET_BAD;
  }
  try {
    self->sockets_.push_back(fd);
    if (self->settings_.reuses_connection) self->standing_.multi->opened(fd, &self->standing_);
  } catch (const std::exception&) {
    close(fd);
    return CURL_SOCKET_BAD;
  }
  return fd;
}

// libcurl tells when it has connected only when TLS stands too; for a handshake that hangs we look ourselves.
bool HttpProbe::is_connected() const {
  return std::any_of(sockets_.begin(), sockets_.end(), [](int fd) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    return getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  });
}

CURLcode HttpProbe::tls_context(CURL*, void* context, void* raw_self) {
  auto* self = static_cast<HttpProbe*>(raw_self);
  try {
    self->tls_began_ = check::monotonic_now() - self->hop_started_;
    self->peer_ = self->printed_peer(self->addresses_[self->next_address_ - 1]);
    self->our_tls_trouble_ = net::set_up(static_cast<SSL_CTX*>(context), self->tls_, self->url_.host, &self->report());
  } catch (const std::exception& e) {
    self->our_tls_trouble_ = e.what();
  }
  return self->our_tls_trouble_.empty() ? CURLE_OK : CURLE_ABORTED_BY_CALLBACK;
}

// ---- the answer arrives
// ----------------------------------------------------------------------------------------------

bool HttpProbe::took_header(std::string_view line) {
  try {
    header_bytes_ += line.size();
    if (header_bytes_ > max_header) {
      is_header_too_large_ = true;
      return false;
    }
    if (line.substr(0, 5) == "HTTP/" && !has_header_) {
      // Also after an interim answer such as 103: only the last one counts.
      curl_easy_getinfo(easy(), CURLINFO_RESPONSE_CODE, &status_);
      location_.clear();
      header_values_.assign(settings_.header_rules.size(), "");
      is_header_seen_.assign(settings_.header_rules.size(), false);
      is_header_good_.assign(settings_.header_rules.size(), false);
      return true;
    }
    if (line == "\r\n" || line == "\n") {
      curl_easy_getinfo(easy(), CURLINFO_RESPONSE_CODE, &status_);
      has_header_ = status_ >= 200;
      return true;
    }
    if (has_header_) return true;  // trailers
    if (names_header(line, "location")) location_ = value_of(line);
    for (size_t i = 0; i < settings_.header_rules.size() && i < is_header_seen_.size(); ++i) {
      const HeaderRule& rule = settings_.header_rules[i];
      if (!names_header(line, rule.name)) continue;
      is_header_seen_[i] = true;
      is_header_good_[i] = is_header_good_[i] || rule.accepts(value_of(line));
      header_values_[i] = value_of(line);
    }
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

bool HttpProbe::took_body(std::string_view piece) {
  try {
    body_bytes_ += piece.size();
    if (!body_) body_.emplace(settings_.body_rules, settings_.max_body);
    body_->feed(piece);
    if (body_bytes_ > settings_.max_body) {
      is_cut_short_ = true;
      return false;
    }
    // Where only the status matters, the answer is good when it ends: no body rule can be satisfied early.
    const bool is_refused = !settings_.status.has(status_) && !may_redirect();
    if (is_refused || (settings_.body_rules.any() && body_->is_satisfied())) decided();
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

// The verdict is known; what is left is a moment for the answer to end in order.
void HttpProbe::decided() {
  if (is_decided_) return;
  is_decided_ = true;
  decided_after_ = check::monotonic_now() - started_;
  soon_.arm<&HttpProbe::linger_over>(this, linger);
}

void HttpProbe::linger_over() {
  keep_times();
  stop();
  finish(judge(false));
}

bool HttpProbe::may_redirect() const {
  const bool is_redirect = status_ == 301 || status_ == 302 || status_ == 303 || status_ == 307 || status_ == 308;
  return settings_.follows_redirects && is_redirect && !location_.empty();
}

void HttpProbe::redirect() {
  Url next;
  std::string why;
  leave_request();
  if (!parse_url(location_, &url_, next, why)) {
    return finish(check::fail(Cause::content, "the redirect it answers with " + why));
  }
  if (++redirects_ > max_redirects) {
    return finish(check::fail(
        Cause::content, "more than " + std::to_string(max_redirects) + " redirects, the last to " + next.printable()));
  }
  is_first_origin_ = is_first_origin_ && next.same_origin(settings_.url);
  const bool becomes_get = status_ == 303 || (method_ == "POST" && (status_ == 301 || status_ == 302));
  if (becomes_get && method_ != "HEAD") method_ = "GET";
  status_ = 0;
  has_header_ = false;
  peer_.clear();
  header_bytes_ = 0;
  body_.reset();
  body_bytes_ = 0;
  is_cut_short_ = false;
  go_to(next);
}

void HttpProbe::ended(CURLcode code) {
  is_running_ = false;
  keep_times();
  if (code == CURLE_COULDNT_CONNECT && next_address_ < addresses_.size()) return try_next();
  if (code == CURLE_OK && !has_header_) {  // libcurl takes half a header for a whole one
    return finish(check::fail(Cause::protocol, "it closed the connection in the middle of its header"));
  }
  const bool has_answer = code == CURLE_OK || is_cut_short_;
  if (has_answer && status_ >= 200 && may_redirect()) return redirect();
  if (has_answer || is_decided_) return finish(judge(code == CURLE_OK));
  finish(explain(code));
}

void HttpProbe::stop() {
  lookup_.withdraw();
  if (is_running_) {
    is_running_ = false;
    standing_.multi->remove(easy());
  }
  leave_request();
}

void HttpProbe::deliver_waiting() {
  check::Result result = std::move(*waiting_);
  waiting_.reset();
  finish(std::move(result));
}

void HttpProbe::trouble(const char* what) noexcept {
  stop();
  finish(check::unknown(Cause::agent, std::string("the http check stumbled: ") + what));
}

// The last call: destroys this object, unless start() has not returned yet.
void HttpProbe::finish(check::Result result) {
  if (is_starting_) {
    waiting_ = std::move(result);
    soon_.arm<&HttpProbe::deliver_waiting>(this, Duration::zero());
    return;
  }
  if (waiting_) return;  // the deadline met a result on its way
  stop();
  finisher_.finish(with_account(std::move(result)));
}

}  // namespace vital::http
