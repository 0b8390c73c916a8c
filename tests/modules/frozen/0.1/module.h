/* vitald module ABI, version 0.1. C99, no library needed.
 *
 * A module is one shared object that knows one type of check. It exports one function, vital_module_entry(),
 * and is only ever loaded by a worker process (vitald-worker), never by the agent: a module may hang, crash or
 * leak, and costs no more than its worker.
 *
 * RULES
 *  - Every struct begins with its size in bytes, filled by whoever made it. Fields are only appended. Read a field
 *    only if it lies within the size you were given.
 *  - Strings are UTF-8, end in NUL, and are borrowed for the duration of the call that passes them. Nobody frees
 *    what the other side made.
 *  - Arrays of structs carry a count and a stride (the distance in bytes from one element to the next).
 *  - No exception may cross these functions.
 *  - Services are found by name and number ("vital.loop/1"). A service only ever gets more members at its end; one that
 *    would have to change gets a new number, and the old one stays.
 *
 * OWNERSHIP, said of each parameter
 *  borrowed  valid until the call returns; copy what you need for longer.
 *  kept      valid until the moment that is named; whoever made it frees it afterwards.
 *  yours     handed back to you as you gave it; the other side neither looks into it nor frees it.
 *
 * THREADS, said of each function
 *  [control] while the module is set up: vital_module_entry, create, destroy. Never at the same time as a probe of
 *            the same instance.
 *  [worker]  blocking modules: the one thread of the worker that runs probe().
 *  [loop]    async modules: the worker's event loop. Must return quickly (below 10 ms) and never wait.
 *  [any]     any thread.
 *  All but [any] are the same one thread of the worker.
 */
#ifndef VITALD_MODULE_H
#define VITALD_MODULE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VITAL_ABI_MAGIC 0x314c5456u /* "VTL1" in memory order on little-endian machines */
#define VITAL_ABI_MAJOR 0u
#define VITAL_ABI_MINOR 1u

#if defined(__GNUC__)
#define VITAL_EXPORT __attribute__((visibility("default")))
#else
#define VITAL_EXPORT
#endif

/* ---- words: a verdict says how it went, a cause says why ---------------------------------------------------- */

enum {
  VITAL_PASS = 0,
  VITAL_WARN = 1,   /* works, but somebody should look */
  VITAL_FAIL = 2,   /* the target does not do its work: evidence */
  VITAL_UNKNOWN = 3 /* we could not tell: ignorance, never counted against the target */
};

enum {
  VITAL_CAUSE_NONE = 0,
  VITAL_CAUSE_TIMEOUT = 1,
  VITAL_CAUSE_REFUSED = 2,
  VITAL_CAUSE_UNREACHABLE = 3,
  VITAL_CAUSE_DNS = 4,
  VITAL_CAUSE_TLS = 5,
  VITAL_CAUSE_AUTH = 6,     /* a credential was rejected; never retried */
  VITAL_CAUSE_PROTOCOL = 7, /* the peer does not speak the protocol, or broke off */
  VITAL_CAUSE_CONTENT = 8,  /* the answer is not the one expected */
  VITAL_CAUSE_ROLE = 9,     /* right server, wrong role (standby, read-only) */
  VITAL_CAUSE_LATENCY = 10,
  VITAL_CAUSE_CONFIG = 11,
  VITAL_CAUSE_AGENT = 12 /* our own trouble */
};

enum {
  VITAL_PHASE_RESOLVE = 0,
  VITAL_PHASE_CONNECT = 1,
  VITAL_PHASE_TLS = 2,
  VITAL_PHASE_AUTH = 3,
  VITAL_PHASE_EXCHANGE = 4
};

enum { VITAL_LOG_DEBUG = 0, VITAL_LOG_INFO = 1, VITAL_LOG_WARNING = 2, VITAL_LOG_ERROR = 3 };

/* ---- options: one table, used to validate configs, to print `vitald modules`, to make the reference ---------- */

