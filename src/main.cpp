// vitald: picks the subcommand. Each is a function in cmd/ that reads its own command line; this is their table.
#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <exception>
#include <string_view>
#include <vector>

#include "base/text.hpp"
#include "cmd/cmd.hpp"

namespace {

using namespace vital;

struct Subcommand {
  std::string_view name;
  int (*function)(int argc, char** argv);
  std::string_view help;
};

constexpr auto subcommands = std::to_array<Subcommand>({
    {"run", cmd::run, "the agent, in the foreground"},
    {"check-config", cmd::check_config, "every mistake of a configuration, and what to write instead"},
    {"explain", cmd::explain, "the configuration as the agent understands it"},
    {"probe", cmd::probe, "one configured check, once, with what it saw"},
    {"replay", cmd::replay, "what was recorded through another configuration (vitalctl replay)"},
    {"advise", cmd::advise, "what was recorded says about the settings (vitalctl advise)"},
    {"doctor", cmd::doctor, "what is wrong with this installation, and how to mend it (vitalctl doctor)"},
    {"init", cmd::init, "a first configuration, from what listens on this host (vitalctl init)"},
    {"modules", cmd::modules, "the check types found, with their options"},
    {"module-test", cmd::module_test, "one module through its contract, for those who write them"},
});

int help(std::FILE* to, int code) {
  fmt::print(to,
             "vitald {}: runs deep health checks and answers load balancers\n\n"
             "usage: vitald COMMAND [OPTION]...      vitald COMMAND --help tells more\n"
             "       vitald -c FILE                  the same as vitald run -c FILE\n\n",
             VITALD_VERSION);
  for (const Subcommand& s : subcommands) fmt::print(to, "  {:<14} {}\n", s.name, s.help);
  fmt::print(to, "\nexample: vitald check-config -c /etc/vitald/vitald.yaml\n");
  return code;
}

int dispatch(int argc, char** argv) {
  if (argc < 2) return help(stderr, cmd::exit_usage);
  std::string_view word = argv[1];
  if (word == "--help" || word == "-h" || word == "help") return help(stdout, cmd::exit_ok);
  if (word == "--version") {
    fmt::print("vitald {}\n", VITALD_VERSION);
    return cmd::exit_ok;
  }
  int skip = 1;
  if (word.starts_with('-')) {  // vitald -c FILE
    word = "run";
    skip = 0;
  }
  for (const Subcommand& s : subcommands) {
    if (s.name == word) return s.function(argc - skip, argv + skip);
  }
  std::vector<std::string> known;
  for (const Subcommand& s : subcommands) known.emplace_back(s.name);
  const auto near = nearest(word, known);
  fmt::print(stderr, "vitald: unknown command '{}'{}; vitald --help lists them\n", one_line(word, 80),
             near ? fmt::format(", did you mean {}?", *near) : "");
  return cmd::exit_usage;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return dispatch(argc, argv);
  } catch (const std::exception& e) {
    fmt::print(stderr, "vitald: {}\n", one_line(e.what()));
    return cmd::exit_failed;
  }
}
