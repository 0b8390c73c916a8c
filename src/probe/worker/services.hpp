// What a module may ask of its host: "vital.loop/1", "vital.resolve/1", "vital.log/1", "vital.spawn/1". The opaque
// types of the C headers are completed here; each is owned by its Instance. [loop] but for the log, which is [any].
#pragma once

#include <vitald/ext/log.h>
#include <vitald/ext/loop.h>
#include <vitald/ext/resolve.h>
#include <vitald/ext/spawn.h>

#include <cstdint>
#include <memory>

#include "base/time.hpp"
#include "loop/loop.hpp"

namespace vital::worker {

class Host;
class Instance;

const vital_loop& loop_service();
const vital_resolve& resolve_service();
const vital_log& log_service();
const vital_spawn& spawn_service();

}  // namespace vital::worker

struct vital_watch {
  vital::worker::Instance* instance;
  int fd;
  std::uint32_t events;
  void (*ready)(void* user, int fd, std::uint32_t events);
  void* user;
  std::unique_ptr<vital::FdWatch> watch;
};

struct vital_timer {
  vital::worker::Instance* instance = nullptr;
  vital::Instant due;
  std::unique_ptr<vital::Timer> timer;    // null if it is to fire at once
  std::shared_ptr<vital_timer*> at_once;  // then: what the posted call may still find
  vital_timer() = default;
  vital_timer(const vital_timer&) = delete;
  vital_timer& operator=(const vital_timer&) = delete;
  ~vital_timer() {
    if (at_once) *at_once = nullptr;
  }
};

struct vital_query {
  vital_query() = default;
  vital_query(const vital_query&) = delete;
  vital_query& operator=(const vital_query&) = delete;
  virtual ~vital_query() = default;
};

struct vital_child {
  vital_child() = default;
  vital_child(const vital_child&) = delete;
  vital_child& operator=(const vital_child&) = delete;
  virtual ~vital_child() = default;
};
