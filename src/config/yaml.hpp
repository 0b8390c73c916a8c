// Text to tree. The one place where yaml-cpp is seen is yaml.cpp. [control]
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "config/problems.hpp"
#include "config/tree.hpp"

namespace vital::config {

// The one document in `text`; an empty document is a null node. Duplicate keys, tags, keys that are no words, too deep
// nesting and aliases that grow too large are problems; empty if the text cannot be read on at all.
std::optional<Node> parse_yaml(const std::string& text, std::uint32_t file, Problems& problems);

}  // namespace vital::config
