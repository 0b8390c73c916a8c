// VoteBook: what other agents wrote of members, and how old it can be at most. Nobody's wall clock is believed: a vote
// says how old its evidence was when it left, how long it may have been under way, and the book knows between which two
// looks of ours it came. What was there at the first look is of unknown age, and counts once it is written anew. Pure.
//
//   book.looked(issued, entries);     // a whole look at the store, asked for at `issued`
//   book.votes(now);                  // without those of `self`
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/failover/seam.hpp"

namespace vital {

// A vote as it stands in the store, a JSON text written at `now`.
std::string vote_text(const failover::PublishVote& vote, Instant now, Duration way, std::string_view zone);

class VoteBook {
 public:
  struct Written {
    std::string topology, member, node;  // of the key
    std::string text;
    std::int64_t revision = 0;
  };

  explicit VoteBook(std::string self) : self_(std::move(self)) {}

  void looked(Instant issued, const std::vector<Written>& all);
  // What was known is of unknown age again: the host slept, or the store is another one.
  void forget();

  std::vector<failover::PeerVote> votes(Instant now) const;
  std::uint64_t malformed() const { return malformed_; }

 private:
  struct Known {
    std::int64_t revision = 0;
    std::optional<Instant> not_before;  // it was written then or later; empty = nobody knows
    std::optional<failover::PeerVote> vote;
  };
  std::string self_;
  std::optional<Instant> last_look_;
  std::map<std::string, Known> known_;  // by topology/member/node
  std::uint64_t malformed_ = 0;
};

}  // namespace vital
