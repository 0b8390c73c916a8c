// From what etcd says to verdict, cause and words. Pure, so that each rule has its case in tests/checks/; the
// conversation is in etcd.cpp. [any]
#pragma once

#include "../findings.hpp"
#include "../words.hpp"
#include "reply.hpp"

namespace vital::etcd {

// What a member must be and have, as the options say.
struct Demands {
  std::string role = "any";  // leader, follower
  long long min_members = 0;
  check::Limit read_s, db_size;
};

// What this member knows by itself: leader, alarms, role, room. Without a leader there is no use in asking on.
inline void judge_status(const Status& status, const Demands& demands, check::Findings& found) {
  using check::Cause;
  using check::Verdict;
  const std::string role = status.is_learner ? "learner" : status.is_leader() ? "leader" : "follower";
  if (status.leader.empty()) {
    found.add(Verdict::fail, Cause::content, "it has no leader, so its quorum is lost or an election is under way");
  } else if (demands.role != "any" && role != demands.role) {
    found.add(Verdict::fail, Cause::role, "it is a " + role + ", expected a " + demands.role);
  } else if (status.is_learner) {
    found.add(Verdict::warn, Cause::role, "it is a learner: no vote, and no reads, until it is promoted");
  }
  for (const std::string& alarm : status.alarms) {
    const bool is_full = alarm.substr(0, 7) == "NOSPACE";
    found.add(Verdict::fail, Cause::content,
              "alarm " + check::tidy(alarm, 120) + (is_full ? ": it takes no writes until there is room" : ""));
  }
  found.judge(demands.db_size, status.db_size,
              "its database has " + std::to_string(std::llround(status.db_size)) + " bytes");
}

inline void judge_members(const std::vector<Member>& members, const Demands& demands, check::Findings& found) {
  long long started = 0;
  for (const Member& member : members) started += member.has_started() && !member.is_learner ? 1 : 0;
  if (started >= demands.min_members) return;
  found.add(check::Verdict::warn, check::Cause::content,
            "its cluster has " + std::to_string(started) + " voting members, expected at least " +
                std::to_string(demands.min_members));
}

// Of an answer that is no success, without the name of what was asked: verdict, cause, words.
inline check::Result refusal_meaning(long http_status, const std::string& body) {
  using check::Cause;
  const auto refusal = read_refusal(body);
  if (!refusal) {
    return check::fail(Cause::protocol, "HTTP " + std::to_string(http_status) +
                                            " and not in etcd's words; is this its client URL, of etcd 3.4 or later?");
  }
  const std::string words = check::tidy(refusal->words, 160);
  const auto says = [&](const char* text) { return refusal->words.find(text) != std::string::npos; };
  if (says("not enabled")) return check::unknown(Cause::config, words + "; leave out user and password_file");
  if (says("user name is empty")) return check::unknown(Cause::auth, words + "; set user and password_file");
  if (says("authentication failed") || says("permission denied") || says("auth token"))
    return check::unknown(Cause::auth, words);
  if (refusal->code == 14 || says("timed out") || says("no leader"))  // Unavailable
    return check::fail(Cause::content, words + ": is its quorum lost?");
  return check::fail(Cause::content, words);
}

}  // namespace vital::etcd
