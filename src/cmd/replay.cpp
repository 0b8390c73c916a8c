// vitald replay, which vitalctl replay runs: what was recorded through another config. The record comes from the agent,
// by its admin socket, or from a journal file.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "cmd/cmd.hpp"
#include "cmd/record.hpp"
#include "cmd/rerun.hpp"
#include "ctl/table.hpp"
#include "loop/loop.hpp"

namespace vital::cmd {
namespace {

using Json = nlohmann::ordered_json;
using namespace std::chrono_literals;

constexpr std::size_t differences_shown = 40;
constexpr auto progress_every = 200ms;

constexpr Option options[] = {{'c', "config", "FILE", "the config to try"},
                              since_option,
                              journal_option,
                              {0, "json", "", "as JSON"},
                              socket_option};
constexpr Usage usage{"vitalctl replay", "-c NEW.yaml [--since 7d] [--journal FILE] [--json]",
                      "Runs what was recorded through another config: which verdicts would have changed, and when.\n"
                      "Nothing is probed and nothing is changed.",
                      "vitalctl replay -c /etc/vitald/new.yaml --since 7d", options};

// A line on the terminal that says how far it is.
class Progress {
 public:
  explicit Progress(WallTime to) : is_on_(isatty(STDERR_FILENO) == 1), to_(to) {}
  ~Progress() {
    if (is_shown_) fmt::print(stderr, "\r\x1b[K");
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(const Rerun& rerun) {
    const Instant now = Loop::now();
    if (!is_on_ || rerun.is_empty() || now < next_) return;
    next_ = now + progress_every;
    is_shown_ = true;
    if (first_ == WallTime{}) first_ = rerun.last();
    const double whole = std::max(1.0, seconds(to_ - first_));
    fmt::print(stderr, "\rreplaying: {:.0f}% ({} results)\x1b[K",
               std::clamp(100 * seconds(rerun.last() - first_) / whole, 0.0, 100.0), rerun.replayed().results);
    std::fflush(stderr);
  }

 private:
  const bool is_on_;
  const WallTime to_;
  WallTime first_{};
  Instant next_{};
  bool is_shown_ = false;
};

Json to_json(const Rerun& rerun, const ReplayComparison& c, WallTime until) {
  const Replayed& r = rerun.replayed();
  Json out{{"since", format_wall(rerun.from())},
           {"until", format_wall(until)},
           {"results", r.results},
           {"results_unused", r.unused},
           {"is_same_config", rerun.is_same_config()}};
  Json undecided = Json::object();
  for (const auto& [check, n] : r.undecided) undecided[check] = n;
  out["undecided"] = std::move(undecided);
  for (const bool of_services : {false, true}) {
    Json list = Json::array();
    for (const ReplaySummary& s : c.subjects) {
      if (s.is_service != of_services) continue;
      list.push_back({{"name", s.name},
                      {"falls", s.falls},
                      {"would_fall", s.would_fall},
                      {"down_ms", milliseconds(s.down)},
                      {"would_be_down_ms", milliseconds(s.would_be_down)}});
    }
    out[of_services ? "services" : "checks"] = std::move(list);
  }
  Json differences = Json::array();
  for (const ReplayDifference& d : c.differences) {
    differences.push_back({{d.is_service ? "service" : "check", d.name},
                           {"from", format_wall(d.from)},
                           {"to", format_wall(d.to)},
                           {"said", d.said},
                           {"would_say", d.would_say}});
  }
  out["differences"] = std::move(differences);
  return out;
}

void print(const Rerun& rerun, const ReplayComparison& c, WallTime until, const std::string& file) {
  const Paint paint;
  const Replayed& r = rerun.replayed();
  fmt::print("{} results from {} to {} through {}{}\n\n", r.results, format_wall(rerun.from()), format_wall(until),
             file, rerun.is_same_config() ? " (the settings they were recorded under)" : "");
  ctl::Table table({"", "FALLS", "WOULD FALL", "IN FAIL", "WOULD BE"});
  const auto ink = [](auto was, auto would) {
    return would > was ? ctl::Ink::red : would < was ? ctl::Ink::green : ctl::Ink::plain;
  };
  for (const ReplaySummary& s : c.subjects) {
    table.add({{(s.is_service ? "service " : "check ") + one_line(s.name, 128), ctl::Ink::bold},
               {std::to_string(s.falls)},
               {std::to_string(s.would_fall), ink(s.falls, s.would_fall)},
               {friendly_duration(s.down)},
               {friendly_duration(s.would_be_down), ink(s.down, s.would_be_down)}});
  }
  fmt::print("{}\n", table.text(paint, ctl::terminal_width()));
  for (std::size_t i = 0; i < std::min(c.differences.size(), differences_shown); ++i) {
    const ReplayDifference& d = c.differences[i];
    fmt::print("{}  {} {}: was {}, would have been {} for {}\n", paint.dim(format_wall(d.from)),
               d.is_service ? "service" : "check", one_line(d.name, 128), d.said, d.would_say,
               friendly_duration(d.to - d.from));
  }
  if (c.differences.size() > differences_shown) {
    fmt::print("and {} more; --json has them all\n", c.differences.size() - differences_shown);
  }
  if (c.differences.empty()) fmt::print("nothing would have been said differently\n");
  for (const auto& [check, n] : r.undecided) {
    fmt::print("{}\n",
               paint.yellow(fmt::format("{}: {} failures might have been none with more time or more retries; the "
                                        "record cannot tell, so they count as failures here",
                                        one_line(check, 128), n)));
  }
  if (r.unused > 0) fmt::print("{} results were of checks this config does not have\n", r.unused);
}

}  // namespace

int replay(int argc, char** argv) {
  const Arguments args(usage, argc, argv);
  if (args.is_done()) return args.exit_code();
  if (!args.has("config")) {
    fmt::print(stderr, "vitalctl replay: which config? vitalctl replay --help shows how\n");
    return exit_usage;
  }
  return with_record(args, [&](const Record& record) {
    Rerun rerun(record.config->plan, record.since);
    {
      Progress progress(record.now);
      record.read([&](const JournalRow& row) {
        if (at_of(row) > record.now) return;
        rerun.take(row);
        progress.show(rerun);
      });
    }
    if (rerun.is_empty()) throw std::runtime_error("nothing was recorded since " + format_wall(record.since));
    // A file's record ends with its last row, an agent's goes on to this moment.
    const WallTime until = args.has("journal") ? std::max(rerun.last(), rerun.from()) : record.now;
    const ReplayComparison comparison = rerun.finish(until);
    if (args.has("json")) {
      fmt::print("{}\n", to_json(rerun, comparison, until).dump(2, ' ', false, Json::error_handler_t::replace));
    } else {
      print(rerun, comparison, until, args.value("config"));
    }
    return exit_ok;
  });
}

}  // namespace vital::cmd
