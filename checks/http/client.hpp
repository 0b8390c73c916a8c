// Client: one HTTP request after the other to one site, for checks that block: the course of such a check reads as the
// conversation does. libcurl's timeouts can be relied on once the name is resolved, which is done here, before. Every
// answer is bounded in size, every wait by the moment it is given; what goes wrong is thrown as a result. [worker]
//
//   Client client(site_, trust_);
//   client.resolve(until, AF_UNSPEC);
//   const Answer answer = client.ask({"GET", site_.origin + "/health"}, until, "GET /health: ");
#pragma once

#include <curl/curl.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../blocking.hpp"

namespace vital::http {

// Where all requests of a check go, from its option `url`.
struct Site {
  std::string scheme, host, origin, prefix;  // "https", "app.example", "https://app.example:8443", "/base"
  long long port = 0;
  bool is_tls() const { return scheme == "https"; }

  // Throws check::Invalid of "url".
  static Site read(const std::string& text, const char* example);
};

// The options tls.mode, tls.ca, tls.certificate, tls.key and tls.server_name.
struct Trust {
  bool verifies = true;
  std::string ca, certificate, key, server_name;

  // Throws check::Invalid.
  static Trust options(const check::Options& o);
  // Throws Stop, unknown/config, if a file cannot be read.
  void need_files() const;
};

inline constexpr const char* trust_modes[] = {"require", "verify", nullptr};

// The rows of the options every check has that uses Client: family and those of Trust.
#define VITAL_CLIENT_ROWS                                                                           \
  {"family", ::vital::check::Type::choice, "any", "IP version a name is resolved to", nullptr,      \
   0,        ::vital::check::families},                                                             \
      {"tls.mode",                                                                                  \
       ::vital::check::Type::choice,                                                                \
       "verify",                                                                                    \
       "with https: verify (certificate and name) or require (encrypt alone)",                      \
       nullptr,                                                                                     \
       0,                                                                                           \
       ::vital::http::trust_modes},                                                                 \
      {"tls.ca", ::vital::check::Type::string, nullptr,                                             \
       "file with the authorities that verify trusts; default the system's", "/etc/vitald/ca.pem"}, \
      {"tls.certificate", ::vital::check::Type::string, nullptr, "file with our own certificate"},  \
      {"tls.key", ::vital::check::Type::string, nullptr, "file with its private key"}, {            \
    "tls.server_name", ::vital::check::Type::string, nullptr,                                       \
        "name to send (SNI) and verify instead of the URL's host"                                   \
  }

struct Request {
  std::string method, url;
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::optional<std::string> body = {};
};

// One answer, whole.
struct Answer {
  long status = 0;
  std::string body;
  std::map<std::string, std::string> headers;  // by lower-case name, the last of each
};

class Client {
 public:
  Client(const Site& site, const Trust& trust);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Before the first request. Throws Stop.
  void resolve(check::Duration until, int family);
  // Throws Stop, with `where` before its words.
  Answer ask(const Request& request, check::Duration until, const std::string& where);

  const std::string& address() const { return address_; }  // whom it reached; empty before
  // Of all connections it made; negative: none.
  check::Duration connect_took() const { return connect_took_; }
  check::Duration tls_took() const { return tls_took_; }

 private:
  struct FreeEasy {
    void operator()(CURL* e) const { curl_easy_cleanup(e); }
  };
  struct FreeList {
    void operator()(curl_slist* l) const { curl_slist_free_all(l); }
  };
  using List = std::unique_ptr<curl_slist, FreeList>;
  static void append(List& list, const std::string& line);

  // Whether TLS is told another name than that of the URL.
  bool is_renamed() const { return site_.is_tls() && !trust_.server_name.empty(); }
  // The URL as libcurl gets it: it takes the name of TLS from there.
  std::string url_for_tls(const std::string& url) const;
  void keep_times(CURL* easy);
  check::Result trouble(const std::string& where, CURLcode code, const char* said) const;

  const Site& site_;
  const Trust& trust_;
  std::unique_ptr<CURL, FreeEasy> easy_;
  List resolve_;
  std::string address_;
  check::Duration connect_took_{-1};
  check::Duration tls_took_{-1};
};

}  // namespace vital::http
