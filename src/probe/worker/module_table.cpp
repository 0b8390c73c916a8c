// Reading and judging a module's table; see module_table.hpp.
#include "probe/worker/module_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/text.hpp"
#include "probe/worker/abi.hpp"

namespace vital::worker {
namespace {

constexpr std::uint32_t max_options = 256;
constexpr std::uint32_t max_choices = 256;
// What is appended to an option in years to come will not be larger: beyond this the number is a mistake or a lie.
constexpr std::uint32_t max_stride = 16 * 1024;

std::string text_of(const char* text, std::size_t limit) {
  return text == nullptr ? std::string() : one_line({text, strnlen(text, 4 * limit)}, limit);
}

// The part of an option's dotted name between two dots may not be empty.
bool is_option_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 && name.front() != '.' && name.back() != '.' &&
         name.find("..") == std::string::npos &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_.") == std::string::npos;
}

// Empty if the option is fine.
std::string read_option(const vital_option& from, OptionSpec& to) {
  to.name = text_of(from.name, 65);
  if (!is_option_name(to.name)) return fmt::format("has an option called '{}': use a-z, 0-9, _ and .", to.name);
  if (from.type > VITAL_TYPE_MAP) return fmt::format("option '{}' has the unknown type {}", to.name, from.type);
  to.type = static_cast<OptionType>(from.type);
  to.is_required = (from.flags & VITAL_OPTION_REQUIRED) != 0;
  to.is_secret = (from.flags & VITAL_OPTION_SECRET) != 0;
  if (from.default_value != nullptr) to.fallback = text_of(from.default_value, 1024);
  if (from.has_range != 0) {
    if (!(from.min <= from.max)) return fmt::format("option '{}' has an empty range", to.name);
    to.range.emplace(from.min, from.max);
  }
  for (std::uint32_t i = 0; from.choices != nullptr && from.choices[i] != nullptr && i < max_choices; ++i) {
    to.choices.push_back(text_of(from.choices[i], 64));
  }
  if (to.type == OptionType::choice && to.choices.empty()) {
    return fmt::format("option '{}' is a choice without choices", to.name);
  }
  to.help = text_of(from.help, 512);
  to.example = text_of(from.example, 512);
  return {};
}

}  // namespace

std::string abi_version(std::uint32_t major, std::uint32_t minor) { return fmt::format("{}.{}", major, minor); }

std::string read_table(const vital_module* foreign, const std::string& stem, vital_module& table, ModuleInfo& info) {
  // First only what every version has in the same place: size, magic, versions.
  constexpr std::uint32_t head = offsetof(vital_module, abi_minor) + sizeof(std::uint32_t);
  if (foreign->size < head || foreign->magic != VITAL_ABI_MAGIC) {
    return fmt::format("is not a vitald module: its magic is {:#010x}, expected {:#010x}",
                       foreign->size < head ? 0 : foreign->magic, VITAL_ABI_MAGIC);
  }
  if (foreign->abi_major != VITAL_ABI_MAJOR) {
    return fmt::format("has module ABI {}, this vitald speaks {}: rebuild the module with this vitald's headers",
                       abi_version(foreign->abi_major, foreign->abi_minor),
                       abi_version(VITAL_ABI_MAJOR, VITAL_ABI_MINOR));
  }
  const auto copy = read_struct<vital_module>(foreign);
  if (!copy) return fmt::format("has a broken table: {} bytes, at least {}", foreign->size, base_size<vital_module>);
  table = *copy;
  info.type = text_of(table.type, 64);
  if (info.type != stem) {
    return fmt::format("declares the type '{}': call the file {}.so, or the type '{}'", info.type, info.type, stem);
  }
  info.version = text_of(table.version, 64);
  info.summary = text_of(table.summary, 256);
  if (table.kind > VITAL_ASYNC) return fmt::format("has the unknown kind {}", table.kind);
  info.lane = static_cast<Lane>(table.kind);
  if (table.create == nullptr || table.destroy == nullptr || table.probe == nullptr ||
      (info.lane == Lane::async && table.cancel == nullptr)) {
    return "has a broken table: create, destroy, probe and (if async) cancel are needed";
  }
  if (table.option_count > max_options)
    return fmt::format("declares {} options, at most {}", table.option_count, max_options);
  if (table.option_stride > max_stride) return "has a broken option table: wrong size or stride";
  std::string problem;
  const bool is_sound =
      read_array<vital_option>(table.options, table.option_count, table.option_stride, max_options, [&](const auto& o) {
        if (!problem.empty()) return;
        OptionSpec spec;
        problem = read_option(o, spec);
        if (problem.empty() && info.find(spec.name) != nullptr)
          problem = fmt::format("declares the option '{}' twice", spec.name);
        info.options.push_back(std::move(spec));
      });
  if (!is_sound) return "has a broken option table: wrong size or stride";
  return problem;
}

}  // namespace vital::worker
