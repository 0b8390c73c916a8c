// Pool: the agent's side of the lanes. It runs probes in worker processes and keeps the promise that nothing a module
// does can hold, crash or leak the agent: one async worker for the built-in async types, one for each third-party async
// module, and blocking workers with one probe each, grown on demand, reaped when idle, killed with their group at the
// deadline and replaced. [loop]
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "core/engine.hpp"
#include "core/result.hpp"
#include "loop/loop.hpp"
#include "modules/option.hpp"

namespace vital {

struct PoolOptions {
  std::string worker;  // path of vitald-worker
  unsigned max_blocking = 8;
  Duration idle_after{};        // a blocking worker idle this long is let go; default 30 s if zero
  unsigned max_queued = 1024;   // probes that may wait for a blocking worker
  unsigned memory_mib = 512;    // of data a worker may have; 0 = no limit
  unsigned processes = 0;       // its user may have (RLIMIT_NPROC); 0 = no limit
  std::string seccomp = "off";  // or log, enforce: see worker/seccomp.hpp
  // Adopt the orphans of this process and use a delegated control group, so that what a worker leaves behind is proven
  // gone. For a process whose children are all started through Child.
  bool proves_ends = false;
  Duration grace{};  // an async worker later than this past a deadline, or silent this long, is killed; default 1 s
};

// Counters only grow; gauges are now.
struct PoolStats {
  unsigned idle = 0, busy = 0, starting = 0, unkillable = 0;  // gauges: workers by state
  std::uint64_t started = 0, killed = 0, crashed = 0;         // workers
  std::uint64_t probes = 0, queued_full = 0;                  // probes run; probes refused because the queue was full
  std::uint64_t bad_frames = 0;                               // what a worker sent that made no sense
  std::uint64_t late_results = 0;                             // of probes that were given up by then
  unsigned unkillable_processes = 0;       // gauge: what dead workers left behind and SIGKILL does not end
  std::string_view kill_method = "group";  // cgroup, subreaper or group: how the end of a worker's children is proven
};

class Pool {
 public:
  // `done` gets each result at most once, on the loop, never from within start().
  // None of them is called from within start(), abandon() or retire().
  struct Handlers {
    std::function<void(ProbeId, ProbeResult)> done;
    std::function<void(Note)> note;
    // A probe has to wait for a worker; a worker took a probe that had to wait. Both may be empty.
    std::function<void(ProbeId)> queued;
    std::function<void(ProbeId)> taken;
    // Shortly before the deadline of a probe that has not answered: for so long its worker was kept from running, or
    // held up. May be empty.
    std::function<void(ProbeId, Duration lost)> delayed;
  };
  Pool(Loop& loop, PoolOptions options, Handlers handlers);
  ~Pool();  // kills and forgets every worker
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Runs one probe of `spec`. Instances are made once a worker and kept while the same spec object is in use. If no
  // worker can take it before the deadline the result is unknown/agent, and says so.
  void start(ProbeId id, std::shared_ptr<const CheckSpec> spec, std::uint32_t attempt, Instant deadline);

  // The core has given this probe up: cancel it (async) or kill its worker (blocking). `done` will not be called for
  // it.
  void abandon(ProbeId id);

  // No further probes of this spec: workers destroy its instance.
  void retire(const std::shared_ptr<const CheckSpec>& spec);

  // Changes the bound; extra idle workers are let go.
  void set_max_blocking(unsigned max_blocking);
  // Workers that have other limits get no further probes: idle ones are let go, busy ones after what they have.
  void set_limits(unsigned memory_mib, unsigned processes, std::string seccomp);

  // Asks every worker to finish and end; `ended` is called when all are gone, by force after `patience`.
  void shut_down(Duration patience, std::function<void()> ended);

  PoolStats stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vital
