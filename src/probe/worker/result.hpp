// From a module's result to ours: every size and stride checked, every count and text bounded, every text cleaned.
// Pure.
#pragma once

#include <vitald/module.h>

#include <string>

#include "core/result.hpp"

namespace vital::worker {

inline constexpr std::uint32_t max_measures = 64;
inline constexpr std::uint32_t max_facts = 64;
inline constexpr std::uint32_t max_phases = 16;

// Always gives a result, if need be unknown/agent. `complaint` gets one line for each thing that was left out or
// changed, or stays empty.
ProbeResult read_result(const vital_result* foreign, std::string& complaint);

ProbeResult our_trouble(std::string text);  // unknown/agent

}  // namespace vital::worker
