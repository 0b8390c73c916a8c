// The texts that files hold: from what is wanted to bytes. Pure; called on the thread that writes.
#pragma once

#include <string>
#include <vector>

#include "outputs/spec.hpp"
#include "outputs/word.hpp"

namespace vital {

// The last snapshot as JSON: node, services, checks. Field names are an interface.
std::string snapshot_json(const Snapshot& snapshot);

// keepalived: the number and a newline.
std::string track_file_text(const KeepalivedOutput& to, const Word& word);

// nginx: one `server` line for each member, for an include in the upstream block. `words` as the members.
std::string nginx_text(const NginxOutput& to, const std::vector<Word>& words);

// Envoy: a DiscoveryResponse with one ClusterLoadAssignment, as JSON.
std::string envoy_text(const EnvoyOutput& to, const std::vector<Word>& words);

}  // namespace vital
