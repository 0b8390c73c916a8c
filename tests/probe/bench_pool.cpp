// What the lanes cost: time and CPU per probe that answers at once, through real workers, and the memory of an idle
// worker. Run by hand: build with -Dbenches=true, tests/probe/bench-pool.
#include <sys/resource.h>

#include <cstdio>

#include "probe/bench_core.hpp"

using namespace vital;
using namespace vital::test;

namespace {

double cpu_seconds(int who) {
  rusage u{};
  getrusage(who, &u);
  const auto of = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return of(u.ru_utime) + of(u.ru_stime);
}

// CPU of a living process: user and system time in clock ticks, fields 14 and 15.
double cpu_of(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  std::string word;
  double ticks = 0;
  for (int field = 1; field <= 15 && file >> word; ++field) {
    if (field >= 14) ticks += std::stod(word);
  }
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

void print_memory(const char* what, const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/smaps_rollup");
  for (std::string word; file >> word;) {
    if (word != "Pss:" && word != "Private_Dirty:") continue;
    long kib = 0;
    file >> kib;
    std::printf("%s: %s %ld KiB\n", what, word.c_str(), kib);
  }
}

// Starts `count` probes, never more than `together` at once.
void measure(const char* what, const std::shared_ptr<const CheckSpec>& spec, unsigned count, unsigned together) {
  Loop loop;
  unsigned started = 0;
  unsigned done = 0;
  Pool* use = nullptr;
  const auto next = [&] {
    if (started < count) use->start(ProbeId(++started), spec, 0, Loop::now() + 60s);
  };
  Pool pool(loop, {.worker = TEST_WORKER, .max_blocking = together},
            {[&](ProbeId, ProbeResult r) {
               if (r.verdict != Verdict::pass) refuse(r);
               ++done;
               next();
               if (done == count) loop.stop();
             },
             {},
             {},
             {}});
  use = &pool;
  const auto round = [&](unsigned n) {
    started = done = 0;
    count = n;
    for (unsigned i = 0; i < together; ++i) next();
    loop.run_for(60s);
  };
  const unsigned wanted = count;
  round(together * 10);
  const auto workers = children();
  double before = -cpu_seconds(RUSAGE_SELF);
  double worker_before = 0;
  for (const auto& pid : workers) worker_before += cpu_of(pid);
  const Instant began = Loop::now();
  round(wanted);
  const double took = seconds(Loop::now() - began);
  double worker_cpu = -worker_before;
  for (const auto& pid : workers) worker_cpu += cpu_of(pid);
  const double per = 1e6 / count;
  std::printf("%-28s %6u probes, %3u at once: %6.1f us each; CPU agent %5.1f us, workers %5.1f us\n", what, count,
              together, took * per, (before + cpu_seconds(RUSAGE_SELF)) * per, worker_cpu * per);
  if (together == 1) print_memory(what, workers.front());
}

}  // namespace

int main() {
  const auto at_once = async("answer", "a", "0");
  measure("async", at_once, 50'000, 1);
  measure("async", at_once, 200'000, 32);
  measure("async", at_once, 200'000, 256);
  measure("blocking", answers(), 50'000, 1);
  measure("blocking", answers(), 50'000, 4);
  return 0;
}
