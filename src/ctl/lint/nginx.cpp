// nginx and nginx Plus: statements in blocks. See lint.hpp.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/duration.hpp"
#include "ctl/lint/lint.hpp"
#include "ctl/lint/words.hpp"

namespace vital::lint {
namespace {

using namespace std::chrono_literals;

constexpr Duration our_idle_time = 75s;
constexpr Duration default_interval = 5s;  // of health_check

class Linter {
 public:
  Linter(std::string_view text, const Options& options) : statements_(statements_of(text)), options_(options) {}

  Warnings run() {
    for (const Statement& s : statements_) {
      if (is_in(s, "upstream")) in_upstream(s);
      if (s.words.front() == "health_check") check_health(s);
      if (s.words.front() == "proxy_next_upstream") check_next(s);
      if (s.blocks.size() >= 1 && s.blocks.back().starts_with("match ")) in_match(s);
    }
    for (const auto& [name, upstream] : upstreams_) {
      if (upstream.servers == 1) {
        warn(upstream.line,
             fmt::format("upstream {} has one server: nginx never takes the only one out, max_fails counts for nothing",
                         name),
             "two servers at least, or leave the upstream out");
      }
    }
    std::stable_sort(out_.begin(), out_.end(), [](const Warning& a, const Warning& b) { return a.line < b.line; });
    return std::move(out_);
  }

 private:
  struct Upstream {
    int line = 0;
    int servers = 0;
  };

  void warn(int line, std::string what, std::string instead) {
    out_.push_back({line, std::move(what), std::move(instead)});
  }
  static bool is_in(const Statement& s, std::string_view block) {
    return !s.blocks.empty() && s.blocks.back().starts_with(std::string(block) + " ");
  }

  void in_upstream(const Statement& s) {
    Upstream& upstream = upstreams_[s.blocks.back().substr(9)];
    if (upstream.line == 0) upstream.line = s.number;
    const std::string& first = s.words.front();
    if (first == "server") {
      ++upstream.servers;
      for (const std::string& word : s.words) {
        if (value_of(word, "max_fails") == "0") {
          warn(s.number, "max_fails=0: nginx without Plus has no other way to take a server out",
               "max_fails=1 fail_timeout=5s");
        }
      }
    }
    if ((first == "keepalive_timeout" || first == "keepalive_time") && s.words.size() > 1) {
      const auto time = time_of(s.words[1], 1s);
      if (first == "keepalive_timeout" && time && *time >= our_idle_time) {
        warn(s.number,
             fmt::format("{} {}: vitald closes a connection that idles for 75 s, and a request on its way then fails",
                         first, s.words[1]),
             "keepalive_timeout 60s");
      }
    }
  }

  void check_health(const Statement& s) {
    std::map<std::string, std::string> options;
    for (const std::string& word : s.words) {
      const std::size_t equals = word.find('=');
      if (equals != std::string::npos) options[word.substr(0, equals)] = word.substr(equals + 1);
    }
    if (options.find("uri") == options.end()) {
      warn(s.number, "health_check without uri asks /, of whatever listens at the server's own port",
           "health_check uri=/health port=" + options_.port);
    } else if (options["uri"].starts_with("/health") && options.find("port") == options.end()) {
      warn(s.number, "health_check without port asks the application, not vitald", "port=" + options_.port);
    }
    const Duration interval = time_of(options["interval"], 1s).value_or(default_interval);
    const long fails = number_of(options["fails"]).value_or(1);
    if (options_.detect_within && interval * static_cast<int>(fails) > *options_.detect_within) {
      warn(s.number,
           fmt::format("interval {} and fails {} take up to {}, later than the {} that were promised",
                       friendly_duration(interval), fails, friendly_duration(interval * static_cast<int>(fails)),
                       friendly_duration(*options_.detect_within)),
           "interval=2s fails=1: vitald has counted already");
    }
  }

  void check_next(const Statement& s) {
    const bool has_503 = std::find(s.words.begin(), s.words.end(), "http_503") != s.words.end();
    const bool is_off = std::find(s.words.begin(), s.words.end(), "off") != s.words.end();
    if (has_503 || is_off) return;
    warn(s.number, "proxy_next_upstream without http_503: the answer of a server that is drained goes to the user",
         "proxy_next_upstream error timeout http_503");
  }

  void in_match(const Statement& s) {
    if (s.words.front() != "body" || s.words.size() < 3) return;
    const std::string& pattern = s.words.back();
    if (pattern.find("pass") == std::string::npos) {
      warn(s.number, fmt::format("body {}: vitald's body says pass, warn or fail", pattern),
           "header X-Health-Status = pass, or status 200 alone");
    } else {
      warn(s.number, fmt::format("body {} matches anywhere, in a check's output too", pattern),
           "header X-Health-Status = pass");
    }
  }

  const std::vector<Statement> statements_;
  const Options& options_;
  std::map<std::string, Upstream> upstreams_;
  Warnings out_;
};

}  // namespace

Warnings nginx(std::string_view text, const Options& options) { return Linter(text, options).run(); }

}  // namespace vital::lint
