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
      grpc_checks{}, grpc_unknown_services{}, grpc_watches{}, reports_taken{}, reports_unauthorized{},
      reports_limited{}, reports_refused{}, stream_readers{}, stream_events{}, stream_readers_dropped{};

  void request(int code) {
    if (code >= 100 && code < 600) add(codes_[static_cast<std::size_t>(code - 100)]);
  }
  static void add(Count& count) { count.fetch_add(1, std::memory_order_relaxed); }

  FrontCounters read() const {
    const auto get = [](const Count& c) { return c.load(std::memory_order_relaxed); };
    FrontCounters out;
    out.connections = get(connections);
    out.connections_open = get(connections_open);
    out.silent = get(silent);
    out.evicted = get(evicted);
    out.over_source_cap = get(over_source_cap);
    out.timed_out = get(timed_out);
    out.resets = get(resets);
    out.accept_errors = get(accept_errors);
    out.proxied = get(proxied);
    out.tls_handshakes = get(tls_handshakes);
    out.tls_failures = get(tls_failures);
    out.agent_checks = get(agent_checks);
    out.agent_unknown_services = get(agent_unknown_services);
    out.grpc_checks = get(grpc_checks);
    out.grpc_unknown_services = get(grpc_unknown_services);
    out.grpc_watches = get(grpc_watches);
    out.reports_taken = get(reports_taken);
    out.reports_unauthorized = get(reports_unauthorized);
    out.reports_limited = get(reports_limited);
    out.reports_refused = get(reports_refused);
    out.stream_readers = get(stream_readers);
    out.stream_events = get(stream_events);
    out.stream_readers_dropped = get(stream_readers_dropped);
    for (std::size_t i = 0; i < codes_.size(); ++i) {
      if (const std::uint64_t n = get(codes_[i])) out.requests.emplace_back(static_cast<int>(i) + 100, n);
    }
    return out;
  }

 private:
  std::array<Count, 500> codes_{};
};

}  // namespace vital
