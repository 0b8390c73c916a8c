// Settings: the options of an http check, validated and in the form the probe wants them. Made once; no I/O.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>
#include <vitald/check.hpp>

#include "../findings.hpp"
#include "../net/tls.hpp"
#include "expect.hpp"
#include "sigv4.hpp"

namespace vital::http {

// Where a request goes. Made by parse_url() alone.
struct Url {
  std::string text;  // normalised, without fragment
  std::string scheme;
  std::string host;  // as the resolver wants it: no brackets, ASCII
  uint16_t port = 0;
  bool is_https() const { return scheme == "https"; }
  // For results: no query, which may hold a token.
  std::string printable() const;
  bool same_origin(const Url& other) const {
    return scheme == other.scheme && host == other.host && port == other.port;
  }
};
// An absolute URL, or one relative to `base`. Empty url and a line in *why if it is not one we follow.
bool parse_url(const std::string& text, const Url* base, Url& out, std::string& why);
// The same URL with another host, for a server name that is not the host's; and the Host header that then belongs to
// it.
std::string rehosted(const Url& url, const std::string& host);
std::string host_header(const Url& url);
// What the request line will hold: path and query.
std::string path_of(const Url& url);
std::string query_of(const Url& url);

struct Settings {
  Url url;
  std::string method = "GET";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  bool has_body = false;
  bool is_elasticsearch = false;  // judge the answer as a cluster's health
  check::Limit min_nodes{};       // of that cluster
  bool is_patroni = false;        // judge the answer as a Patroni member's word
  StatusSet status;
  std::vector<HeaderRule> header_rules;
  BodyRules body_rules;
  bool follows_redirects = false;
  bool reuses_connection = false;
  std::map<std::string, std::string> pinned;  // "host:port" -> numeric address
  std::string unix_socket;                    // connect there, whatever the URL's host is
  check::Limit latency_s{};
  size_t max_body = 0;
  long http_version = 0;   // CURL_HTTP_VERSION_*
  bool demands_2 = false;  // an answer in an older version is a failure
  uint32_t family = 0;     // 0, 4, 6
  std::string user;
  std::string password;
  AwsKeys aws;
  bool has_credentials = false;  // of any kind: a 401 is then our trouble
  net::TlsSettings tls;
};

// Throws check::Invalid.
Settings read_settings(const check::Options& options);

}  // namespace vital::http
