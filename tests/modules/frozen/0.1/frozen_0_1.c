/* A blocking module as it could be written on the day ABI 0.1 was published: every kind of option, a log line, a result
 * with everything in it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext/log.h"
#include "module.h"

struct instance {
  const vital_host* host;
  uint32_t values;
  int has_spoken;
};

static const char* const colours[] = {"red", "green", NULL};
static const vital_option options[] = {
    {sizeof(vital_option), VITAL_TYPE_STRING, VITAL_OPTION_REQUIRED, "text", NULL, NULL, 0, 0, 0, "a text", "hello"},
    {sizeof(vital_option), VITAL_TYPE_INTEGER, 0, "integer", "7", NULL, 1, 10, 1, "a whole number", NULL},
    {sizeof(vital_option), VITAL_TYPE_NUMBER, 0, "number", "0.5", NULL, 0, 1, 1, "a number", NULL},
    {sizeof(vital_option), VITAL_TYPE_BOOLEAN, 0, "group.boolean", "true", NULL, 0, 0, 0, "yes or no", NULL},
    {sizeof(vital_option), VITAL_TYPE_DURATION, 0, "duration", "250ms", NULL, 0, 0, 0, "a duration", NULL},
    {sizeof(vital_option), VITAL_TYPE_SIZE, 0, "bytes", "64KiB", NULL, 0, 0, 0, "a size", NULL},
    {sizeof(vital_option), VITAL_TYPE_SIZE_OR_PERCENT, 0, "share", "10%", NULL, 0, 0, 0, "a share", NULL},
    {sizeof(vital_option), VITAL_TYPE_CHOICE, 0, "colour", "red", colours, 0, 0, 0, "a colour", NULL},
    {sizeof(vital_option), VITAL_TYPE_LIST, 0, "words", "[a, b]", NULL, 0, 0, 0, "words", NULL},
    {sizeof(vital_option), VITAL_TYPE_MAP, 0, "pairs", NULL, NULL, 0, 0, 0, "pairs", NULL},
    {sizeof(vital_option), VITAL_TYPE_STRING, VITAL_OPTION_SECRET, "password", NULL, NULL, 0, 0, 0, "a secret", NULL},
};

static int create(const vital_host* host, const vital_values* values, void** instance, vital_error* error) {
  struct instance* self = calloc(1, sizeof *self);
  uint32_t i;
  if (self == NULL) return 1;
  self->host = host;
  self->values = values->count;
  for (i = 0; i < values->count; ++i) {
    const vital_value* v = (const vital_value*)((const char*)values->values + (size_t)i * values->stride);
    if (strcmp(v->name, "text") == 0 && v->count > 0 && strcmp(v->items[0], "refuse") == 0) {
      snprintf(error->option, error->option_size, "text");
      snprintf(error->text, error->text_size, "is refused; write another");
      free(self);
      return 1;
    }
  }
  *instance = self;
  return 0;
}

static void destroy(void* instance) { free(instance); }

static void probe(void* instance, const vital_probe* probe_) {
  struct instance* self = instance;
  const vital_log* log = self->host->service(self->host, VITAL_SERVICE_LOG);
  const vital_phase phase = {sizeof phase, VITAL_PHASE_EXCHANGE, 5};
  const vital_measure measure = {sizeof measure, "values", "", self->values, NAN, NAN};
  const vital_fact fact = {sizeof fact, "header", "0.1"};
  vital_result result;
  memset(&result, 0, sizeof result);
  result.size = sizeof result;
  result.verdict = probe_->size >= sizeof *probe_ ? VITAL_PASS : VITAL_FAIL;
  result.text = "as in the first days";
  result.phase_count = 1;
  result.phase_stride = sizeof phase;
  result.phases = &phase;
  result.measure_count = 1;
  result.measure_stride = sizeof measure;
  result.measures = &measure;
  result.fact_count = 1;
  result.fact_stride = sizeof fact;
  result.facts = &fact;
  if (log != NULL && !self->has_spoken) log->write(self->host, VITAL_LOG_INFO, "an old module speaks");
  self->has_spoken = 1;
  self->host->finish(self->host, probe_, &result);
}

static const vital_module module = {sizeof(vital_module),
                                    VITAL_ABI_MAGIC,
                                    VITAL_ABI_MAJOR,
                                    VITAL_ABI_MINOR,
                                    VITAL_BLOCKING,
                                    "frozen_0_1",
                                    "1.0",
                                    "built with the first header",
                                    11,
                                    sizeof(vital_option),
                                    options,
                                    create,
                                    destroy,
                                    probe,
                                    NULL};

const vital_module* vital_module_entry(uint32_t host_abi_major, uint32_t host_abi_minor) {
  return host_abi_major == VITAL_ABI_MAJOR && host_abi_minor >= VITAL_ABI_MINOR ? &module : NULL;
}
