/* Host service "vital.spawn/1": run a command without waiting for it. For async modules.
 *
 * The child gets an argument vector (never a shell), the environment that is given and nothing else, no descriptor but
 * its three standard ones, a process group of its own. It ends by itself or is killed at its deadline; either way the
 * whole group is killed, and so is what left the group with setsid(). If the worker dies, so does the child. A module
 * that uses this service must not fork by itself: its own child would be taken for such a leftover. */
#ifndef VITALD_EXT_SPAWN_H
#define VITALD_EXT_SPAWN_H

#include "../module.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VITAL_SERVICE_SPAWN "vital.spawn/1"

enum {
  VITAL_SPAWN_OUTPUT_MAX = 1048576, /* bytes that can be kept of each stream */
  VITAL_SPAWN_INPUT_MAX = 65536,    /* bytes of input */
  VITAL_SPAWN_RUNNING_MAX = 64      /* commands at the same time in one worker */
};

typedef struct vital_command {
  uint32_t size;
  uint32_t output_limit; /* bytes to keep of standard output, and as many of standard error; more is read and dropped */
  const char* const* argv;        /* NULL-terminated; argv[0] is a path, or a name looked up in PATH */
  const char* const* environment; /* NULL-terminated "NAME=value"; NULL = PATH and LANG=C.UTF-8 alone */
  const char* directory;          /* NULL = / */
  const char* input;              /* what it reads from standard input; NULL = nothing */
  uint64_t input_size;            /* bytes */
  uint64_t timeout_ns;            /* then it is killed; at most one hour */
} vital_command;

enum {
  VITAL_SPAWN_EXITED = 0,     /* code = its exit code */
  VITAL_SPAWN_SIGNALLED = 1,  /* code = the signal that ended it */
  VITAL_SPAWN_TIMED_OUT = 2,  /* code = 0; it was killed */
  VITAL_SPAWN_NOT_STARTED = 3 /* code = errno; text says which step */
};

enum {
  VITAL_SPAWN_OUTPUT_CUT = 1,   /* it wrote more than output_limit */
  VITAL_SPAWN_LEFT_CHILDREN = 2 /* it left processes behind, as far as that can be told; they are killed */
};

typedef struct vital_ended {
  uint32_t size;
  uint32_t how; /* VITAL_SPAWN_EXITED ... */
  int32_t code;
  uint32_t flags;
  const char* output; /* standard output as it came; a NUL follows the last byte */
  uint64_t output_size;
  const char* errors; /* standard error, likewise */
  uint64_t errors_size;
  uint64_t took_ns;
  const char* text; /* one line: "/bin/false exited with code 1" */
} vital_ended;

typedef struct vital_child vital_child;

typedef struct vital_spawn {
  uint32_t size;
  /* Starts a command. NULL only if the arguments make no sense: no argv[0], no `ended`, too much input; every other
   * trouble is told to `ended`. [loop]
   *   command  borrowed, with all it points to: copied before this returns
   *   ended    called on the [loop] exactly once, never before this returns, unless given up; `how` is borrowed. The
   *            child is gone before, so do not give it up there
   *   user     yours
   *   returns  kept until `ended` is called, give_up() or destroy() */
  vital_child* (*start)(const vital_host* host, const vital_command* command,
                        void (*ended)(void* user, const vital_ended* how), void* user);
  /* Kills a child whose `ended` has not been called; it will not be. NULL is allowed. [loop] */
  void (*give_up)(vital_child* child);
} vital_spawn;

#ifdef __cplusplus
}
#endif
#endif
