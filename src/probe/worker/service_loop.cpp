// "vital.loop/1" over vital::Loop, and the table of services; see services.hpp.
#include <poll.h>

#include <limits>
#include <string_view>
#include <utility>

#include "probe/worker/host.hpp"
#include "probe/worker/services.hpp"

namespace vital::worker {
namespace {

std::uint64_t now(const vital_host*) { return static_cast<std::uint64_t>(Loop::now().time_since_epoch().count()); }

FdWatch::Interest interest(std::uint32_t events) {
  return {(events & VITAL_READABLE) != 0, (events & VITAL_WRITABLE) != 0};
}

// The loop does not tell a hang-up from data, and a module may want to know.
bool is_hung_up(int fd) {
  pollfd p{fd, 0, 0};
  return poll(&p, 1, 0) > 0;
}

void tell(vital_watch& watch, FdWatch::Ready ready) {
  // An error is found by whoever reads or writes: with it comes what was asked for.
  const std::uint32_t events = (ready.readable ? std::uint32_t{VITAL_READABLE} : 0U) |
                               (ready.writable ? std::uint32_t{VITAL_WRITABLE} : 0U) |
                               (is_hung_up(watch.fd) ? std::uint32_t{VITAL_HANGUP} : 0U);
  Instance& instance = *watch.instance;
  instance.host().call_back(instance, [&] { watch.ready(watch.user, watch.fd, events); });
}

vital_watch* watch(const vital_host* host, int fd, std::uint32_t events,
                   void (*ready)(void* user, int fd, std::uint32_t events), void* user) {
  if (ready == nullptr) return nullptr;
  Instance& instance = Instance::of(host);
  auto made = std::make_unique<vital_watch>(vital_watch{&instance, fd, events, ready, user, nullptr});
  vital_watch* raw = made.get();
  try {
    raw->watch = std::make_unique<FdWatch>(instance.host().loop(), fd, interest(events),
                                           [raw](FdWatch::Ready what) { tell(*raw, what); });
  } catch (const std::exception&) {
    return nullptr;  // the kernel cannot wait for plain files and directories: they are always ready
  }
  instance.watches.emplace(raw, std::move(made));
  return raw;
}

void change(vital_watch* watch, std::uint32_t events) {
  if (watch == nullptr) return;
  watch->events = events;
  watch->watch->want(interest(events));
}

void unwatch(vital_watch* watch) {
  if (watch != nullptr) watch->instance->watches.erase(watch);
}

void fire(vital_timer* timer, void (*fired)(void* user), void* user) {
  Instance& instance = *timer->instance;
  const Duration late = Loop::now() - timer->due;
  instance.timers.erase(timer);  // gone before it fires
  instance.host().lagged(late);
  instance.host().call_back(instance, [&] { fired(user); });
}

vital_timer* arm(const vital_host* host, std::uint64_t delay_ns, void (*fired)(void* user), void* user) {
  if (fired == nullptr) return nullptr;
  Instance& instance = Instance::of(host);
  Loop& loop = instance.host().loop();
  constexpr auto longest = std::chrono::nanoseconds(std::chrono::hours(24 * 365));
  const Duration delay = delay_ns > static_cast<std::uint64_t>(longest.count()) ? longest : Duration(delay_ns);
  auto made = std::make_unique<vital_timer>();
  vital_timer* raw = made.get();
  raw->instance = &instance;
  raw->due = Loop::now() + delay;
  if (delay == Duration::zero()) {
    // "The answer is known, tell it soon": common, and without the kernel's help.
    raw->at_once = std::make_shared<vital_timer*>(raw);
    loop.post([still = raw->at_once, fired, user] {
      if (*still != nullptr) fire(*still, fired, user);
    });
  } else {
    raw->timer = std::make_unique<Timer>(loop, [raw, fired, user] { fire(raw, fired, user); });
    raw->timer->arm_at(raw->due);
  }
  instance.timers.emplace(raw, std::move(made));
  return raw;
}

void disarm(vital_timer* timer) {
  if (timer != nullptr) timer->instance->timers.erase(timer);
}

constexpr vital_loop service{sizeof(vital_loop), now, watch, change, unwatch, arm, disarm};

}  // namespace

const vital_loop& loop_service() { return service; }

const vital_log& log_service() {
  static constexpr vital_log log{sizeof(vital_log), [](const vital_host* host, std::uint32_t level, const char* text) {
                                   Instance& instance = Instance::of(host);
                                   if (text != nullptr) instance.host().log(instance, level, text);
                                 }};
  return log;
}

const void* find_service(const char* name, bool is_async) {
  if (name == nullptr) return nullptr;
  const std::string_view wanted = name;
  if (wanted == VITAL_SERVICE_LOOP) return &loop_service();
  if (wanted == VITAL_SERVICE_RESOLVE) return &resolve_service();
  if (wanted == VITAL_SERVICE_LOG) return &log_service();
  if (wanted == VITAL_SERVICE_SPAWN && is_async) return &spawn_service();
  return nullptr;
}

}  // namespace vital::worker
