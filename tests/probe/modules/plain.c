/* A blocking module in C99 without any helper, which may also lie about its results: option `lie`. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <vitald/module.h>

struct instance {
  const vital_host* host;
  char lie[32];
};

static const vital_option options[] = {
    {sizeof(vital_option), VITAL_TYPE_STRING, 0, "lie", "none", NULL, 0, 0, 0, "what to lie about", NULL},
};

static int create(const vital_host* host, const vital_values* values, void** out, vital_error* error) {
  const vital_value* lie = values->values;
  struct instance* self = calloc(1, sizeof *self);
  (void)error;
  if (self == NULL) return 1;
  self->host = host;
  if (values->count > 0 && strlen(lie->items[0]) < sizeof self->lie) strcpy(self->lie, lie->items[0]);
  *out = self;
  return strcmp(self->lie, "refuse") == 0 ? (free(self), 1) : 0;
}

static void destroy(void* instance) { free(instance); }

static void probe(void* instance, const vital_probe* probe) {
  const struct instance* self = instance;
  vital_phase phase = {sizeof phase, VITAL_PHASE_CONNECT, 1000};
  vital_measure measures[] = {{sizeof(vital_measure), "one", "s", 1, NAN, NAN},
                              {sizeof(vital_measure), "not a number", "s", NAN, NAN, NAN}};
  vital_fact fact = {sizeof fact, "colour", "blue\nand\x1b[31m red"};
  vital_result result;
  memset(&result, 0, sizeof result);
  result.size = sizeof result;
  result.verdict = VITAL_PASS;
  result.text = "plain C";
  result.phase_count = 1;
  result.phase_stride = sizeof phase;
  result.phases = &phase;
  result.measure_count = 2;
  result.measure_stride = sizeof measures[0];
  result.measures = measures;
  result.fact_count = 1;
  result.fact_stride = sizeof fact;
  result.facts = &fact;

  if (strcmp(self->lie, "size") == 0) result.size = 4;
  if (strcmp(self->lie, "stride") == 0) result.measure_stride = 1;
  if (strcmp(self->lie, "element") == 0) measures[0].size = 100000;
  if (strcmp(self->lie, "null") == 0) result.facts = NULL;
  if (strcmp(self->lie, "verdict") == 0) result.verdict = 77;
  if (strcmp(self->lie, "cause") == 0) result.cause = 77;
  if (strcmp(self->lie, "silent") == 0) return;
  if (strcmp(self->lie, "no result") == 0) {
    self->host->finish(self->host, probe, NULL);
    return;
  }
  if (strcmp(self->lie, "stranger") == 0) {
    const vital_probe other = *probe;
    self->host->finish(self->host, &other, &result);
  }
  self->host->finish(self->host, probe, &result);
  if (strcmp(self->lie, "twice") == 0) {
    result.verdict = VITAL_FAIL;
    self->host->finish(self->host, probe, &result);
  }
}

static const vital_module module = {sizeof(vital_module),
                                    VITAL_ABI_MAGIC,
                                    VITAL_ABI_MAJOR,
                                    VITAL_ABI_MINOR,
                                    VITAL_BLOCKING,
                                    "plain",
                                    "1.0",
                                    "a module in C99",
                                    1,
                                    sizeof(vital_option),
                                    options,
                                    create,
                                    destroy,
                                    probe,
                                    NULL};

const vital_module* vital_module_entry(uint32_t major, uint32_t minor) {
  (void)major;
  (void)minor;
  return &module;
}
