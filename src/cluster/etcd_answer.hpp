// What etcd's JSON gateway (version 3, 3.4 and later) is asked and what its answers mean: request bodies, and each
// answer's class by one table. Whatever is not understood is `unknown` or `nonsense`, and neither ever makes a leader.
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"

namespace vital::etcd {

// One answer, or in `trouble` why there is none.
struct Reply {
  std::string trouble;
  int status = 0;
  std::string body;
};

enum class Class : std::uint8_t {
  ok,
  login,        // no token, or one it does not take any more
  denied,       // wrong password, or a role without the right
  absent,       // no such lease
  conflict,     // exists already, was compacted, a precondition failed
  full,         // no space, or too many requests: nothing is written
  invalid,      // it does not know what we say: not etcd 3.4, or a mistake of ours
  unreachable,  // nobody there, no leader
  late,         // no answer in time: whether it was done is not known
  nonsense,     // an answer that is none
  unknown,      // an error nobody has told us of
};
std::string_view name(Class c);

// `text` in one line, empty if ok.
struct Judged {
  Class cls = Class::nonsense;
  std::string text;
  bool is_ok() const { return cls == Class::ok; }
};
Judged judge(const Reply& reply);

// Another endpoint may know better.
bool is_worth_another(Class c);

struct Login : Judged {
  std::string token;
};
struct Granted : Judged {
  std::string lease;
  Duration ttl{};
};
struct Kept : Judged {
  bool is_alive = false;  // etcd says 200 of a lease that has ended, too
  Duration ttl{};
  std::string term;  // of raft, when the renewal began
};
struct Claimed : Judged {
  bool is_ours = false;
  std::int64_t revision = 0;  // of the key we made: its create_revision
};
struct Written : Judged {
  bool is_done = false;  // the compares held
};
struct Entry {
  std::string key, value, lease;
  std::int64_t create_revision = 0, mod_revision = 0;
};
struct Ranged : Judged {
  std::vector<Entry> entries;
  std::int64_t revision = 0;
  std::string term;
};

Login login_of(const Reply& reply);
Granted granted_of(const Reply& reply);
Kept kept_of(const Reply& reply);
Claimed claimed_of(const Reply& reply);
Written written_of(const Reply& reply);
Ranged ranged_of(const Reply& reply);

inline constexpr std::size_t max_entries = 1200;  // of one range; more is an error

std::string login_body(std::string_view user, std::string_view password);
std::string grant_body(Duration ttl);
std::string lease_body(std::string_view lease);  // keepalive, revoke
// Makes the key under the lease if nobody has it.
std::string claim_body(std::string_view key, std::string_view value, std::string_view lease);
// Everything below the prefix. Linearizable, as every read here: `serializable` is never said.
std::string range_body(std::string_view prefix);

struct Put {
  std::string key, value, lease;
};
std::string puts_body(const std::vector<Put>& puts);  // at most 128, in one transaction
// Sets the key if its mod_revision is still `expected` and, with a token, if guard_key was created at `token`.
std::string swap_body(std::string_view key, std::string_view value, std::int64_t expected, std::string_view guard_key,
                      std::int64_t token);

}  // namespace vital::etcd
