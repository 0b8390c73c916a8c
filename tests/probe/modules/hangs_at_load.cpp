// A module that never finishes loading.
#include <unistd.h>
#include <vitald/module.h>

namespace {
const struct Hang {
  Hang() {
    while (true) pause();
  }
} hang;
}  // namespace

extern "C" VITAL_EXPORT const vital_module* vital_module_entry(uint32_t, uint32_t) { return nullptr; }
