// exec_lines: `exec` with `protocol: lines`. A command that stays and answers requests in JSON lines, so that a check
// in Python or Go costs no process each time; see plugin.hpp for the child, answer.hpp for the words. An async module.
#include <memory>
#include <utility>
#include <vitald/check.hpp>

#include "../command_options.hpp"
#include "../net/sigpipe.hpp"
#include "answer.hpp"
#include "plugin.hpp"

namespace vital::lines {
namespace {

using namespace std::chrono_literals;
using check::Cause;
using check::Duration;
using check::OptionRow;
using check::Type;

constexpr const char* protocols[] = {"lines", nullptr};

constexpr OptionRow options[] = {
    {"command", Type::list, nullptr,
     "the program and its arguments, one list item each; never a shell. Checks that say the same share one child",
     "[/usr/bin/python3, /etc/vitald/checks.py]", VITAL_OPTION_REQUIRED},
    {"arguments", Type::map, nullptr, "what this check asks for, sent with each request", "{queue: orders}"},
    {"protocol", Type::choice, "lines", "as in exec, which hands lines over to this type", nullptr, 0, protocols},
    {"env", Type::map, nullptr, "its whole environment besides PATH, LANG and HOME; ours is not inherited",
     "{PYTHONUNBUFFERED: '1'}"},
    {"secret_env", Type::string, nullptr, "the name of one more variable, which gets the content of secret_file"},
    {"secret_fd", Type::integer, nullptr,
     "the descriptor from which it can read the content of secret_file, once; /dev/fd/N is its name; default 3", "3", 0,
     nullptr, 3, 9},
    {"secret", Type::string, nullptr, "handed over in the variable named by secret_env, or else by secret_fd", nullptr,
     VITAL_OPTION_SECRET},
    {"directory", Type::string, "/", "its working directory"},
    {"user", Type::string, nullptr, "run it as this user; only possible where the agent runs as root", "nagios"},
    {"max_memory", Type::size, nullptr, "address space of each of its processes", "256MiB", 0, nullptr, 16777216, 1e12},
    {"max_files", Type::integer, nullptr, "open files of each of its processes", "64", 0, nullptr, 8, 65536},
    {"max_processes", Type::integer, nullptr,
     "processes its user may have, all together (the kernel counts by user, and never root's)", "64", 0, nullptr, 1,
     100000},
    {"max_file_size", Type::size, nullptr, "size of a file it writes", "1MiB", 0, nullptr, 0, 1e15},
};

// Its standard input is where requests come from, so a secret has to come another way.
check::Command read(const check::Options& o) {
  check::Command command = check::read_command(o);
  if (!command.input.empty()) command.secret = std::exchange(command.input, {});
  return command;
}

// Equal for checks that may share a child.
std::string key_of(const check::Command& c) {
  std::string key;
  const auto add = [&](const std::string& text) { key += std::to_string(text.size()) + ":" + text; };
  for (const std::string& word : c.argv) add(word);
  for (const auto& [name, value] : c.environment) add(name + "=" + value);
  for (const std::string& text : {c.directory, c.user, c.secret}) add(text);
  for (const unsigned long long n :
       {static_cast<unsigned long long>(c.secret_fd), c.memory_bound, static_cast<unsigned long long>(c.files_bound),
        static_cast<unsigned long long>(c.processes_bound), c.file_bound})
    add(std::to_string(n));
  return key;
}

class Probe final : public check::AsyncProbe, public Asker {
 public:
  Probe(const check::Host& host, std::shared_ptr<Plugin> plugin, const check::Attempt& attempt,
        const std::vector<std::pair<std::string, std::string>>& arguments, const std::string& secret,
        check::Finisher finisher)
      : plugin_(std::move(plugin)), secret_(secret), finisher_(finisher), timer_(host), id_(plugin_->next_id()) {
    const Duration left = attempt.remaining();
    // A little before the agent would give us up, so that the answer can say more than "no answer".
    const Duration patience = left - std::min<Duration>(100ms, left / 10);
    started_ = check::monotonic_now();
    if (auto refused = plugin_->ask(id_, *this, request_line(id_, patience, attempt.number(), arguments))) {
      result_ = std::move(*refused);
      timer_.arm<&Probe::refused>(this, Duration::zero());
    } else if (!is_over_) {
      timer_.arm<&Probe::late>(this, patience);
    }
  }
  ~Probe() override { plugin_->withdraw(id_, false); }

  void answered(check::Result result) override {
    if (result.text.empty()) result.text = plugin_->name() + " gave no text";
    result.text = check::without_secret(std::move(result.text), secret_);
    for (auto& [name, value] : result.facts) value = check::without_secret(std::move(value), secret_);
    finish(std::move(result));
  }
  void lost(const check::Result& why) override {
    // Also while we are being made, when nothing may be finished yet.
    result_ = why;
    is_over_ = true;
    timer_.arm<&Probe::refused>(this, Duration::zero());
  }
  void trouble(const char* what) noexcept { finish(check::unknown(Cause::agent, what)); }

 private:
  void refused() { finish(std::move(result_)); }
  void late() {
    plugin_->withdraw(id_, true);
    finish(check::fail(Cause::timeout, plugin_->name() + " did not answer in time"));
  }
  void finish(check::Result result) {
    result.phase(check::Phase::exchange, check::monotonic_now() - started_);
    const auto& counters = plugin_->counters();
    if (counters.late > 0) result.measure("late_answers", static_cast<double>(counters.late));
    if (counters.restarts > 0) result.measure("restarts", static_cast<double>(counters.restarts));
    finisher_.finish(result);
  }

  std::shared_ptr<Plugin> plugin_;
  const std::string& secret_;  // of the check, which outlives its probes
  check::Finisher finisher_;
  net::Timer timer_;
  uint64_t id_;
  Duration started_{};
  check::Result result_;
  bool is_over_ = false;
};

class ExecLines final : public check::Async {
 public:
  ExecLines(const check::Host& host, const check::Options& o)
      : host_(host), command_(read(o)), arguments_(o.map("arguments")), secret_(o.text_or("secret", "")) {
    if (host.loop == nullptr) throw check::Invalid("", "this vitald does not offer " VITAL_SERVICE_LOOP);
    net::survive_hangups();
    plugin_ = Plugin::shared(host_, command_, key_of(command_));
  }
  ~ExecLines() override {
    if (plugin_ != nullptr) plugin_->leave(host_);
  }
  ExecLines(const ExecLines&) = delete;
  ExecLines& operator=(const ExecLines&) = delete;

  std::unique_ptr<check::AsyncProbe> start(const check::Attempt& attempt, check::Finisher finisher) override {
    return std::make_unique<Probe>(host_, plugin_, attempt, arguments_, secret_, finisher);
  }

 private:
  const check::Host host_;
  const check::Command command_;
  const std::vector<std::pair<std::string, std::string>> arguments_;
  const std::string secret_;
  std::shared_ptr<Plugin> plugin_;
};

}  // namespace
}  // namespace vital::lines

using vital::lines::ExecLines;
VITAL_ASYNC_MODULE(ExecLines, "exec_lines", "1.0", "a command that stays and answers requests in JSON lines",
                   vital::lines::options)
