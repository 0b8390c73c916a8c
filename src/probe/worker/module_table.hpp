// A module's table, as its vital_module_entry() gave it, to what we know of it. Everything a foreign binary may get
// wrong in there is found here, before any of its functions is called. Reads no more of a struct than its size says.
// Pure.
#pragma once

#include <vitald/module.h>

#include <cstdint>
#include <string>

#include "modules/option.hpp"

namespace vital::worker {

std::string abi_version(std::uint32_t major, std::uint32_t minor);  // "0.1"

// Empty if the table is fine, else what is wrong, as the end of a sentence that begins with the file. Fills our copy of
// the table, and what it declares. `stem` is what the type must be.
std::string read_table(const vital_module* foreign, const std::string& stem, vital_module& table, ModuleInfo& info);

}  // namespace vital::worker
