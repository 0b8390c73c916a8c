// Running one module by hand; see driver.hpp.
#include "probe/worker/driver.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string_view>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "loop/loop.hpp"
#include "modules/mark.hpp"
#include "probe/worker/host.hpp"
#include "probe/worker/module_file.hpp"
#include "probe/worker/values.hpp"

namespace vital::worker {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view usage =
    R"(vitald-worker --probe FILE.so [--timeout 2s] [--repeat N] [KEY=VALUE ...]
    runs one probe in the foreground and prints the result. A list repeats its key; a map is written
    headers.Name=value; a secret is read from a file: password_file=PATH. --repeat N probes N times and says
    what that cost and whether descriptors or memory grew.
vitald-worker --describe FILE.so
    prints what the module declares.

  vitald-worker --probe build/checks/tcp.so --timeout 500ms address=127.0.0.1:22
)";

struct Command {
  std::string describe;
  std::string probe;
  Duration timeout = 2s;
  unsigned repeat = 1;
  std::vector<std::string> words;
};

std::optional<Command> parse(const std::vector<std::string>& arguments) {
  Command out;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (!argument.starts_with("--")) {
      out.words.push_back(argument);
      continue;
    }
    if (i + 1 == arguments.size()) return {};
    const std::string& value = arguments[++i];
    if (argument == "--probe") {
      out.probe = value;
    } else if (argument == "--describe") {
      out.describe = value;
    } else if (argument == "--timeout") {
      const auto timeout = parse_duration(value);
      if (!timeout) return {};
      out.timeout = *timeout;
    } else if (argument == "--repeat") {
      out.repeat = static_cast<unsigned>(std::strtoul(value.c_str(), nullptr, 10));
      if (out.repeat == 0) return {};
    } else {
      return {};
    }
  }
  if (out.probe.empty() == out.describe.empty()) return {};
  return out;
}

std::string_view name(OptionType type) {
  static constexpr std::array<std::string_view, 10> names{"string", "integer",         "number", "boolean", "duration",
                                                          "size",   "size or percent", "choice", "list",    "map"};
  return names[static_cast<std::size_t>(type)];
}

int describe(const std::string& path) {
  std::string why;
  const auto module = ModuleFile::load(path, &why);
  if (module == nullptr) {
    fmt::print(stderr, "{}\n", why);
    return 3;
  }
  const ModuleInfo& info = module->info();
  fmt::print("{} {} ({}): {}\n", info.type, info.version, module->is_async() ? "async" : "blocking", info.summary);
  for (const OptionSpec& o : info.options) {
    fmt::print("  {:<24} {:<10} {}{}{}{}\n", o.is_secret ? o.name + "_file" : o.name, name(o.type),
               o.is_required ? "required; " : "", o.fallback ? "default " + *o.fallback + "; " : "", o.help,
               o.choices.empty() ? "" : " [" + join(o.choices, " ") + "]");
  }
  return 0;
}

void print(const ProbeReport& report) {
  const ProbeResult& r = report.result;
  fmt::print("{}/{}: {}\n", name(r.verdict), name(r.cause), r.text);
  fmt::print("  took {}", friendly_duration(r.duration));
  if (report.worst_lag > 0ns) fmt::print(", worker lag {}", friendly_duration(report.worst_lag));
  fmt::print("\n");
  for (const auto& [phase, took] : r.phases) fmt::print("  phase {:<10} {}\n", name(phase), friendly_duration(took));
  for (const Measure& m : r.measures) {
    fmt::print("  measure {} = {}{}", m.name, m.value, m.unit);
    if (!std::isnan(m.warn)) fmt::print(", warn at {}", m.warn);
    if (!std::isnan(m.fail)) fmt::print(", fail at {}", m.fail);
    fmt::print("\n");
  }
  for (const auto& [fact, value] : r.facts) fmt::print("  fact {} = {}\n", fact, value);
}

std::size_t open_descriptors() {
  std::size_t n = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++n;
  return n;
}

