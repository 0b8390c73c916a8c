// Requests one after the other; see client.hpp.
#include "client.hpp"

namespace vital::http {
namespace {

using check::Cause;
using check::Duration;
using check::Invalid;
using check::Result;
using check::Stop;

constexpr std::size_t max_body = 1 << 20;
constexpr std::size_t max_headers = 64 * 1024;

struct FreeUrl {
  void operator()(CURLU* u) const { curl_url_cleanup(u); }
};

// An answer, as far as it came.
struct Incoming {
  Answer answer;
  std::size_t header_bytes = 0;
  bool is_too_large = false;

  static std::size_t take_body(char* data, std::size_t size, std::size_t count, void* to) {
    auto& in = *static_cast<Incoming*>(to);
    if (in.answer.body.size() + size * count > max_body) {
      in.is_too_large = true;
      return 0;
    }
    in.answer.body.append(data, size * count);
    return size * count;
  }
  static std::size_t take_header(char* data, std::size_t size, std::size_t count, void* to) {
    auto& in = *static_cast<Incoming*>(to);
    std::string_view line(data, size * count);
    in.header_bytes += line.size();
    if (in.header_bytes > max_headers) {
      in.is_too_large = true;
      return 0;
    }
    const auto colon = line.find(':');
    if (line.substr(0, 5) == "HTTP/") in.answer.headers.clear();
    if (colon == std::string_view::npos) return size * count;
    std::string name(line.substr(0, colon));
    for (char& c : name) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
    while (!value.empty() && (value.back() == '\r' || value.back() == '\n' || value.back() == ' '))
      value.remove_suffix(1);
    in.answer.headers[name] = std::string(value);
    return size * count;
  }
};

}  // namespace

Site Site::read(const std::string& text, const char* example) {
  const std::unique_ptr<CURLU, FreeUrl> url(curl_url());
  const auto part = [&](CURLUPart which) {
    char* raw = nullptr;
    const CURLUcode code = curl_url_get(url.get(), which, &raw, CURLU_DEFAULT_PORT);
    std::string out = code == CURLUE_OK && raw != nullptr ? raw : "";
    curl_free(raw);
    return out;
  };
  Site site;
  if (curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) == CURLUE_OK) {
    site.scheme = part(CURLUPART_SCHEME);
    site.host = part(CURLUPART_HOST);
    site.port = std::atoll(part(CURLUPART_PORT).c_str());
  }
  const bool is_http = site.scheme == "http" || site.scheme == "https";
  if (!is_http || site.host.empty())
    throw Invalid("url", std::string("is no http:// or https:// address; write ") + example);
  if (!part(CURLUPART_USER).empty() || !part(CURLUPART_PASSWORD).empty()) {
    throw Invalid("url", "has credentials in it; write user and password_file");
  }
  if (!part(CURLUPART_QUERY).empty())
    throw Invalid("url", std::string("has a query; write the site alone, as in ") + example);
  site.prefix = part(CURLUPART_PATH);
  while (!site.prefix.empty() && site.prefix.back() == '/') site.prefix.pop_back();
  const bool is_usual = site.port == (site.is_tls() ? 443 : 80);
  site.origin = site.scheme + "://" + site.host + (is_usual ? "" : ":" + std::to_string(site.port));
  return site;
}

Trust Trust::options(const check::Options& o) {
  Trust trust{o.text("tls.mode") == "verify", o.text_or("tls.ca", check::system_authorities),
              o.text_or("tls.certificate", ""), o.text_or("tls.key", ""), o.text_or("tls.server_name", "")};
  if (trust.certificate.empty() != trust.key.empty()) {
    throw Invalid(trust.key.empty() ? "tls.key" : "tls.certificate",
                  "tls.certificate and tls.key need each other: write both");
  }
  if (trust.server_name.find_first_of(" /:@[]?#\r\n") != std::string::npos)
    throw Invalid("tls.server_name", "is no host name");
  return trust;
}

void Trust::need_files() const {
  check::need_readable("tls.ca", verifies ? ca : "");
  check::need_readable("tls.certificate", certificate);
  check::need_readable("tls.key", key);
}

Client::Client(const Site& site, const Trust& trust) : site_(site), trust_(trust) {}

void Client::append(List& list, const std::string& line) {
  curl_slist* longer = curl_slist_append(list.get(), line.c_str());
  if (longer == nullptr) throw std::bad_alloc();
  static_cast<void>(list.release());
  list.reset(longer);
}

void Client::resolve(Duration until, int family) {
  if (site_.is_tls()) trust_.need_files();
  const bool is_v6 = site_.host.front() == '[';
  const std::string host = is_v6 ? site_.host.substr(1, site_.host.size() - 2) : site_.host;
  const std::vector<check::Address> addresses = check::resolve(host, site_.port, until, family);
  easy_.reset(curl_easy_init());
  if (easy_ == nullptr) throw Stop(check::unknown(Cause::agent, "libcurl gives no handle"));
  if (is_v6 && !is_renamed())
    return;  // an address needs no resolver, and libcurl's list has no place for the colons of this one
  std::string line = (is_renamed() ? trust_.server_name : site_.host) + ":" + std::to_string(site_.port) + ":";
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const std::string& a = addresses[i].numeric;
    line += (i > 0 ? "," : "") + (a.find(':') == std::string::npos ? a : "[" + a + "]");
  }
  append(resolve_, line);
}

