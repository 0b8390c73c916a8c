/* uptime: fails while this host is younger than `at_least`, so that it gets traffic only when its caches are warm. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitald/module.h>

struct uptime {
  const vital_host* host;
  double at_least; /* seconds */
};

static int create(const vital_host* host, const vital_values* values, void** instance, vital_error* error) {
  struct uptime* self = calloc(1, sizeof *self);
  uint32_t i;
  if (self == NULL) {
    snprintf(error->text, error->text_size, "out of memory");
    return 1;
  }
  self->host = host;
  for (i = 0; i < values->count; ++i) {
    const vital_value* v = (const vital_value*)((const char*)values->values + (size_t)i * values->stride);
    if (strcmp(v->name, "at_least") == 0 && v->count > 0) self->at_least = strtod(v->items[0], NULL) / 1e9;
  }
  *instance = self;
  return 0;
}

static void destroy(void* instance) { free(instance); }

static void probe(void* instance, const vital_probe* probe) {
  const struct uptime* self = instance;
  vital_measure up = {sizeof up, "uptime", "s", 0, NAN, NAN};
  vital_result result;
  FILE* file = fopen("/proc/uptime", "r");
  char text[96];
  const int got = file != NULL && fscanf(file, "%lf", &up.value) == 1;
  if (file != NULL) fclose(file);

  memset(&result, 0, sizeof result);
  result.size = sizeof result;
  result.text = text;
  if (!got) {
    result.verdict = VITAL_UNKNOWN;
    result.cause = VITAL_CAUSE_AGENT;
    snprintf(text, sizeof text, "cannot read /proc/uptime");
  } else {
    result.verdict = up.value < self->at_least ? VITAL_FAIL : VITAL_PASS;
    result.cause = up.value < self->at_least ? VITAL_CAUSE_CONTENT : VITAL_CAUSE_NONE;
    result.measure_count = 1;
    result.measure_stride = sizeof up;
    result.measures = &up;
    up.fail = self->at_least;
    snprintf(text, sizeof text, "this host has been up for %.0f s", up.value);
  }
  self->host->finish(self->host, probe, &result);
}

static const vital_option options[] = {
    {sizeof(vital_option), VITAL_TYPE_DURATION, 0, "at_least", "2m", NULL, 0, 0, 0, "fail while younger than this",
     NULL},
};
static const vital_module module = {sizeof module,
                                    VITAL_ABI_MAGIC,
                                    VITAL_ABI_MAJOR,
                                    VITAL_ABI_MINOR,
                                    VITAL_BLOCKING,
                                    "uptime",
                                    "1.0",
                                    "whether this host has been up long enough",
                                    1,
                                    sizeof(vital_option),
                                    options,
                                    create,
                                    destroy,
                                    probe,
                                    NULL};

const vital_module* vital_module_entry(uint32_t host_abi_major, uint32_t host_abi_minor) {
  (void)host_abi_minor;
  return host_abi_major == VITAL_ABI_MAJOR ? &module : NULL;
}
