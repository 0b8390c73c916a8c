// exec: any command as a check, Nagios plugins above all: exit code 0, 1, 2, 3, first line, performance data. Argument
// vector, never a shell; clean environment; its own process group; everything it leaves behind is killed before the
// result leaves. A blocking module.
#include <vitald/check.hpp>

#include "child_process.hpp"
#include "command_options.hpp"
#include "nagios_output.hpp"

namespace {

using namespace vital::check;
using namespace std::chrono_literals;

constexpr const char* protocols[] = {"nagios", "lines", nullptr};

constexpr OptionRow options[] = {
    {"command", Type::list, nullptr, "the program and its arguments, one list item each; never a shell",
     "[/usr/lib/nagios/plugins/check_procs, -c, '1:']", VITAL_OPTION_REQUIRED},
    {"protocol", Type::choice, "nagios",
     "nagios: one run a probe, read by its exit code and its output; lines: the command stays and answers JSON lines, "
     "with "
     "the options of exec_lines",
     nullptr, 0, protocols},
    {"env", Type::map, nullptr, "its whole environment besides PATH, LANG and HOME; ours is not inherited",
     "{PGHOST: db1}"},
    {"env_file", Type::string, nullptr,
     "a file of NAME=VALUE lines that are added to its environment, read anew for each run; absolute path",
     "/etc/vitald/orders.env"},
    {"secret_env", Type::string, nullptr,
     "the name of one more variable, which gets the content of secret_file; prefer secret_fd or stdin where the plugin "
     "can read it"},
    {"secret_fd", Type::integer, nullptr,
     "the descriptor from which it can read the content of secret_file, once; /dev/fd/N is its name", "3", 0, nullptr,
     3, 9},
    {"secret", Type::string, nullptr,
     "handed over by secret_fd, in the variable named by secret_env, or else on standard input", nullptr,
     VITAL_OPTION_SECRET},
    {"directory", Type::string, "/", "its working directory"},
    {"user", Type::string, nullptr, "run it as this user; only possible where the agent runs as root", "nagios"},
    {"max_output", Type::size, "4KiB", "output beyond this is thrown away", "4KiB", 0, nullptr, 256, 65536},
    {"max_memory", Type::size, nullptr, "address space of each of its processes", "256MiB", 0, nullptr, 16777216, 1e12},
    {"max_files", Type::integer, nullptr, "open files of each of its processes", "64", 0, nullptr, 8, 65536},
    {"max_processes", Type::integer, nullptr,
     "processes its user may have, all together (the kernel counts by user, and never root's)", "64", 0, nullptr, 1,
     100000},
    {"max_file_size", Type::size, nullptr, "size of a file it writes", "1MiB", 0, nullptr, 0, 1e15},
};

class Exec final : public Blocking {
 public:
  explicit Exec(const Options& o)
      : command_(read_command(o)), env_file_(o.text_or("env_file", "")), secret_(o.text_or("secret", "")) {
    if (!env_file_.empty() && env_file_[0] != '/') throw Invalid("env_file", "must be an absolute path");
  }

  Result probe(const Attempt& attempt) override {
    // We stop it a little before the agent would stop us, so that the answer can say what it had printed so far.
    const Duration margin = std::min<Duration>(100ms, attempt.remaining() / 10);
    Command command = command_;
    if (std::string why; !env_file_.empty() && !add_variables(env_file_, command.environment, why)) {
      return unknown(Cause::config, env_file_ + ": " + why);
    }
    Ended ended = run_command(command, attempt.deadline() - margin, margin / 2);
    ended.output = without_secret(std::move(ended.output), secret_);
    Result result = judge(ended);
    result.phase(Phase::exchange, ended.took);
    if (ended.leftovers.killed > 0) result.measure("leftover_processes", ended.leftovers.killed);
    if (ended.is_cut) result.fact("output", "cut");
    return result;
  }

 private:
  Result judge(const Ended& ended) const {
    const std::string& name = command_.argv[0];
    if (!ended.is_started) return unknown(Cause::config, name + " could not be started: " + ended.failure);
    const nagios::Output output = nagios::parse_output(ended.output);
    const std::string said = output.first_line.empty() ? "" : "; it had said: " + output.first_line;
    if (ended.leftovers.unkillable() > 0) {
      return unknown(Cause::agent, name + " left something " + ended.leftovers.complaint() + said);
    }
    if (ended.is_timed_out) return fail(Cause::timeout, name + " did not end in time and was killed" + said);
    if (ended.signal != 0) return unknown(Cause::agent, name + " was " + describe_signal(ended.signal) + said);
    return nagios::judge(ended.exit_code, output);
  }

  Command command_;
  std::string env_file_;
  std::string secret_;
};

}  // namespace

VITAL_BLOCKING_MODULE(Exec, "exec", "1.1", "any command that answers like a Nagios plugin", options)