long resident_kib() {
  std::ifstream file("/proc/self/statm");
  long total = 0;
  long resident = 0;
  file >> total >> resident;
  return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

// A blocking module that does not come back is ended as the agent would do it, a little later than the deadline.
void guard(Duration patience) {
  static const int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);  // a module may have turned the other one away
  struct sigaction action {};
  action.sa_handler = [](int) {
    constexpr std::string_view text =
        "fail/timeout: the module did not return by its deadline; a worker would be killed now\n";
    [[maybe_unused]] const ssize_t n = write(out, text.data(), text.size());
    _exit(2);
  };
  sigaction(SIGALRM, &action, nullptr);
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(patience).count();
  const itimerval timer{{0, 0}, {us / 1'000'000, us % 1'000'000}};
  setitimer(ITIMER_REAL, &timer, nullptr);
}

int run(const Command& command, const std::string& path) {
  Loop loop;
  Mark mark;
  std::optional<ProbeReport> last;
  Host host(loop, mark,
            {[&](ProbeReport report) {
               last = std::move(report);
               loop.stop();
             },
             [](std::uint32_t level, const std::string&, const std::string& text) {
               static constexpr std::array<std::string_view, 4> levels{"debug", "info", "warning", "error"};
               fmt::print(stderr, "  log {}: {}\n", levels[level], text);
             }});
  std::string why;
  const ModuleFile* module = host.load(path, 0, &why);
  if (module == nullptr) {
    fmt::print(stderr, "{}\n", why);
    return 3;
  }
  Values values;
  const auto problems = read_values(module->info(), command.words, values);
  for (const std::string& problem : problems) fmt::print(stderr, "{}\n", problem);
  if (!problems.empty()) return 3;
  host.add(1, {module->info().type, path, values});
  if (const auto refusal = host.create(1)) {
    fmt::print(stderr, "{}{}{}\n", refusal->option, refusal->option.empty() ? "" : ": ", refusal->text);
    return 3;
  }

  std::map<std::string, unsigned> outcomes;
  Duration total{};
  std::size_t first_descriptors = 0;
  long first_resident = 0;
  for (unsigned round = 1; round <= command.repeat; ++round) {
    last.reset();
    guard(command.timeout + 200ms);
    host.probe(1, round, 0, Loop::now() + command.timeout);
    if (!last) loop.run_for(command.timeout);
    if (!last) {
      host.cancel(round);
      ProbeResult late;
      late.verdict = Verdict::fail;
      late.cause = Cause::timeout;
      late.text = fmt::format("no result in {}", friendly_duration(command.timeout));
      late.duration = command.timeout;
      last = ProbeReport{round, std::move(late), {}, {}};
    }
    ++outcomes[fmt::format("{}/{}: {}", name(last->result.verdict), name(last->result.cause), last->result.text)];
    total += last->result.duration;
    // What a first probe sets up for good (caches, locale data) is no growth.
    if (round == std::max(1U, command.repeat / 10)) {
      first_descriptors = open_descriptors();
      first_resident = resident_kib();
    }
  }
  print(*last);
  if (command.repeat > 1) {
    fmt::print("  {} probes, {} each\n", command.repeat, friendly_duration(total / command.repeat));
    fmt::print("  descriptors {} -> {}, resident {} -> {} KiB (from probe {} on)\n", first_descriptors,
               open_descriptors(), first_resident, resident_kib(), std::max(1U, command.repeat / 10));
    std::size_t shown = 0;
    for (const auto& [outcome, count] : outcomes) {
      if (++shown <= 10) fmt::print("  {:>6} x {}\n", count, outcome);
    }
  }
  return static_cast<int>(last->result.verdict);
}

}  // namespace

int drive(const std::vector<std::string>& arguments) {
  const auto command = parse(arguments);
  if (!command) {
    fmt::print(stderr, "{}", usage);
    return 3;
  }
  std::error_code error;
  const std::string& given = command->probe.empty() ? command->describe : command->probe;
  const std::string path = std::filesystem::absolute(given, error).string();
  return command->probe.empty() ? describe(path) : run(*command, path);
}

}  // namespace vital::worker
