// vitalctl: picks the command. Each is a function in a file of its own; this is their table.
#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string_view>
#include <vector>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "ctl/ctl.hpp"

namespace vital::ctl {

std::string socket_path(const cmd::Arguments& args) {
  if (args.has("socket")) return args.value("socket");
  const char* named = std::getenv("VITALD_SOCKET");
  return named != nullptr && *named != '\0' ? named : args.value("socket");
}

std::string ago(const std::string& rfc3339, WallTime now) {
  const auto then = parse_wall(rfc3339);
  if (!then) return "-";
  return friendly_duration(std::max<Duration>(now - *then, Duration{}));
}

std::string friendly_ms(double ms) {
  return friendly_duration(std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(ms)));
}

Ink ink_of(const std::string& state) {
  if (state == "pass") return Ink::green;
  if (state == "fail" || state == "stale") return Ink::red;
  return Ink::yellow;
}

int code_of(const std::string& state) {
  if (state == "pass") return exit_pass;
  if (state == "warn") return exit_warn;
  return state == "fail" ? exit_fail : exit_unknown;
}

}  // namespace vital::ctl

namespace {

using namespace vital;

struct Command {
  std::string_view name;
  int (*function)(int argc, char** argv);
  std::string_view help;
  int trouble;  // what it ends with when no agent answers
};

constexpr auto commands = std::to_array<Command>({
    {"status", ctl::status, "what the agent sees now", ctl::exit_unknown},
    {"check", ctl::check, "probe one check now and wait for the result", ctl::exit_unknown},
    {"report", ctl::report, "tell how something went that the agent does not probe", 1},
    {"drain", ctl::drain, "take the node or a service out of rotation", 1},
    {"maintenance", ctl::maintenance, "the same, told as maintenance", 1},
    {"resume", ctl::resume, "end a drain or maintenance", 1},
    {"events", ctl::events, "what happened", 1},
    {"history", ctl::history, "what happened to one check", 1},
    {"failover", ctl::failover, "who is primary, what failovers there were and what they cost", 2},
    {"lint", ctl::lint_command, "what in a balancer's configuration does not go with vitald", 2},
    {"availability", ctl::availability, "how much of the last hour, day, week and month was good", 1},
    {"replay", ctl::replay, "what was recorded through another configuration", 1},
    {"advise", ctl::advise, "what was recorded says about the settings", 1},
    {"doctor", ctl::doctor, "what is wrong with this installation, and how to mend it", 2},
    {"init", ctl::init, "write a first configuration, from what listens on this host", 1},
    {"reload", ctl::reload, "read the configuration again", 1},
    {"names", ctl::names, "the names the agent knows, for completion", 1},
});

int help(std::FILE* to, int code) {
  fmt::print(to,
             "vitalctl {}: speaks to the vitald of this host\n\n"
             "usage: vitalctl COMMAND [OPTION]...      vitalctl COMMAND --help tells more\n\n",
             VITALD_VERSION);
  for (const Command& c : commands) fmt::print(to, "  {:<14} {}\n", c.name, c.help);
  fmt::print(to, "\n  {:<14} {}\n\nexample: vitalctl drain web --for 30m --reason 'kernel update'\n", "--socket PATH",
             "the agent's admin socket (default $VITALD_SOCKET, else /run/vitald/admin.sock)");
  return code;
}

int run(const Command& command, std::vector<char*> arguments) {
  try {
    arguments.push_back(nullptr);
    return command.function(static_cast<int>(arguments.size()) - 1, arguments.data());
  } catch (const std::exception& e) {
    // For whom one plugin line is all there is, this is it.
    fmt::print(stderr, "vitalctl: {}\n", one_line(e.what(), 2048));
    return command.trouble;
  }
}

int dispatch(const std::vector<char*>& argv) {
  // Options before the command belong to it: vitalctl --socket PATH status.
  std::size_t at = 1;
  std::vector<char*> early;
  while (at < argv.size() && argv[at][0] == '-') {
    const std::string_view word = argv[at];
    if (word == "--help" || word == "-h") return help(stdout, 0);
    if (word == "--version") {
      fmt::print("vitalctl {}\n", VITALD_VERSION);
      return 0;
    }
    early.push_back(argv[at++]);
    if (word == "--socket" && at < argv.size()) early.push_back(argv[at++]);
  }
  if (at >= argv.size()) return help(stderr, cmd::exit_usage);
  const std::string_view word = argv[at];
  if (word == "help") return help(stdout, 0);
  for (const Command& c : commands) {
    if (c.name != word) continue;
    std::vector<char*> arguments{argv[at]};
    arguments.insert(arguments.end(), early.begin(), early.end());
    arguments.insert(arguments.end(), argv.begin() + static_cast<std::ptrdiff_t>(at) + 1, argv.end());
    return run(c, std::move(arguments));
  }
  std::vector<std::string> known;
  for (const Command& c : commands) known.emplace_back(c.name);
  const auto near = nearest(word, known);
  fmt::print(stderr, "vitalctl: unknown command '{}'{}; vitalctl --help lists them\n", one_line(word, 80),
             near ? fmt::format(", did you mean {}?", *near) : "");
  return cmd::exit_usage;
}

}  // namespace

int main(int argc, char** argv) { return dispatch(std::vector<char*>(argv, argv + argc)); }
