// SourceCrowds: which connections come from where, so that one source cannot take the places of all. Nothing here is
// touched by a request: a connection is entered when it is accepted and leaves when it ends. Front thread.
//
//   if (crowds.count(source) >= most) crowds.oldest(source, rank)->make_room();
//   auto place = crowds.add(source, peer);      // empty for a source that is not counted
//   crowds.remove(*place);
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <list>
#include <optional>
#include <unordered_map>
#include <utility>

#include "publish/address.hpp"

namespace vital {

class Peer;

class SourceCrowds {
 public:
  struct Key {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    bool operator==(const Key&) const = default;
  };
  struct Place {
    Key key;
    std::list<Peer*>::iterator at;
  };

  std::size_t count(const HostAddress& source) const {
    if (!source.is_known) return 0;
    const auto found = crowds_.find(key_of(source));
    return found == crowds_.end() ? 0 : found->second.size();
  }
  // Of the oldest few of this source the one that `rank` puts first; the source must have one.
  template <typename Rank>
  Peer* oldest(const HostAddress& source, const Rank& rank) const {
    const std::list<Peer*>& crowd = crowds_.at(key_of(source));
    Peer* best = crowd.front();
    std::size_t looked_at = 0;
    for (Peer* peer : crowd) {
      if (looked_at++ == looked_at_most) break;
      if (rank(*peer) < rank(*best)) best = peer;
    }
    return best;
  }
  std::optional<Place> add(const HostAddress& source, Peer& peer) {
    if (!source.is_known) return {};
    const Key key = key_of(source);
    std::list<Peer*>& crowd = crowds_[key];
    return Place{key, crowd.insert(crowd.end(), &peer)};
  }
  void remove(const Place& place) {
    const auto found = crowds_.find(place.key);
    found->second.erase(place.at);
    if (found->second.empty()) crowds_.erase(found);
  }

 private:
  static constexpr std::size_t looked_at_most = 16;

  struct Hash {
    std::size_t operator()(const Key& key) const noexcept {
      // Addresses are chosen by others: the halves are mixed, and the map is no larger than the connections are many.
      std::uint64_t h = key.high * 0x9E3779B97F4A7C15ULL ^ key.low;
      h ^= h >> 32U;
      return static_cast<std::size_t>(h * 0xD6E8FEB86659FD93ULL);
    }
  };
  // Whoever has one IPv6 address has the /64 around it.
  static Key key_of(const HostAddress& source) {
    Key out;
    std::memcpy(&out.high, source.bytes.data(), sizeof out.high);
    if (source.is_v4()) std::memcpy(&out.low, source.bytes.data() + 8, sizeof out.low);
    return out;
  }

  std::unordered_map<Key, std::list<Peer*>, Hash> crowds_;
};

}  // namespace vital
