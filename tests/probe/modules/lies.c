/* Modules whose table lies; about what is decided when this file is compiled: -DLIE=NUMBER, -DTYPE. None may cost more
 * than one line. */
#include <vitald/module.h>

enum {
  STRIDE_OF_ONE = 1,
  STRIDE_OF_GIGABYTES,
  ELEMENT_BEYOND_STRIDE,
  ELEMENT_OF_FOUR_BYTES,
  NO_ARRAY,
  TEN_THOUSAND_OPTIONS,
  NO_OPTION_NAME,
  ENDLESS_OPTION_NAME,
  TWO_OF_ONE_NAME,
  DOT_AT_THE_END,
  UNKNOWN_TYPE,
  EMPTY_RANGE,
  CHOICE_WITHOUT_CHOICES,
  NO_TYPE,
  NO_TEXTS,
  NO_PROBE,
  UNKNOWN_KIND,
  REFUSES,
  TABLE_NOWHERE,
  TABLE_OF_EIGHT_BYTES
};

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

static char endless[100000];
static vital_option options[10000];
static vital_module module;

const vital_module* vital_module_entry(uint32_t major, uint32_t minor) {
  unsigned i;
  (void)major;
  (void)minor;
  for (i = 0; i < sizeof options / sizeof options[0]; ++i) {
    options[i].size = sizeof options[i];
    options[i].name = "name";
    options[i].help = "an option";
  }
  for (i = 0; i < sizeof endless; ++i) endless[i] = 'a'; /* not even a NUL at its end */
  module.size = sizeof module;
  module.magic = VITAL_ABI_MAGIC;
  module.abi_minor = VITAL_ABI_MINOR;
  module.type = TYPE;
  module.version = "1.0";
  module.summary = "lies";
  module.option_count = 1;
  module.option_stride = sizeof options[0];
  module.options = options;
  module.create = create;
  module.destroy = destroy;
  module.probe = probe;
  switch (LIE) {
    case STRIDE_OF_ONE:
      module.option_stride = 1;
      break;
    case STRIDE_OF_GIGABYTES:
      module.option_count = 200;
      module.option_stride = 0x7ffffff8u;
      break;
    case ELEMENT_BEYOND_STRIDE:
      options[0].size = 4000;
      break;
    case ELEMENT_OF_FOUR_BYTES:
      options[0].size = 4;
      break;
    case NO_ARRAY:
      module.option_count = 3;
      module.options = 0;
      break;
    case TEN_THOUSAND_OPTIONS:
      module.option_count = 10000;
      break;
    case NO_OPTION_NAME:
      options[0].name = 0;
      break;
    case ENDLESS_OPTION_NAME:
      options[0].name = endless;
      break;
    case TWO_OF_ONE_NAME:
      module.option_count = 2;
      break;
    case DOT_AT_THE_END:
      options[0].name = "name.";
      break;
    case UNKNOWN_TYPE:
      options[0].type = 99;
      break;
    case EMPTY_RANGE:
      options[0].has_range = 1;
      options[0].min = 5;
      options[0].max = 1;
      break;
    case CHOICE_WITHOUT_CHOICES:
      options[0].type = VITAL_TYPE_CHOICE;
      break;
    case NO_TYPE:
      module.type = 0;
      break;
    case NO_TEXTS: /* allowed: nothing to say is no lie */
      module.version = 0;
      module.summary = 0;
      options[0].help = 0;
      break;
    case NO_PROBE:
      module.probe = 0;
      break;
    case UNKNOWN_KIND:
      module.kind = 7;
      break;
    case REFUSES:
      return 0;
    case TABLE_NOWHERE:
      return (const vital_module*)(uintptr_t)64;
    case TABLE_OF_EIGHT_BYTES:
      module.size = 8;
      break;
    default:
      break;
  }
  return &module;
}
