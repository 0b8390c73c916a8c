// What another program prints, with an end to the waiting. One thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"

namespace vital::doctor {

// What a program found in $PATH writes; nothing if it is not there, fails or takes longer.
std::optional<std::string> output_of(const std::string& program, const std::vector<std::string>& arguments,
                                     Duration patience);

}  // namespace vital::doctor
