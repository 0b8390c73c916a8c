// A year of results, as fast as they can be written: how large the journal gets with the default bounds, and how long
// the questions of `vitalctl history`, `events` and `replay` take then.
//
//   build/tests/bench/bench-journal [CHECKS] [SECONDS BETWEEN RESULTS]      # 10 and 10: 31 million results
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "store/tables.hpp"

using namespace vital;
using namespace std::chrono_literals;

namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

template <typename Work>
void timed(const char* what, Work work) {
  const auto start = Clock::now();
  const std::size_t rows = work();
  std::printf("%-44s %8.1f ms  %zu rows\n", what, ms_since(start), rows);
}

}  // namespace

int main(int argc, char** argv) {
  const int checks = argc > 1 ? std::atoi(argv[1]) : 10;
  const auto every = std::chrono::seconds(argc > 2 ? std::atoi(argv[2]) : 10);
  char folder[] = "/tmp/vitald-bench-XXXXXX";
  if (mkdtemp(folder) == nullptr) return 1;
  const std::string path = std::string(folder) + "/journal.db";
  const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const WallTime first = now - 24h * 365;
  std::uint64_t rows = 0;
  {
    Tables tables(path);
    const auto start = Clock::now();
    double writing = 0;
    for (WallTime day = first; day < now; day += 24h) {
      const auto began = Clock::now();
      tables.begin();
      for (WallTime at = day; at < std::min(day + 24h, now); at += every) {
        for (int c = 0; c < checks; ++c, ++rows) {
          JournalResult r;
          r.at = at;
          r.check = "check-" + std::to_string(c);
          const bool is_bad = rows % 997 == 0;
          r.verdict = is_bad ? Verdict::fail : Verdict::pass;
          r.cause = is_bad ? Cause::timeout : Cause::none;
          r.duration = std::chrono::microseconds(800 + rows % 5000);
          r.found_ago = 1ms;
          if (is_bad) r.text = "no answer in 5s";
          tables.insert(r);
        }
      }
      for (int n = 0; n < 20; ++n) {
        tables.insert(JournalEvent{0,
                                   day + n * 1h,
                                   "warning",
                                   "check_state",
                                   {{"check", "check-0"},
                                    {"from", "pass"},
                                    {"to", "fail"},
                                    {"cause", "timeout"},
                                    {"reason", "fail/timeout: no answer in 5s"},
                                    {"history", std::string(64, '.')}}});
      }
      tables.commit();
      writing += ms_since(began);
      while (tables.prune_before(day + 24h - 24h * 8, day + 24h - 24h * 366) > 0) {
      }
    }
    tables.shrink();
    std::printf("%llu results in %.1f s, %.0f results/s written; %.1f MiB in use\n",
                static_cast<unsigned long long>(rows), ms_since(start) / 1e3, static_cast<double>(rows) / writing * 1e3,
                static_cast<double>(tables.used_bytes()) / (1 << 20));
  }
  Tables tables(path);  // nothing cached
  JournalQuery query;
  query.check = "check-0";
  query.since = now - 24h;
  timed("history of a day", [&] { return tables.select_hours(query).size(); });
  query.since = now - 24h * 365;
  query.limit = 20000;
  timed("history of a year", [&] { return tables.select_hours(query).size(); });
  query.limit = 1000;
  timed("a check's latest 1,000 results", [&] { return tables.select_results(query).size(); });
  timed("a check's latest 1,000 events", [&] { return tables.select_events(query).size(); });
  timed("a page of 5,000 rows of a replay of 7 days", [&] {
    return tables.select_page({0, now - 24h * 7, 5000}).rows.size();
  });
  std::filesystem::remove_all(folder);
  return 0;
}