enum {
  VITAL_TYPE_STRING = 0,
  VITAL_TYPE_INTEGER = 1,  /* decimal text */
  VITAL_TYPE_NUMBER = 2,   /* decimal text, may have a fraction */
  VITAL_TYPE_BOOLEAN = 3,  /* "true" or "false" */
  VITAL_TYPE_DURATION = 4, /* nanoseconds as decimal text; written 250ms, 5s, 10m in the config; min, max in seconds */
  VITAL_TYPE_SIZE = 5,     /* bytes as decimal text; written 64KiB, 10MB in the config; min, max in bytes */
  VITAL_TYPE_SIZE_OR_PERCENT = 6, /* bytes as decimal text, or "10%" */
  VITAL_TYPE_CHOICE = 7,          /* one of choices[] */
  VITAL_TYPE_LIST = 8,            /* items[] in order; a single scalar counts as a list of one */
  VITAL_TYPE_MAP = 9              /* items[] holds key, value, key, value, ... in the order written */
};

enum {
  VITAL_OPTION_REQUIRED = 1,
  VITAL_OPTION_SECRET = 2 /* written as NAME_file: PATH in the config; NAME arrives here with the file's content */
};

/* One option, at most 256 a module. `name` is a-z, 0-9, _ and ., at most 64 bytes, and may be dotted: "tls.mode" is
 * written tls: {mode: ...} in the config. Names that every check has (interval, timeout, ...) are taken. */
typedef struct vital_option {
  uint32_t size;
  uint32_t type;  /* VITAL_TYPE_* */
  uint32_t flags; /* VITAL_OPTION_* */
  const char* name;
  const char* default_value;  /* as a config would write it; NULL = none */
  const char* const* choices; /* NULL-terminated, for VITAL_TYPE_CHOICE; else NULL */
  double min;                 /* used if has_range */
  double max;
  uint32_t has_range;
  const char* help;    /* one sentence */
  const char* example; /* as a config would write it; may be NULL */
} vital_option;

/* One value handed to create(): normalised text, see VITAL_TYPE_*. Options that are absent and have no default are
 * not in the array; defaults are filled in. */
typedef struct vital_value {
  uint32_t size;
  uint32_t count;
  const char* name;
  const char* const* items;
} vital_value;

typedef struct vital_values {
  uint32_t size;
  uint32_t count;
  uint32_t stride;
  const vital_value* values;
} vital_values;

/* Filled by create() when it refuses: which option, and one line that says what is wrong and what to write. The host
 * made the buffers; text longer than they hold is cut. */
typedef struct vital_error {
  uint32_t size;
  uint32_t option_size;
  char* option; /* may be left empty */
  uint32_t text_size;
  char* text;
} vital_error;

/* ---- a probe and its result ----------------------------------------------------------------------------------- */

typedef struct vital_probe {
  uint32_t size;
  uint32_t attempt;     /* 0 for the first try of a cycle, then 1, 2, ... */
  uint64_t id;          /* never reused while the worker lives */
  uint64_t deadline_ns; /* on CLOCK_MONOTONIC; at this moment the agent has its verdict, with or without us */
} vital_probe;

typedef struct vital_phase {
  uint32_t size;
  uint32_t phase; /* VITAL_PHASE_* */
  uint64_t duration_ns;
} vital_phase;

/* A number worth keeping: "latency" 0.0123 "s". `warn` and `fail` are the thresholds it was judged by, NaN = none. */
typedef struct vital_measure {
  uint32_t size;
  const char* name;
  const char* unit; /* "s", "B", "%", "" */
  double value;
  double warn;
  double fail;
} vital_measure;

/* Something known about the target: "role" "primary". */
typedef struct vital_fact {
  uint32_t size;
  const char* name;
  const char* value;
} vital_fact;

