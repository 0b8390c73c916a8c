// vitald-deliver: a few HTTP requests for an output, one after another on one connection, in a process of its own. So
// the agent maps no libcurl, a name service that hangs is killed with us, and what TLS parses is parsed here.
//
// Reads one JSON object from standard input (where secrets come in) and writes one to standard output:
//   in:  {"bases": [URL...], "timeout_ms": N, "ca", "certificate", "key",
//         "requests": [{"method", "path", "headers": ["Name: value"...], "body"}...]}
//   out: {"replies": [{"status": N, "body": TEXT}...], "error": TEXT}
// The first base that answers is used. After an error, or a status of 400 and above, the rest is left out. Redirects
// are not followed: what is signed or secret is for whom the config names.
#include <curl/curl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t most_body = 384 * 1024;  // of an answer
constexpr std::size_t most_input = 4 * 1024 * 1024;

struct Easy {
  CURL* handle = curl_easy_init();
  ~Easy() { curl_easy_cleanup(handle); }
  Easy() = default;
  Easy(const Easy&) = delete;
  Easy& operator=(const Easy&) = delete;
  template <typename T>
  void set(CURLoption option, T value) const {
    curl_easy_setopt(handle, option, value);
  }
};

std::size_t take(const char* data, std::size_t size, std::size_t count, void* to) {
  auto& body = *static_cast<std::string*>(to);
  const std::size_t bytes = size * count;
  if (body.size() + bytes > most_body) return 0;  // curl says that writing failed
  body.append(data, bytes);
  return bytes;
}

void configure(const Easy& easy, const Json& job) {
  easy.set(CURLOPT_NOSIGNAL, 1L);
  easy.set(CURLOPT_PROTOCOLS_STR, "http,https");
  easy.set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  easy.set(CURLOPT_NOPROXY, "*");
  easy.set(CURLOPT_USERAGENT, "vitald/" VITALD_VERSION);
  easy.set(CURLOPT_TIMEOUT_MS, job.value("timeout_ms", 2000L));
  easy.set(CURLOPT_CONNECTTIMEOUT_MS, std::max(1L, job.value("timeout_ms", 2000L) / 2));
  const auto file = [&](const char* name, CURLoption option) {
    if (const std::string path = job.value(name, std::string()); !path.empty()) easy.set(option, path.c_str());
  };
  file("ca", CURLOPT_CAINFO);
  file("certificate", CURLOPT_SSLCERT);
  file("key", CURLOPT_SSLKEY);
}

// libcurl says after how many milliseconds it gave up: the same trouble would be news at each attempt.
std::string without_time(const std::string& error) {
  static const std::regex time(" after [0-9]+ (ms|milliseconds)");
  return std::regex_replace(error, time, "");
}

// One request; the error of the transport, or none.
std::string perform(const Easy& easy, const std::string& base, const Json& request, Json& replies) {
  const std::string url = base + request.value("path", std::string());
  const std::string method = request.value("method", std::string("GET"));
  const std::string body = request.value("body", std::string());
  curl_slist* headers = curl_slist_append(nullptr, "Expect:");
  for (const auto& line : request.value("headers", Json::array())) {
    headers = curl_slist_append(headers, line.get<std::string>().c_str());
  }
  const std::unique_ptr<curl_slist, void (*)(curl_slist*)> owner(headers, &curl_slist_free_all);
  std::string answer;
  char error[CURL_ERROR_SIZE] = "";
  easy.set(CURLOPT_ERRORBUFFER, error);
  easy.set(CURLOPT_URL, url.c_str());
  easy.set(CURLOPT_HTTPHEADER, headers);
  easy.set(CURLOPT_WRITEFUNCTION, &take);
  easy.set(CURLOPT_WRITEDATA, &answer);
  if (method == "GET") {
    easy.set(CURLOPT_HTTPGET, 1L);
    easy.set(CURLOPT_CUSTOMREQUEST, static_cast<const char*>(nullptr));
  } else {
    easy.set(CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
    easy.set(CURLOPT_COPYPOSTFIELDS, body.c_str());
    easy.set(CURLOPT_CUSTOMREQUEST, method.c_str());
  }
  const CURLcode code = curl_easy_perform(easy.handle);
  if (code != CURLE_OK) return without_time(error[0] != '\0' ? error : curl_easy_strerror(code));
  long status = 0;
  curl_easy_getinfo(easy.handle, CURLINFO_RESPONSE_CODE, &status);
  replies.push_back({{"status", status}, {"body", answer}});
  return {};
}

Json run(const Json& job) {
  Json out = {{"replies", Json::array()}, {"error", ""}};
  const Easy easy;
  configure(easy, job);
  const Json& requests = job.at("requests");
  for (const auto& base : job.at("bases")) {
    std::string error;
    for (const auto& request : requests) {
      error = perform(easy, base.get<std::string>(), request, out["replies"]);
      if (!error.empty() || out["replies"].back()["status"].get<long>() >= 400) break;
    }
    out["error"] = error;
    if (!out["replies"].empty()) break;  // this one answers: what it says counts
  }
  return out;
}

}  // namespace

int main() {
  prctl(PR_SET_PDEATHSIG, 9);
  prctl(PR_SET_DUMPABLE, 0);  // there are secrets in memory
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  curl_global_init(CURL_GLOBAL_DEFAULT);
  std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  Json out;
  try {
    if (text.size() > most_input) throw std::length_error("more than 4 MiB of input");
    out = run(Json::parse(text));
  } catch (const std::exception& e) {
    out = {{"replies", Json::array()}, {"error", std::string("vitald-deliver: ") + e.what()}};
  }
  std::cout << out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << std::flush;
  return 0;
}
