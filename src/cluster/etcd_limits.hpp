// The bounds of the store in etcd that nobody needs to set.
#pragma once

#include <cstddef>

#include "base/time.hpp"

namespace vital::etcd {

inline constexpr Duration grace = std::chrono::milliseconds(250);  // for an answer that is on its way from the helper
inline constexpr Duration sleep_noticed = std::chrono::milliseconds(20);
inline constexpr Duration login_pause = std::chrono::seconds(5);  // a password that is wrong stays wrong
inline constexpr Duration retry_pause = std::chrono::milliseconds(200);
inline constexpr Duration vote_way = std::chrono::seconds(1);  // a vote that has not left by then does not leave
inline constexpr std::size_t max_claims = 64;
inline constexpr std::size_t max_own_votes = 2048;
inline constexpr std::size_t puts_at_once = 100;  // etcd takes 128 in a transaction

}  // namespace vital::etcd
