/* Host service "vital.loop/1": watch descriptors, set timers. For async modules. */
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

/* Both are made and freed by the host. `user` is yours in all of these calls. */
typedef struct vital_watch vital_watch;
typedef struct vital_timer vital_timer;

typedef struct vital_loop {
  uint32_t size;
  /* CLOCK_MONOTONIC in nanoseconds, the clock of vital_probe.deadline_ns. [any] */
  uint64_t (*now)(const vital_host* host);
  /* Calls `ready` whenever `fd` is ready for `events` (level-triggered). NULL if the host cannot watch it: a plain
   * file, a closed descriptor. [loop] fd       stays yours: unwatch, then close ready    called on the [loop] with what
   * is ready, VITAL_HANGUP included returns  kept until unwatch() or destroy() */
  vital_watch* (*watch)(const vital_host* host, int fd, uint32_t events,
                        void (*ready)(void* user, int fd, uint32_t events), void* user);
  /* Replaces the events of interest. [loop] */
  void (*change)(vital_watch* watch, uint32_t events);
  /* Ends a watch; call it before closing the descriptor. `ready` is not called again. NULL is allowed. [loop] */
  void (*unwatch)(vital_watch* watch);
  /* Calls `fired` once after `delay_ns`, never before this returns. [loop]
   *   fired    called on the [loop]; the timer is gone before, so do not disarm it there
   *   returns  kept until it fires, disarm() or destroy() */
  vital_timer* (*timer)(const vital_host* host, uint64_t delay_ns, void (*fired)(void* user), void* user);
  /* Ends a timer that has not fired. NULL is allowed. [loop] */
  void (*disarm)(vital_timer* timer);
} vital_loop;

#ifdef __cplusplus
}
#endif
#endif
