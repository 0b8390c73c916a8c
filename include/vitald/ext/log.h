/* Host service "vital.log/1": a line for the agent's log. */
#ifndef VITALD_EXT_LOG_H
#define VITALD_EXT_LOG_H

#include "../module.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VITAL_SERVICE_LOG "vital.log/1"

typedef struct vital_log {
  uint32_t size;
  /* Writes a line, with the check's name. At most ten a second of one worker; the rest is counted. Never pass a secret.
   * [any]
   *   host   as create() was given it
   *   level  VITAL_LOG_*; debug is for `vitald-worker --probe` only
   *   text   borrowed; one line, cut at 4,096 bytes */
  void (*write)(const vital_host* host, uint32_t level, const char* text);
} vital_log;

#ifdef __cplusplus
}
#endif
#endif
