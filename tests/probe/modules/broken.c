/* Modules with a wrong table; which one is decided when this file is compiled: -DMAGIC, -DMAJOR, -DTYPE, -DSIZE. */
#include <vitald/module.h>

#ifndef MAGIC
#define MAGIC VITAL_ABI_MAGIC
#endif
#ifndef MAJOR
#define MAJOR VITAL_ABI_MAJOR
#endif
#ifndef SIZE
#define SIZE sizeof(vital_module)
#endif

static int create(const vital_host* host, const vital_values* values, void** instance, vital_error* error) {
  (void)host;
  (void)values;
  (void)error;
  *instance = 0;
  return 0;
}
static void destroy(void* instance) { (void)instance; }
static void probe(void* instance, const vital_probe* probe_) {
  (void)instance;
  (void)probe_;
}

static const vital_module module = {SIZE, MAGIC, MAJOR, 7,      VITAL_BLOCKING, TYPE,  "1.0", "broken",
                                    0,    0,     0,     create, destroy,        probe, 0};

const vital_module* vital_module_entry(uint32_t major, uint32_t minor) {
  (void)major;
  (void)minor;
  return &module;
}
