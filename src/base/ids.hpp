// Strong numbers: a CheckId is an index into Plan::checks, a ServiceId into Plan::services; a ProbeId is never reused
// while the agent lives. None converts to another.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace vital {

template <typename Tag, typename Rep>
struct StrongId {
  Rep value = 0;
  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep v) : value(v) {}
  friend constexpr auto operator<=>(StrongId, StrongId) = default;
};

using CheckId = StrongId<struct CheckTag, std::uint32_t>;
using ServiceId = StrongId<struct ServiceTag, std::uint32_t>;
using ProbeId = StrongId<struct ProbeTag, std::uint64_t>;
using Epoch = StrongId<struct EpochTag, std::uint64_t>;

}  // namespace vital
