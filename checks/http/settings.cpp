// From options to settings; see settings.hpp. URLs are taken apart by libcurl itself, so that the host we resolve and
// the host it speaks to are never two readings of one text.
#include "settings.hpp"

#include <curl/curl.h>
#include <sys/un.h>

#include <algorithm>
#include <cctype>
#include <memory>

#include "../net/address.hpp"
#include "elasticsearch.hpp"
#include "patroni.hpp"

namespace vital::http {
namespace {

using check::Invalid;

struct FreeUrl {
  void operator()(CURLU* u) const { curl_url_cleanup(u); }
};
struct FreeText {
  void operator()(char* t) const { curl_free(t); }
};

std::string part(CURLU* url, CURLUPart which, unsigned flags) {
  char* raw = nullptr;
  if (curl_url_get(url, which, &raw, flags) != CURLUE_OK) return {};
  const std::unique_ptr<char, FreeText> own(raw);
  return raw;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool is_token(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

Url at_path(const Url& url, const std::string& path) {
  const std::unique_ptr<CURLU, FreeUrl> parts(curl_url());
  curl_url_set(parts.get(), CURLUPART_URL, url.text.c_str(), 0);
  curl_url_set(parts.get(), CURLUPART_PATH, path.c_str(), 0);
  Url moved = url;
  moved.text = part(parts.get(), CURLUPART_URL, 0);
  return moved;
}

// A preset asks one API and knows what its answer means.
void read_preset(const check::Options& options, Settings& s) {
  const std::string preset = options.text_or("preset", "none");
  s.is_elasticsearch = preset == "elasticsearch";
  s.is_patroni = preset == "patroni";
  s.min_nodes = {check::Bad::below, {}, {}, "", "min_nodes"};
  if (options.has("min_nodes")) {
    if (!s.is_elasticsearch) throw Invalid("min_nodes", "has a meaning only with preset: elasticsearch; leave it out");
    s.min_nodes.fail = static_cast<double>(options.integer("min_nodes"));
  }
  if (!s.is_elasticsearch && !s.is_patroni) return;
  if (s.method != "GET" || s.has_body) {
    throw Invalid(s.has_body ? "body" : "method", "is the preset's own, a GET without a body; leave it out");
  }
  const std::string path = path_of(s.url);
  s.url = at_path(s.url, s.is_patroni ? patroni_path(path) : cluster_health_path(path));
  s.body_rules.is_read_whole = true;
}

// "192.0.2.1" pins the URL's own host; "host:port:address" any.
void read_pins(const check::Options& options, Settings& s) {
  for (const std::string& item : options.list("resolve")) {
    std::string address = item;
    std::string key = net::printed(s.url.host, s.url.port);
    if (!net::is_numeric(item)) {
      const size_t first = item.find(':');
      const size_t second = first == std::string::npos ? first : item.find(':', first + 1);
      const auto port =
          second == std::string::npos ? std::nullopt : net::parse_port(item.substr(first + 1, second - first - 1));
      if (!port || first == 0) throw Invalid("resolve", "\"" + item + "\" is neither an address nor HOST:PORT:ADDRESS");
      key = net::printed(lower(item.substr(0, first)), *port);
      address = item.substr(second + 1);
      if (address.size() > 2 && address.front() == '[' && address.back() == ']') {
        address = address.substr(1, address.size() - 2);
      }
    }
    if (!net::is_numeric(address)) throw Invalid("resolve", "\"" + address + "\" is not a numeric address");
    if (!s.pinned.emplace(key, address).second) throw Invalid("resolve", "names " + key + " twice");
  }
}

// It is a header as any other from here on: it goes only to the first origin, and an answer of 401 is its doing.
void read_token(const check::Options& options, Settings& s) {
  if (!options.has("token")) return;
  const std::string token = options.text("token");
  const bool is_sendable =
      !token.empty() && std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (!is_sendable) throw Invalid("token", "must be visible ASCII characters in one line, without spaces");
  if (!s.user.empty()) throw Invalid("token", "and user are two ways to say who we are; write one");
  for (const auto& [name, value] : s.headers) {
    if (lower(name) == "authorization") throw Invalid("headers", name + " is written by token_file; leave one out");
  }
  s.headers.emplace_back("Authorization", "Bearer " + token);
  s.has_credentials = true;
}

void read_request(const check::Options& options, Settings& s) {
  std::string why;
  if (!parse_url(options.text("url"), nullptr, s.url, why)) throw Invalid("url", why);
  s.method = options.text_or("method", "GET");
  if (!is_token(s.method) || s.method != [&] {
        std::string upper = s.method;
        std::transform(upper.begin(), upper.end(), upper.begin(),
                       [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
        return upper;
      }()) {
    throw Invalid("method", "is not an HTTP method; write it in capitals, as in GET, HEAD or POST");
  }
  if (s.method == "CONNECT") throw Invalid("method", "CONNECT asks for a tunnel, not for an answer; write GET");
  s.headers = options.map("headers");
  for (const auto& [name, value] : s.headers) {
    if (!is_token(name)) throw Invalid("headers", "\"" + name + "\" cannot be the name of a header");
    const bool has_control = std::any_of(value.begin(), value.end(),
                                         [](char c) { return static_cast<unsigned char>(c) < 0x20 && c != '\t'; });
    if (has_control)
      throw Invalid("headers", "the value of " + name + " holds a control character; write it in one line");
    const std::string key = lower(name);
    if (key == "authorization" || key == "cookie" || key == "x-api-key") s.has_credentials = true;
    if (key == "content-length" || key == "transfer-encoding")
      throw Invalid("headers", name + " is set by vitald itself; leave it out");
  }
  s.has_body = options.has("body");
  s.body = options.text_or("body", "");
  if (s.has_body && s.method == "HEAD") throw Invalid("body", "a HEAD request has no body; write method: POST");
  s.user = options.text_or("user", "");
  s.password = options.text_or("password", "");
  if (!s.password.empty() && s.user.empty()) throw Invalid("user", "is needed with a password");
  if (s.user.find(':') != std::string::npos)
    throw Invalid("user", "must not hold a colon, which basic authentication cannot carry");
  read_token(options, s);
  s.aws = {options.text_or("aws.region", ""), options.text_or("aws.service", ""), options.text_or("aws.access_key", ""),
           options.text_or("aws.secret_key", ""), options.text_or("aws.session_token", "")};
  const std::pair<const char*, const std::string*> needed[] = {{"aws.region", &s.aws.region},
                                                               {"aws.service", &s.aws.service},
                                                               {"aws.access_key", &s.aws.access_key},
                                                               {"aws.secret_key", &s.aws.secret_key}};
  const auto is_given = [](const auto& one) { return !one.second->empty(); };
  if (std::any_of(std::begin(needed), std::end(needed), is_given)) {
    for (const auto& [name, text] : needed) {
      if (text->empty()) throw Invalid(name, "is needed to sign a request; write all of aws");
      if (text->find_first_of("\r\n") != std::string::npos) throw Invalid(name, "holds a line break");
    }
    for (const char* other : {"user", "token"}) {
      if (options.has(other)) throw Invalid(other, "and aws are two ways to say who we are; write one");
    }
  }
  s.has_credentials = s.has_credentials || !s.user.empty() || s.aws.is_set();
}

void read_expectations(const check::Options& options, Settings& s) {
  auto codes = options.list("expect.status");
  if (codes.empty()) codes.emplace_back("200-299");
  for (const std::string& item : codes) {
    if (!s.status.add(item)) {
      throw Invalid("expect.status", "\"" + item + "\" is no status; write 200, 200-299, 2xx, or a list of these");
    }
  }
  for (const auto& [name, value] : options.map("expect.header")) {
    if (!is_token(name)) throw Invalid("expect.header", "\"" + name + "\" cannot be the name of a header");
    try {
      s.header_rules.push_back(header_rule(name, value));
    } catch (const net::Pattern::Error& e) {
      throw Invalid("expect.header", name + ": " + e.what());
    }
  }
  BodyRules& body = s.body_rules;
  body.contains = options.text_or("expect.body.contains", "");
  if (options.has("expect.body.contains") && body.contains.empty()) {
    throw Invalid("expect.body.contains", "is empty, which every body contains; write a text or leave it out");
  }
  body.matches_text = options.text_or("expect.body.matches", "");
  if (options.has("expect.body.matches")) {
    try {
      body.matches = std::make_shared<net::Pattern>(body.matches_text);
    } catch (const net::Pattern::Error& e) {
      throw Invalid("expect.body.matches", e.what());
    }
  }
  if (options.has("expect.body.json.pointer")) {
    body.json_pointer = options.text("expect.body.json.pointer");
    const std::string why = pointer_complaint(*body.json_pointer);
    if (!why.empty()) throw Invalid("expect.body.json.pointer", why);
  }
  if (options.has("expect.body.json.equals")) {
    body.json_equals = options.text("expect.body.json.equals");
    if (!body.json_pointer)
      throw Invalid("expect.body.json.pointer", "is needed with equals; write which value, as in /status");
  }
  for (const auto& [pointer, condition] : options.map("expect.body.json.values")) {
    try {
      body.json_values.push_back(json_rule(pointer, condition));
    } catch (const std::exception& e) {
      throw Invalid("expect.body.json.values", pointer + ": " + e.what());
    }
  }
  if (body.any() && s.method == "HEAD") throw Invalid("method", "the answer to HEAD has no body to look at; write GET");
}

}  // namespace

std::string Url::printable() const { return text.substr(0, text.find('?')); }

bool parse_url(const std::string& text, const Url* base, Url& out, std::string& why) {
  const std::unique_ptr<CURLU, FreeUrl> url(curl_url());
  if (base != nullptr) curl_url_set(url.get(), CURLUPART_URL, base->text.c_str(), 0);
  if (curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) {
    why = "is not a URL; write it as in http://127.0.0.1:8080/healthz";
    return false;
  }
  curl_url_set(url.get(), CURLUPART_FRAGMENT, nullptr, 0);
  out.scheme = part(url.get(), CURLUPART_SCHEME, 0);
  if (out.scheme != "http" && out.scheme != "https") {
    why = "speaks " + out.scheme + "; only http:// and https:// are checked";
    return false;
  }
  if (!part(url.get(), CURLUPART_USER, 0).empty() || !part(url.get(), CURLUPART_PASSWORD, 0).empty()) {
    why = "holds a user or password; write user and password_file instead";
    return false;
  }
  out.host = lower(part(url.get(), CURLUPART_HOST, CURLU_PUNYCODE));
  if (out.host.size() > 2 && out.host.front() == '[') out.host = out.host.substr(1, out.host.size() - 2);
  const auto port = net::parse_port(part(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT));
  out.text = part(url.get(), CURLUPART_URL, 0);
  if (out.host.empty() || !port || out.text.empty()) {
    why = "has no usable host or port; write it as in http://127.0.0.1:8080/healthz";
    return false;
  }
  out.port = *port;
  return true;
}

std::string rehosted(const Url& url, const std::string& host) {
  const std::unique_ptr<CURLU, FreeUrl> parts(curl_url());
  curl_url_set(parts.get(), CURLUPART_URL, url.text.c_str(), 0);
  curl_url_set(parts.get(), CURLUPART_HOST, host.c_str(), 0);
  return part(parts.get(), CURLUPART_URL, 0);
}

std::string host_header(const Url& url) {
  const bool is_default = url.port == (url.is_https() ? 443 : 80);
  const std::string with_port = net::printed(url.host, url.port);
  return is_default ? with_port.substr(0, with_port.rfind(':')) : with_port;
}

namespace {
std::string part_of(const Url& url, CURLUPart which) {
  const std::unique_ptr<CURLU, FreeUrl> parts(curl_url());
  curl_url_set(parts.get(), CURLUPART_URL, url.text.c_str(), 0);
  return part(parts.get(), which, 0);
}
}  // namespace

std::string path_of(const Url& url) { return part_of(url, CURLUPART_PATH); }
std::string query_of(const Url& url) { return part_of(url, CURLUPART_QUERY); }

Settings read_settings(const check::Options& options) {
  Settings s;
  read_request(options, s);
  read_preset(options, s);
  read_expectations(options, s);
  read_pins(options, s);
  s.follows_redirects = options.text_or("follow_redirects", "false") == "true";
  s.reuses_connection = options.text_or("reuse_connection", "false") == "true";
  s.max_body = static_cast<size_t>(options.integer_or("max_body", 65536));
  const std::string version = options.text_or("http_version", "1.1");
  s.demands_2 = version == "2";
  s.http_version = version == "1.0"   ? CURL_HTTP_VERSION_1_0
                   : version == "1.1" ? CURL_HTTP_VERSION_1_1
                   : version == "2" ? (s.url.is_https() ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE)
                                    : CURL_HTTP_VERSION_2TLS;
  const std::string family = options.text_or("family", "any");
  s.family = family == "4" ? 4 : family == "6" ? 6 : 0;
  s.latency_s = check::Limit::seconds(options, "warn_latency", "fail_latency");
  s.unix_socket = options.text_or("unix_socket", "");
  if (!s.unix_socket.empty() && s.unix_socket.front() != '/')
    throw Invalid("unix_socket", "is no absolute path; write it as in /run/app.sock");
  if (s.unix_socket.size() >= sizeof(sockaddr_un::sun_path))
    throw Invalid("unix_socket", "is longer than a socket's path may be (107 bytes)");
  if (!s.unix_socket.empty() && !s.pinned.empty())
    throw Invalid("resolve", "has no meaning with unix_socket; leave it out");
  s.tls = net::read_tls(options);
  if (!s.url.is_https()) {
    const bool asks_for_tls = s.tls.mode == net::TlsSettings::Mode::require || !s.tls.ca.empty() ||
                              !s.tls.certificate.empty() || !s.tls.server_name.empty() || s.tls.warn_days > 0;
    if (asks_for_tls) throw Invalid("url", "says http:// while tls options are set; write https://");
  } else if (s.tls.mode == net::TlsSettings::Mode::off) {
    throw Invalid("tls.mode", "is off while the url says https://; write http://, or require to skip verification");
  }
  return s;
}

}  // namespace vital::http
