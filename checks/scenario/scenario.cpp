// The scenario check: several HTTP requests one after the other, as a user makes them: log in, look, log out. Cookies
// are kept, values are captured from one answer and put into the next request. It blocks in libcurl, whose timeouts can
// be relied on once the name is resolved, which we do ourselves; the worker's kill is behind that. [worker]
#include <curl/curl.h>

#include "../blocking.hpp"
#include "script.hpp"

namespace vital::scenario {
namespace {

using check::Attempt;
using check::Cause;
using check::Duration;
using check::Invalid;
using check::OptionRow;
using check::Options;
using check::Phase;
using check::Result;
using check::Stop;
using check::Stopwatch;
using check::Type;
using check::Verdict;

constexpr std::size_t max_body = 1 << 20;
constexpr std::size_t max_headers = 64 * 1024;

struct FreeEasy {
  void operator()(CURL* e) const { curl_easy_cleanup(e); }
};
struct FreeList {
  void operator()(curl_slist* l) const { curl_slist_free_all(l); }
};
struct FreeUrl {
  void operator()(CURLU* u) const { curl_url_cleanup(u); }
};
using Easy = std::unique_ptr<CURL, FreeEasy>;
using List = std::unique_ptr<curl_slist, FreeList>;

void append(List& list, const std::string& line) {
  curl_slist* longer = curl_slist_append(list.get(), line.c_str());
  if (longer == nullptr) throw std::bad_alloc();
  static_cast<void>(list.release());
  list.reset(longer);
}

// The site of all steps, from the option url.
struct Site {
  std::string scheme, host, origin, prefix;  // "https", "app.example", "https://app.example:8443", "/base"
  long long port = 0;
  bool is_tls() const { return scheme == "https"; }

  static Site read(const std::string& text) {
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
      throw Invalid("url", "is no http:// or https:// address; write https://app.example.jp");
    if (!part(CURLUPART_USER).empty() || !part(CURLUPART_PASSWORD).empty()) {
      throw Invalid("url", "has credentials in it; write user and password_file");
    }
    if (!part(CURLUPART_QUERY).empty()) throw Invalid("url", "has a query; put it into the steps");
    site.prefix = part(CURLUPART_PATH);
    while (!site.prefix.empty() && site.prefix.back() == '/') site.prefix.pop_back();
    const bool is_usual = site.port == (site.is_tls() ? 443 : 80);
    site.origin = site.scheme + "://" + site.host + (is_usual ? "" : ":" + std::to_string(site.port));
    return site;
  }
};

// One answer, as far as it came.
struct Answer {
  long status = 0;
  std::string body;
  std::map<std::string, std::string> headers;  // by lower-case name, the last of each
  std::size_t header_bytes = 0;
  bool is_too_large = false;

  static std::size_t take_body(char* data, std::size_t size, std::size_t count, void* to) {
    auto& answer = *static_cast<Answer*>(to);
    if (answer.body.size() + size * count > max_body) {
      answer.is_too_large = true;
      return 0;
    }
    answer.body.append(data, size * count);
    return size * count;
  }
  static std::size_t take_header(char* data, std::size_t size, std::size_t count, void* to) {
    auto& answer = *static_cast<Answer*>(to);
    std::string_view line(data, size * count);
    answer.header_bytes += line.size();
    if (answer.header_bytes > max_headers) {
      answer.is_too_large = true;
      return 0;
    }
    const auto colon = line.find(':');
    if (line.substr(0, 5) == "HTTP/") answer.headers.clear();
    if (colon == std::string_view::npos) return size * count;
    std::string name(line.substr(0, colon));
    for (char& c : name) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
    while (!value.empty() && (value.back() == '\r' || value.back() == '\n' || value.back() == ' '))
      value.remove_suffix(1);
    answer.headers[name] = std::string(value);
    return size * count;
  }
};

class Scenario final : public check::Blocking {
 public:
  explicit Scenario(const Options& o)
      : site_(Site::read(o.text("url"))),
        family_(check::family_option(o)),
        verifies_(o.text("tls.mode") == "verify"),
        ca_(o.text_or("tls.ca", "")),
        certificate_(o.text_or("tls.certificate", "")),
        key_(o.text_or("tls.key", "")) {
    std::vector<std::string> known;
    for (const char* name : {"user", "password"}) {
      if (!o.has(name)) continue;
      given_[name] = o.text(name);
      if (given_[name].find_first_of("\r\n") != std::string::npos) throw Invalid(name, "holds a line break");
      known.emplace_back(name);
    }
    if (certificate_.empty() != key_.empty()) {
      throw Invalid(key_.empty() ? "tls.key" : "tls.certificate",
                    "tls.certificate and tls.key need each other: write both");
    }
    try {
      steps_ = read_script(o.text("steps"), known);
    } catch (const Mistake& mistake) {
      throw Invalid("steps", "line " + std::to_string(mistake.line) + ": " + mistake.what());
    }
    if (ca_.empty()) ca_ = check::system_authorities;
    curl_global_init(CURL_GLOBAL_DEFAULT);
  }

