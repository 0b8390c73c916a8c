/* A module of a minor version that does not exist yet: each of its structs is longer than ours, what is appended is
 * garbage to us, and it knows a verdict's worth of nothing more. It must load, and we must see what we know of it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <vitald/module.h>

#define LATER uint64_t later[5]
#define GARBAGE \
  { 0xdeadbeefu, 0xdeadbeefu, 0xdeadbeefu, 0xdeadbeefu, 0xdeadbeefu }

struct future_option {
  vital_option now;
  LATER;
};
struct future_phase {
  vital_phase now;
  LATER;
};
struct future_measure {
  vital_measure now;
  LATER;
};
struct future_fact {
  vital_fact now;
  LATER;
};
struct future_result {
  vital_result now;
  LATER;
};
struct future_module {
  vital_module now;
  LATER;
};

static int create(const vital_host* host, const vital_values* values, void** instance, vital_error* error) {
  const vital_host** self = malloc(sizeof *self);
  (void)values;
  (void)error;
  if (self == NULL) return 1;
  *self = host;
  *instance = self;
  return 0;
}
static void destroy(void* instance) { free(instance); }

static void probe(void* instance, const vital_probe* probe_) {
  const vital_host* host = *(const vital_host**)instance;
  const struct future_phase phases[] = {{{sizeof(struct future_phase), VITAL_PHASE_CONNECT, 11}, GARBAGE},
                                        {{sizeof(struct future_phase), 77, 12}, GARBAGE}, /* a phase we do not know */
                                        {{sizeof(struct future_phase), VITAL_PHASE_AUTH, 13}, GARBAGE}};
  const struct future_measure measures[] = {{{sizeof(struct future_measure), "one", "s", 1, NAN, NAN}, GARBAGE},
                                            {{sizeof(struct future_measure), "two", "s", 2, NAN, NAN}, GARBAGE}};
  const struct future_fact facts[] = {{{sizeof(struct future_fact), "a", "1"}, GARBAGE},
                                      {{sizeof(struct future_fact), "b", "2"}, GARBAGE}};
  struct future_result result;
  memset(&result, 0xee, sizeof result);
  memset(&result.now, 0, sizeof result.now);
  result.now.size = sizeof result;
  result.now.verdict = VITAL_WARN;
  result.now.cause = VITAL_CAUSE_LATENCY;
  result.now.text = "from later on";
  result.now.phase_count = 3;
  result.now.phase_stride = sizeof phases[0];
  result.now.phases = &phases[0].now;
  result.now.measure_count = 2;
  result.now.measure_stride = sizeof measures[0];
  result.now.measures = &measures[0].now;
  result.now.fact_count = 2;
  result.now.fact_stride = sizeof facts[0];
  result.now.facts = &facts[0].now;
  host->finish(host, probe_, &result.now);
}

static const struct future_option options[] = {
    {{sizeof(struct future_option), VITAL_TYPE_STRING, 0, "first", "1", NULL, 0, 0, 0, "the first", NULL}, GARBAGE},
    {{sizeof(struct future_option), VITAL_TYPE_INTEGER, 0xfff00000u, "second", "2", NULL, 1, 3, 1, "the second", NULL},
     GARBAGE}};
static const struct future_module module = {
    {sizeof(struct future_module), VITAL_ABI_MAGIC, VITAL_ABI_MAJOR, VITAL_ABI_MINOR + 40, VITAL_BLOCKING, "future",
     "9.0", "from later on", 2, sizeof(struct future_option), &options[0].now, create, destroy, probe, NULL},
    GARBAGE};

const vital_module* vital_module_entry(uint32_t host_abi_major, uint32_t host_abi_minor) {
  (void)host_abi_minor;
  return host_abi_major == VITAL_ABI_MAJOR ? &module.now : NULL;
}
