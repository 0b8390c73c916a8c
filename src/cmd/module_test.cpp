// vitald module-test: one module through its contract, a line for each thing that is asked of it. For those who write
// modules, and for whoever is about to install one. Exit 0 if all passed, else 1.
#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/duration.hpp"
#include "cmd/cmd.hpp"
#include "trial/trial.hpp"

namespace vital::cmd {
namespace {

using Json = nlohmann::ordered_json;
using trial::Line;
using trial::Outcome;

constexpr Option options[] = {
    {0, "json", "", "as JSON"},
    {0, "rounds", "N", "how often it is set up, and probed", "1000"},
    {0, "timeout", "DURATION", "of one probe", "2s"},
    {0, "no-valgrind", "", "do not run it under valgrind, even if that is installed"},
};
constexpr Usage usage{"vitald module-test",
                      "FILE.so [OPTION=VALUE]...",
                      "Runs a module through its contract, in workers. Options are written as on the left of a\n"
                      "configuration's colon: search.base=ou=people. A list repeats its option; a map is written\n"
                      "headers.Name=value; a secret is read from a file: password_file=PATH.",
                      "vitald module-test ./spool.so path=/var/mail",
                      options,
                      1000};

std::string_view name(Outcome outcome) {
  switch (outcome) {
    case Outcome::pass:
      return "pass";
    case Outcome::fail:
      return "fail";
    case Outcome::skipped:
      return "skip";
  }
  return "fail";
}

void print(const Line& line, const Paint& paint) {
  const std::string word = fmt::format("{:<4}", name(line.outcome));
  const std::string colour = line.outcome == Outcome::pass   ? paint.green(word)
                             : line.outcome == Outcome::fail ? paint.red(word)
                                                             : paint.dim(word);
  fmt::print("{}  {:<10} {}\n", colour, line.name, line.text);
  if (!line.advice.empty()) fmt::print("                 {}\n", paint.dim(line.advice));
  std::fflush(stdout);
}

int complain(std::string_view what) {
  fmt::print(stderr, "vitald module-test: {}; vitald module-test --help shows how\n", what);
  return cmd::exit_usage;
}

}  // namespace

int module_test(int argc, char** argv) {
  const Arguments args(usage, argc, argv);
  if (args.is_done()) return args.exit_code();
  if (args.operands().empty()) return complain("it needs a FILE.so");
  trial::TrialOptions wanted;
  wanted.worker = find_places().worker;
  wanted.module = args.operands().front();
  wanted.words.assign(args.operands().begin() + 1, args.operands().end());
  wanted.with_valgrind = !args.has("no-valgrind");
  const std::string rounds = args.value("rounds");
  const auto [end, error] = std::from_chars(rounds.data(), rounds.data() + rounds.size(), wanted.rounds);
  if (error != std::errc{} || end != rounds.data() + rounds.size() || wanted.rounds < 10 || wanted.rounds > 1'000'000)
    return complain(fmt::format("--rounds {}: write a number from 10 to 1000000", rounds));
  const auto timeout = parse_duration(args.value("timeout"));
  if (!timeout || *timeout <= Duration::zero())
    return complain(fmt::format("--timeout {}: write a duration, as in 2s", args.value("timeout")));
  wanted.timeout = *timeout;

  const bool as_json = args.has("json");
  const Paint paint;
  const auto lines = trial::run_trial(wanted, [&](const Line& line) {
    if (!as_json) print(line, paint);
  });
  std::size_t failed = 0;
  Json list = Json::array();
  for (const Line& line : lines) {
    failed += line.outcome == Outcome::fail ? 1 : 0;
    Json one{{"name", line.name}, {"outcome", name(line.outcome)}, {"text", line.text}};
    if (!line.advice.empty()) one["advice"] = line.advice;
    list.push_back(std::move(one));
  }
  if (as_json) {
    const Json out{{"module", wanted.module}, {"ok", failed == 0}, {"lines", std::move(list)}};
    fmt::print("{}\n", out.dump(2, ' ', false, Json::error_handler_t::replace));
  } else {
    fmt::print("{}\n", failed == 0 ? paint.green("all is well") : paint.red(fmt::format("{} failed", failed)));
  }
  return failed == 0 ? exit_ok : exit_failed;
}

}  // namespace vital::cmd
