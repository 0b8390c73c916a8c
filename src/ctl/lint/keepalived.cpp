// keepalived: blocks in braces, a line a statement. See lint.hpp.
#include <fmt/format.h>

#include <algorithm>

#include "base/duration.hpp"
#include "ctl/lint/lint.hpp"
#include "ctl/lint/words.hpp"

namespace vital::lint {
namespace {

using namespace std::chrono_literals;

constexpr Duration default_delay_loop = 60s;
constexpr Duration long_timeout = 5s;

struct Block {
  std::string name;
  int line = 0;
  std::vector<Line> lines;  // directly in it
  const Line* find(std::string_view key) const {
    for (const Line& each : lines) {
      if (each.words.front() == key) return &each;
    }
    return nullptr;
  }
  std::string value(std::string_view key) const {
    const Line* found = find(key);
    return found == nullptr ? "" : found->after(key);
  }
};

class Linter {
 public:
  explicit Linter(const Options& options) : options_(options) {}

  Warnings run(std::string_view text) {
    for (Line line : lines_of(text)) {
      // "url { path /x }" on one line is three statements.
      std::vector<std::string> words;
      for (const std::string& word : line.words) {
        if (word == "{") {
          open(words, line.number);
          words.clear();
        } else if (word == "}") {
          add(words, line.number);
          words.clear();
          close();
        } else if (is_key(word) && !words.empty() && is_statement(words)) {
          add(words, line.number);
          words = {word};
        } else {
          words.push_back(word);
        }
      }
      add(words, line.number);
    }
    while (!open_.empty()) close();
    std::stable_sort(out_.begin(), out_.end(), [](const Warning& a, const Warning& b) { return a.line < b.line; });
    return std::move(out_);
  }

 private:
  void warn(int line, std::string what, std::string instead) {
    out_.push_back({line, std::move(what), std::move(instead)});
  }
  static bool is_key(std::string_view word) {
    for (const std::string_view known :
         {"path", "digest", "status_code", "connect_timeout", "connect_port", "url", "interval", "fall", "rise",
          "timeout", "weight", "script", "file", "delay_loop", "retry", "delay_before_retry"}) {
      if (word == known) return true;
    }
    return false;
  }
  static bool is_statement(const std::vector<std::string>& words) { return words.size() >= 2 && is_key(words.front()); }

  void open(const std::vector<std::string>& words, int line) {
    Block block;
    for (const std::string& word : words) block.name += (block.name.empty() ? "" : " ") + word;
    block.line = line;
    open_.push_back(std::move(block));
  }
  void add(const std::vector<std::string>& words, int line) {
    if (!words.empty() && !open_.empty()) open_.back().lines.push_back({line, words});
  }
  void close() {
    if (open_.empty()) return;
    const Block block = std::move(open_.back());
    open_.pop_back();
    const auto is = [&](std::string_view name) {
      return block.name == name || block.name.starts_with(std::string(name) + " ");
    };
    if (is("url")) return check_url(block);
    if (is("HTTP_GET") || is("SSL_GET")) return check_get(block);
    if (is("virtual_server")) return check_virtual(block);
    if (is("vrrp_script")) return check_script(block);
    if (is("vrrp_track_file") || is("track_file")) return check_track_file(block);
  }

  void check_url(const Block& url) {
    const Line* digest = url.find("digest");
    const std::string path = url.value("path");
    if (digest != nullptr && path.find("format=text") == std::string::npos) {
      warn(digest->number,
           fmt::format("digest of {}: its body holds times and changes with every answer", path.empty() ? "/" : path),
           "path /health?format=text, whose bytes are the same every time, or status_code 200 instead of digest");
    }
    if (digest == nullptr && url.find("status_code") == nullptr) {
      warn(url.line, "without status_code any answer of 200 to 299 passes, a redirect does not", "status_code 200");
    }
  }

  void check_get(const Block& get) {
    if (const Line* line = get.find("connect_timeout")) {
      const auto timeout = time_of(line->after("connect_timeout"), 1s);
      if (timeout && *timeout > long_timeout) {
        warn(line->number,
             fmt::format("connect_timeout {} holds for each read, and there is no limit for all of them",
                         line->after("connect_timeout")),
             "connect_timeout 2");
      }
    }
    retry_ = number_of(get.value("retry")).value_or(number_of(get.value("nb_get_retry")).value_or(1));
    retry_delay_ = time_of(get.value("delay_before_retry"), 1s).value_or(3s);
  }

  void check_virtual(const Block& server) {
    const Line* line = server.find("delay_loop");
    const Duration delay =
        line == nullptr ? default_delay_loop : time_of(line->after("delay_loop"), 1s).value_or(default_delay_loop);
    const int at = line == nullptr ? server.line : line->number;
    if (line == nullptr) warn(at, "without delay_loop the real servers are asked once in 60 s", "delay_loop 2");
    const Duration worst = delay + static_cast<int>(retry_) * retry_delay_;
    if (options_.detect_within && worst > *options_.detect_within) {
      warn(at,
           fmt::format("delay_loop {} with {} retries takes up to {}, later than the {} that were promised",
                       friendly_duration(delay), retry_, friendly_duration(worst),
                       friendly_duration(*options_.detect_within)),
           "delay_loop 2 and retry 0: vitald has counted already");
    }
  }

  void check_script(const Block& block) {
    const Line* script = block.find("script");
    if (script == nullptr) return;
    std::string command;
    for (std::size_t i = 1; i < script->words.size(); ++i) command += script->words[i] + " ";
    const bool is_curl = command.find("curl") != std::string::npos;
    if (is_curl && command.find("-m") == std::string::npos && command.find("--max-time") == std::string::npos) {
      warn(script->number, "curl without -m waits for ever for an agent that does not answer",
           "curl -fsS -m 1 -o /dev/null http://127.0.0.1:" + options_.port + "/health");
    }
    if (is_curl && command.find("-f") == std::string::npos && command.find("--fail") == std::string::npos) {
      warn(script->number, "curl without -f ends with 0 whatever the status code is",
           "curl -fsS -m 1 -o /dev/null http://127.0.0.1:" + options_.port + "/health");
    }
    if (is_curl) {
      warn(block.line, "a process each interval, for what vitald can write into a file",
           "outputs: [{type: keepalived, path: ...}] in vitald's configuration, and vrrp_track_file here");
    }
    if (!options_.detect_within) return;
    const Duration interval = time_of(block.value("interval"), 1s).value_or(1s);
    const long fall = number_of(block.value("fall")).value_or(1);
    const Duration worst = fall * interval + time_of(block.value("timeout"), 1s).value_or(interval);
    if (worst <= *options_.detect_within) return;
    warn(block.line,
         fmt::format("interval and fall {} take up to {}, later than the {} that were promised", fall,
                     friendly_duration(worst), friendly_duration(*options_.detect_within)),
         "interval 1, fall 1, rise 1");
  }

  void check_track_file(const Block& block) {
    const Line* weight = block.find("weight");
    if (block.find("file") == nullptr) return;  // an interface's reference to one
    if (weight == nullptr || !weight->has("reverse")) {
      warn(weight == nullptr ? block.line : weight->number,
           "without reverse a file that is missing or empty counts as 0, which is healthy",
           "weight 0 reverse: then 1 is healthy, and an agent that never wrote keeps the address away");
    }
  }

  const Options& options_;
  std::vector<Block> open_;
  long retry_ = 1;
  Duration retry_delay_ = 3s;
  Warnings out_;
};

}  // namespace

Warnings keepalived(std::string_view text, const Options& options) { return Linter(options).run(text); }

}  // namespace vital::lint
