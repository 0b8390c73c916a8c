// The scenario check: several HTTP requests one after the other, as a user makes them: log in, look, log out. Cookies
// are kept, values are captured from one answer and put into the next request. It blocks in libcurl, whose timeouts can
// be relied on once the name is resolved, which we do ourselves; the worker's kill is behind that. [worker]
#include "../http/client.hpp"
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
using http::Answer;
using http::Site;
using http::Trust;

// Measures a step, however it ends.
class Timed {
 public:
  Timed(std::vector<check::Measure>& to, std::size_t step) : to_(to), step_(step) {}
  ~Timed() {
    const double took = std::chrono::duration<double>(check::monotonic_now() - began_).count();
    to_.push_back({"step_" + std::to_string(step_ + 1), took, "s", check::no_threshold, check::no_threshold});
  }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  std::vector<check::Measure>& to_;
  const std::size_t step_;
  const Duration began_ = check::monotonic_now();
};

class Scenario final : public check::Blocking {
 public:
  explicit Scenario(const Options& o)
      : site_(Site::read(o.text("url"), "https://app.example.jp")),
        trust_(Trust::options(o)),
        family_(check::family_option(o)) {
    std::vector<std::string> known;
    for (const char* name : {"user", "password"}) {
      if (!o.has(name)) continue;
      given_[name] = o.text(name);
      if (given_[name].find_first_of("\r\n") != std::string::npos) throw Invalid(name, "holds a line break");
      known.emplace_back(name);
    }
    try {
      steps_ = read_script(o.text("steps"), known);
    } catch (const Mistake& mistake) {
      throw Invalid("steps", "line " + std::to_string(mistake.line) + ": " + mistake.what());
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
  }

  Result probe(const Attempt& attempt) override {
    Stopwatch watch;
    Run run(site_, trust_);
    Result result = check::stoppable([&] { return play(attempt, watch, run); });
    watch.lap(Phase::exchange);
    for (auto& m : run.measures) result.measures.push_back(std::move(m));
    if (!run.client.address().empty()) result.fact("address", run.client.address());
    return watch.into(result);
  }

 private:
  // What goes on from step to step.
  struct Run {
    Run(const Site& site, const Trust& trust) : client(site, trust) {}
    http::Client client;
    Values values;
    std::vector<check::Measure> measures;
  };

  Result play(const Attempt& attempt, Stopwatch& watch, Run& run) const {
    const Duration until = check::give_up_at(attempt);
    run.client.resolve(until, family_);
    watch.lap(Phase::resolve);
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
    http::Request request{step.method, url};
    for (const auto& [name, value] : step.headers) request.headers.emplace_back(name, fill(value, Encoding::none));
    std::string body;
    if (step.body) body = fill(*step.body, step.body_encoding);
    for (const auto& [name, value] : step.form) {
      body += (body.empty() ? "" : "&") + url_encoded(name) + "=" + url_encoded(fill(value, Encoding::none));
    }
    const bool has_body = step.body.has_value() || !step.form.empty() || step.method == "POST" ||
                          step.method == "PUT" || step.method == "PATCH";
    if (step.body_encoding == Encoding::json) request.headers.emplace_back("Content-Type", "application/json");
    if (has_body) request.body = std::move(body);
    const Timed timed(run.measures, i);
    judge(i, run.client.ask(request, until, where(i)), run);
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
  Trust trust_;
  int family_;
  Values given_;
  std::vector<Step> steps_;
};

constexpr OptionRow options[] = {
    {"url", Type::string, nullptr, "the site, to whose paths the steps are put", "https://app.example.jp",
     VITAL_OPTION_REQUIRED},
    {"steps", Type::string, nullptr, "the requests, one a line, with what belongs to each indented below it",
     "GET /login", VITAL_OPTION_REQUIRED},
    {"user", Type::string, nullptr, "the value of {{user}} in the steps", "probe"},
    {"password", Type::string, nullptr, "the value of {{password}} in the steps", nullptr, VITAL_OPTION_SECRET},
    VITAL_CLIENT_ROWS,
};

}  // namespace
}  // namespace vital::scenario

using vital::scenario::options;
using vital::scenario::Scenario;
VITAL_BLOCKING_MODULE(Scenario, "scenario", "1.0", "several HTTP steps with captured values: log in, look, log out",
                      options)
