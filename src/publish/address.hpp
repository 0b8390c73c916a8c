// Addresses as the config writes them: "0.0.0.0:9180", "[::1]:9180" to listen on, "10.0.0.0/8" for networks. Numeric
// only: nothing here resolves a name. Pure; any thread.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vital {

// An address and port of either family, as the kernel takes it.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  sockaddr* raw();
  const sockaddr* raw() const;
  std::uint16_t port() const;
  std::string text() const;  // "127.0.0.1:80", "[::1]:80"; "unix" for anything else

  // Throws std::invalid_argument with one line that quotes the text.
  static SocketAddress parse(std::string_view text);
};

// An address alone, IPv4 kept as IPv4-mapped IPv6, so that there is one way to compare.
struct HostAddress {
  std::array<std::uint8_t, 16> bytes{};
  bool is_known = false;

  static HostAddress of(const SocketAddress& address);
  static HostAddress v4(const std::uint8_t* four);
  static HostAddress v6(const std::uint8_t* sixteen);
  bool is_v4() const;
  bool is_loopback() const;
  std::string text() const;  // "10.0.0.1", "fd00::1"; "local" if it is not known
};

struct Network {
  std::array<std::uint8_t, 16> bytes{};
  unsigned prefix = 128;  // bits, counted in the mapped form

  bool contains(const HostAddress& address) const;
  // "10.0.0.0/8", "fd00::/8", "10.1.2.3". Throws std::invalid_argument with one line that quotes the text.
  static Network parse(std::string_view text);
};

}  // namespace vital
