/* Host service "vital.loop/1": watch descriptors, set timers. For async modules. Everything here is [loop]. */
#ifndef VITALD_EXT_LOOP_H
#define VITALD_EXT_LOOP_H

#include "../module.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VITAL_SERVICE_LOOP "vital.loop/1"

enum {
  VITAL_READABLE = 1,
  VITAL_WRITABLE = 2,
  VITAL_HANGUP = 4 /* only reported, always watched */
};

typedef struct vital_watch vital_watch;
typedef struct vital_timer vital_timer;

typedef struct vital_loop {
  uint32_t size;
  /* CLOCK_MONOTONIC in nanoseconds, the clock of vital_probe.deadline_ns. */
  uint64_t (*now)(const vital_host* host);
  /* Calls `ready` whenever `fd` is ready for `events` (level-triggered). The descriptor stays the module's. NULL if the
   * host cannot watch it. */
  vital_watch* (*watch)(const vital_host* host, int fd, uint32_t events,
                        void (*ready)(void* user, int fd, uint32_t events), void* user);
  /* Replaces the events of interest. */
  void (*change)(vital_watch* watch, uint32_t events);
  /* Ends a watch; call it before closing the descriptor. `ready` is not called again. NULL is allowed. */
  void (*unwatch)(vital_watch* watch);
  /* Calls `fired` once after `delay_ns`; the timer is gone before `fired` is called, so do not disarm it there. */
  vital_timer* (*timer)(const vital_host* host, uint64_t delay_ns, void (*fired)(void* user), void* user);
  /* Ends a timer that has not fired. NULL is allowed. */
  void (*disarm)(vital_timer* timer);
} vital_loop;

#ifdef __cplusplus
}
#endif
#endif
