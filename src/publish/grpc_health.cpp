// Two fields of protobuf by hand; see grpc_health.hpp.
#include "publish/grpc_health.hpp"

#include <cstddef>

namespace vital {
namespace {

constexpr std::size_t prefix = 5;  // compressed or not, and the length
constexpr std::size_t longest_message = 1024;

// Reads a varint at the front of `rest`; empty if there is none.
std::optional<std::uint64_t> take_varint(std::string_view& rest) {
  std::uint64_t out = 0;
  for (unsigned shift = 0; shift < 64 && !rest.empty(); shift += 7) {
    const auto byte = static_cast<std::uint8_t>(rest.front());
    rest.remove_prefix(1);
    out |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
    if ((byte & 0x80U) == 0) return out;
  }
  return {};
}

bool skip(std::string_view& rest, std::uint64_t bytes) {
  if (bytes > rest.size()) return false;
  rest.remove_prefix(static_cast<std::size_t>(bytes));
  return true;
}

// HealthCheckRequest: field 1 is the service. Others are skipped: a later version may have them.
std::optional<std::string> read_message(std::string_view rest) {
  std::string service;
  while (!rest.empty()) {
    const auto tag = take_varint(rest);
    if (!tag || *tag >> 3U == 0) return {};
    switch (*tag & 7U) {
      case 0:
        if (!take_varint(rest)) return {};
        break;
      case 1:
        if (!skip(rest, 8)) return {};
        break;
      case 2: {
        const auto length = take_varint(rest);
        if (!length || *length > rest.size()) return {};
        if (*tag >> 3U == 1) service = rest.substr(0, static_cast<std::size_t>(*length));
        skip(rest, *length);
        break;
      }
      case 5:
        if (!skip(rest, 4)) return {};
        break;
      default:
        return {};
    }
  }
  return service;
}

}  // namespace

GrpcRequest read_health_request(std::string_view bytes) {
  using Status = GrpcRequest::Status;
  if (bytes.size() < prefix) return {};
  const auto at = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<std::uint8_t>(bytes[i])); };
  if (at(0) > 1) return {Status::malformed, {}};
  const std::size_t length = at(1) << 24U | at(2) << 16U | at(3) << 8U | at(4);
  if (length > longest_message) return {Status::malformed, {}};
  if (at(0) == 1) return {Status::compressed, {}};
  if (bytes.size() < prefix + length) return {};
  auto service = read_message(bytes.substr(prefix, length));
  if (!service) return {Status::malformed, {}};
  return {Status::whole, std::move(*service)};
}

std::string health_response(Serving serving) {
  std::string out("\0\0\0\0\2\x08\0", 7);
  out.back() = static_cast<char>(serving);
  return out;
}

std::optional<Serving> serving_of(const View* view, std::string_view service, Now now, Instant valid_until) {
  if (view == nullptr) return service.empty() ? std::optional(Serving::not_serving) : std::nullopt;
  const Answer* answer = &view->node;
  if (!service.empty()) {
    const auto found = view->by_name.find(std::string(service));
    if (found == view->by_name.end()) return {};
    answer = &view->services.at(found->second);
  }
  if (now.mono > valid_until) return Serving::not_serving;
  return answer->status == Verdict::fail ? Serving::not_serving : Serving::serving;
}

}  // namespace vital
