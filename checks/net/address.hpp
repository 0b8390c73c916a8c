// Host names, ports and numeric addresses as text, and what to make of them. Pure; nothing here asks a resolver.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace vital::net {

struct Endpoint {
  std::string host;  // without brackets
  uint16_t port = 0;
};

// A socket address and how much of it counts.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  int family() const { return storage.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

inline std::optional<uint16_t> parse_port(std::string_view text) {
  uint32_t value = 0;
  if (text.empty() || text.size() > 5) return {};
  for (const char c : text) {
    if (c < '0' || c > '9') return {};
    value = value * 10 + static_cast<uint32_t>(c - '0');
  }
  if (value < 1 || value > 65535) return {};
  return static_cast<uint16_t>(value);
}

// "192.0.2.1" or "2001:db8::1" with a port; empty for anything else.
inline std::optional<SocketAddress> socket_address(const std::string& numeric, uint16_t port) {
  SocketAddress out;
  sockaddr_in v4{};
  if (inet_pton(AF_INET, numeric.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&out.storage, &v4, sizeof v4);
    out.size = sizeof v4;
    return out;
  }
  sockaddr_in6 v6{};
  if (inet_pton(AF_INET6, numeric.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&out.storage, &v6, sizeof v6);
    out.size = sizeof v6;
    return out;
  }
  return {};
}

inline bool is_numeric(const std::string& host) { return socket_address(host, 1).has_value(); }
inline bool is_v6(const std::string& host) { return host.find(':') != std::string::npos; }

// "host:port" as a person reads it, with brackets around an IPv6 address.
inline std::string printed(const std::string& host, uint16_t port) {
  return (is_v6(host) ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

// "host:port", "192.0.2.1:80", "[2001:db8::1]:80"; empty for anything else.
inline std::optional<Endpoint> parse_endpoint(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return {};
  const auto port = parse_port(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  if (!port) return {};
  if (host.front() == '[') {
    if (host.size() < 3 || host.back() != ']') return {};
    host = host.substr(1, host.size() - 2);
    if (!is_numeric(std::string(host))) return {};
  } else if (host.find(':') != std::string_view::npos) {
    return {};  // an IPv6 address needs brackets to be told from its port
  }
  for (const char c : host) {
    if (c <= ' ' || c == '/' || c == '@') return {};
  }
  return Endpoint{std::string(host), *port};
}

}  // namespace vital::net
