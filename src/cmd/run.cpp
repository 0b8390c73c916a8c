// vitald run: the agent, in the foreground. Everything that can be wrong with the config is said before anything is
// started; an address in use is one line.
#include <fmt/format.h>
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <system_error>

#include "agent/agent.hpp"
#include "cmd/cmd.hpp"
#include "cmd/loading.hpp"
#include "config/config.hpp"

namespace vital::cmd {
namespace {

constexpr Option options[] = {config_option};
constexpr Usage usage{
    "vitald run", "[-c FILE]",
    "Runs the agent in the foreground: probes, answers, and says on standard error what changes.\n"
    "SIGHUP reads the config again; SIGTERM shows drain for shutdown.drain, then ends; a second one ends at once.",
    "vitald run --config /etc/vitald/vitald.yaml", options};

}  // namespace

int run(int argc, char** argv) {
  const Arguments args(usage, argc, argv);
  if (args.is_done()) return args.exit_code();
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);  // until the agent listens to it: a reload asked for too early is no reason to die

  const LoadOptions load = loading(args.value("config"));
  const Loaded loaded = load_config(load);
  if (!loaded.config) {
    print_problems(loaded);
    return exit_config;
  }
  Loop loop;
  try {
    Agent agent(loop, load, loaded);
    const int code = agent.run();
    if (agent.has_strays()) std::_Exit(code);
    return code;
  } catch (const FrontError& e) {
    fmt::print(stderr, "vitald: {}\n", e.what());
  } catch (const std::system_error& e) {
    fmt::print(stderr, "vitald: {}\n", e.what());
  }
  return exit_failed;
}

}  // namespace vital::cmd
