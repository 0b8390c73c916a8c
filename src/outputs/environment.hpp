// What a program of an output finds in its environment: the word, and nothing of ours. Pure.
#pragma once

#include <string>
#include <vector>

#include "outputs/spec.hpp"
#include "outputs/word.hpp"

namespace vital {

// PATH and LC_ALL, and nothing else.
std::vector<std::string> plain_environment();

// That, and VITALD_OUTPUT, VITALD_NODE, VITALD_SERVICE, VITALD_STATUS, VITALD_PREVIOUS, VITALD_WEIGHT, VITALD_REASON,
// VITALD_SINCE. `previous` is what was told before, or empty.
std::vector<std::string> environment_of(const OutputSpec& spec, const Wanted& wanted, std::string_view previous);

}  // namespace vital
