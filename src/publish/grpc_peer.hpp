// gRPC health over HTTP/2: one connection (in grpc_peer.cpp, the only file with nghttp2) and the GrpcRoom, which all of
// them share: who watches, and telling them when something has changed. Front thread.
//
// A build without libnghttp2 has has_grpc() == false and welcomes nobody.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>

#include "publish/consumers.hpp"
#include "publish/http_peer.hpp"
#include "publish/peer.hpp"
#include "publish/view.hpp"

namespace vital {

bool has_grpc();

class GrpcRoom {
 public:
  static constexpr std::size_t most_watches = 1024;

  GrpcRoom(Hall& hall, const Board& board, Consumers& consumers);
  GrpcRoom(const GrpcRoom&) = delete;
  GrpcRoom& operator=(const GrpcRoom&) = delete;

  std::unique_ptr<Peer> welcome(int fd, std::unique_ptr<Stream> stream, const Origin& origin);

  const Board& board() const { return board_; }
  Consumers& consumers() { return consumers_; }
  // Whether one more may watch; counted until end_watch().
  bool begin_watch(std::uint64_t peer);
  void end_watch(std::uint64_t peer, bool was_last_of_peer);

 private:
  void tick();

  Hall& hall_;
  const Board& board_;
  Consumers& consumers_;
  Timer timer_;                       // runs while somebody watches
  std::set<std::uint64_t> watching_;  // peers
  std::size_t watches_ = 0;
  std::shared_ptr<const View> told_;  // the last view they were told of
  bool was_stalled_ = false;
};

}  // namespace vital
