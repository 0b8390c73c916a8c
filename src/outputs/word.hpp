// Word: what one consumer is to be told of the node or a service at one moment, taken from a snapshot. Outputs say
// words; they never judge. Pure.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/snapshot.hpp"
#include "outputs/spec.hpp"

namespace vital {

struct Word {
  std::string subject;  // name of the service, or of the node
  Told told = Told::fail;
  unsigned weight = 0;  // 0 to 100; 0 unless pass or warn
  std::string reason;   // one line; empty on pass
  WallTime since{};
  bool operator==(const Word&) const = default;
};

// Empty while nothing is known yet (before the first results, within startup_timeout) and if there is no such service:
// then a consumer is left with what it knows, so that restarting the agent moves nothing.
std::optional<Word> word_of(const Snapshot& snapshot, std::string_view service);

// What an output is to make true. `key` changes exactly when there is something else to say.
struct Wanted {
  std::string key;
  std::string detail;  // see Reconciler::want
  Word word;
  std::vector<Word> members;                 // for outputs that speak of several services
  std::shared_ptr<const Snapshot> snapshot;  // null for the last word of an agent that leaves
  bool is_withdrawn = false;                 // remove what is ours
};

// Empty while there is nothing to say, see word_of().
std::optional<Wanted> wanted_by(const OutputSpec& spec, const std::shared_ptr<const Snapshot>& snapshot);

// The last word before the agent leaves; empty if it leaves things as they are.
std::optional<Wanted> farewell_of(const OutputSpec& spec, const std::optional<Wanted>& last);

}  // namespace vital
