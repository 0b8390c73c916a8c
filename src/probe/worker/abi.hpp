// Reading structs that a foreign binary made: each begins with its size, and only what lies within that size may be
// touched. The base sizes are those of ABI 0.1 for ever; a struct smaller than that is a broken module, never an older
// one, since fields are only appended.
#pragma once

#include <vitald/module.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

namespace vital::worker {

template <typename T>
constexpr std::uint32_t base_size = 0;
template <>
inline constexpr std::uint32_t base_size<vital_module> = offsetof(vital_module, cancel) + sizeof(void*);
template <>
inline constexpr std::uint32_t base_size<vital_option> = offsetof(vital_option, example) + sizeof(void*);
template <>
inline constexpr std::uint32_t base_size<vital_result> = offsetof(vital_result, facts) + sizeof(void*);
template <>
inline constexpr std::uint32_t base_size<vital_phase> = offsetof(vital_phase, duration_ns) + sizeof(std::uint64_t);
template <>
inline constexpr std::uint32_t base_size<vital_measure> = offsetof(vital_measure, fail) + sizeof(double);
template <>
inline constexpr std::uint32_t base_size<vital_fact> = offsetof(vital_fact, value) + sizeof(void*);

// A copy of a foreign struct as far as both sides know it; empty if it is smaller than ABI 0.1 made it.
template <typename T>
std::optional<T> read_struct(const void* foreign) {
  if (foreign == nullptr) return {};
  std::uint32_t size = 0;
  std::memcpy(&size, foreign, sizeof size);
  if (size < base_size<T>) return {};
  T out{};
  std::memcpy(&out, foreign, std::min<std::size_t>(size, sizeof(T)));
  return out;
}

// Calls `take(const T&)` for each element of a foreign array, at most `limit`; false if the array makes no sense.
template <typename T, typename Take>
bool read_array(const void* first, std::uint32_t count, std::uint32_t stride, std::uint32_t limit, Take take) {
  if (count == 0) return true;
  if (first == nullptr || stride < base_size<T>) return false;
  for (std::uint32_t i = 0; i < std::min(count, limit); ++i) {
    const char* at = static_cast<const char*>(first) + static_cast<std::size_t>(i) * stride;
    std::uint32_t size = 0;
    std::memcpy(&size, at, sizeof size);
    if (size > stride) return false;
    const std::optional<T> element = read_struct<T>(at);
    if (!element) return false;
    take(*element);
  }
  return true;
}

}  // namespace vital::worker
