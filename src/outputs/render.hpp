// The texts that files hold: from what is wanted to bytes. Pure; called on the thread that writes.
#pragma once

#include <string>

#include "outputs/spec.hpp"
#include "outputs/word.hpp"

namespace vital {

// The last snapshot as JSON: node, services, checks. Field names are an interface.
std::string snapshot_json(const Snapshot& snapshot);

// keepalived: the number and a newline.
std::string track_file_text(const KeepalivedOutput& to, const Word& word);

}  // namespace vital
