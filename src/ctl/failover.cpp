// vitalctl failover: who is primary and since when, what failovers there were and how long they took, what the agent
// decides about them and why, and an operator's word in it.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "cmd/json_text.hpp"
#include "ctl/ctl.hpp"
#include "loop/loop.hpp"

namespace vital::ctl {
namespace {

using Json = nlohmann::ordered_json;
using cmd::text_at;

constexpr cmd::Option options[] = {{0, "json", "", "as JSON: docs/cli-json.md"},
                                   {0, "to", "NAME", "approve, switchover: the member that will be promoted"},
                                   {0, "yes", "", "switchover: without typing the topology's name again"},
                                   {0, "reason", "TEXT", "pause: why"},
                                   {0, "without", "NODE", "replay: without the word of this node"},
                                   socket_option};
constexpr cmd::Usage usage{
    "vitalctl failover",
    "status|history|explain ID|replay ID|check|approve ID --to NAME|decline ID|acknowledge ID|switchover TOPOLOGY --to "
    "NAME|"
    "pause [TOPOLOGY]|resume [TOPOLOGY]|release-brake [--json]",
    "status shows each topology with its members and what is decided about it, history every failover\n"
    "with what it cost, explain one of them step by step, replay each decision made again from its own\n"
    "facts, check whether a failover would work now. approve, decline and acknowledge are an operator's\n"
    "word about one recovery; switchover moves the role from a primary that is well; pause holds all that acts until "
    "resume.",
    "vitalctl failover history",
    options,
    2};

std::string length_at(const Json& json, const char* key) {
  const auto ms = cmd::number_at(json, key);
  return ms ? friendly_ms(*ms) : "-";
}

Ink ink_of_status(const std::string& status) {
  if (status == "steady") return Ink::green;
  return status == "unknown" ? Ink::yellow : Ink::red;
}

// Who is primary, or was; and what has become of it.
std::string words_on_primary(const Json& t, const std::string& status) {
  const std::string primary = text_at(t, "primary");
  if (status == "two_primaries") {
    std::string who;
    for (const Json& m : t.at("members")) {
      if (text_at(m, "role") == "primary") who += (who.empty() ? "" : " and ") + text_at(m, "name");
    }
    return who + " both say so: whatever is written to one, the other lacks";
  }
  if (primary.empty()) return "nobody has been seen as the primary";
  if (status == "no_primary") return "the last was " + primary + ", nobody took over yet";
  if (status == "unknown") return "the last was " + primary + ", nobody can look at it";
  return "primary " + primary + (t.at("open").is_object() ? ", clients are not seen to follow yet" : "");
}

void print_status(const Json& all, const cmd::Paint& paint) {
  const WallTime now = Loop::both().wall;
  for (const Json& t : all.at("topologies")) {
    const std::string status = text_at(t, "status");
    fmt::print("{}  {} for {}, {}\n", painted(paint, Ink::bold, text_at(t, "name")),
               painted(paint, ink_of_status(status), status), ago(text_at(t, "since"), now),
               words_on_primary(t, status));
    Table table({"  MEMBER", "CHECK", "ROLE", "LAG", "CANDIDATE", "AGE", "OUTPUT"});
    for (const Json& m : t.at("members")) {
      const bool is_down = m.value("is_down", false), is_seen = m.value("is_seen", false);
      const std::string role = is_down ? "down" : text_at(m, "role");
      const auto lag = m.find("lag");
      table.add({{"  " + text_at(m, "name"), Ink::bold},
                 {text_at(m, "check")},
                 {is_seen ? role : "not seen", role == "primary" ? Ink::green
                                               : is_down         ? Ink::red
                                                                 : Ink::plain},
                 {lag != m.end() && lag->is_number() ? friendly_ms(lag->get<double>() * 1000) : "-"},
                 {role != "standby"                 ? "-"
                  : m.value("is_promotable", false) ? "yes"
                                                    : "no: " + text_at(m, "why_not")},
                 {length_at(m, "age_ms")},
                 {text_at(m, "output")}});
    }
    fmt::print("{}\n", table.text(paint, terminal_width()));
  }
}

bool had_two_primaries(const Json& record) { return record.value("two_primaries_ms", 0.0) > 0; }

void print_history(const Json& all, const cmd::Paint& paint) {
  Table table({"ID", "FROM", "TO", "DOWN", "LEADERLESS", "FOLLOWED", "UNSEEN BEFORE", "WHY"});
  for (const Json& f : all.at("failovers")) {
    const std::string to = text_at(f, "to");
    table.add({{text_at(f, "id"), Ink::bold},
               {text_at(f, "from")},
               {!to.empty()            ? to
                : had_two_primaries(f) ? "(stayed)"
                                       : "(came back)"},
               {length_at(f, "down_ms"), Ink::red},
               {length_at(f, "leaderless_ms")},
               {length_at(f, "follow_ms")},
               {length_at(f, "unseen_ms")},
               {text_at(f, "why") + (had_two_primaries(f) ? ": two for " + length_at(f, "two_primaries_ms") : "")}});
  }
  fmt::print("{}", table.is_empty() ? "no failover has been seen\n" : table.text(paint, terminal_width()));
}

void print_policies(const Json& all, const cmd::Paint& paint) {
  const auto policies = all.find("policies");
  if (policies == all.end()) return;
  for (const Json& p : *policies) {
    const std::string mode = text_at(p, "mode"), acts_as = text_at(p, "acts_as"), recovery = text_at(p, "recovery");
    fmt::print("{}  mode {}{}, {}{}\n", painted(paint, Ink::bold, text_at(p, "topology")), mode,
               acts_as == mode ? "" : " (acts as " + acts_as + ": " + text_at(p, "not_ready") + ")",
               text_at(p, "state"), text_at(p, "reason").empty() ? "" : ": " + text_at(p, "reason"));
    const std::string holder = text_at(p, "lease_holder");
    fmt::print("  store {}, lease {}\n", text_at(p, "store"), holder.empty() ? "of nobody" : "of " + holder);
    if (!recovery.empty()) fmt::print("  recovery {}: {} to {}\n", recovery, text_at(p, "from"), text_at(p, "to"));
    // `parked` is one that another agent parked, or this one before it started anew; its own is the recovery it is at.
    const std::string parked = text_at(p, "state") == "parked" ? recovery : text_at(p, "parked");
    if (!parked.empty())
      fmt::print("  parked: {}; look at the servers, then vitalctl failover acknowledge {}\n", parked, parked);
    if (text_at(p, "state") == "awaiting")
      fmt::print("  vitalctl failover approve {} --to {}\n", recovery, text_at(p, "to"));
    for (const Json& held : p.at("holds")) {
      if (held.is_string()) fmt::print("  holds: {}\n", one_line(held.get<std::string>(), 400));
    }
  }
}

// The decisions of a recovery, from the loss that led to it.
std::vector<Json> story_of(const Json& decisions, const std::string& id) {
  std::vector<Json> out;
  std::string topology;
  for (const Json& d : decisions) {
    if (text_at(d, "recovery") == id) topology = text_at(d, "topology");
  }
  bool has_begun = false;
  for (const Json& d : decisions) {
    if (topology.empty() || text_at(d, "topology") != topology) continue;
    const bool is_its_own = text_at(d, "recovery") == id;
    if (!has_begun && !is_its_own && text_at(d, "from") == "observing") out.clear();
    if (has_begun && !is_its_own) break;
    has_begun = has_begun || is_its_own;
    out.push_back(d);
  }
  return out;
}

// The decisions of a record of the history: of the recoveries of its topology from its first bad sample to its end.
std::vector<Json> story_of_record(const Json& decisions, const Json& record) {
  const std::string topology = text_at(record, "topology"), first = text_at(record, "first_bad");
  const std::string end = text_at(record, "ended");
  std::string recovery;
  for (const Json& d : decisions) {
    const std::string at = text_at(d, "at");
    const bool is_within = at >= first && (end.empty() || at <= end);  // RFC 3339 in UTC, all of one length
    if (text_at(d, "topology") == topology && is_within && !text_at(d, "recovery").empty())
      recovery = text_at(d, "recovery");
  }
  return recovery.empty() ? std::vector<Json>() : story_of(decisions, recovery);
}

Json decisions_of(const Client& client, const std::string& without) {
  const std::string query = without.empty() ? "" : "?without=" + encode(without);
  return Json::parse(client.get("/api/v1/failover-decisions" + query)).at("decisions");
}

// Null if the history has none of that id.
Json record_of(const Json& all, const std::string& id) {
  for (const Json& f : all.at("failovers")) {
    if (text_at(f, "id") == id) return f;
  }
  return nullptr;
}

// Whether each decision would be the same again, where that was asked.
bool print_decisions(const std::vector<Json>& story, bool is_replay = false) {
  bool is_same = true;
  for (const Json& d : story) {
    fmt::print("{}  {} to {}: {}\n", text_at(d, "at"), text_at(d, "from"), text_at(d, "to"), text_at(d, "why"));
    if (!is_replay || d.value("is_same", false)) continue;
    fmt::print("    it would be: {}: {}\n", text_at(d, "now_to"), text_at(d, "now_why"));
    is_same = false;
  }
  return is_same;
}

int tell_decisions(const Client& client, const std::string& id, const std::string& without, bool is_replay,
                   bool is_json) {
  const Json decisions = decisions_of(client, without);
  auto story = story_of(decisions, id);
  if (story.empty()) {
    const Json record = record_of(Json::parse(client.get("/api/v1/failovers")), id);
    if (record.is_null())
      throw CtlError("there is no failover " + one_line(id, 80) + "; vitalctl failover history lists them");
    story = story_of_record(decisions, record);
    if (story.empty()) throw CtlError("this agent decided nothing about " + one_line(id, 80) + ": it only watched");
  }
  if (is_json) {
    const bool is_same =
        std::all_of(story.begin(), story.end(), [](const Json& d) { return d.value("is_same", false); });
    Json out{{"id", id}};
    if (is_replay) {
      out["without"] = without.empty() ? Json() : Json(without);
      out["is_same"] = is_same;
    } else {
      out["failover"] = nullptr;
    }
    out["decisions"] = story;
    fmt::print("{}\n", out.dump(2));
    return is_replay && !is_same ? 1 : 0;
  }
  return print_decisions(story, is_replay) ? 0 : 1;
}

// GitLab's db1 and db2: whoever approves types the name of the server that will be written to.
std::string echo_of(const cmd::Arguments& args, const std::string& id) {
  if (args.has("to")) return args.value("to");
  if (isatty(STDIN_FILENO) == 0) throw CtlError("write --to NAME: the member that will be promoted, typed again");
  fmt::print("{} goes on once you type the name of the member that will be promoted: ", one_line(id, 80));
  std::fflush(stdout);
  std::array<char, 128> line{};
  if (std::fgets(line.data(), line.size(), stdin) == nullptr)
    throw CtlError("nothing was typed, so nothing was approved");
  return std::string(trim(line.data()));
}

// Shows what will be done, and has the name of the topology typed again.
Json switchover_of(const Client& client, const cmd::Arguments& args, const std::string& topology) {
  if (!args.has("to")) throw CtlError("write --to NAME: the member that shall be primary");
  const std::string to = args.value("to");
  const Json all = Json::parse(client.get("/api/v1/failovers"));
  const auto& topologies = all.at("topologies");
  const auto found =
      std::find_if(topologies.begin(), topologies.end(), [&](const Json& t) { return text_at(t, "name") == topology; });
  if (found == topologies.end()) throw CtlError("there is no topology " + one_line(topology, 64));
  fmt::print("{}: the role of primary goes from {} to {}; {} is demoted or fenced first, and clients are moved\n",
             topology, text_at(*found, "primary"), one_line(to, 64), text_at(*found, "primary"));
  if (args.has("yes")) return {{"topology", topology}, {"to", to}, {"echo", topology}};
  if (isatty(STDIN_FILENO) == 0) throw CtlError("write --yes, or type the topology's name at a terminal");
  fmt::print("Type the name of the topology to go on: ");
  std::fflush(stdout);
  std::array<char, 128> line{};
  if (std::fgets(line.data(), line.size(), stdin) == nullptr) throw CtlError("nothing was typed, so nothing is done");
  return {{"topology", topology}, {"to", to}, {"echo", std::string(trim(line.data()))}};
}

int say(const Client& client, const std::string& path, const Json& body, const std::string& what) {
  const Reply reply = client.ask("POST", "/api/v1/failovers/" + path, body.dump());
  if (reply.status != 200) throw CtlError(error_of(reply));
  fmt::print("{}\n", what);
  return 0;
}

int check_now(const Client& client, bool is_json) {
  const Reply reply = client.ask("POST", "/api/v1/failovers/check", "", std::chrono::seconds(60));
  if (reply.status != 200) throw CtlError(error_of(reply));
  const Json found = Json::parse(reply.body);
  fmt::print("{}", is_json ? reply.body : found.value("text", ""));
  return found.value("is_green", false) ? 0 : 2;
}

// Where the time went, as far as it is known.
void print_phases(const Json& f) {
  std::string out;
  for (const auto& [key, what] : {std::pair{"detect_ms", "to detect"},
                                  {"decide_ms", "to decide"},
                                  {"fence_ms", "to fence"},
                                  {"promote_ms", "to promote"},
                                  {"follow_ms", "until clients followed"}}) {
    const auto found = f.find(key);
    if (found != f.end() && found->is_number()) out += (out.empty() ? "" : ", ") + length_at(f, key) + " " + what;
  }
  if (!out.empty()) fmt::print("  {}\n", out);
}

// `story`: what was decided about it, if anything was.
int explain(const Json& all, const std::string& id, const std::vector<Json>& story, bool is_json) {
  for (const Json& f : all.at("failovers")) {
    if (text_at(f, "id") != id) continue;
    if (is_json) {
      fmt::print("{}\n", Json{{"id", id}, {"failover", f}, {"decisions", story}}.dump(2));
      return 0;
    }
    const auto step = [&](const char* key, const std::string& what) {
      const std::string at = text_at(f, key);
      if (!at.empty()) fmt::print("  {}  {}\n", at, what);
    };
    const std::string from = text_at(f, "from"), to = text_at(f, "to");
    fmt::print("{}: {}\n", text_at(f, "topology"),
               !to.empty()            ? from + " handed over to " + to
               : had_two_primaries(f) ? "another one said it is primary too, and " + from + " stayed"
                                      : from + " was lost and came back");
    const std::string position = text_at(f, "last_position");
    step("last_good", from + " was seen well for the last time" + (position.empty() ? "" : ", at " + position));
    step("first_bad", "the first bad sample: " + text_at(f, "why"));
    step("detected", "it was sure enough to be told");
    step("decided", "this agent went to work on it");
    step("fenced", from + " was off for certain");
    step("promoted", to + " was seen as primary");
    step("moved", "the last action was done and read back");
    step("first_write", "clients could write again");
    step("ended", "the end");
    fmt::print("\n  {} from the first bad sample to the end; it may have begun up to {} earlier, when nobody looked\n",
               length_at(f, "down_ms"), length_at(f, "unseen_ms"));
    print_phases(f);
    for (const Json& t : all.at("topologies")) {
      if (text_at(t, "name") != text_at(f, "topology")) continue;
      fmt::print("  detected after {}, where the configuration promises {} at worst\n", length_at(f, "detect_ms"),
                 length_at(t, "predicted_detect_ms"));
    }
    if (had_two_primaries(f)) {
      fmt::print("  {} long two servers said they were primary: compare what was written to {}\n",
                 length_at(f, "two_primaries_ms"), from);
    }
    if (!story.empty()) fmt::print("\n");
    print_decisions(story);
    return 0;
  }
  throw CtlError("there is no failover " + one_line(id, 80) + "; vitalctl failover history lists them");
}

}  // namespace

int failover(int argc, char** argv) {
  const cmd::Arguments args(usage, argc, argv);
  if (args.is_done()) return args.exit_code();
  const auto& words = args.operands();
  const std::string what = words.empty() ? "status" : words[0];
  constexpr auto known =
      std::to_array<std::string_view>({"status", "history", "explain", "replay", "check", "approve", "decline",
                                       "acknowledge", "switchover", "pause", "resume", "release-brake"});
  if (std::find(known.begin(), known.end(), what) == known.end()) {
    throw CtlError("vitalctl failover knows " + join(std::vector<std::string>(known.begin(), known.end()), ", ") +
                   ", not " + one_line(what, 40));
  }
  const bool needs_id = what == "explain" || what == "replay" || what == "approve" || what == "decline" ||
                        what == "acknowledge" || what == "switchover";
  if (needs_id && words.size() < 2) throw CtlError("which one? vitalctl failover status and history list them");
  const std::string which = words.size() > 1 ? words[1] : "";
  const Client client(socket_path(args));
  if (what == "check") return check_now(client, args.has("json"));
  if (what == "approve") return say(client, encode(which) + "/approve", {{"to", echo_of(args, which)}}, "approved");
  if (what == "decline") return say(client, encode(which) + "/decline", Json::object(), "declined");
  if (what == "acknowledge") return say(client, encode(which) + "/acknowledge", Json::object(), "acknowledged");
  if (what == "switchover")
    return say(client, "switchover", switchover_of(client, args, which),
               "begun; vitalctl failover status shows how it goes");
  if (what == "release-brake") return say(client, "release-brake", Json::object(), "the brake is released");
  if (what == "pause") {
    return say(client, "pause", {{"topology", which}, {"reason", args.has("reason") ? args.value("reason") : ""}},
               "paused: nothing is done until vitalctl failover resume");
  }
  if (what == "resume") return say(client, "resume", {{"topology", which}}, "resumed");
  if (what == "replay") {
    return tell_decisions(client, which, args.has("without") ? args.value("without") : "", true, args.has("json"));
  }
  const std::string body = client.get("/api/v1/failovers");
  if (args.has("json") && what != "explain") {
    fmt::print("{}", body);
    return 0;
  }
  const Json all = Json::parse(body);
  if (all.at("topologies").empty() && all.at("failovers").empty()) {
    fmt::print("no topology is watched; docs/failover.md shows how\n");
    return 0;
  }
  const cmd::Paint paint;
  if (what == "explain") {
    const Json record = record_of(all, which);
    if (record.is_null()) return tell_decisions(client, which, "", false, args.has("json"));
    return explain(all, which, story_of_record(decisions_of(client, ""), record), args.has("json"));
  }
  if (what == "history") {
    print_history(all, paint);
  } else {
    print_status(all, paint);
    print_policies(all, paint);
  }
  return 0;
}

}  // namespace vital::ctl
