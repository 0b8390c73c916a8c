// vitald advise, which vitalctl advise runs: what the recorded results say about the settings of a config.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "cmd/cmd.hpp"
#include "cmd/record.hpp"
#include "core/advice.hpp"
#include "ctl/table.hpp"

namespace vital::cmd {
namespace {

using Json = nlohmann::ordered_json;

constexpr Option options[] = {config_option, since_option, journal_option, {0, "json", "", "as JSON"}, socket_option};
constexpr Usage usage{
    "vitalctl advise", "[-c FILE] [--since 7d] [--journal FILE] [--json]",
    "Says, with numbers from the journal, which timeouts are tighter than what is normal, which retries\n"
    "never helped, and which falls more patience would have spared. vitalctl replay proves it.",
    "vitalctl advise --since 7d", options};

RecordedResult recorded(const JournalResult& r) {
  RecordedResult out;
  out.check = r.check;
  out.at = {Instant(r.at.time_since_epoch()), r.at};
  out.result.verdict = r.verdict;
  out.result.cause = r.cause;
  out.result.duration = r.duration;
  out.attempt = r.attempt;
  out.is_outcome = r.is_outcome;
  return out;
}

Json to_json(const Plan& plan, const Advisor& advisor, const std::vector<Advice>& advice) {
  const auto ms = [](Duration d) { return seconds(d) * 1e3; };
  Json times = Json::array();
  for (const CheckPlan& check : plan.checks) {
    const AnswerTimes t = advisor.times(check.name);
    times.push_back({{"name", check.name},
                     {"answers", t.count},
                     {"p50_ms", ms(t.median)},
                     {"p99_ms", ms(t.p99)},
                     {"p99_9_ms", ms(t.p999)},
                     {"max_ms", ms(t.longest)},
                     {"timeout_ms", ms(check.timeout)}});
  }
  Json list = Json::array();
  for (const Advice& a : advice) {
    list.push_back({{"check", a.check}, {"option", a.option}, {"now", a.now}, {"instead", a.instead}, {"why", a.why}});
  }
  return {{"checks", std::move(times)}, {"advice", std::move(list)}};
}

}  // namespace

int advise(int argc, char** argv) {
  const Arguments args(usage, argc, argv);
  if (args.is_done()) return args.exit_code();
  return with_record(args, [&](const Record& record) {
    const std::shared_ptr<const Plan>& plan = record.config->plan;
    Advisor advisor(plan);
    std::uint64_t results = 0;
    record.read([&](const JournalRow& row) {
      const auto* result = std::get_if<JournalResult>(&row);
      if (result == nullptr || result->at < record.since) return;
      ++results;
      advisor.take(recorded(*result));
    });
    const std::vector<Advice> advice = advisor.advice();
    if (args.has("json")) {
      fmt::print("{}\n", to_json(*plan, advisor, advice).dump(2, ' ', false, Json::error_handler_t::replace));
      return exit_ok;
    }
    const Paint paint;
    fmt::print("{} results since {}\n\n", results, format_wall(record.since));
    ctl::Table table({"CHECK", "ANSWERS", "MEDIAN", "P99", "P99.9", "MAX", "TIMEOUT"});
    for (const CheckPlan& check : plan->checks) {
      const AnswerTimes t = advisor.times(check.name);
      const auto time = [&](Duration d) { return ctl::Cell{t.count > 0 ? friendly_duration(d) : "-"}; };
      table.add({{check.name, ctl::Ink::bold},
                 {std::to_string(t.count)},
                 time(t.median),
                 time(t.p99),
                 time(t.p999),
                 time(t.longest),
                 {format_duration(check.timeout)}});
    }
    fmt::print("{}\n", table.text(paint, ctl::terminal_width()));
    for (const Advice& a : advice) {
      fmt::print("{}: {} {} -> {}: {}\n", paint.bold(a.check), a.option, a.now, paint.yellow(a.instead), a.why);
    }
    if (advice.empty()) fmt::print("nothing to advise\n");
    return exit_ok;
  });
}

}  // namespace vital::cmd
