// HAProxy: sections of lines; what a `defaults` section says holds for the sections after it. See lint.hpp.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/duration.hpp"
#include "ctl/lint/lint.hpp"
#include "ctl/lint/words.hpp"

namespace vital::lint {
namespace {

using namespace std::chrono_literals;

constexpr Duration default_interval = 2s;
constexpr long default_fall = 3;
constexpr Duration long_timeout = 5s;

// What is in force in a section.
struct Section {
  std::string name;
  int httpchk_line = 0;  // 0 = there is none
  std::string uri;       // of the check, once known
  int expect_line = 0;
  int disable_on_404_line = 0;
  std::string balance;
  std::optional<Duration> timeout_check;
  std::map<std::string, std::string, std::less<>> server;  // default-server
  bool is_http_1_1_bare = false;
};

class Linter {
 public:
  explicit Linter(const Options& options) : options_(options) {}

  Warnings run(std::string_view text) {
    for (const Line& line : lines_of(text)) read(line);
    end_section();
    std::stable_sort(out_.begin(), out_.end(), [](const Warning& a, const Warning& b) { return a.line < b.line; });
    return std::move(out_);
  }

 private:
  void warn(int line, std::string what, std::string instead) {
    out_.push_back({line, std::move(what), std::move(instead)});
  }

  static bool begins_section(std::string_view word) {
    for (const std::string_view known :
         {"global", "defaults", "frontend", "backend", "listen", "peers", "resolvers", "userlist", "mailers", "cache",
          "program", "ring", "http-errors", "log-forward"}) {
      if (word == known) return true;
    }
    return false;
  }

  void read(const Line& line) {
    const std::string& first = line.words.front();
    if (begins_section(first)) {
      end_section();
      if (first == "defaults") defaults_ = {};
      is_defaults_ = first == "defaults";
      now_ = is_defaults_ ? Section{} : defaults_;
      now_.name = line.words.size() > 1 ? line.words[1] : first;
      return;
    }
    if (first == "balance" && line.words.size() > 1) now_.balance = line.words[1];
    if (first == "timeout" && line.after("timeout") == "check" && line.words.size() > 2) read_timeout(line);
    if (first == "option" && line.after("option") == "httpchk") read_httpchk(line);
    if (first == "http-check") read_http_check(line);
    if (first == "default-server") read_options(line, 1, now_.server);
    if (first == "server" || first == "server-template") read_server(line);
  }

  void end_section() {
    if (is_defaults_) {
      defaults_ = now_;
    } else if (now_.httpchk_line != 0 && now_.httpchk_line > section_said_) {
      if (now_.is_http_1_1_bare) {
        warn(now_.httpchk_line,
             "this sends HTTP/1.1 without Host: vitald answers it, a strict server in its place says 400",
             "option httpchk, and http-check send meth GET uri " + (now_.uri.empty() ? "/health" : now_.uri) +
                 " ver HTTP/1.1 hdr Host vitald");
      }
      const bool is_404 = now_.uri.find("as=haproxy-404") != std::string::npos;
      if (now_.disable_on_404_line != 0 && !is_404) {
        warn(now_.disable_on_404_line,
             "disable-on-404 without ?as=haproxy-404: vitald says 503 when it is drained, which is down",
             "/health?as=haproxy-404 as the path of the check");
      }
      if (now_.disable_on_404_line == 0 && is_404) {
        warn(now_.httpchk_line,
             "?as=haproxy-404 without disable-on-404: a drained server is down at once, sessions and all",
             "http-check disable-on-404 too");
      }
      section_said_ = now_.httpchk_line;
    }
    is_defaults_ = false;
  }

  void read_timeout(const Line& line) {
    now_.timeout_check = time_of(line.words[2], 1ms);
    if (now_.timeout_check && *now_.timeout_check > long_timeout) {
      warn(line.number,
           fmt::format("timeout check {} is how late a dead agent is noticed: vitald answers in milliseconds",
                       line.words[2]),
           "timeout check 1s");
    }
  }

  void read_httpchk(const Line& line) {
    now_.httpchk_line = line.number;
    now_.uri = line.words.size() > 3 ? line.words[3] : line.words.size() > 2 ? line.words[2] : "/";
    now_.is_http_1_1_bare = line.words.size() > 4 && line.words[4].starts_with("HTTP/1.1") &&
                            line.words[4].find("Host") == std::string::npos;
  }

  void read_http_check(const Line& line) {
    const std::string what = line.after("http-check");
    if (what == "disable-on-404") now_.disable_on_404_line = line.number;
    if (what == "send") {
      if (const std::string uri = line.after("uri"); !uri.empty()) now_.uri = uri;
      const bool has_host = std::any_of(line.words.begin(), line.words.end(),
                                        [](const std::string& w) { return w == "Host" || w == "host"; });
      if (has_host) now_.is_http_1_1_bare = false;
      if (line.after("ver").starts_with("HTTP/1.1") && !has_host) {
        warn(line.number, "this sends HTTP/1.1 without Host: vitald answers it, a strict server in its place says 400",
             "hdr Host vitald at the end");
      }
    }
    if (what != "expect") return;
    const std::string kind =
        line.words.size() > 2 ? line.words[2] == "!" && line.words.size() > 3 ? line.words[3] : line.words[2] : "";
    if (kind == "string" || kind == "rstring") {
      const std::string& pattern = line.words.back();
      const bool is_whole = kind == "rstring" && pattern.starts_with('^');
      if (!is_whole) {
        warn(
            line.number,
            fmt::format("expect {} {} matches anywhere in the body, in a check's name or in its output too", kind,
                        pattern),
            "http-check expect hdr name x-health-status value pass, or /health?format=text with expect rstring ^pass$");
      }
    }
    if (kind == "hdr" && line.after("name") == "x-health") {
      warn(line.number, "vitald has no header x-health", "name x-health-status value pass");
    }
  }

