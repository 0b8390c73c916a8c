// Addresses and networks from text; see address.hpp.
#include "publish/address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <stdexcept>

namespace vital {
namespace {

template <typename Number>
std::optional<Number> number(std::string_view text) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return {};
  return value;
}

template <typename Family>
Family* as(sockaddr_storage& storage) {
  return static_cast<Family*>(static_cast<void*>(&storage));
}
template <typename Family>
const Family* as(const sockaddr_storage& storage) {
  return static_cast<const Family*>(static_cast<const void*>(&storage));
}

}  // namespace

sockaddr* SocketAddress::raw() { return as<sockaddr>(storage); }
const sockaddr* SocketAddress::raw() const { return as<sockaddr>(storage); }

std::uint16_t SocketAddress::port() const {
  if (storage.ss_family == AF_INET) return ntohs(as<sockaddr_in>(storage)->sin_port);
  if (storage.ss_family == AF_INET6) return ntohs(as<sockaddr_in6>(storage)->sin6_port);
  return 0;
}

std::string SocketAddress::text() const {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (storage.ss_family == AF_INET) {
    inet_ntop(AF_INET, &as<sockaddr_in>(storage)->sin_addr, buffer.data(), buffer.size());
    return std::string(buffer.data()) + ":" + std::to_string(port());
  }
  if (storage.ss_family == AF_INET6) {
    inet_ntop(AF_INET6, &as<sockaddr_in6>(storage)->sin6_addr, buffer.data(), buffer.size());
    return "[" + std::string(buffer.data()) + "]:" + std::to_string(port());
  }
  return "unix";
}

SocketAddress SocketAddress::parse(std::string_view text) {
  const auto refuse = [&]() -> std::invalid_argument {
    return std::invalid_argument("\"" + std::string(text) +
                                 "\" is not an address to listen on: write a numeric one with a port, as "
                                 "127.0.0.1:9180 or [::1]:9180");
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) throw refuse();
  const auto port = number<std::uint16_t>(text.substr(colon + 1));
  if (!port) throw refuse();
  std::string_view host = text.substr(0, colon);
  SocketAddress out;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    auto* six = as<sockaddr_in6>(out.storage);
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(*port);
    if (inet_pton(AF_INET6, std::string(host).c_str(), &six->sin6_addr) != 1) throw refuse();
    out.length = sizeof(sockaddr_in6);
    return out;
  }
  auto* four = as<sockaddr_in>(out.storage);
  four->sin_family = AF_INET;
  four->sin_port = htons(*port);
  if (inet_pton(AF_INET, std::string(host).c_str(), &four->sin_addr) != 1) throw refuse();
  out.length = sizeof(sockaddr_in);
  return out;
}

HostAddress HostAddress::v4(const std::uint8_t* four) {
  HostAddress out;
  out.bytes[10] = out.bytes[11] = 0xFF;
  std::copy_n(four, 4, out.bytes.begin() + 12);
  out.is_known = true;
  return out;
}

HostAddress HostAddress::v6(const std::uint8_t* sixteen) {
  HostAddress out;
  std::copy_n(sixteen, 16, out.bytes.begin());
  out.is_known = true;
  return out;
}

HostAddress HostAddress::of(const SocketAddress& address) {
  std::array<std::uint8_t, 16> raw{};
  if (address.storage.ss_family == AF_INET) {
    std::memcpy(raw.data(), &as<sockaddr_in>(address.storage)->sin_addr, 4);
    return v4(raw.data());
  }
  if (address.storage.ss_family == AF_INET6) {
    std::memcpy(raw.data(), &as<sockaddr_in6>(address.storage)->sin6_addr, 16);
    return v6(raw.data());
  }
  return {};
}

bool HostAddress::is_v4() const {
  static const Network mapped = Network::parse("0.0.0.0/0");
  return mapped.contains(*this);
}

std::string HostAddress::text() const {
  if (!is_known) return "local";
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (is_v4()) {
    inet_ntop(AF_INET, bytes.data() + 12, buffer.data(), buffer.size());
  } else {
    inet_ntop(AF_INET6, bytes.data(), buffer.data(), buffer.size());
  }
  return buffer.data();
}

bool HostAddress::is_loopback() const {
  static const Network four = Network::parse("127.0.0.0/8");
  static const Network six = Network::parse("::1");
  return four.contains(*this) || six.contains(*this);
}

bool Network::contains(const HostAddress& address) const {
  if (!address.is_known) return false;
  const unsigned whole = prefix / 8;
  if (!std::equal(bytes.begin(), bytes.begin() + whole, address.bytes.begin())) return false;
  const unsigned rest = prefix % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xFFU << (8 - rest));
  return (bytes[whole] & mask) == (address.bytes[whole] & mask);
}

Network Network::parse(std::string_view text) {
  const auto refuse = [&]() -> std::invalid_argument {
    return std::invalid_argument("\"" + std::string(text) + "\" is not a network: write one as 10.0.0.0/8 or fd00::/8");
  };
  const std::size_t slash = text.find('/');
  const std::string host(text.substr(0, slash));
  Network out;
  unsigned offset = 0;
  std::array<std::uint8_t, 16> raw{};
  if (inet_pton(AF_INET, host.c_str(), raw.data()) == 1) {
    out.bytes = HostAddress::v4(raw.data()).bytes;
    offset = 96;
  } else if (inet_pton(AF_INET6, host.c_str(), raw.data()) == 1) {
    out.bytes = raw;
  } else {
    throw refuse();
  }
  if (slash == std::string_view::npos) return out;
  const auto prefix = number<unsigned>(text.substr(slash + 1));
  if (!prefix || *prefix > 128 - offset) throw refuse();
  out.prefix = *prefix + offset;
  return out;
}

}  // namespace vital