Answer Client::ask(const Request& request, Duration until, const std::string& where) {
  const Duration left = until - check::monotonic_now();
  if (left <= Duration::zero()) throw Stop(check::fail(Cause::timeout, where + "the time was over before it began"));
  List headers;
  append(headers, "Expect:");  // no waiting for 100-continue
  for (const auto& [name, value] : request.headers) append(headers, name + ": " + value);
  const std::string url = is_renamed() ? url_for_tls(request.url) : request.url;
  if (is_renamed()) append(headers, "Host: " + site_.origin.substr(site_.scheme.size() + 3));
  Incoming in;
  char said[CURL_ERROR_SIZE] = "";
  CURL* easy = easy_.get();
  curl_easy_reset(easy);  // keeps connections and cookies
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_RESOLVE, resolve_.get());
  curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_COOKIEFILE, "");  // the cookie engine, with nothing in it
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "vitald");
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, said);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, Incoming::take_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &in);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, Incoming::take_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &in);
  curl_easy_setopt(
      easy, CURLOPT_TIMEOUT_MS,
      static_cast<long>(std::max<long long>(1, std::chrono::duration_cast<std::chrono::milliseconds>(left).count())));
  if (request.body) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body->size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body->data());
  }
  if (request.method == "HEAD") curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  if (site_.is_tls()) {
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, trust_.verifies ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, trust_.verifies ? 2L : 0L);
    if (trust_.verifies) curl_easy_setopt(easy, CURLOPT_CAINFO, trust_.ca.c_str());
    if (!trust_.certificate.empty()) {
      curl_easy_setopt(easy, CURLOPT_SSLCERT, trust_.certificate.c_str());
      curl_easy_setopt(easy, CURLOPT_SSLKEY, trust_.key.c_str());
    }
  }
  const CURLcode code = curl_easy_perform(easy);
  keep_times(easy);
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &in.answer.status);
  if (in.is_too_large) {
    throw Stop(check::fail(Cause::content, where + "the answer is larger than 1 MiB, or its header than 64 KiB"));
  }
  if (code != CURLE_OK) throw Stop(trouble(where, code, said));
  return std::move(in.answer);
}

std::string Client::url_for_tls(const std::string& url) const {
  const std::size_t port = site_.origin.find_last_of(":]/");
  const std::string suffix = site_.origin[port] == ':' ? site_.origin.substr(port) : "";
  return site_.scheme + "://" + trust_.server_name + suffix + url.substr(site_.origin.size());
}

void Client::keep_times(CURL* easy) {
  char* ip = nullptr;
  if (curl_easy_getinfo(easy, CURLINFO_PRIMARY_IP, &ip) == CURLE_OK && ip != nullptr && *ip != '\0') address_ = ip;
  long made = 0;
  curl_off_t connected = 0;
  curl_off_t secured = 0;
  curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &made);
  curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &connected);
  curl_easy_getinfo(easy, CURLINFO_APPCONNECT_TIME_T, &secured);
  if (made == 0 || connected <= 0) return;
  connect_took_ = std::max(connect_took_, Duration::zero()) + std::chrono::microseconds(connected);
  if (secured > 0) tls_took_ = std::max(tls_took_, Duration::zero()) + std::chrono::microseconds(secured - connected);
}

Result Client::trouble(const std::string& where, CURLcode code, const char* said) const {
  const std::string words = check::tidy(*said != '\0' ? said : curl_easy_strerror(code), 200);
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return check::fail(Cause::timeout, where + "no whole answer in time");
    case CURLE_COULDNT_CONNECT: {
      long error = 0;
      curl_easy_getinfo(easy_.get(), CURLINFO_OS_ERRNO, &error);
      const net::Trouble t =
          error != 0 ? net::connect_trouble(static_cast<int>(error)) : net::fault(Cause::refused, words);
      return check::make_result(t.verdict, t.cause, where + t.text);
    }
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CIPHER:
      return check::fail(Cause::tls, where + words);
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
      return check::unknown(Cause::config, where + words);
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT:
      return check::unknown(Cause::agent, where + words);
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
      // In TLS 1.3 a server refuses a client without a certificate when the handshake is over, by breaking off.
      if (site_.is_tls() && trust_.certificate.empty() && tls_took_ >= Duration::zero()) {
        return check::fail(Cause::protocol,
                           where + "it broke off after the TLS handshake; does it want a tls.certificate of ours?");
      }
      [[fallthrough]];
    default:
      return check::fail(Cause::protocol, where + words);
  }
}

}  // namespace vital::http
