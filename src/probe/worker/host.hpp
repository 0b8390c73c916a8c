// Host: the other side of the module ABI. It keeps the instances a worker was asked for, hands probes to them, and
// takes results back: copied, bounded and cleaned, exactly one for each probe. Whatever a module does wrong here
// (finishing twice, late, or from a strange thread; throwing; lying about sizes) is counted, logged and ignored.
// All of it [loop] (the worker has one thread), but for log(), which is [any].
//
//   Host host(loop, mark, {report, line});
//   host.add(1, {"db", "/usr/lib/.../postgres.so", values});
//   host.probe(1, 77, 0, deadline);        // report({77, result, ...}) comes once, now or from the loop
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "base/time.hpp"
#include "core/result.hpp"
#include "loop/loop.hpp"
#include "modules/mark.hpp"
#include "probe/run_delay.hpp"
#include "probe/worker/instance.hpp"
#include "probe/worker/module_file.hpp"

namespace vital::worker {

class Resolver;
class Spawner;

struct InstanceSpec {
  std::string check;
  std::string path;
  std::vector<std::pair<std::string, std::vector<std::string>>> values;
};

struct ProbeReport {
  std::uint64_t id = 0;
  ProbeResult result;
  Instant taken{};       // when the module got it
  Duration worst_lag{};  // how late this worker turned, worst while the probe ran
};

// Why an instance could not be made.
struct Refusal {
  Cause cause = Cause::config;  // config: the options; agent: the module
  std::string option;           // may be empty
  std::string text;
};

class Host {
 public:
  struct Outlets {
    std::function<void(ProbeReport)> report;
    std::function<void(std::uint32_t level, const std::string& check, const std::string& text)> line;
  };
  Host(Loop& loop, Mark& mark, Outlets outlets);
  ~Host();  // gives up what runs, destroys the instances
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // Loads a module, once; null and a line if it cannot be used. [control]
  const ModuleFile* load(const std::string& path, std::uint32_t instance, std::string* why);

  // Keeps what is needed to make an instance; replaces one of the same number.
  void add(std::uint32_t instance, InstanceSpec spec);
  // Makes it now if it is not made yet; empty = it is there.
  std::optional<Refusal> create(std::uint32_t instance);
  // Gives up its probes (no report) and destroys it. Unknown numbers are ignored.
  void remove(std::uint32_t instance);

  // Blocking modules report before this returns, async ones from the loop.
  void probe(std::uint32_t instance, std::uint64_t id, std::uint32_t attempt, Instant deadline);
  // Gives a probe up: no report any more. False if it is not running.
  bool cancel(std::uint64_t id);

  // Says that something held up the loop for so long: every probe in flight remembers its worst.
  void lagged(Duration lag);

  std::size_t running() const { return running_.size(); }
  std::uint64_t misused() const { return misused_.load(std::memory_order_relaxed); }

  // For the services behind the ABI.
  Loop& loop() { return loop_; }
  std::shared_ptr<Resolver>& resolver() { return resolver_; }                      // made by the first query
  std::shared_ptr<Spawner>& spawner() { return spawner_; }                         // made by the first command
  void log(const Instance& instance, std::uint32_t level, std::string_view text);  // [any]
  // Runs module code at the border: marked, timed, nothing thrown gets past. What was thrown is returned as text.
  template <typename Code>
  std::string call(const Instance& instance, Stage stage, const Code& code) {
    const Instant began = Loop::now();
    std::string thrown;
    try {
      const Marked marked(mark_, stage, instance.number());
      code();
    } catch (const std::exception& e) {
      thrown = one_line(std::string("the module threw: ") + e.what());
    } catch (...) {
      thrown = "the module threw something unknown";
    }
    returned(instance, stage, Loop::now() - began);
    return thrown;
  }
  // As call(), for code the module hung on the loop: what it throws is the end of its probe, if it has just one.
  template <typename Code>
  void call_back(Instance& instance, const Code& code) {
    const std::string thrown = call(instance, Stage::callback, code);
    if (!thrown.empty()) threw_in_callback(instance, thrown);
  }

 private:
  friend class Instance;
  // Lives at one address until long after its probe: a module that finishes late with an old pointer must not hit a
  // new probe. Slots are used again oldest first, and never less than `spare_slots` later.
  struct Slot {
    vital_probe probe{};
    Instance* instance = nullptr;  // null = free
    Instant taken{};
    Duration worst_lag{};
    Duration waited_before{};  // blocking: the thread's run delay when the probe began
  };
  static constexpr std::size_t spare_slots = 256;

  Slot& take_slot();
  void free_slot(Slot& slot);
  void finish(Instance& instance, const vital_probe* probe, const vital_result* result);
  void report(Slot& slot, ProbeResult result);
  void returned(const Instance& instance, Stage stage, Duration took);
  void threw_in_callback(Instance& instance, const std::string& what);
  void misuse(const Instance& instance, std::string_view what);  // [any]
  void send_waiting_lines();
  bool may_log(std::string* note);  // m_ held

  Loop& loop_;
  Mark& mark_;
  Outlets outlets_;
  const pthread_t thread_;  // the one that may finish probes
  RunDelay run_delay_;
  Timer tick_;  // while probes run: its lateness is our lag
  Instant tick_due_{};
  bool is_ticking_ = false;

  std::shared_ptr<Resolver> resolver_;
  std::shared_ptr<Spawner> spawner_;
  std::map<std::string, std::unique_ptr<ModuleFile>> modules_;
  std::unordered_map<std::uint32_t, std::unique_ptr<Instance>> instances_;
  std::deque<Slot> slots_;
  std::deque<Slot*> free_;
  std::unordered_map<const vital_probe*, Slot*> running_;
  std::unordered_map<std::uint64_t, Slot*> by_id_;

  std::shared_ptr<Host*> self_;  // what a posted call may still find
  std::atomic<std::uint64_t> misused_{0};
  std::mutex m_;
  struct Line {
    std::uint32_t level;
    std::string check;
    std::string text;
  };
  std::vector<Line> lines_;         // guarded by m_: waiting to be sent
  Instant second_began_{};          // guarded by m_: for the rate
  unsigned lines_this_second_ = 0;  // guarded by m_
  std::uint64_t suppressed_ = 0;    // guarded by m_
};

}  // namespace vital::worker