  Result probe(const Attempt& attempt) override {
    Stopwatch watch;
    Result result;
    Run run;
    try {
      result = play(attempt, watch, run);
    } catch (const Stop& stop) {
      result = stop.result;
    }
    watch.lap(Phase::exchange);
    for (auto& m : run.measures) result.measures.push_back(std::move(m));
    if (!run.address.empty()) result.fact("address", run.address);
    return watch.into(result);
  }

 private:
  // What goes on from step to step.
  struct Run {
    Easy easy;
    Values values;
    List resolve;
    std::string address;
    std::vector<check::Measure> measures;
  };

  Result play(const Attempt& attempt, Stopwatch& watch, Run& run) const {
    if (site_.is_tls()) {
      check::need_readable("tls.ca", verifies_ ? ca_ : "");
      check::need_readable("tls.certificate", certificate_);
      check::need_readable("tls.key", key_);
    }
    const Duration until = check::give_up_at(attempt);
    const std::string host = site_.host.front() == '[' ? site_.host.substr(1, site_.host.size() - 2) : site_.host;
    const std::vector<check::Address> addresses = check::resolve(host, site_.port, until, family_);
    watch.lap(Phase::resolve);
    std::string line = site_.host + ":" + std::to_string(site_.port) + ":";
    for (std::size_t i = 0; i < addresses.size(); ++i) {
      const std::string& a = addresses[i].numeric;
      line += (i > 0 ? "," : "") + (a.find(':') == std::string::npos ? a : "[" + a + "]");
    }
    append(run.resolve, line);
    run.easy.reset(curl_easy_init());
    if (run.easy == nullptr) return check::unknown(Cause::agent, "libcurl gives no handle");
    run.values = given_;

    std::optional<Result> failed;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      if (failed && !steps_[i].is_always) continue;
      try {
        take(i, until, run);
      } catch (const Stop& stop) {
        if (!failed) failed = stop.result;  // what an `always` step says after that is not news
      }
    }
    if (failed) return *failed;
    return check::pass(std::to_string(steps_.size()) + (steps_.size() == 1 ? " step" : " steps") + " with " +
                       site_.origin + " went as they should");
  }

  std::string where(std::size_t i) const {
    return "step " + std::to_string(i + 1) + " (" + check::tidy(steps_[i].name(), 100) + "): ";
  }
  [[noreturn]] void wrong(std::size_t i, const std::string& text) const {
    throw Stop(check::fail(Cause::content, where(i) + text));
  }

