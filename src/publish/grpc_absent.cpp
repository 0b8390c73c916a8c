// What stands for grpc_peer.cpp in a build without libnghttp2.
#include "publish/grpc_peer.hpp"

namespace vital {

bool has_grpc() { return false; }

GrpcRoom::GrpcRoom(Hall& hall, const Board& board, Consumers& consumers)
    : hall_(hall), board_(board), consumers_(consumers), timer_(hall.loop(), [] {}) {}

std::unique_ptr<Peer> GrpcRoom::welcome(int, std::unique_ptr<Stream>, const Origin&) { return {}; }
bool GrpcRoom::begin_watch(std::uint64_t) { return false; }
void GrpcRoom::end_watch(std::uint64_t, bool) {}

}  // namespace vital
