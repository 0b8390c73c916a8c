// vitald-cluster: the HTTP calls of the store of leases, in a process of their own. So the agent maps no libcurl, and a
// name service or a handshake that hangs delays nothing there.
//
// Lines of JSON. First, once: {"ca", "certificate", "key"}. Then in:  {"id", "url", "authorization", "body",
// "not_after_ns"}, a POST that must have left and been answered by then (CLOCK_MONOTONIC); out: {"id", "status",
// "body", "error"}. Many at a time; connections are kept. Ends when its standard input does.
#include <curl/curl.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t most_body = 2 * 1024 * 1024;  // of an answer
constexpr std::size_t most_line = 4 * 1024 * 1024;
constexpr std::size_t most_calls = 256;
constexpr long most_connections = 16;

long long now_ns() {
  timespec ts{};
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

struct Settings {
  std::string ca, certificate, key;
};

// One call under way.
struct Call {
  Json id;
  std::string body, answer;
  curl_slist* headers = nullptr;
  std::array<char, CURL_ERROR_SIZE> error{};
  CURL* easy = curl_easy_init();

  Call() = default;
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call() {
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
  }
  template <typename T>
  void set(CURLoption option, T value) const {
    curl_easy_setopt(easy, option, value);
  }
};

std::size_t take(const char* data, std::size_t size, std::size_t count, void* to) {
  auto& body = *static_cast<std::string*>(to);
  if (body.size() + size * count > most_body) return 0;  // curl says that writing failed
  body.append(data, size * count);
  return size * count;
}

class Helper {
 public:
  Helper() { curl_multi_setopt(multi_, CURLMOPT_MAX_TOTAL_CONNECTIONS, most_connections); }
  ~Helper() {
    for (const auto& [easy, call] : calls_) curl_multi_remove_handle(multi_, easy);
    calls_.clear();
    curl_multi_cleanup(multi_);
  }
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;

  int run() {
    while (true) {
      int running = 0;
      curl_multi_perform(multi_, &running);
      collect();
      curl_waitfd input{STDIN_FILENO, CURL_WAIT_POLLIN, 0};
      int count = 0;
      if (curl_multi_poll(multi_, &input, 1, 1000, &count) != CURLM_OK) return 1;
      if (input.revents != 0 && !read_some()) return 0;
    }
  }

 private:
  // False at the end of the input.
  bool read_some() {
    std::array<char, 65536> part{};
    const ssize_t n = read(STDIN_FILENO, part.data(), part.size());
    if (n < 0) return errno == EINTR || errno == EAGAIN;
    if (n == 0) return false;
    in_.append(part.data(), static_cast<std::size_t>(n));
    for (std::size_t end = in_.find('\n'); end != std::string::npos; end = in_.find('\n')) {
      const Json line = Json::parse(in_.substr(0, end), nullptr, false);
      in_.erase(0, end + 1);
      if (!line.is_object()) return false;
      line.contains("id") ? begin(line) : configure(line);
    }
    return in_.size() <= most_line;
  }

  void configure(const Json& line) {
    settings_ = {line.value("ca", std::string()), line.value("certificate", std::string()),
                 line.value("key", std::string())};
  }

  void begin(const Json& line) {
    const long long left = (line.value("not_after_ns", 0LL) - now_ns()) / 1000000;
    if (left <= 0) return answer(line["id"], 0, {}, "did not leave in time");
    if (calls_.size() == most_calls) return answer(line["id"], 0, {}, "is one call too many");
    auto call = std::make_unique<Call>();
    call->id = line["id"];
    call->body = line.value("body", std::string());
    call->headers = curl_slist_append(nullptr, "Expect:");
    call->headers = curl_slist_append(call->headers, "Content-Type: application/json");
    if (const std::string token = line.value("authorization", std::string()); !token.empty()) {
      call->headers = curl_slist_append(call->headers, ("Authorization: " + token).c_str());
    }
    const std::string url = line.value("url", std::string());
    call->set(CURLOPT_URL, url.c_str());
    call->set(CURLOPT_NOSIGNAL, 1L);
    call->set(CURLOPT_PROTOCOLS_STR, "http,https");
    call->set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    call->set(CURLOPT_NOPROXY, "*");
    call->set(CURLOPT_USERAGENT, "vitald/" VITALD_VERSION);
    call->set(CURLOPT_TIMEOUT_MS, static_cast<long>(left));
    call->set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::max(1LL, left / 2)));
    call->set(CURLOPT_TCP_NODELAY, 1L);
    call->set(CURLOPT_HTTPHEADER, call->headers);
    call->set(CURLOPT_POSTFIELDSIZE, static_cast<long>(call->body.size()));
    call->set(CURLOPT_POSTFIELDS, call->body.c_str());
    call->set(CURLOPT_ERRORBUFFER, call->error.data());
    call->set(CURLOPT_WRITEFUNCTION, &take);
    call->set(CURLOPT_WRITEDATA, &call->answer);
    if (!settings_.ca.empty()) call->set(CURLOPT_CAINFO, settings_.ca.c_str());
    if (!settings_.certificate.empty()) call->set(CURLOPT_SSLCERT, settings_.certificate.c_str());
    if (!settings_.key.empty()) call->set(CURLOPT_SSLKEY, settings_.key.c_str());
    CURL* easy = call->easy;
    curl_multi_add_handle(multi_, easy);
    calls_.emplace(easy, std::move(call));
  }

  void collect() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const auto at = calls_.find(message->easy_handle);
      const CURLcode code = message->data.result;
      long status = 0;
      curl_easy_getinfo(at->first, CURLINFO_RESPONSE_CODE, &status);
      curl_multi_remove_handle(multi_, at->first);
      const std::unique_ptr<Call> call = std::move(at->second);
      calls_.erase(at);
      std::string error;
      if (code == CURLE_OPERATION_TIMEDOUT) {
        error = "did not answer in time";
      } else if (code != CURLE_OK) {
        error = call->error[0] != '\0' ? call->error.data() : curl_easy_strerror(code);
      }
      answer(call->id, status, call->answer, error);
    }
  }

  static void answer(const Json& id, long status, const std::string& body, const std::string& error) {
    const std::string line = Json{{"id", id}, {"status", status}, {"body", body}, {"error", error}}.dump(
                                 -1, ' ', false, Json::error_handler_t::replace) +
                             "\n";
    for (std::size_t sent = 0; sent < line.size();) {
      const ssize_t n = write(STDOUT_FILENO, line.data() + sent, line.size() - sent);
      if (n > 0) sent += static_cast<std::size_t>(n);
      if (n < 0 && errno == EAGAIN) {
        pollfd room{STDOUT_FILENO, POLLOUT, 0};
        poll(&room, 1, 1000);
      } else if (n < 0 && errno != EINTR) {
        _exit(0);  // the agent is gone
      }
    }
  }

  CURLM* multi_ = curl_multi_init();
  Settings settings_;
  std::string in_;
  std::map<CURL*, std::unique_ptr<Call>> calls_;
};

}  // namespace

int main() {
  prctl(PR_SET_PDEATHSIG, 9);
  prctl(PR_SET_DUMPABLE, 0);  // there are secrets in memory
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  curl_global_init(CURL_GLOBAL_DEFAULT);
  return Helper().run();
}
