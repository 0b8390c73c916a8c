// exec: commands of the operator's. Argument vectors, never a shell; a clean environment with what the step is about;
// their own process group, killed with everything they leave behind.
//
// The exit code of `command` says that it ran; what became of it `verify` must say. A command that crashes, is killed
// or hangs is a failure, never a success.
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "action.hpp"
#include "checks/child_process.hpp"
#include "checks/command_options.hpp"
#include "checks/words.hpp"

namespace {

using namespace vital::action;
using namespace std::chrono_literals;

constexpr OptionRow options[] = {
    {"command", Type::list, nullptr, "the program and its arguments, one list item each; never a shell",
     "[/etc/vitald/hooks/promote, orders]", VITAL_OPTION_REQUIRED},
    {"veto", Type::list, nullptr, "run before it; anything but exit code 0 forbids it, and nothing is done",
     "[/etc/vitald/hooks/may-promote]"},
    {"verify", Type::list, nullptr,
     "ends with 0 once it is so, as clients see it; asked again until then. Without it the exit code is believed",
     "[/etc/vitald/hooks/is-promoted]"},
    {"compensate", Type::list, nullptr, "takes it back", "[/etc/vitald/hooks/demote]"},
    {"preflight", Type::list, nullptr,
     "ends with 0 if it would work now; changes nothing. Default: is the program there",
     "[/etc/vitald/hooks/promote, --check]"},
    {"env", Type::map, nullptr, "more of their environment, besides PATH, LANG, HOME and VITALD_*"},
    {"secret", Type::string, nullptr,
     "handed over by secret_fd, in the variable named by secret_env, or else on standard input", nullptr,
     VITAL_OPTION_SECRET},
    {"secret_env", Type::string, nullptr, "the name of a variable that gets the content of secret_file"},
    {"secret_fd", Type::integer, nullptr, "the descriptor from which the content of secret_file can be read, once", "3",
     0, nullptr, 3, 9},
    {"directory", Type::string, "/", "their working directory"},
    {"user", Type::string, nullptr, "run them as this user; only possible where the agent runs as root", "postgres"},
    VITAL_STEP_ROWS};

class Exec final : public Action {
 public:
  explicit Exec(const Options& o)
      : command_(read_command(o)),
        veto_(o.list("veto")),
        verify_(o.list("verify")),
        compensate_(o.list("compensate")),
        preflight_(o.list("preflight")) {
    for (const auto& [name, value] : command_.environment) {
      if (name.rfind("VITALD_", 0) == 0) throw Invalid("env", "'" + name + "' is ours; choose another name");
    }
  }

  Result check(const Step& step, const Attempt& attempt) override {
    if (!preflight_.empty()) return ran(preflight_, step, attempt, "check");
    for (const auto* argv : {&command_.argv, &veto_, &verify_, &compensate_}) {
      if (argv->empty() || argv->front().find('/') == std::string::npos) continue;
      if (access(argv->front().c_str(), X_OK) != 0) {
        return fail(Cause::config, argv->front() + " cannot be run: " + std::strerror(errno));
      }
    }
    if (verify_.empty()) return warn(Cause::config, "there is no verify: the exit code of the command is believed");
    return pass("the programs are there");
  }

  Result perform(const Step& step, const Attempt& attempt) override {
    if (!veto_.empty()) {
      const Result answer = ran(veto_, step, attempt, "veto");
      if (answer.verdict != Verdict::pass) veto(answer.text);
    }
    step.begin_effect();
    return ran(command_.argv, step, attempt, "perform");
  }

  Result verify(const Step& step, const Attempt& attempt) override {
    if (verify_.empty()) return pass("nothing was asked: there is no verify");
    return poll_until(attempt.deadline(), 200ms, [&] { return ran(verify_, step, attempt, "verify"); });
  }

  Result compensate(const Step& step, const Attempt& attempt) override {
    if (compensate_.empty()) return fail(Cause::config, "there is no compensate");
    step.begin_effect();
    return ran(compensate_, step, attempt, "compensate");
  }

 private:
  Result ran(const std::vector<std::string>& argv, const Step& step, const Attempt& attempt, const char* verb) const {
    Command command = command_;
    command.argv = argv;
    for (const auto& [name, value] : {std::pair{"VITALD_VERB", std::string(verb)},
                                      {"VITALD_TOPOLOGY", step.topology},
                                      {"VITALD_FROM", step.from},
                                      {"VITALD_TO", step.to},
                                      {"VITALD_TOKEN", step.token},
                                      {"VITALD_RECOVERY", step.recovery}}) {
      command.environment.emplace_back(name, value);
    }
    const Duration margin = std::min<Duration>(200ms, attempt.remaining() / 5);
    const Ended ended = run_command(command, attempt.deadline() - margin, margin / 2);
    const std::string said = ended.output.empty() ? "" : ": " + tidy(ended.output, 200);
    const std::string& name = argv.front();
    if (!ended.is_started) return fail(Cause::config, name + " could not be started: " + ended.failure);
    if (ended.leftovers.unkillable() > 0) {
      return unknown(Cause::agent, name + " left something " + ended.leftovers.complaint());
    }
    if (ended.is_timed_out) {
      return fail(Cause::timeout, name + " did not end in time and was killed" + said).fact("outcome", "timeout");
    }
    if (ended.signal != 0) return fail(Cause::content, name + " was " + describe_signal(ended.signal) + said);
    if (ended.exit_code != 0) {
      return fail(Cause::content, name + " ended with " + std::to_string(ended.exit_code) + said);
    }
    return pass(name + " ended with 0" + said);
  }

  Command command_;
  std::vector<std::string> veto_, verify_, compensate_, preflight_;
};

}  // namespace

VITAL_ACTION(Exec, "exec", "1.0", "commands of your own, with a veto, a verification and a way back", options)
