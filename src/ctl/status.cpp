// vitalctl status: what the agent sees now, as tables for people, one line for Nagios, JSON for scripts.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/text.hpp"
#include "cmd/json_text.hpp"
#include "ctl/ctl.hpp"
#include "loop/loop.hpp"

namespace vital::ctl {
namespace {

using Json = nlohmann::ordered_json;
using namespace std::chrono_literals;

constexpr auto watch_every = 2s;

constexpr cmd::Option options[] = {
    {0, "json", "", "as the API shows it"},
    {0, "nagios", "", "one plugin line with perfdata"},
    {'w', "watch", "", "again every two seconds, until interrupted"},
    socket_option,
};
constexpr cmd::Usage usage{
    "vitalctl status",
    "[SERVICE] [--json] [--watch] [--nagios]",
    "Shows what the agent sees now. Ends with what consumers are told: 0 pass, 1 warn, 2 fail (drain and maintenance\n"
    "too), 3 not known.",
    "vitalctl status web --nagios",
    options,
    1,
    exit_unknown};

// What a node or a service is told to its consumers, in a word.
std::string told(const Json& service) {
  const std::string overlay = cmd::text_at(service, "overlay");
  if (overlay != "none" && !overlay.empty()) return overlay;
  const std::string state = cmd::text_at(service, "state");
  const std::string answer = cmd::text_at(service, "answer");
  // Told as fail, since there is no better word on the wire; people are told which ignorance it is.
  return answer == "fail" && (state == "pending" || state == "stale") ? state : answer;
}

int code_of_service(const Json& service) {
  const std::string word = told(service);
  return word == "drain" || word == "maintenance" ? exit_fail : code_of(word);
}

Cell since(const Json& entry, WallTime now) { return {ago(cmd::text_at(entry, "since"), now), Ink::plain}; }

std::string print_services(const Json& services, WallTime now, const cmd::Paint& paint) {
  Table table({"SERVICE", "TOLD", "FOR", "WHY"});
  for (const Json& s : services) {
    const std::string word = told(s);
    table.add({{cmd::text_at(s, "name"), Ink::bold}, {word, ink_of(word)}, since(s, now), {cmd::text_at(s, "reason")}});
  }
  return table.is_empty() ? "" : table.text(paint, terminal_width()) + "\n";
}

std::string milliseconds_at(const Json& json, const char* key) {
  const auto ms = cmd::number_at(json, key);
  return ms ? friendly_ms(*ms) : "-";
}

// What is worth knowing about a check beside its state.
std::string remarks(const Json& check) {
  std::string out;
  if (const Json& p = check.at("pending_change"); p.is_object()) {
    out += fmt::format("[{} of {} to {}] ", p.value("seen", 0), p.value("needed", 0), cmd::text_at(p, "to"));
  }
  if (const std::string by = cmd::text_at(check, "suppressed_by"); !by.empty()) out += "[because of " + by + "] ";
  if (check.value("is_flapping", false)) out += "[flapping] ";
  if (cmd::text_at(check, "mode") == "shadow") out += "[shadow] ";
  return out + cmd::text_at(check, "output");
}

std::string print_checks(const Json& checks, WallTime now, const cmd::Paint& paint) {
  Table table({"CHECK", "STATE", "FOR", "LAST", "AGE", "TOOK", "OUTPUT"});
  for (const Json& c : checks) {
    const std::string state = cmd::text_at(c, "state");
    std::string last = cmd::text_at(c, "verdict");
    if (const std::string cause = cmd::text_at(c, "cause"); !cause.empty() && cause != "none") last += "/" + cause;
    table.add({{cmd::text_at(c, "name"), Ink::bold},
               {state, ink_of(state)},
               since(c, now),
               {last.empty() ? "-" : last},
               {milliseconds_at(c, "age_ms")},
               {milliseconds_at(c, "duration_ms")},
               {remarks(c)}});
  }
  return table.is_empty() ? "" : table.text(paint, terminal_width());
}

// Who is told. An agent that is older than this command has none.
std::string print_outputs(const Json& status, const std::string& service, WallTime now, const cmd::Paint& paint) {
  Table table({"OUTPUT", "TYPE", "OF", "TOLD", "STATE", "FOR", "WHY"});
  for (const Json& o : status.value("outputs", Json::array())) {
    const std::string of = cmd::text_at(o, "service");
    if (!service.empty() && of != service) continue;
    const std::string state = cmd::text_at(o, "state"), told_word = cmd::text_at(o, "told");
    const Ink ink = state == "ok" ? Ink::green : state == "failing" ? Ink::red : Ink::yellow;
    std::string why = cmd::text_at(o, "error");
    if (o.value("queued", 0) > 0) why = fmt::format("[{} waiting] ", o.value("queued", 0)) + why;
    table.add({{cmd::text_at(o, "name"), Ink::bold},
               {cmd::text_at(o, "type")},
               {of.empty() ? "node" : of},
               {told_word.empty() ? "-" : told_word, ink_of(told_word)},
               {state, ink},
               since(o, now),
               {why}});
  }
  return table.is_empty() ? "" : "\n" + table.text(paint, terminal_width());
}

// Those who come regularly; who looked once is no consumer.
std::string print_consumers(const Client& agent, const cmd::Paint& paint) {
  const Reply reply = agent.ask("GET", "/api/v1/consumers");
  if (reply.status != 200) return "";
  const Json answer = Json::parse(reply.body);
  Table table({"CONSUMER", "FROM", "ASKS", "EVERY", "LAST", "TOLD", "BELIEVES"});
  for (const Json& c : answer.at("consumers")) {
    if (!c.at("interval_ms").is_number()) continue;
    const bool is_lost = c.value("is_lost", false);
    std::string told =
        c.at("last_code").is_number() ? std::to_string(c.at("last_code").get<int>()) : cmd::text_at(c, "last_word");
    std::string believes;
    if (const Json& b = c.at("believes"); b.is_object()) {
      believes = fmt::format("{} {} as {}, weight {}{}", cmd::text_at(b, "state"), cmd::text_at(b, "rank"),
                             cmd::text_at(b, "server"), cmd::text_at(b, "weight"),
                             cmd::text_at(b, "node").empty() ? "" : ", node " + cmd::text_at(b, "node"));
    }
    table.add({{cmd::text_at(c, "kind"), Ink::bold},
               {cmd::text_at(c, "address")},
               {cmd::text_at(c, "path")},
               {friendly_ms(c.at("interval_ms").get<double>())},
               {milliseconds_at(c, "age_ms") + " ago" + (is_lost ? ", lost" : ""), is_lost ? Ink::yellow : Ink::plain},
               {told},
               {believes}});
  }
  return table.is_empty() ? "" : "\n" + table.text(paint, terminal_width());
}

// An agent that is older than this command does not tell.
std::string workers_in_words(const Json& status) {
  const Json workers = status.value("workers", Json::object());
  const std::string method = cmd::text_at(workers, "kill_method");
  if (method.empty()) return "";
  const unsigned idle = workers.value("idle", 0U), busy = workers.value("busy", 0U);
  return fmt::format(", {} worker{}, {} busy, ended by {}", idle + busy, idle + busy == 1 ? "" : "s", busy, method);
}

std::string print_unkillable(const Json& status, const cmd::Paint& paint) {
  const Json workers = status.value("workers", Json::object());
  const unsigned count = workers.value("unkillable", 0U) + workers.value("unkillable_processes", 0U);
  if (count == 0) return "";
  return paint.red(fmt::format("{} process{} of checks cannot be killed", count, count == 1 ? "" : "es")) +
         ": the checks they belong to say which and why, and are not run beside them\n";
}

std::string print_notes(const Json& status, const cmd::Paint& paint) {
  std::string out = print_unkillable(status, paint);
  for (const Json& o : status.at("overlays")) {
    const std::string service = cmd::text_at(o, "service");
    const std::string until = cmd::text_at(o, "until");
    const std::string reason = cmd::text_at(o, "reason");
    const std::string file = cmd::text_at(o, "file");
    out += fmt::format("{} on {} by {} {}{}\n", paint.yellow(cmd::text_at(o, "kind")),
                       service.empty() ? "the node" : service, cmd::text_at(o, "owner"),
                       !until.empty() ? "until " + until
                       : file.empty() ? "until resumed"
                                      : "while " + file + " is there",
                       reason.empty() ? "" : ": " + reason);
  }
  if (status.value("is_stopping", false)) out += paint.yellow("vitald is stopping") + "\n";
  if (status.value("is_stalled", false)) out += paint.red("vitald's loop has stalled: nothing here is current") + "\n";
  for (const Json& c : status.value("certificates", Json::array())) {
    if (!c.value("is_expiring", false)) continue;
    out += paint.yellow("the certificate of " + cmd::text_at(c, "listener") + " " + cmd::text_at(c, "address")) +
           " ends " + cmd::text_at(c, "not_after") + ": renew it\n";
  }
  const Json& config = status.at("config");
  if (!config.value("is_current", true)) {
    out += paint.red("the last reload was refused") +
           ", the config before it stays: " + cmd::text_at(config, "problem") + "\n";
  }
  return out.empty() ? "" : "\n" + out;
}

struct Seen {
  std::string text;
  int code = exit_unknown;
};

Seen tables(const Client& agent, const std::string& service) {
  const cmd::Paint paint;
  const WallTime now = Loop::both().wall;
  const Json status = Json::parse(agent.get("/api/v1/status"));
  const Json all = Json::parse(agent.get("/api/v1/checks")).at("checks");
  const Json& node = status.at("node");
  Json services = status.at("services");
  Json checks = all;
  Json subject = node;
  if (!service.empty()) {
    subject = Json::parse(agent.get("/api/v1/services/" + encode(service)));
    services = Json::array({subject});
    checks = Json::array();
    for (const Json& name : subject.at("checks")) {
      for (const Json& check : all) {
        if (check.at("name") == name) checks.push_back(check);
      }
    }
  }
  const std::string word = told(subject);
  const std::string reason = cmd::text_at(subject, "reason");
  std::string out =
      fmt::format("{}: {} for {}{}\n", paint.bold(cmd::text_at(service.empty() ? node : subject, "name")),
                  painted(paint, ink_of(word), word), since(subject, now).text, reason.empty() ? "" : "  " + reason);
  out += paint.dim(fmt::format("vitald {}, up {}{}", cmd::text_at(status, "version"),
                               ago(cmd::text_at(status, "started"), now), workers_in_words(status)));
  out += "\n\n" + print_services(services, now, paint) + print_checks(checks, now, paint) +
         print_outputs(status, service, now, paint);
  if (service.empty()) out += print_consumers(agent, paint);
  out += print_notes(status, paint);
  return {out, code_of_service(subject)};
}

Seen json(const Client& agent, const std::string& service) {
  const std::string text = agent.get(service.empty() ? "/api/v1/status" : "/api/v1/services/" + encode(service));
  const Json seen = Json::parse(text);
  return {seen.dump(2) + "\n", code_of_service(service.empty() ? seen.at("node") : seen)};
}

Seen nagios(const Client& agent, const std::string& service) {
  const std::string path = service.empty() ? "/health" : "/health/" + encode(service);
  const Reply reply = agent.ask("GET", path + "?format=nagios");
  if (reply.status == 404) throw CtlError("there is no service " + one_line(service, 128));
  const std::string line = one_line(reply.body, 8192);
  int code = exit_unknown;
  if (line.starts_with("OK")) code = exit_pass;
  if (line.starts_with("WARNING")) code = exit_warn;
  if (line.starts_with("CRITICAL")) code = exit_fail;
  return {line + "\n", code};
}

}  // namespace

int status(int argc, char** argv) {
  const cmd::Arguments args(usage, argc, argv);
  if (args.is_done()) return args.exit_code();
  const Client agent(socket_path(args));
  const std::string service = args.operands().empty() ? "" : args.operands().front();
  const auto look = [&] {
    if (args.has("nagios")) return nagios(agent, service);
    return args.has("json") ? json(agent, service) : tables(agent, service);
  };
  if (!args.has("watch")) {
    try {
      const Seen seen = look();
      fmt::print("{}", seen.text);
      return seen.code;
    } catch (const CtlError& e) {
      // A plugin speaks on standard output, also when there is nothing to say.
      if (!args.has("nagios")) throw;
      fmt::print("UNKNOWN - {}\n", one_line(e.what()));
      return exit_unknown;
    }
  }
  const bool is_terminal = isatty(STDOUT_FILENO) == 1;
  while (true) {
    std::string text;
    try {
      text = look().text;
    } catch (const CtlError& e) {
      text = std::string(e.what()) + "\n";
    }
    fmt::print("{}{}", is_terminal ? "\x1b[H\x1b[2J" : "", text);
    if (std::fflush(stdout) != 0) return exit_unknown;  // nobody reads any more
    std::this_thread::sleep_for(watch_every);
  }
}

}  // namespace vital::ctl