  void take(std::size_t i, Duration until, Run& run) const {
    const Step& step = steps_[i];
    const auto fill = [&](const std::string& text, Encoding encoding) {
      std::string missing;
      std::optional<std::string> out = filled(text, run.values, encoding, &missing);
      // Only an `always` step can miss a value: one that a failed step would have captured.
      if (!out) wrong(i, "{{" + missing + "}} was never captured");
      return std::move(*out);
    };
    const std::string url = target(i, fill(step.url, step.url.substr(0, 2) == "{{" ? Encoding::none : Encoding::url));
    List headers;
    append(headers, "Expect:");  // no waiting for 100-continue
    for (const auto& [name, value] : step.headers) append(headers, name + ": " + fill(value, Encoding::none));
    std::string body;
    if (step.body) body = fill(*step.body, step.body_encoding);
    for (const auto& [name, value] : step.form) {
      body += (body.empty() ? "" : "&") + url_encoded(name) + "=" + url_encoded(fill(value, Encoding::none));
    }
    const bool has_body = step.body.has_value() || !step.form.empty() || step.method == "POST" ||
                          step.method == "PUT" || step.method == "PATCH";
    if (step.body_encoding == Encoding::json) append(headers, "Content-Type: application/json");

    const Duration left = until - check::monotonic_now();
    if (left <= Duration::zero())
      throw Stop(check::fail(Cause::timeout, where(i) + "the time was over before it began"));
    Answer answer;
    char said[CURL_ERROR_SIZE] = "";
    CURL* easy = run.easy.get();
    curl_easy_reset(easy);  // keeps connections and cookies
    curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_RESOLVE, run.resolve.get());
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_COOKIEFILE, "");  // the cookie engine, with nothing in it
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "vitald");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, said);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, Answer::take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &answer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, Answer::take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, &answer);
    curl_easy_setopt(
        easy, CURLOPT_TIMEOUT_MS,
        static_cast<long>(std::max<long long>(1, std::chrono::duration_cast<std::chrono::milliseconds>(left).count())));
    if (has_body) {
      curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
      curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.data());
    }
    if (step.method == "HEAD") curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, step.method.c_str());
    if (site_.is_tls()) {
      curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verifies_ ? 1L : 0L);
      curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, verifies_ ? 2L : 0L);
      if (verifies_) curl_easy_setopt(easy, CURLOPT_CAINFO, ca_.c_str());
      if (!certificate_.empty()) {
        curl_easy_setopt(easy, CURLOPT_SSLCERT, certificate_.c_str());
        curl_easy_setopt(easy, CURLOPT_SSLKEY, key_.c_str());
      }
    }
    const Duration began = check::monotonic_now();
    const CURLcode code = curl_easy_perform(easy);
    const double took = std::chrono::duration<double>(check::monotonic_now() - began).count();
    run.measures.push_back({"step_" + std::to_string(i + 1), took, "s", check::no_threshold, check::no_threshold});
    char* ip = nullptr;
    if (curl_easy_getinfo(easy, CURLINFO_PRIMARY_IP, &ip) == CURLE_OK && ip != nullptr && *ip != '\0') run.address = ip;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &answer.status);
    if (answer.is_too_large) wrong(i, "the answer is larger than 1 MiB, or its header than 64 KiB");
    if (code != CURLE_OK) throw Stop(trouble(i, code, said, easy));
    judge(i, answer, run);
  }

  // Steps stay with their site: what was captured must not lead the password elsewhere.
  std::string target(std::size_t i, const std::string& url) const {
    if (!url.empty() && url.front() == '/' && url.substr(0, 2) != "//")
      return site_.origin + (steps_[i].url.front() == '/' ? site_.prefix : "") + url;
    const bool is_ours =
        url.substr(0, site_.origin.size()) == site_.origin &&
        (url.size() == site_.origin.size() || url[site_.origin.size()] == '/' || url[site_.origin.size()] == '?');
    if (!is_ours) wrong(i, "leads away from " + site_.origin);
    return url;
  }

  Result trouble(std::size_t i, CURLcode code, const char* said, CURL* easy) const {
    const std::string text = where(i);
    const std::string words = check::tidy(*said != '\0' ? said : curl_easy_strerror(code), 200);
    switch (code) {
      case CURLE_OPERATION_TIMEDOUT:
        return check::fail(Cause::timeout, text + "no whole answer in time");
      case CURLE_COULDNT_CONNECT: {
        long error = 0;
        curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &error);
        const net::Trouble t =
            error != 0 ? net::connect_trouble(static_cast<int>(error)) : net::fault(Cause::refused, words);
        return check::make_result(t.verdict, t.cause, text + t.text);
      }
      case CURLE_PEER_FAILED_VERIFICATION:
      case CURLE_SSL_CONNECT_ERROR:
      case CURLE_SSL_CIPHER:
        return check::fail(Cause::tls, text + words);
      case CURLE_SSL_CACERT_BADFILE:
      case CURLE_SSL_CERTPROBLEM:
        return check::unknown(Cause::config, text + words);
      case CURLE_OUT_OF_MEMORY:
      case CURLE_FAILED_INIT:
        return check::unknown(Cause::agent, text + words);
      default:
        return check::fail(Cause::protocol, text + words);
    }
  }

  void judge(std::size_t i, const Answer& answer, Run& run) const {
    const Step& step = steps_[i];
    if (!step.status.has(answer.status)) {
      const std::string text =
          "status " + std::to_string(answer.status) + ", expected " + check::tidy(step.status_text, 60);
      if (answer.status == 401 && given_.count("password") > 0) {
        throw Stop(check::unknown(Cause::auth, where(i) + text + ": it rejects our credentials"));
      }
      wrong(i, text);
    }
    const auto seek = [&](const std::string& written) {
      const std::optional<std::string> text = filled(written, run.values, Encoding::none, nullptr);
      return text && answer.body.find(*text) != std::string::npos;
    };
    for (const std::string& text : step.contains) {
      if (!seek(text)) wrong(i, "the answer does not contain " + check::shown(text));
    }
    for (const std::string& text : step.lacks) {
      if (seek(text)) wrong(i, "the answer contains " + check::shown(text));
    }
    for (const auto& [text, pattern] : step.matches) {
      if (!pattern->matches(answer.body)) wrong(i, "the answer does not match " + check::shown(text));
    }
    for (const Capture& c : step.captures) {
      std::optional<std::string> value = captured(c, answer.body, answer.headers);
      if (!value) wrong(i, "there is no " + c.name + " to capture in the answer");
      run.values[c.name] = std::move(*value);
    }
  }

  Site site_;
  int family_;
  bool verifies_;
  std::string ca_, certificate_, key_;
  Values given_;
  std::vector<Step> steps_;
};