  static bool is_flag(std::string_view word) {
    for (const std::string_view known :
         {"check", "agent-check", "backup", "disabled", "enabled", "send-proxy", "send-proxy-v2", "check-send-proxy",
          "check-ssl", "ssl", "no-check", "no-agent-check", "check-via-socks4", "send-proxy-v2-ssl",
          "send-proxy-v2-ssl-cn", "non-stick", "tfo", "allow-0rtt"}) {
      if (word == known) return true;
    }
    return false;
  }

  static void read_options(const Line& line, std::size_t from, std::map<std::string, std::string, std::less<>>& to) {
    for (std::size_t i = from; i < line.words.size(); ++i) {
      const std::string& word = line.words[i];
      if (is_flag(word)) {
        if (word.starts_with("no-")) {
          to.erase(word.substr(3));
        } else {
          to[word] = "";
        }
      } else if (i + 1 < line.words.size()) {
        to[word] = line.words[++i];
      }
    }
  }

  void read_server(const Line& line) {
    auto server = now_.server;
    const std::size_t skip = line.words.front() == "server" ? 3 : 4;
    if (line.words.size() < skip) return;
    read_options(line, skip, server);
    const auto has = [&](std::string_view key) { return server.find(key) != server.end(); };
    const auto value = [&](std::string_view key) {
      const auto found = server.find(key);
      return found == server.end() ? std::string() : found->second;
    };
    const std::string& address = line.words[2];
    const bool asks_us = value("port") == options_.port || (address.ends_with(":" + options_.port) && !has("port"));
    if (has("agent-check")) {
      check_agent(line, server);
    } else if (has("agent-port") || has("agent-send") || has("agent-addr") || has("agent-inter")) {
      warn(line.number, "agent-port without agent-check: the agent is never asked", "agent-check too");
    }
    if (now_.httpchk_line != 0 && !has("check") && !has("agent-check") && !has("track")) {
      warn(line.number, "option httpchk, but this server is not checked", "check at the end of the line");
    }
    if (has("check") && asks_us && now_.httpchk_line == 0) {
      warn(line.number, "check without option httpchk only connects: the kernel answers that, even if vitald says fail",
           "option httpchk GET /health in this section");
    }
    if (has("check") && (asks_us || now_.httpchk_line != 0)) check_times(line, server);
  }

  void check_agent(const Line& line, const std::map<std::string, std::string, std::less<>>& server) {
    const auto weight = server.find("weight");
    const auto number = weight == server.end() ? std::optional<long>(1) : number_of(weight->second);
    if (number && *number > 0 && *number < 100) {
      warn(line.number,
           fmt::format("agent-check with weight {}{}: HAProxy multiplies integers, {}", *number,
                       weight == server.end() ? ", the default" : "",
                       *number == 1 ? "so every percentage below 100 is 0, which drains the server"
                                    : "so small percentages are rounded to 0, which drains the server"),
           "weight 100 on every server of the backend");
    }
    if (server.find("agent-port") == server.end()) {
      warn(line.number, "agent-check without agent-port is refused by HAProxy", "agent-port " + options_.agent_port);
    }
    if (server.find("check") == server.end()) {
      warn(line.number,
           "agent-check alone: an agent that dies changes nothing, HAProxy keeps the last line it was told",
           "check too, with option httpchk GET /livez");
    }
    for (const std::string_view fixed : {"static-rr", "source", "uri", "url_param", "hdr", "rdp-cookie"}) {
      if (!now_.balance.starts_with(fixed)) continue;
      warn(line.number, fmt::format("balance {} takes no weights but 0% and 100% from an agent", now_.balance),
           "balance roundrobin or leastconn");
    }
    if (const auto send = server.find("agent-send");
        send != server.end() && !send->second.ends_with("\\n") && !send->second.ends_with('n')) {
      warn(line.number, "agent-send without \\n at its end: vitald waits 100 ms for the end of the line",
           fmt::format("agent-send \"{}\\n\"", send->second));
    }
  }

  void check_times(const Line& line, const std::map<std::string, std::string, std::less<>>& server) {
    if (!options_.detect_within) return;
    const auto of = [&](std::string_view key, Duration otherwise) {
      const auto found = server.find(key);
      return found == server.end() ? otherwise : time_of(found->second, 1ms).value_or(otherwise);
    };
    const Duration interval = of("inter", default_interval);
    const Duration fast = of("fastinter", interval);
    const auto fall_text = server.find("fall");
    const long fall = fall_text == server.end() ? default_fall : number_of(fall_text->second).value_or(default_fall);
    const Duration timeout = now_.timeout_check.value_or(interval);
    const Duration worst = interval + (fall - 1) * fast + timeout;
    if (worst <= *options_.detect_within) return;
    warn(line.number,
         fmt::format("inter {}, fall {} and a timeout of {} take up to {}, later than the {} that were promised",
                     friendly_duration(interval), fall, friendly_duration(timeout), friendly_duration(worst),
                     friendly_duration(*options_.detect_within)),
         "inter 1s fall 1 and timeout check 1s: vitald has counted already");
  }

  const Options& options_;
  Section now_, defaults_;
  bool is_defaults_ = false;
  int section_said_ = 0;  // the httpchk line complained about last: of defaults it is said once
  Warnings out_;
};

}  // namespace

Warnings haproxy(std::string_view text, const Options& options) { return Linter(options).run(text); }

}  // namespace vital::lint
