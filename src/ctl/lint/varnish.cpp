// Varnish: probes of backends, in VCL. See lint.hpp.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "ctl/lint/lint.hpp"
#include "ctl/lint/words.hpp"

namespace vital::lint {
namespace {

using namespace std::chrono_literals;

constexpr Duration default_interval = 5s;
constexpr Duration default_timeout = 2s;
constexpr Duration long_timeout = 5s;
constexpr long default_window = 8;
constexpr long default_threshold = 3;

struct Field {
  int line = 0;
  std::string value;
};

struct Probe {
  int line = 0;
  std::map<std::string, Field> fields;  // ".url" -> "/health"
};

class Linter {
 public:
  explicit Linter(const Options& options) : options_(options) {}

  Warnings run(std::string_view text) {
    std::map<std::string, std::size_t> place;  // of a probe's block, by its whole path
    std::vector<Probe> probes;
    for (const Statement& s : statements_of(text)) {
      if (s.opens && is_probe(s.words)) {
        place[path_of(s.blocks) + "/" + join(s.words)] = probes.size();
        probes.push_back({s.number, {}});
        continue;
      }
      const auto found = s.blocks.empty()
                             ? place.end()
                             : place.find(path_of({s.blocks.begin(), s.blocks.end() - 1}) + "/" + s.blocks.back());
      if (found == place.end() || s.words.empty() || !s.words.front().starts_with('.')) continue;
      read_field(s, probes[found->second]);
    }
    for (const Probe& probe : probes) check(probe);
    std::stable_sort(out_.begin(), out_.end(), [](const Warning& a, const Warning& b) { return a.line < b.line; });
    return std::move(out_);
  }

 private:
  static std::string join(const std::vector<std::string>& words) {
    std::string out;
    for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
    return out;
  }
  static std::string path_of(const std::vector<std::string>& blocks) {
    std::string out;
    for (const std::string& block : blocks) out += "/" + block;
    return out;
  }
  static bool is_probe(const std::vector<std::string>& words) {
    return words.front() == "probe" || words.front() == ".probe" || words.front().starts_with(".probe=");
  }
  // ".url = "/x"" comes as .url, =, /x; ".timeout=1s" as one word.
  static void read_field(const Statement& s, Probe& probe) {
    const std::string whole = join(s.words);
    const std::size_t equals = whole.find('=');
    if (equals == std::string::npos) return;
    probe.fields[std::string(trim(whole.substr(0, equals)))] = {s.number, std::string(trim(whole.substr(equals + 1)))};
  }

  void warn(int line, std::string what, std::string instead) {
    out_.push_back({line, std::move(what), std::move(instead)});
  }

  void check(const Probe& probe) {
    const auto field = [&](const char* name) {
      const auto found = probe.fields.find(name);
      return found == probe.fields.end() ? Field{probe.line, ""} : found->second;
    };
    if (const Field f = field(".expected_response"); !f.value.empty() && f.value != "200") {
      warn(f.line, fmt::format(".expected_response = {}: vitald says 200 when all is well", f.value),
           ".expected_response = 200");
    }
    if (const Field f = field(".request"); !f.value.empty()) {
      if (f.value.find("HTTP/1.1") != std::string::npos && f.value.find("Host:") == std::string::npos) {
        warn(f.line, "this sends HTTP/1.1 without Host: vitald answers it, a strict server in its place says 400",
             "\"Host: vitald\" as a line of it");
      }
      if (f.value.find("HTTP/1.1") != std::string::npos && f.value.find("Connection: close") == std::string::npos) {
        warn(f.line,
             "without Connection: close the connection stays open, and a probe that waits for its end times out: sick",
             "\"Connection: close\" as a line of it");
      }
    }
    if (const Field f = field(".url"); f.value == "/" || (f.value.empty() && field(".request").value.empty())) {
      warn(f.line, "the probe asks /, of whatever listens at the backend's port", ".url = \"/health\"");
    }
    const Duration timeout = time_of(field(".timeout").value, 1s).value_or(default_timeout);
    if (timeout > long_timeout) {
      warn(field(".timeout").line,
           fmt::format(".timeout = {} is how late a dead agent is noticed: vitald answers in milliseconds",
                       field(".timeout").value),
           ".timeout = 1s");
    }
    const Duration interval = time_of(field(".interval").value, 1s).value_or(default_interval);
    const long window = number_of(field(".window").value).value_or(default_window);
    const long threshold = number_of(field(".threshold").value).value_or(default_threshold);
    if (threshold > window) {
      warn(field(".threshold").line,
           fmt::format(".threshold = {} of a .window of {} is never reached: sick for ever", threshold, window),
           fmt::format(".threshold = {}", window));
      return;
    }
    const long failures = window - threshold + 1;
    const Duration worst = interval * static_cast<int>(failures) + timeout;
    if (!options_.detect_within || worst <= *options_.detect_within) return;
    warn(probe.line,
         fmt::format("{} probes of {} have to fail, every {}: up to {}, later than the {} that were promised", failures,
                     window, friendly_duration(interval), friendly_duration(worst),
                     friendly_duration(*options_.detect_within)),
         ".interval = 1s; .window = 2; .threshold = 2: vitald has counted already");
  }

  const Options& options_;
  Warnings out_;
};

}  // namespace

Warnings varnish(std::string_view text, const Options& options) { return Linter(options).run(text); }

std::string_view language_of(std::string_view file, std::string_view text) {
  const std::string_view name =
      file.substr(file.find_last_of('/') == std::string_view::npos ? 0 : file.find_last_of('/') + 1);
  if (name.ends_with(".vcl")) return "varnish";
  for (const std::string_view known : {"haproxy", "keepalived", "nginx"}) {
    if (name.find(known) != std::string_view::npos) return known;
  }
  // Words that only one of them has.
  constexpr std::pair<std::string_view, std::string_view> marks[] = {
      {"vcl 4", "varnish"},          {"virtual_server", "keepalived"}, {"vrrp_", "keepalived"},
      {"option httpchk", "haproxy"}, {"default-server", "haproxy"},    {"proxy_pass", "nginx"},
      {"upstream ", "nginx"},        {"default_backend", "haproxy"},   {"agent-check", "haproxy"},
  };
  for (const auto& [mark, language] : marks) {
    if (text.find(mark) != std::string_view::npos) return language;
  }
  return {};
}

}  // namespace vital::lint
