/* Host service "vital.log/1": a line for the agent's log. [any] Rate-limited by the host; never pass a secret. */
#ifndef VITALD_EXT_LOG_H
#define VITALD_EXT_LOG_H

#include "../module.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VITAL_SERVICE_LOG "vital.log/1"

typedef struct vital_log {
  uint32_t size;
  void (*write)(const vital_host* host, uint32_t level /* VITAL_LOG_* */, const char* text);
} vital_log;

#ifdef __cplusplus
}
#endif
#endif
