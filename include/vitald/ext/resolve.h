/* Host service "vital.resolve/1": names to addresses without waiting. For async modules. */
#ifndef VITALD_EXT_RESOLVE_H
#define VITALD_EXT_RESOLVE_H

#include "../module.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VITAL_SERVICE_RESOLVE "vital.resolve/1"

enum {
  VITAL_RESOLVED = 0,
  VITAL_RESOLVE_NOT_FOUND = 1,   /* a server said so: the name does not exist or has no address (fail/dns) */
  VITAL_RESOLVE_UNAVAILABLE = 2, /* no server answered usefully: our resolver's trouble (unknown/agent) */
  VITAL_RESOLVE_TIMEOUT = 3      /* no server answered in time: our resolver's trouble (unknown/agent) */
};

/* The answer. Addresses are numeric text ("192.0.2.1", "2001:db8::1"), in the order to try. */
typedef struct vital_addresses {
  uint32_t size;
  uint32_t status; /* VITAL_RESOLVED ... */
  uint32_t count;
  const char* const* addresses;
  const char* text; /* one line, what happened */
} vital_addresses;

typedef struct vital_query vital_query;

typedef struct vital_resolve {
  uint32_t size;
  /* Looks `name` up anew (hosts file, then DNS); a numeric address is answered too. NULL only if `name` or `done` is.
   * [loop]
   *   name     borrowed
   *   family   0 (any), 4 or 6
   *   done     called on the [loop] exactly once, never before this returns, unless withdrawn; `answer` is borrowed
   *   user     yours
   *   returns  kept until `done` is called, withdraw() or destroy() */
  vital_query* (*resolve)(const vital_host* host, const char* name, uint32_t family, uint64_t timeout_ns,
                          void (*done)(void* user, const vital_addresses* answer), void* user);
  /* Withdraws a query whose `done` has not been called. NULL is allowed. [loop] */
  void (*withdraw)(vital_query* query);
} vital_resolve;

#ifdef __cplusplus
}
#endif
#endif
