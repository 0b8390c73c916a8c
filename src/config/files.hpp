// Reading what a config names: bounded, regular files only, never waiting for a writer. [control]
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "config/expand.hpp"
#include "config/problems.hpp"
#include "config/tree.hpp"

namespace vital::config {

struct FileText {
  std::string text;
  unsigned mode = 0;  // permission bits
};

// Empty, and in *why one clause ("is not there", "is a directory", "has more than 64 KiB", "Permission denied").
std::optional<FileText> read_file(const std::string& path, std::size_t most_bytes, std::string* why);

// The main file and everything it includes as one tree, expanded. Maps merge one level deep; a name written in two
// files is a problem that names both places. Null if there is nothing to go on with.
std::optional<Node> read_tree(const std::string& file, const Environment& environment, Problems& problems);

// A relative path: in $CREDENTIALS_DIRECTORY if it is there, else beside the file it is written in.
std::string find_file(const std::string& path, const std::string& beside, const Environment& environment);

}  // namespace vital::config
