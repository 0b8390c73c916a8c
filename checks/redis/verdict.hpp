// From what Redis and Sentinel say to a verdict, a cause and words. Pure, so that each rule has its case in
// tests/checks/; the conversation is in redis.cpp.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vitald/check.hpp>

#include "../amount.hpp"
#include "resp.hpp"

namespace vital::redis {

// What a server must be and have, as the options say.
struct Demands {
  enum class Role { any, master, replica };
  Role role = Role::any;
  check::Duration fail_link_down = std::chrono::minutes(1);
  check::Duration max_save_age{};  // zero = not asked
  long long min_replicas = 0;
  check::Floors memory;   // of maxmemory, left
  check::Floors clients;  // of maxclients, left
};

// INFO, as fields. Unknown sections and whatever is no field are left out.
class Info {
 public:
  explicit Info(std::string_view text);
  std::string text(const std::string& field) const;
  std::optional<double> number(const std::string& field) const;
  bool has(const std::string& field) const { return fields_.count(field) != 0; }

 private:
  std::map<std::string, std::string> fields_;
};

// What an error reply proves; `doing` is the command ("SET"), for the words.
check::Result error_meaning(const Reply& error, const std::string& doing);
// Whether it is the one thing that is said to clients beyond maxclients, before the connection is closed.
bool is_turned_away(const Reply& reply);

// What INFO says against what is demanded: verdict, measures and facts. `target` is for the words. `now` is the wall
// clock, which LASTSAVE counts in.
check::Result judge(const Info& info, const Demands& demands, const std::string& target, long long now);

// What Sentinel says of a master, read from SENTINEL MASTER.
struct SentinelView {
  std::string run_id;
  std::string address;
  std::string flags;
};
std::optional<SentinelView> sentinel_view(const Reply& reply);
// Whether the server and Sentinel agree on who is master: a reason if not.
std::string disagreement(const Info& info, const SentinelView& view, const std::string& name);

}  // namespace vital::redis
