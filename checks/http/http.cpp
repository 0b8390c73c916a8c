// The http check: asks a URL and judges the answer. Async, on the worker's loop; see probe.hpp for the course of one
// attempt and settings.hpp for what the options mean.
#include <memory>
#include <string>
#include <vitald/check.hpp>

#include "../net/check_of.hpp"
#include "multi.hpp"
#include "probe.hpp"
#include "settings.hpp"

namespace vital::http {
namespace {

class HttpCheck final : public check::Async {
 public:
  HttpCheck(const check::Host& host, const check::Options& options)
      : standing_{host, read_settings(options), Multi::shared(), next_key(), {}, {}} {
    net::need_services(host);
    if (standing_.multi == nullptr) throw std::runtime_error("libcurl cannot be started");
    net::survive_hangups();
    standing_.multi->attach(standing_.host);
  }
  ~HttpCheck() override { standing_.multi->detach(standing_.host, &standing_); }
  HttpCheck(const HttpCheck&) = delete;
  HttpCheck& operator=(const HttpCheck&) = delete;

  std::unique_ptr<check::AsyncProbe> start(const check::Attempt& attempt, check::Finisher finisher) override {
    auto probe = std::make_unique<HttpProbe>(standing_, attempt, finisher);
    probe->begin();
    return probe;
  }

 private:
  static std::string next_key() {
    static unsigned long long last = 0;
    return "check-" + std::to_string(++last) + ".invalid";
  }
  Standing standing_;
};

using check::OptionRow;
using check::Type;

constexpr const char* families[] = {"any", "4", "6", nullptr};
constexpr const char* versions[] = {"auto", "1.0", "1.1", "2", nullptr};
constexpr const char* tls_modes[] = {"off", "prefer", "require", "verify", nullptr};

constexpr const char* presets[] = {"none", "elasticsearch", "patroni", nullptr};

constexpr OptionRow options[] = {
    {"url", Type::string, nullptr, "What to ask, http:// or https://.", "http://127.0.0.1:8080/healthz",
     VITAL_OPTION_REQUIRED},
    {"method", Type::string, "GET", "The request method, in capitals."},
    {"headers", Type::map, nullptr, "Headers to send; Host too.", "{Host: app.example.com}"},
    {"body", Type::string, nullptr, "The body to send; name its type in headers."},
    {"preset", Type::choice, "none", "Ask this API below the url and judge what it says; expect adds to it.", nullptr,
     0, presets},
    {"min_nodes", Type::integer, nullptr, "With preset elasticsearch: fail if the cluster has fewer nodes.", "3", 0,
     nullptr, 1, 10000},
    {"expect.status", Type::list, "200-299", "Which answers are good: codes, ranges, or 2xx.", "[200, 204, 301-303]"},
    {"expect.header", Type::map, nullptr,
     "Headers the answer must have: the exact value, * for any, ~PATTERN for a regular expression.",
     "{Content-Type: ~^application/json}"},
    {"expect.body.contains", Type::string, nullptr, "A text the body must contain, within max_body.", "ok"},
    {"expect.body.matches", Type::string, nullptr, "A regular expression the body must match, within max_body.",
     "^status: (ok|warn)"},
    {"expect.body.json.pointer", Type::string, nullptr, "A value the JSON body must have, as a JSON pointer.",
     "/status"},
    {"expect.body.json.equals", Type::string, nullptr, "What that value must be.", "UP"},
    {"expect.body.json.values", Type::map, nullptr,
     "What values of the JSON body must be, by JSON pointer: a value, * for any, ~PATTERN, or ==, !=, <, <=, >, >= and "
     "a "
     "value.",
     "{/status: UP, /workers: \">= 3\"}"},
    {"warn_latency", Type::duration, nullptr, "An answer that takes longer than this is a warning.", "300ms"},
    {"fail_latency", Type::duration, nullptr, "One that takes longer than this is a failure.", "2s"},
    {"follow_redirects", Type::boolean, "false", "Follow up to 5 redirects; credentials go only to the first origin."},
    {"resolve", Type::list, nullptr,
     "Connect to this address instead of asking the resolver: an address, or HOST:PORT:ADDRESS.", "192.0.2.10"},
    {"unix_socket", Type::string, nullptr,
     "Connect to this Unix socket; the url then says only what is asked, and the Host header.", "/run/app.sock"},
    {"reuse_connection", Type::boolean, "false",
     "Keep the connection between probes: cheaper, but does not show that new ones are accepted."},
    {"max_body", Type::size, "64KiB", "Read at most this much of the body.", nullptr, 0, nullptr, 1, 1048576},
    {"http_version", Type::choice, "1.1",
     "HTTP version; 2 must be spoken, over TLS or without (h2c); auto negotiates 2 over TLS.", nullptr, 0, versions},
    {"family", Type::choice, "any", "IP version a name is resolved to.", nullptr, 0, families},
    {"user", Type::string, nullptr, "User for basic authentication."},
    {"password", Type::string, nullptr, "Its password.", nullptr, VITAL_OPTION_SECRET},
    {"token", Type::string, nullptr, "A token to send as Authorization: Bearer.", nullptr, VITAL_OPTION_SECRET},
    {"aws.region", Type::string, nullptr, "Sign the request for AWS (SigV4): the region.", "ap-northeast-1"},
    {"aws.service", Type::string, nullptr, "The service that is asked.", "execute-api"},
    {"aws.access_key", Type::string, nullptr, "The id of the access key."},
    {"aws.secret_key", Type::string, nullptr, "Its secret.", nullptr, VITAL_OPTION_SECRET},
    {"aws.session_token", Type::string, nullptr, "The token of temporary keys.", nullptr, VITAL_OPTION_SECRET},
    {"tls.mode", Type::choice, "verify", "For https: verify the certificate, or require encryption alone.", nullptr, 0,
     tls_modes},
    {"tls.ca", Type::string, nullptr, "File or directory of authorities to trust instead of the system's.",
     "/etc/ssl/internal-ca.pem"},
    {"tls.certificate", Type::string, nullptr, "Our certificate, PEM, with its chain."},
    {"tls.key", Type::string, nullptr, "Its private key, PEM, without a password; default: in the same file."},
    {"tls.server_name", Type::string, nullptr, "Name to send (SNI) and verify instead of the URL's host."},
    {"tls.warn_days", Type::integer, "0", "Warn if the certificate ends in fewer days; 0 never does.", nullptr, 0,
     nullptr, 0, 3650},
};

}  // namespace
}  // namespace vital::http

using vital::http::HttpCheck;
VITAL_ASYNC_MODULE(HttpCheck, "http", VITALD_VERSION, "asks a URL and judges status, header and body",
                   vital::http::options)
