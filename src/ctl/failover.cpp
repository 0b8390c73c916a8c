// vitalctl failover: who is primary and since when, what failovers there were and how long they took. In this version
// the agent only watches; what would act says so.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "ctl/ctl.hpp"
#include "loop/loop.hpp"

namespace vital::ctl {
namespace {

using Json = nlohmann::ordered_json;

constexpr cmd::Option options[] = {{0, "json", "", "as the API shows it"}, socket_option};
constexpr cmd::Usage usage{"vitalctl failover",
                           "status|history|explain ID [--json]",
                           "status shows each topology with its members, history every failover with what it cost,\n"
                           "explain one of them step by step. The agent watches; approve, pause and resume are for\n"
                           "versions that act.",
                           "vitalctl failover history",
                           options,
                           2};

std::string text_at(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? one_line(found->get<std::string>(), 1024) : std::string();
}

std::string length_at(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? friendly_ms(found->get<double>()) : "-";
}

Ink ink_of_status(const std::string& status) {
  if (status == "steady") return Ink::green;
  return status == "unknown" ? Ink::yellow : Ink::red;
}

void print_status(const Json& all, const cmd::Paint& paint) {
  const WallTime now = Loop::both().wall;
  for (const Json& t : all.at("topologies")) {
    const std::string status = text_at(t, "status");
    fmt::print("{}  {} for {}, primary {}{}\n", painted(paint, Ink::bold, text_at(t, "name")),
               painted(paint, ink_of_status(status), status), ago(text_at(t, "since"), now),
               text_at(t, "primary").empty() ? "unknown" : text_at(t, "primary"),
               t.at("open").is_object() ? ", a failover is under way" : "");
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

void print_history(const Json& all, const cmd::Paint& paint) {
  Table table({"ID", "FROM", "TO", "DOWN", "LEADERLESS", "FOLLOWED", "UNSEEN BEFORE", "WHY"});
  for (const Json& f : all.at("failovers")) {
    const std::string to = text_at(f, "to");
    table.add({{text_at(f, "id"), Ink::bold},
               {text_at(f, "from")},
               {to.empty() ? "(came back)" : to},
               {length_at(f, "down_ms"), Ink::red},
               {length_at(f, "leaderless_ms")},
               {length_at(f, "follow_ms")},
               {length_at(f, "unseen_ms")},
               {text_at(f, "why")}});
  }
  fmt::print("{}", table.is_empty() ? "no failover has been seen\n" : table.text(paint, terminal_width()));
}

int explain(const Json& all, const std::string& id) {
  for (const Json& f : all.at("failovers")) {
    if (text_at(f, "id") != id) continue;
    const auto step = [&](const char* key, const std::string& what) {
      const std::string at = text_at(f, key);
      if (!at.empty()) fmt::print("  {}  {}\n", at, what);
    };
    const std::string from = text_at(f, "from"), to = text_at(f, "to");
    fmt::print("{}: {}\n", text_at(f, "topology"),
               to.empty() ? from + " was lost and came back" : from + " handed over to " + to);
    const std::string position = text_at(f, "last_position");
    step("last_good", from + " was seen well for the last time" + (position.empty() ? "" : ", at " + position));
    step("first_bad", "the first bad sample: " + text_at(f, "why"));
    step("promoted", to + " was seen as primary");
    step("first_write", "clients could write again");
    step("ended", "the end");
    fmt::print("\n  {} from the first bad sample to the end; it may have begun up to {} earlier, when nobody looked\n",
               length_at(f, "down_ms"), length_at(f, "unseen_ms"));
    if (f.value("two_primaries_ms", 0.0) > 0) {
      fmt::print("  {} long two servers said they were primary: compare what was written to {}\n",
                 length_at(f, "two_primaries_ms"), from);
    }
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
  if (what == "approve" || what == "pause" || what == "resume") {
    throw CtlError("this agent only watches failovers (mode: observe); there is nothing to " + what);
  }
  if (what != "status" && what != "history" && what != "explain") {
    throw CtlError("vitalctl failover knows status, history and explain, not " + one_line(what, 40));
  }
  if (what == "explain" && words.size() < 2) throw CtlError("which one? vitalctl failover history lists them");
  const std::string body = Client(socket_path(args)).get("/api/v1/failovers");
  if (args.has("json")) {
    fmt::print("{}", body);
    return 0;
  }
  const Json all = Json::parse(body);
  if (all.at("topologies").empty() && all.at("failovers").empty()) {
    fmt::print("no topology is watched; docs/failover.md shows how\n");
    return 0;
  }
  const cmd::Paint paint;
  if (what == "explain") return explain(all, words[1]);
  if (what == "history") {
    print_history(all, paint);
  } else {
    print_status(all, paint);
  }
  return 0;
}

}  // namespace vital::ctl
