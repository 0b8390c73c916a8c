// HAProxy's runtime socket as words: what its answers say of our servers, and which commands make them what they are to
// be. Pure. (HAProxy 2.6: `show servers state`, format 1, and `show stat`.)
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "outputs/spec.hpp"
#include "outputs/word.hpp"

namespace vital::haproxy {

struct ServerSeen {
  bool is_drained = false;         // by `set server state drain`
  bool is_in_maintenance = false;  // by `set server state maint`
  unsigned weight = 0, configured_weight = 0;
  std::optional<bool> is_agent_up;  // empty if the server line has no agent-check
  std::size_t sessions = 0;
};

// "backend/server" -> what is known of it.
using Seen = std::map<std::string, ServerSeen, std::less<>>;

// The line that asks for all we need of these backends.
std::string question(const HaproxyOutput& to);
// Empty and *problem in one line if it is nothing of HAProxy's.
std::optional<Seen> parse(std::string_view answer, std::string* problem);

// The commands still needed, none if all is as it is to be. *problem in one line if it cannot be done.
std::vector<std::string> commands(const HaproxyOutput& to, const Word& word, const Seen& seen, std::string* problem);

// What HAProxy answered to commands, but for the empty lines of success.
std::string complaints(std::string_view answer);

// "web/s1 down, weight 50", for people.
std::string describe(const HaproxyOutput& to, const Seen& seen);

}  // namespace vital::haproxy
