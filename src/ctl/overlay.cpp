// vitalctl drain, maintenance, resume: what an operator lays over the node or a service. The agent keeps who and why,
// and lets it expire by itself, so that nothing stays out of rotation because somebody went home.
#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "ctl/ctl.hpp"
#include "ctl/leaving.hpp"
#include "ctl/progress.hpp"
#include "loop/loop.hpp"

namespace vital::ctl {
namespace {

using Json = nlohmann::ordered_json;

constexpr cmd::Option lay_options[] = {
    {0, "for", "DURATION", "how long, such as 30m, or forever", "1h"},
    {0, "reason", "TEXT", "why; everybody who looks will see it"},
    {0, "owner", "NAME", "who, if not you"},
    {0, "json", "", "as JSON"},
    socket_option,
};
constexpr cmd::Option drain_options[] = {
    {0, "for", "DURATION", "how long, such as 30m, or forever", "1h"},
    {0, "reason", "TEXT", "why; everybody who looks will see it"},
    {0, "owner", "NAME", "who, if not you"},
    {0, "wait", "", "until everybody has left, so that it is safe to stop"},
    {0, "timeout", "DURATION", "of the waiting", "5m"},
    {0, "json", "", "as JSON"},
    socket_option,
};
constexpr cmd::Usage drain_usage{
    "vitalctl drain",
    "[SERVICE] [--for 1h] [--reason TEXT] [--wait [--timeout 5m]]",
    "Takes the whole node, or one service, out of rotation: consumers are told drain, checks go on. It ends by itself\n"
    "and survives a restart of the agent. With --wait it returns 0 when all outputs hold the drain, those that count\n"
    "sessions have none, and the balancers declared by `lb:` or seen asking have left; 1 if somebody is left.",
    "vitalctl drain web --wait && systemctl restart web",
    drain_options,
    1};
constexpr cmd::Usage maintenance_usage{
    "vitalctl maintenance",
    "[SERVICE] [--for 1h] [--reason TEXT]",
    "As drain, but told as maintenance: HAProxy stops its own checks too. It ends by itself and survives a restart of\n"
    "the agent.",
    "vitalctl maintenance --for 2h --reason 'new disk'",
    lay_options,
    1};

constexpr cmd::Option resume_options[] = {{0, "json", "", "as JSON"}, socket_option};
constexpr cmd::Usage resume_usage{
    "vitalctl resume",     "[SERVICE]",    "Ends a drain or maintenance of the whole node, or of one service.",
    "vitalctl resume web", resume_options, 1};

// Who is at the keyboard, also behind sudo.
std::string owner() {
  const char* behind = std::getenv("SUDO_USER");
  if (behind != nullptr && *behind != '\0' && geteuid() == 0) return behind;
  const passwd* entry = getpwuid(getuid());
  return entry != nullptr ? entry->pw_name : "uid " + std::to_string(getuid());
}

// Asks until nobody is left, or `patience` is over; what is waited for is said when it changes.
int wait_for_leaving(const Client& agent, const std::string& service, Duration patience) {
  const Instant start = Loop::now();
  std::optional<Progress> progress;
  std::vector<std::string> said;
  while (true) {
    const Duration drained_for = Loop::now() - start;
    // An older agent keeps no list of who asks.
    const Reply consumers = agent.ask("GET", "/api/v1/consumers");
    const auto left =
        who_is_left(Json::parse(agent.get("/api/v1/status")),
                    consumers.status == 200 ? Json::parse(consumers.body) : Json::object(), service, drained_for);
    if (left.empty()) {
      progress.reset();
      fmt::print("everybody has left after {}: it is safe to stop\n", friendly_duration(drained_for));
      return 0;
    }
    if (drained_for > patience) {
      progress.reset();
      for (const std::string& line : left) fmt::print("still: {}\n", line);
      fmt::print(stderr, "vitalctl: not everybody has left within {}\n", format_duration(patience));
      return 1;
    }
    if (said.empty()) {
      for (const std::string& line : left) fmt::print("waiting: {}\n", line);
      std::fflush(stdout);
      said = left;
      progress.emplace("waiting until everybody has left");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

std::string subject(const Json& service) {
  return service.is_string() ? "service " + one_line(service.get<std::string>(), 128) : "this node";
}

int lay(const cmd::Usage& usage, const char* kind, int argc, char** argv) {
  const cmd::Arguments args(usage, argc, argv);
  if (args.is_done()) return args.exit_code();
  const bool is_waiting = kind == std::string_view("drain") && args.has("wait");
  const auto patience = is_waiting ? parse_duration(args.value("timeout")) : std::optional<Duration>(Duration{});
  if (!patience) throw CtlError("--timeout '" + one_line(args.value("timeout"), 40) + "': write a duration such as 5m");
  Json body{{"kind", kind}, {"for", args.value("for")}, {"reason", args.value("reason")}};
  body["owner"] = args.has("owner") ? args.value("owner") : owner();
  if (!args.operands().empty()) body["service"] = args.operands().front();
  const Reply reply =
      Client(socket_path(args))
          .ask("POST", "/api/v1/maintenance", body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  if (reply.status != 200) throw CtlError(error_of(reply));
  if (args.has("json")) {
    fmt::print("{}", reply.body);
    return 0;
  }
  const Json laid = Json::parse(reply.body);
  const Json& until = laid.at("until");
  fmt::print("{}: {} {}\n", subject(laid.at("service")), kind,
             until.is_null() ? "until you resume it"
                             : fmt::format("until {} ({})", until.get<std::string>(), args.value("for")));
  if (!laid.value("is_saved", true)) {
    fmt::print(stderr, "vitalctl: it is in force, but a restart of vitald will forget it: {}\n",
               one_line(laid.value("trouble", std::string("not on disk yet"))));
  }
  if (!is_waiting) return 0;
  return wait_for_leaving(Client(socket_path(args)), args.operands().empty() ? "" : args.operands().front(), *patience);
}

}  // namespace

int drain(int argc, char** argv) { return lay(drain_usage, "drain", argc, argv); }
int maintenance(int argc, char** argv) { return lay(maintenance_usage, "maintenance", argc, argv); }

int resume(int argc, char** argv) {
  const cmd::Arguments args(resume_usage, argc, argv);
  if (args.is_done()) return args.exit_code();
  const bool is_node = args.operands().empty();
  const Client agent(socket_path(args));
  const Reply reply = agent.ask(
      "DELETE", "/api/v1/maintenance" + (is_node ? std::string() : "?service=" + encode(args.operands().front())));
  if (reply.status != 200) throw CtlError(error_of(reply));
  if (args.has("json")) {
    fmt::print("{}", reply.body);
    return 0;
  }
  const std::string what = is_node ? "this node" : "service " + one_line(args.operands().front(), 128);
  fmt::print("{}: {}\n", what, Json::parse(reply.body).value("cleared", false) ? "resumed" : "nothing was laid on it");
  // What still keeps something out of rotation is easily forgotten.
  const Json status = Json::parse(agent.get("/api/v1/status"));
  for (const Json& left : status.at("overlays")) {
    fmt::print("still: {} on {}, by {}{}\n", left.at("kind").get<std::string>(), subject(left.at("service")),
               one_line(left.value("owner", std::string("nobody")), 128),
               left.value("reason", std::string()).empty()
                   ? ""
                   : fmt::format(" ({})", one_line(left.at("reason").get<std::string>(), 256)));
  }
  return 0;
}

}  // namespace vital::ctl
