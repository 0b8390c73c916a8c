// The text protocol of memcached: where an answer ends, what is in it, and what it means. Pure; every length bounded.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vitald/check.hpp>

#include "../amount.hpp"
#include "../net/framing.hpp"

namespace vital::memcached {

// An answer of one line, or of VALUE and STAT lines up to END.
net::Framing answer(std::string_view bytes);

// The value of the only VALUE in an answer to get; nothing if the key is not there.
std::optional<std::string> value_of(std::string_view answer);

// STAT lines as name and value.
using Stats = std::map<std::string, std::string>;
Stats stats_of(std::string_view answer);

struct Demands {
  check::Floors connections;   // of max_connections, left
  double warn_evictions = -1;  // a second; below 0 = not asked
};

// What was known at the probe before, for rates.
struct Sample {
  double evictions = 0;
  double uptime = 0;
};

// What an answer that is not the one hoped for proves; `doing` is the command.
check::Result refusal(std::string_view answer, const std::string& doing);

// STAT lines against what is demanded. `before` gives rates if the server has not been restarted since.
check::Result judge(const Stats& stats, const Demands& demands, const std::optional<Sample>& before,
                    const std::string& target);
Sample sample_of(const Stats& stats);

}  // namespace vital::memcached
