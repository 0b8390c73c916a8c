// The s3 check: puts an object into a bucket, gets it back, compares, deletes it; or only looks whether an object is
// there. What a bucket's port, its TLS and a 403 without credentials do not show: that objects are stored and come
// back. It speaks S3's REST interface with Signature Version 4, with libcurl, and blocks. [worker]
#include <unistd.h>

#include "../findings.hpp"
#include "../http/client.hpp"
#include "../http/sigv4.hpp"

namespace vital::s3 {
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
using http::Answer;
using http::Client;

// "<Error><Code>NoSuchBucket</Code>..." -> "NoSuchBucket".
std::string error_code(const std::string& body) {
  const std::size_t begin = body.find("<Code>");
  if (begin == std::string::npos) return {};
  const std::size_t end = body.find("</Code>", begin);
  return end == std::string::npos ? std::string() : check::tidy(body.substr(begin + 6, end - begin - 6), 60);
}

class S3 final : public check::Blocking {
 public:
  explicit S3(const Options& o)
      : site_(http::Site::read(o.text("url"), "https://s3.ap-northeast-1.amazonaws.com/my-bucket")),
        trust_(http::Trust::options(o)),
        family_(check::family_option(o)),
        keys_{o.text("region"), "s3", o.text("access_key"), o.text_or("secret_key", ""),
              o.text_or("session_token", "")},
        object_(o.text_or("object", "")),
        writes_(o.boolean("write")),
        prefix_(o.text("write_prefix")) {
    if (keys_.secret_key.empty()) throw Invalid("secret_key", "is needed; write secret_key_file");
    for (const std::string* text : {&keys_.region, &keys_.access_key, &keys_.session_token}) {
      if (text->find_first_of("\r\n") != std::string::npos) throw Invalid("access_key", "holds a line break");
    }
    if (object_.empty() && !writes_)
      throw Invalid("object", "is needed with write: false; write the name of an object that is there");
    curl_global_init(CURL_GLOBAL_DEFAULT);
  }

  Result probe(const Attempt& attempt) override {
    Stopwatch watch;
    Client client(site_, trust_);
    Result seen;
    Result result = check::stoppable([&] {
      const Duration until = check::give_up_at(attempt);
      client.resolve(until, family_);
      watch.lap(Phase::resolve);
      return look(client, until, seen);
    });
    watch.lap(Phase::exchange);
    result.measures = std::move(seen.measures);
    if (!client.address().empty()) result.fact("address", client.address());
    return watch.into(result);
  }

 private:
  Result look(Client& client, Duration until, Result& seen) const {
    if (!object_.empty()) {
      const Answer answer = ask(client, "HEAD", object_, {}, until, seen, "head");
      if (answer.status != 200) throw Stop(refused("HEAD", object_, answer));
    }
    if (writes_) store(client, until, seen);
    const std::string bucket = site_.origin + site_.prefix;
    return check::pass(writes_ ? bucket + " stores an object and gives it back"
                               : bucket + " has " + check::shown(object_));
  }

  void store(Client& client, Duration until, Result& seen) const {
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    const std::string value =
        std::string(host) + "-" + std::to_string(getpid()) + "-" + std::to_string(check::monotonic_now().count());
    const std::string key = prefix_ + value;
    const Answer put = ask(client, "PUT", key, value, until, seen, "put");
    if (put.status != 200) throw Stop(refused("PUT", key, put));
    std::optional<Stop> trouble;
    try {
      const Answer got = ask(client, "GET", key, {}, until, seen, "get");
      if (got.status != 200) throw Stop(refused("GET", key, got));
      if (got.body != value)
        throw Stop(check::fail(Cause::content, target("GET", key) + "it is not what was put there"));
    } catch (const Stop& stop) {
      trouble = stop;
    }
    // Also after a read that failed, while there is time.
    try {
      const Answer gone = ask(client, "DELETE", key, {}, until, seen, "delete");
      if (gone.status != 204 && gone.status != 200) throw Stop(refused("DELETE", key, gone));
    } catch (const Stop& stop) {
      if (!trouble) throw;
    }
    if (trouble) throw Stop(*trouble);
  }

  Answer ask(Client& client, const std::string& method, const std::string& key, const std::optional<std::string>& body,
             Duration until, Result& seen, const char* measure) const {
    const std::string path = site_.prefix + "/" + http::aws_encoded(key, true);
    http::Request request{method, site_.origin + path, {}, body};
    if (body) request.headers.emplace_back("Content-Type", "application/octet-stream");
    const http::ToSign to_sign{method,          site_.origin.substr(site_.scheme.size() + 3),       path, "",
                               request.headers, body ? std::string_view(*body) : std::string_view()};
    for (auto& header : http::sign(to_sign, keys_, std::time(nullptr))) request.headers.push_back(std::move(header));
    const Duration began = check::monotonic_now();
    Answer answer = client.ask(request, until, target(method, key));
    seen.measure(measure, std::chrono::duration<double>(check::monotonic_now() - began).count(), "s");
    return answer;
  }

  // Without what differs from probe to probe.
  std::string target(const std::string& method, const std::string& key) const {
    const std::string named = key == object_ ? key : prefix_ + "*";
    return site_.origin + site_.prefix + ": " + method + " " + check::tidy(named, 100) + ": ";
  }

  Result refused(const std::string& method, const std::string& key, const Answer& answer) const {
    const std::string code = error_code(answer.body);
    const std::string text =
        target(method, key) + "HTTP " + std::to_string(answer.status) + (code.empty() ? "" : " " + code);
    if (code == "RequestTimeTooSkewed") return check::unknown(Cause::auth, text + ": its clock and ours differ");
    if (answer.status == 401 || answer.status == 403)
      return check::unknown(Cause::auth, text + ": it rejects our keys");
    if (code == "AuthorizationHeaderMalformed" || (answer.status >= 301 && answer.status <= 308))
      return check::unknown(Cause::config, text + ": look at url and region");
    return check::fail(Cause::content, text);
  }

  const http::Site site_;
  const http::Trust trust_;
  const int family_;
  const http::AwsKeys keys_;
  const std::string object_;
  const bool writes_;
  const std::string prefix_;
};

constexpr OptionRow options[] = {
    {"url", Type::string, nullptr, "the bucket: the endpoint and its name, or its own host",
     "https://s3.ap-northeast-1.amazonaws.com/my-bucket", VITAL_OPTION_REQUIRED},
    {"region", Type::string, "us-east-1", "the region that is signed for", "ap-northeast-1"},
    {"access_key", Type::string, nullptr, "the id of the access key", "AKIAIOSFODNN7EXAMPLE", VITAL_OPTION_REQUIRED},
    {"secret_key", Type::string, nullptr, "the secret of the access key", nullptr, VITAL_OPTION_SECRET},
    {"session_token", Type::string, nullptr, "the token of temporary keys", nullptr, VITAL_OPTION_SECRET},
    {"write", Type::boolean, "true", "put an object of our own, get it back, compare, delete it"},
    {"write_prefix", Type::string, "vitald-probe/", "what the names of those objects begin with"},
    {"object", Type::string, nullptr, "an object that must be there", "health.txt"},
    VITAL_CLIENT_ROWS,
};

}  // namespace
}  // namespace vital::s3

using vital::s3::options;
using vital::s3::S3;
VITAL_BLOCKING_MODULE(S3, "s3", "1.0", "an S3 bucket: an object put, read back and deleted", options)
