// Backoff: who failed how often, and when it may be tried again: 1 s after the first failure, twice as long after each
// further one, at most five minutes. A success forgives. Pure.
#pragma once

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace vital {

class Backoff {
 public:
  static constexpr Duration first = std::chrono::seconds(1);
  static constexpr Duration longest = std::chrono::minutes(5);
  static constexpr std::size_t most = 1024;  // keys remembered; beyond, the one nearest to forgiveness is dropped

  struct Entry {
    unsigned failures = 0;
    Instant until{};
    std::string reason;  // one line, of the last failure
  };

  void failed(const std::string& key, std::string reason, Instant now) {
    if (entries_.size() >= most && !entries_.contains(key)) {
      entries_.erase(std::ranges::min_element(entries_, {}, [](const auto& e) { return e.second.until; }));
    }
    Entry& entry = entries_[key];
    const Duration wait = std::min<Duration>(longest, first * (1LL << std::min(entry.failures, 16U)));
    ++entry.failures;
    entry.until = now + wait;
    entry.reason = std::move(reason);
  }
  void succeeded(std::string_view key) {
    if (const auto at = entries_.find(key); at != entries_.end()) entries_.erase(at);
  }
  // Null if it may be tried now.
  const Entry* waiting(std::string_view key, Instant now) const {
    const auto at = entries_.find(key);
    return at != entries_.end() && at->second.until > now ? &at->second : nullptr;
  }
  bool is_empty() const { return entries_.empty(); }

 private:
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace vital
