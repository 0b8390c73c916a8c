// The gRPC health checking protocol, grpc.health.v1, as bytes: a request is one string, an answer one number, so that
// no gRPC library is needed. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "publish/view.hpp"

namespace vital {

inline constexpr std::string_view grpc_check_path = "/grpc.health.v1.Health/Check";
inline constexpr std::string_view grpc_watch_path = "/grpc.health.v1.Health/Watch";

// HealthCheckResponse.ServingStatus
enum class Serving : std::uint8_t { serving = 1, not_serving = 2, service_unknown = 3 };

// The status codes of gRPC that are used here.
enum class GrpcStatus : std::uint8_t {
  ok = 0,
  invalid_argument = 3,
  not_found = 5,
  resource_exhausted = 8,
  unimplemented = 12
};

// What a stream has sent, from its first byte: the five bytes before a message and the message.
struct GrpcRequest {
  enum class Status : std::uint8_t { need_more, whole, compressed, malformed };
  Status status = Status::need_more;
  std::string service;
};
GrpcRequest read_health_request(std::string_view bytes);

// With the five bytes before it.
std::string health_response(Serving serving);

// Pass and warn serve; everything else does not. Empty for a service nobody knows. The empty name is the node.
std::optional<Serving> serving_of(const View* view, std::string_view service, Now now, Instant valid_until);

}  // namespace vital
