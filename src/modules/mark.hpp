// Mark: one shared page in which a worker writes whose code it is about to run. When a worker dies or stops turning,
// the agent reads there which check it was: the dead cannot say it, and a pipe may hold half a message. The worker
// writes, the agent reads; both treat what they find as a hint, never as an index to trust.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

namespace vital {

// What the worker was doing with a module. The numbers cross between processes.
enum class Stage : std::uint32_t { idle = 0, loading, creating, probing, callback, cancelling, destroying };

constexpr std::string_view name(Stage s) {
  switch (s) {
    case Stage::idle:
      return "idle";
    case Stage::loading:
      return "load";
    case Stage::creating:
      return "create";
    case Stage::probing:
      return "probe";
    case Stage::callback:
      return "callback";
    case Stage::cancelling:
      return "cancel";
    case Stage::destroying:
      return "destroy";
  }
  return "idle";
}

struct Mark {
  std::atomic<std::uint32_t> stage{0};
  std::atomic<std::uint32_t> instance{0};
  std::atomic<std::uint32_t> last{0};  // the instance whose code ran last: a suspect, if the worker dies by itself
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free, "the page is shared between processes");

// Says that module code of `instance` runs for as long as this object lives; they nest.
class Marked {
 public:
  Marked(Mark& mark, Stage stage, std::uint32_t instance)
      : mark_(mark),
        old_stage_(mark.stage.load(std::memory_order_relaxed)),
        old_instance_(mark.instance.load(std::memory_order_relaxed)) {
    mark_.instance.store(instance, std::memory_order_relaxed);
    mark_.last.store(instance, std::memory_order_relaxed);
    mark_.stage.store(static_cast<std::uint32_t>(stage), std::memory_order_relaxed);
  }
  ~Marked() {
    mark_.instance.store(old_instance_, std::memory_order_relaxed);
    mark_.stage.store(old_stage_, std::memory_order_relaxed);
  }
  Marked(const Marked&) = delete;
  Marked& operator=(const Marked&) = delete;

 private:
  Mark& mark_;
  std::uint32_t old_stage_;
  std::uint32_t old_instance_;
};

}  // namespace vital
