// exec: any command as a check, Nagios plugins above all: exit code 0, 1, 2, 3, first line, performance data. Argument
// vector, never a shell; clean environment; its own process group; everything it leaves behind is killed before the
// result leaves. A blocking module.
#include <string.h>

#include <vitald/check.hpp>

#include "child_process.hpp"
#include "nagios_output.hpp"

namespace {

using namespace vital::check;
using namespace std::chrono_literals;

constexpr OptionRow options[] = {
    {"command", Type::list, nullptr, "the program and its arguments, one list item each; never a shell",
     "[/usr/lib/nagios/plugins/check_procs, -c, '1:']", VITAL_OPTION_REQUIRED},
    {"env", Type::map, nullptr, "its whole environment besides PATH, LANG and HOME; ours is not inherited",
     "{PGHOST: db1}"},
    {"secret_env", Type::string, nullptr,
     "the name of one more variable, which gets the content of secret_file; prefer stdin where the plugin can read it"},
    {"secret", Type::string, nullptr, "handed over in the variable named by secret_env, or else on standard input",
     nullptr, VITAL_OPTION_SECRET},
    {"directory", Type::string, "/", "its working directory"},
    {"user", Type::string, nullptr, "run it as this user; only possible where the agent runs as root", "nagios"},
    {"max_output", Type::size, "4KiB", "output beyond this is thrown away", "4KiB", 0, nullptr, 256, 65536},
    {"max_memory", Type::size, nullptr, "RLIMIT_AS of the command", "256MiB", 0, nullptr, 16777216, 1e12},
};

class Exec final : public Blocking {
 public:
  explicit Exec(const Options& o) {
    command_.argv = o.list("command");
    if (command_.argv.empty() || command_.argv[0].empty())
      throw Invalid("command", "is empty: write [/path/to/program, argument]");
    command_.environment = {
        {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, {"LANG", "C.UTF-8"}, {"HOME", "/"}};
    for (auto& [name, value] : o.map("env")) {
      if (name.empty() || name.find('=') != std::string::npos)
        throw Invalid("env", "'" + name + "' cannot name a variable");
      command_.environment.emplace_back(name, value);
    }
    if (o.has("secret")) {
      if (o.has("secret_env")) {
        command_.environment.emplace_back(o.text("secret_env"), o.text("secret"));
      } else {
        command_.input = o.text("secret") + "\n";
      }
    } else if (o.has("secret_env")) {
      throw Invalid("secret_env", "needs secret_file, the file whose content it shall get");
    }
    command_.directory = o.text("directory");
    command_.user = o.text_or("user", "");
    command_.output_bound = static_cast<size_t>(o.integer("max_output"));
    command_.memory_bound = static_cast<unsigned long long>(o.integer_or("max_memory", 0));
  }

  Result probe(const Attempt& attempt) override {
    // We stop it a little before the agent would stop us, so that the answer can say what it had printed so far.
    const Duration margin = std::min<Duration>(100ms, attempt.remaining() / 10);
    const Ended ended = run_command(command_, attempt.deadline() - margin, margin / 2);
    Result result = judge(ended);
    result.phase(Phase::exchange, ended.took);
    if (ended.leftovers > 0) result.measure("leftover_processes", ended.leftovers);
    if (ended.is_cut) result.fact("output", "cut");
    return result;
  }

 private:
  Result judge(const Ended& ended) const {
    const std::string& name = command_.argv[0];
    if (!ended.is_started) return unknown(Cause::config, name + " could not be started: " + ended.failure);
    const nagios::Output output = nagios::parse_output(ended.output);
    const std::string said = output.first_line.empty() ? "" : "; it had said: " + output.first_line;
    if (ended.unkillable > 0) {
      return unknown(Cause::agent, name + " left " + std::to_string(ended.unkillable) +
                                       " processes that cannot be killed (waiting in the kernel, or another user's)" +
                                       said);
    }
    if (ended.is_timed_out) return fail(Cause::timeout, name + " did not end in time and was killed" + said);
    if (ended.signal != 0) {
      return unknown(Cause::agent, name + " was ended by signal " + std::to_string(ended.signal) + " (" +
                                       strsignal(ended.signal) + ")" + said);
    }
    return nagios::judge(ended.exit_code, output);
  }

  Command command_;
};

}  // namespace

VITAL_BLOCKING_MODULE(Exec, "exec", "1.0", "any command that answers like a Nagios plugin", options)