constexpr const char* tls_modes[] = {"require", "verify", nullptr};

constexpr OptionRow options[] = {
    {"url", Type::string, nullptr, "the site, to whose paths the steps are put", "https://app.example.jp",
     VITAL_OPTION_REQUIRED},
    {"steps", Type::string, nullptr, "the requests, one a line, with what belongs to each indented below it",
     "GET /login", VITAL_OPTION_REQUIRED},
    {"user", Type::string, nullptr, "the value of {{user}} in the steps", "probe"},
    {"password", Type::string, nullptr, "the value of {{password}} in the steps", nullptr, VITAL_OPTION_SECRET},
    {"family", Type::choice, "any", "IP version a name is resolved to", nullptr, 0, check::families},
    {"tls.mode", Type::choice, "verify", "with https: verify (certificate and name) or require (encrypt alone)",
     nullptr, 0, tls_modes},
    {"tls.ca", Type::string, nullptr, "file with the authorities that verify trusts; default the system's",
     "/etc/vitald/ca.pem"},
    {"tls.certificate", Type::string, nullptr, "file with our own certificate"},
    {"tls.key", Type::string, nullptr, "file with its private key"},
};

}  // namespace
}  // namespace vital::scenario

using vital::scenario::options;
using vital::scenario::Scenario;
VITAL_BLOCKING_MODULE(Scenario, "scenario", "1.0", "several HTTP steps with captured values: log in, look, log out",
                      options)
