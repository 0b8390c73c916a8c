// vitalctl events and history: what happened, from the agent's memory.
#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "ctl/ctl.hpp"
#include "loop/loop.hpp"

namespace vital::ctl {
namespace {

using Json = nlohmann::ordered_json;
using namespace std::chrono_literals;

constexpr auto follow_every = 500ms;

constexpr cmd::Option events_options[] = {
    {0, "since", "WHEN", "a duration back (1h) or a time (2026-01-31T12:00:00Z)"},
    {0, "check", "NAME", "only what names this check"},
    {0, "event", "NAME", "only this event, such as check_state"},
    {0, "limit", "N", "the newest N", "1000"},
    {'f', "follow", "", "go on with what comes"},
    {0, "json", "", "one JSON object a line"},
    socket_option,
};
constexpr cmd::Usage events_usage{"vitalctl events", "[--since 1h] [--follow] [--json]",
                                  "Prints what happened, oldest first: state changes, decisions, refusals.",
                                  "vitalctl events --since 1h --check db", events_options};

constexpr cmd::Option history_options[] = {{0, "json", "", "as JSON"}, socket_option};
constexpr cmd::Usage history_usage{
    "vitalctl history",
    "CHECK",
    "Prints one check's last outcomes (. pass, w warn, F fail, ? unknown) and its events.",
    "vitalctl history db",
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
    const std::string text = one_line(value.get<std::string>());
    const bool is_bare = !text.empty() && text.find_first_of(" \"=") == std::string::npos;
    fields += " " + one_line(key, 64) + "=" + (is_bare ? text : Json(text).dump());
  }
  fmt::print("{}  {}{}\n", paint.dim(event.at("at").get<std::string>()),
             painted(paint, ink, one_line(event.at("event").get<std::string>(), 64)), fields);
}

}  // namespace

int events(int argc, char** argv) {
  const cmd::Arguments args(events_usage, argc, argv);
  if (args.is_done()) return args.exit_code();
  const Client agent(socket_path(args));
  std::string filter = "limit=" + encode(args.value("limit"));
  for (const char* name : {"check", "event"}) {
    if (args.has(name)) filter += std::string("&") + name + "=" + encode(args.value(name));
  }
  const cmd::Paint paint;
  std::string query = filter;
  if (args.has("since")) query += "&since=" + encode(args.value("since"));
  std::int64_t seen = 0;
  while (true) {
    const Json page = Json::parse(agent.get("/api/v1/events?" + query));
    for (const Json& event : page.at("events")) print(event, args.has("json"), paint);
    std::fflush(stdout);
    if (!args.has("follow")) return 0;
    const auto last = page.at("last_id").get<std::int64_t>();
    // Its numbers start anew with the agent: after a restart everything is new.
    seen = last < seen ? 0 : last;
    query = filter + "&after=" + std::to_string(seen);
    std::this_thread::sleep_for(follow_every);
  }
}

int history(int argc, char** argv) {
  const cmd::Arguments args(history_usage, argc, argv);
  if (args.is_done()) return args.exit_code();
  if (args.operands().empty()) throw CtlError("which check? vitalctl history --help shows how");
  const std::string name = args.operands().front();
  const Client agent(socket_path(args));
  const Json check = Json::parse(agent.get("/api/v1/checks/" + encode(name)));
  const Json page = Json::parse(agent.get("/api/v1/events?check=" + encode(name)));
  if (args.has("json")) {
    fmt::print("{}\n", Json{{"check", check}, {"events", page.at("events")}}.dump(2));
    return 0;
  }
  const cmd::Paint paint;
  const std::string state = check.at("state");
  const Json& since = check.at("since");
  fmt::print("{}: {} for {}\n", paint.bold(one_line(name, 128)), painted(paint, ink_of(state), state),
             since.is_string() ? ago(since.get<std::string>(), Loop::both().wall) : "-");
  fmt::print("outcomes, oldest first: {}\n", check.value("history", std::string()));
  for (const Json& event : page.at("events")) print(event, false, paint);
  return 0;
}

}  // namespace vital::ctl
