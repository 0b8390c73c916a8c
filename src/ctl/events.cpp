// vitalctl events and history: what happened, from the agent's journal.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "ctl/ctl.hpp"
#include "loop/loop.hpp"

namespace vital::ctl {
namespace {

using Json = nlohmann::ordered_json;
using namespace std::chrono_literals;

constexpr auto retry_every = 500ms;

constexpr cmd::Option events_options[] = {
    {0, "since", "WHEN", "a duration back (1h) or a time (2026-01-31T12:00:00Z)", "24h"},
    {0, "until", "WHEN", "the same for the end"},
    {0, "check", "NAME", "only what names this check"},
    {0, "event", "NAME", "only this event, such as check_state; several with commas between"},
    {0, "limit", "N", "the newest N; without it all, page by page"},
    {0, "results", "", "the result of every attempt of every probe instead"},
    {'f', "follow", "", "go on with what comes"},
    {0, "json", "", "one JSON object a line"},
    socket_option,
};
constexpr cmd::Usage events_usage{
    "vitalctl events", "[--since 1h] [--follow | --results] [--json]",
    "Prints what happened, oldest first: state changes, decisions, refusals; or with "
    "--results what each probe\nfound. With --json an object a line, to export the journal.",
    "vitalctl events --since 1h --check db", events_options};

constexpr cmd::Option history_options[] = {
    {0, "since", "WHEN", "a duration back (30d) or a time (2026-01-31T12:00:00Z)", "24h"},
    {0, "json", "", "as JSON"},
    socket_option,
};
constexpr cmd::Usage history_usage{"vitalctl history",
                                   "CHECK [--since 24h]",
                                   "Prints one check's last outcomes (. pass, w warn, F fail, ? unknown), what each "
                                   "hour (or day, beyond three of them)\n"
                                   "was like, and its events.",
                                   "vitalctl history db --since 7d",
                                   history_options,
                                   1,
                                   exit_unknown};

void print(const Json& event, bool is_json, const cmd::Paint& paint) {
  if (is_json) {
    fmt::print("{}\n", event.dump());
    return;
  }
  const std::string level = event.at("level");
  const Ink ink = level == "error" ? Ink::red : level == "warning" ? Ink::yellow : Ink::plain;
  std::string fields;
  for (const auto& [key, value] : event.at("fields").items()) {
    if (key == "line") continue;  // all a decision was made of: vitalctl failover explain tells it, --json shows it
    const std::string text = one_line(value.get<std::string>());
    const bool is_bare = !text.empty() && text.find_first_of(" \"=") == std::string::npos;
    fields += " " + one_line(key, 64) + "=" + (is_bare ? text : Json(text).dump());
  }
  fmt::print("{}  {}{}\n", paint.dim(event.at("at").get<std::string>()),
             painted(paint, ink, one_line(event.at("event").get<std::string>(), 64)), fields);
}

void print_result(const Json& r, bool is_json, const cmd::Paint& paint) {
  if (is_json) {
    fmt::print("{}\n", r.dump());
    return;
  }
  const std::string verdict = r.at("verdict"), cause = r.at("cause");
  const Json& text = r.at("output");
  fmt::print("{}  {} {}{} in {}{}\n", paint.dim(r.at("at").get<std::string>()),
             one_line(r.at("check").get<std::string>(), 128), painted(paint, ink_of(verdict), verdict),
             cause == "none" ? "" : "/" + cause,
             r.at("duration_ms").is_number() ? friendly_ms(r.at("duration_ms").get<double>()) : "-",
             text.is_string() && !text.get<std::string>().empty() ? "  " + one_line(text.get<std::string>()) : "");
}

// Goes on with what comes after `last`, over restarts of the agent, until nobody reads what is printed.
void follow(const Client& agent, const std::string& filter, std::int64_t last,
            const std::function<void(const Json&)>& show) {
  bool is_away = false;
  bool is_over = false;
  while (!is_over) {
    std::string data;
    try {
      agent.follow("/api/v1/stream?after=" + std::to_string(last) + filter, [&](std::string_view line) {
        if (std::exchange(is_away, false)) fmt::print(stderr, "vitalctl: the agent is back\n");
        if (line.starts_with("data: ")) data = line.substr(6);
        if (!line.empty() || data.empty()) return;
        const Json event = Json::parse(std::exchange(data, {}));
        last = event.at("id").get<std::int64_t>();
        show(event);
        is_over = is_over || std::fflush(stdout) != 0;
      });
    } catch (const CtlError& e) {
      if (!std::exchange(is_away, true)) fmt::print(stderr, "vitalctl: {}; waiting for it\n", e.what());
    }
    std::this_thread::sleep_for(retry_every);
  }
}

// An hour a row, or a day (UTC) where there are many.
std::string print_hours(const Json& hours, const cmd::Paint& paint) {
  constexpr std::size_t most_rows = 72;
  const bool is_by_day = hours.size() > most_rows;
  struct Row {
    double pass = 0, warn = 0, fail = 0, unknown = 0, total_ms = 0, max_ms = 0;
  };
  std::map<std::string, Row> rows;
  for (const Json& h : hours) {
    const std::string from = h.at("from");
    Row& row = rows[one_line(is_by_day ? from.substr(0, 10) : from.substr(0, 13) + ":00Z", 32)];
    row.pass += h.at("pass").get<double>();
    row.warn += h.at("warn").get<double>();
    row.fail += h.at("fail").get<double>();
    row.unknown += h.at("unknown").get<double>();
    if (!h.at("mean_ms").is_number()) continue;
    row.total_ms += h.at("mean_ms").get<double>() * (h.at("pass").get<double>() + h.at("warn").get<double>());
    row.max_ms = std::max(row.max_ms, h.at("max_ms").get<double>());
  }
  Table table({is_by_day ? "DAY" : "HOUR", "PASS", "WARN", "FAIL", "UNKNOWN", "MEAN", "MAX"});
  const auto count = [](double n, Ink ink) { return Cell{fmt::format("{:.0f}", n), n > 0 ? ink : Ink::dim}; };
  for (const auto& [from, row] : rows) {
    const double good = row.pass + row.warn;
    table.add({{from, Ink::plain},
               count(row.pass, Ink::plain),
               count(row.warn, Ink::yellow),
               count(row.fail, Ink::red),
               count(row.unknown, Ink::yellow),
               {good > 0 ? friendly_ms(row.total_ms / good) : "-", Ink::plain},
               {good > 0 ? friendly_ms(row.max_ms) : "-", Ink::plain}});
  }
  return table.is_empty() ? "" : table.text(paint, terminal_width());
}

}  // namespace

int events(int argc, char** argv) {
  const cmd::Arguments args(events_usage, argc, argv);
  if (args.is_done()) return args.exit_code();
  const bool of_results = args.has("results");
  if (of_results && (args.has("follow") || args.has("event"))) {
    throw CtlError("--results goes with --since, --until, --check, --limit and --json");
  }
  const std::string path = of_results ? "/api/v1/results?" : "/api/v1/events?";
  const Client agent(socket_path(args));
  std::string filter;
  for (const char* name : {"check", "event"}) {
    if (args.has(name)) filter += std::string("&") + name + "=" + encode(args.value(name));
  }
  const cmd::Paint paint;
  std::string window = "&since=" + encode(args.value("since"));
  for (const char* name : {"until", "limit"}) {
    if (args.has(name)) window += std::string("&") + name + "=" + encode(args.value(name));
  }
  // Without a limit everything, from the oldest on.
  std::string from = args.has("limit") ? "" : "&after=0";
  std::int64_t last = 0;
  while (true) {
    const Json page = Json::parse(agent.get(path + (from + window + filter).substr(1)));
    for (const Json& entry : page.at(of_results ? "results" : "events")) {
      if (of_results) {
        print_result(entry, args.has("json"), paint);
      } else {
        print(entry, args.has("json"), paint);
      }
    }
    last = page.at("last_id").get<std::int64_t>();
    if (!page.at("has_more").get<bool>() || args.has("limit")) break;
    from = "&after=" + std::to_string(last);
  }
  if (std::fflush(stdout) != 0 || !args.has("follow")) return 0;
  follow(agent, filter, last, [&](const Json& event) { print(event, args.has("json"), paint); });
  return 0;
}

int history(int argc, char** argv) {
  const cmd::Arguments args(history_usage, argc, argv);
  if (args.is_done()) return args.exit_code();
  if (args.operands().empty()) throw CtlError("which check? vitalctl history --help shows how");
  const std::string name = args.operands().front();
  const Client agent(socket_path(args));
  const std::string window = "?check=" + encode(name) + "&since=" + encode(args.value("since"));
  const Json check = Json::parse(agent.get("/api/v1/checks/" + encode(name)));
  const Json page = Json::parse(agent.get("/api/v1/events" + window));
  const Reply of_hours = agent.ask("GET", "/api/v1/history" + window);
  const Json hours = of_hours.status == 200 ? Json::parse(of_hours.body).at("hours") : Json::array();
  if (args.has("json")) {
    fmt::print("{}\n", Json{{"check", check}, {"hours", hours}, {"events", page.at("events")}}.dump(2));
    return 0;
  }
  const cmd::Paint paint;
  const std::string state = check.at("state");
  const Json& since = check.at("since");
  fmt::print("{}: {} for {}\n", paint.bold(one_line(name, 128)), painted(paint, ink_of(state), state),
             since.is_string() ? ago(since.get<std::string>(), Loop::both().wall) : "-");
  fmt::print("outcomes, oldest first: {}\n", check.value("history", std::string()));
  if (const std::string table = print_hours(hours, paint); !table.empty()) fmt::print("\n{}\n", table);
  if (of_hours.status != 200) fmt::print("{}\n", paint.yellow(error_of(of_hours)));
  for (const Json& event : page.at("events")) print(event, false, paint);
  return 0;
}

}  // namespace vital::ctl
