// FrontStats: what the front counts, written on its thread, read on any. Relaxed atomics: each number alone is true.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "publish/front.hpp"

namespace vital {

struct FrontStats {
  using Count = std::atomic<std::uint64_t>;
  Count connections{}, connections_open{}, silent{}, evicted{}, over_source_cap{}, timed_out{}, resets{},
      accept_errors{}, proxied{}, tls_handshakes{}, tls_failures{}, agent_checks{}, agent_unknown_services{},
      reports_taken{}, reports_unauthorized{}, reports_limited{}, reports_refused{}, stream_readers{}, stream_events{},
      stream_readers_dropped{};

  void request(int code) {
    if (code >= 100 && code < 600) add(codes_[static_cast<std::size_t>(code - 100)]);
  }
  static void add(Count& count) { count.fetch_add(1, std::memory_order_relaxed); }

  FrontCounters read() const {
    const auto get = [](const Count& c) { return c.load(std::memory_order_relaxed); };
    FrontCounters out{get(connections),
                      get(connections_open),
                      get(silent),
                      get(evicted),
                      get(over_source_cap),
                      get(timed_out),
                      get(resets),
                      get(accept_errors),
                      get(proxied),
                      get(tls_handshakes),
                      get(tls_failures),
                      get(agent_checks),
                      get(agent_unknown_services),
                      get(reports_taken),
                      get(reports_unauthorized),
                      get(reports_limited),
                      get(reports_refused),
                      get(stream_readers),
                      get(stream_events),
                      get(stream_readers_dropped),
                      {}};
    for (std::size_t i = 0; i < codes_.size(); ++i) {
      if (const std::uint64_t n = get(codes_[i])) out.requests.emplace_back(static_cast<int>(i) + 100, n);
    }
    return out;
  }

 private:
  std::array<Count, 500> codes_{};
};

}  // namespace vital
