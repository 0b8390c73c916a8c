// SavedState as a file's text and back: one header line with magic, version, length and checksum, then JSON. A torn,
// foreign or later file is refused in one line; unknown members are ignored, missing ones take their default. Pure; any
// thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/saved.hpp"

namespace vital {

std::string print_saved(const SavedState& state);

// Empty and *problem in one line if the text is not whole and ours. At most 16 MiB are looked at.
std::optional<SavedState> parse_saved(std::string_view text, std::string* problem);

}  // namespace vital