typedef struct vital_result {
  uint32_t size;
  uint32_t verdict; /* VITAL_PASS .. VITAL_UNKNOWN */
  uint32_t cause;   /* VITAL_CAUSE_* */
  const char* text; /* one line: what was attempted, on what, what happened. No secrets. Cut at 1,024 bytes. */
  uint32_t phase_count, phase_stride;
  const vital_phase* phases;
  uint32_t measure_count, measure_stride; /* at most 64 are kept */
  const vital_measure* measures;
  uint32_t fact_count, fact_stride; /* at most 64 are kept */
  const vital_fact* facts;
} vital_result;

/* ---- the host, as the module sees it --------------------------------------------------------------------------- */

/* Made by the host, one for each instance. `host` is always the pointer create() was given. */
typedef struct vital_host vital_host;
struct vital_host {
  uint32_t size;
  uint32_t abi_major, abi_minor;
  /* Hands in the result of a probe, exactly once for each. A second or late call, and one from another thread, is
   * counted and ignored. [worker] inside probe() for blocking modules, [loop] for async ones.
   *   probe   the pointer probe() was given
   *   result  borrowed, with all it points to: copied before this returns */
  void (*finish)(const vital_host* host, const vital_probe* probe, const vital_result* result);
  /* A service of the host, or NULL if this one does not have it: see ext/. [any]
   *   name    borrowed: "vital.loop/1", "vital.log/1", "vital.resolve/1", "vital.spawn/1"
   *   returns kept until destroy() returns; cast it to the struct of that service */
  const void* (*service)(const vital_host* host, const char* name);
};

/* ---- the module, as the host sees it ---------------------------------------------------------------------------- */

enum {
  VITAL_BLOCKING = 0, /* probe() does all its work and calls finish() before it returns; one probe a worker */
  VITAL_ASYNC = 1     /* probe() returns at once and finish() comes later from the loop; many probes a worker */
};

/* Made by the module, and valid, with all it points to, for as long as the worker lives: a static table. */
typedef struct vital_module {
  uint32_t size;
  uint32_t magic; /* VITAL_ABI_MAGIC */
  uint32_t abi_major, abi_minor;
  uint32_t kind;       /* VITAL_BLOCKING or VITAL_ASYNC */
  const char* type;    /* "postgres"; the file must be called TYPE.so */
  const char* version; /* of the module */
  const char* summary; /* one line for `vitald modules` */
  uint32_t option_count, option_stride;
  const vital_option* options;
  /* Makes an instance from validated values. 0 and *instance, or non-zero and *error. Keep it cheap and free of I/O: it
   * also runs for `vitald check-config`. [control]
   *   host      kept until destroy() returns; if this call refuses, until it returns
   *   values    borrowed, with all they point to
   *   instance  filled by you with whatever you like, NULL included; yours
   *   error     borrowed; write into its buffers, at most option_size and text_size bytes with the NUL */
  int (*create)(const vital_host* host, const vital_values* values, void** instance, vital_error* error);
  /* Frees an instance; no probe of it is running. What it still has of the host's services is taken back. [control]
   *   instance  yours, for the last time */
  void (*destroy)(void* instance);
  /* Starts a probe. [worker] for blocking modules, [loop] for async ones.
   *   instance  yours
   *   probe     kept until finish() or cancel() for it returns */
  void (*probe)(void* instance, const vital_probe* probe);
  /* Async only: give up this probe; finish() must not be called for it any more, and what it held is released before
   * this returns. May be NULL for blocking modules. [loop]
   *   instance  yours
   *   probe     the pointer probe() was given, for the last time */
  void (*cancel)(void* instance, const vital_probe* probe);
} vital_module;

/* The one exported function. Called once after the file is loaded. [control]
 *   host_abi_major, host_abi_minor  what the host speaks; a host with a greater minor knows all you know
 *   returns                         the static table, or NULL if the module cannot work with this host */
typedef const vital_module* (*vital_module_entry_fn)(uint32_t host_abi_major, uint32_t host_abi_minor);
VITAL_EXPORT const vital_module* vital_module_entry(uint32_t host_abi_major, uint32_t host_abi_minor);

#ifdef __cplusplus
}
#endif
#endif
