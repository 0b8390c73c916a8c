// HaproxyAgentPeer: one agent-check connection. HAProxy connects, may say a line (agent-send: a service's name, with or
// without "group=" before it), and reads one line: always the complete state, since HAProxy keeps what it was told
// last. Front thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "publish/consumers.hpp"
#include "publish/peer.hpp"
#include "publish/view.hpp"

namespace vital {

// The line for what was asked. A service that does not exist gets "unknown-service", a word HAProxy reports and that
// changes nothing there; `is_known` says which it was. Pure.
struct HaproxyReply {
  std::string line;
  bool is_known = true;
};
HaproxyReply haproxy_reply(const View* view, std::string_view asked, Now now, Instant valid_until,
                           HaproxyFarewell farewell = HaproxyFarewell::drain);

class HaproxyAgentPeer : public Peer {
 public:
  HaproxyAgentPeer(Hall& hall, const Board& board, int fd, std::unique_ptr<Stream> stream, HaproxyFarewell farewell);
  // Who asks is entered there.
  void remember_in(Consumers& consumers, const HostAddress& from);

 private:
  std::size_t take(std::string_view bytes) override;
  void ended() override;
  void late(Awaited kind) override;
  void answer();

  const Board& board_;
  HaproxyFarewell farewell_;
  Consumers* consumers_ = nullptr;
  HostAddress from_;
  std::string asked_;
};

}  // namespace vital
